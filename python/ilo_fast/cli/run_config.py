"""``--config``: several models and corpora in one YAML file, in the words of the flags of ``run``.

Keys are the long flags with ``_`` for ``-``, and are read by the same parser: values that a flag
refuses are refused here, with the place in the file.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from ilo_fast.cli import flags
from ilo_fast.cli.parser import Parser, UsageError, did_you_mean, with_suggestion
from ilo_fast.errors import AccessError

_TOP: Final = ("output", "reports", "defaults", "models", "corpora")
# Of the command line: they say where this machine keeps things.
_NOT_IN_FILE: Final = ("help", "cache", "no_cache")
_NUMBERS: Final = (
    "limit", "seed", "n_neighbors", "threshold", "permutations", "n_threads", "max_length",
    "batch_tokens", "layers",
)  # fmt: skip
_LISTS: Final = ("layers", "languages", "tokenizer_languages")


@dataclass(frozen=True)
class Job:
    """One model on one corpus.

    Attributes
    ----------
    args : argparse.Namespace
        As ``ilo-fast run`` would have them from its flags.
    words : tuple of str
        These flags: what makes the job another one.
    corpus_name : str or None
        What the file calls the corpus.
    """

    args: argparse.Namespace
    words: tuple[str, ...]
    corpus_name: str | None


@dataclass(frozen=True)
class RunConfig:
    """What a file asks for.

    Attributes
    ----------
    output : Path or None
        Where results go.
    reports : bool
        Whether each result has figures and a page of its own.
    jobs : tuple of Job
        Every model on every corpus, one model after the other.
    """

    output: Path | None
    reports: bool
    jobs: tuple[Job, ...]


class _Reader(Parser):
    """Raises what is wrong, in the words of the file."""

    def error(self, message: str) -> NoReturn:
        message = with_suggestion(message)
        found = re.match(r"argument (?:-\w+/)?--([\w-]+): (.*)", message, re.DOTALL)
        raise UsageError(f"{found[1].replace('-', '_')}: {found[2]}" if found else message)


def _reader(*adders: Callable[[argparse.ArgumentParser], None]) -> _Reader:
    reader = _Reader(prog="ilo-fast run", allow_abbrev=False)
    for add in adders:
        add(reader)
    return reader


def _keys(reader: Parser) -> tuple[str, ...]:
    names = (flag[2:].replace("-", "_") for flag in reader.flags() if flag.startswith("--"))
    return tuple(dict.fromkeys(name for name in names if name not in _NOT_IN_FILE))


def read_config(path: Path) -> RunConfig:
    """Read the file. Relative paths in it are relative to its folder.

    Raises
    ------
    AccessError
        There is no such file.
    UsageError
        Something in it is wrong; names the place and, for a key that is not known, the nearest.
    """
    try:
        return _Config(path).read(_load(path))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _load(path: Path) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Refuses a key that stands twice, of which YAML would take the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if key.value in seen and isinstance(key.value, str):
                    raise UsageError(
                        f"{key.value} stands twice, the second time in line "
                        f"{key.start_mark.line + 1}"
                    )
                seen.add(key.value if isinstance(key.value, str) else None)
            return super().construct_mapping(node, deep)

    try:
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, Loader)
    except FileNotFoundError:
        raise AccessError(f"--config {path} does not exist") from None
    except UnicodeDecodeError:
        raise UsageError("it is not UTF-8 text") from None
    except UsageError:
        raise
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise UsageError(f"it is not YAML: {' '.join(str(error).split())}") from None


class _Config:
    """One file being read."""

    def __init__(self, path: Path) -> None:
        self.base = path.resolve().parent
        self.reader = _reader(flags.add_measurement_flags)
        self.switches = set(re.findall(r"\[--([\w-]+)\]", self.reader.format_usage()))
        model = _keys(_reader(flags.add_model_flags, flags.add_extract_flags))
        corpus = _keys(_reader(flags.add_corpus_flags, flags.add_sample_flag))
        scores = _keys(
            _reader(
                flags.add_overlap_flags,
                flags.add_certainty_flags,
                flags.add_thread_flag,
                flags.add_text_flag,
            )
        )
        self.known = {
            "models": model,
            "corpora": ("name", *corpus, *scores),
            "defaults": tuple(
                key
                for key in (*model, *corpus, *scores)
                if key not in ("model", "name", "revision", "corpus", "corpus_revision")
            ),
        }

    def read(self, data: Any) -> RunConfig:
        top = self._mapping("the file", {} if data is None else data, _TOP)
        defaults = self._mapping("defaults", top.get("defaults") or {}, self.known["defaults"])
        self._parsed("defaults", defaults)
        models = self._entries(top, "models", "model", defaults)
        corpora = self._entries(top, "corpora", "corpus", defaults)
        output, reports = top.get("output"), top.get("reports")
        if output is not None and (not isinstance(output, str) or not output.strip()):
            raise UsageError(f"output must be a folder, got {output!r:.60}")
        if not isinstance(reports, (bool, type(None))):
            raise UsageError(f"reports must be true or false, got {reports!r:.60}")
        return RunConfig(
            output=None if output is None else self._path(output),
            reports=reports is not False,
            jobs=tuple(
                self._job(defaults, model, corpus)
                for model, corpus in itertools.product(models, corpora)
            ),
        )

    def _job(
        self, defaults: Mapping[str, Any], model: Mapping[str, Any], corpus: Mapping[str, Any]
    ) -> Job:
        of_corpus = {key: value for key, value in corpus.items() if key != "name"}
        merged = {**defaults, **model, **of_corpus}
        words = self._words("", merged)
        name = corpus.get("name")
        args = self._parsed("", merged)
        return Job(args, (*words, f"corpus name {name}"), name)

    def _entries(
        self, top: Mapping[str, Any], section: str, noun: str, defaults: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The models or corpora: a name or path each, or a mapping that has one."""
        given = top.get(section)
        given = [given] if isinstance(given, (str, Mapping)) else given
        if not isinstance(given, list) or not given:
            raise UsageError(f"{section} must be a list of at least one {noun}, got {given!r:.60}")
        found: list[dict[str, Any]] = []
        for number, entry in enumerate(given, start=1):
            place = f"{section}, entry {number}"
            one = {noun: entry} if isinstance(entry, str) else entry
            one = dict(self._mapping(place, one, self.known[section]))
            if not isinstance(one.get(noun), str) or not one[noun].strip():
                raise UsageError(f"{place}: {noun} must be a name or a path, got {one.get(noun)!r}")
            name = one.get("name")
            if name is not None and (not isinstance(name, str) or not name.strip()):
                raise UsageError(f"{place}: name must be a text, got {name!r:.60}")
            try:
                one[noun] = self._placed_model(one[noun]) if noun == "model" else self._text(one)
            except UsageError as error:
                raise UsageError(f"{place}: {error}") from None
            self._parsed(place, {**defaults, **one})
            if one in found:
                raise UsageError(f"{place} is the same as entry {found.index(one) + 1}")
            found.append(one)
        return found

    def _placed_model(self, text: str) -> str:
        """A folder seen from the file, where there is one; else a name on the Hub."""
        from ilo_fast.models.demo import DEMO

        path = self._path(text)
        if text == DEMO or not (path.exists() or _looks_local(text)):
            if text != DEMO and Path(text).is_dir():
                raise UsageError(
                    f"model {text!r} is a folder of the working folder and not beside the file: "
                    "paths are relative to the file"
                )
            return text
        return str(path)

    def _text(self, entry: Mapping[str, Any]) -> str:
        """A corpus by its name, else a path seen from the file."""
        from ilo_fast.corpora.named import CORPUS_NAMES

        text = str(entry["corpus"])
        if text.lower() in CORPUS_NAMES:
            return text
        return str(self._path(text))

    def _path(self, text: str) -> Path:
        try:
            return self.base / Path(text).expanduser()
        except RuntimeError:
            raise UsageError(f"{text!r:.60} is in the home of a user who is not known") from None

    def _mapping(self, place: str, value: Any, known: Sequence[str]) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise UsageError(f"{place} must be a mapping of keys to values, got {value!r:.60}")
        for key in value:
            if key not in known:
                near = did_you_mean(str(key), known) or f"; there are {', '.join(known)}"
                raise UsageError(f"{place}: {key!r:.60} is not known{near}")
        return value

    def _parsed(self, place: str, options: Mapping[str, Any]) -> argparse.Namespace:
        try:
            return self.reader.parse_args(self._words(place, options))
        except UsageError as error:
            raise UsageError(f"{place}: {error}" if place else str(error)) from None

    def _words(self, place: str, options: Mapping[str, Any]) -> list[str]:
        """The flags of ``run`` that say the same."""
        words = []
        for key, value in options.items():
            flag = key.replace("_", "-")
            if value is None:
                continue
            if flag in self.switches:
                if not isinstance(value, bool):
                    raise UsageError(f"{key} must be true or false, got {value!r:.60}")
                words += [f"--{flag}"] if value else []
            else:
                words.append(f"--{flag}={_text_of(key, value)}")
        return words


def _looks_local(text: str) -> bool:
    return Path(text).is_absolute() or text.startswith((".", "~")) or text.count("/") > 1


def _text_of(key: str, value: Any) -> str:
    """A value as it would stand behind its flag."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        raise UsageError(
            f"{key} holds {str(value).lower()}: YAML takes yes, no, on and off for true and false; "
            "put it in quotes"
        )
    if isinstance(value, int):
        if key not in _NUMBERS:
            raise UsageError(f"{key} holds the number {value}, wanted a text: put it in quotes")
        return str(value)
    if isinstance(value, (list, Mapping)) and key not in _LISTS:
        raise UsageError(f"{key} holds {value!r:.60}, wanted one value")
    if isinstance(value, list):
        return _joined(key, value)
    if isinstance(value, Mapping):
        return _joined(key, (f"{one}={other}" for one, other in value.items()))
    raise UsageError(f"{key} holds {value!r:.60}, wanted a text, a whole number or a list")


def _joined(key: str, items: Iterable[Any]) -> str:
    found = list(items)
    for item in found:
        if isinstance(item, (list, Mapping)):
            raise UsageError(f"{key} holds {item!r:.60} in a list: wanted texts or numbers")
    if not found:
        raise UsageError(f"{key} is empty: leave it out for all")
    return ",".join(
        str(item) if isinstance(item, int) and not isinstance(item, bool) else _text_of(key, item)
        for item in found
    )
