"""Parallel text: the same line means the same in every language.

Every `ParallelCorpus` is checked when it is made: all languages have the same number of sentences,
and no sentence is empty. Code that takes one need not check again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from ilo_fast._util.checks import whole_number
from ilo_fast._util.messages import listed
from ilo_fast.corpora.checks import (
    check_sentences,
    count_duplicates,
    find_identical,
    warn_of_flaws,
)
from ilo_fast.corpora.files import demo_files, find_files, read_lines
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.corpora.hub import HubSource, read_hub
from ilo_fast.corpora.languages import LANGUAGES, resolve_codes
from ilo_fast.corpora.named import named_source
from ilo_fast.errors import AccessError, CorpusError

CORPUS_NAMES: Final[tuple[str, ...]] = ("demo", "flores200", "flores+", "ntrex128")
"""The names that `ParallelCorpus.load` knows."""


@dataclass(frozen=True, eq=False, repr=False)
class ParallelCorpus:
    """Sentences in several languages, aligned by position.

    Usually made by `load`, `from_dir`, `from_dict`, `from_hub` or `demo`; the constructor makes the
    same checks. One language alone is allowed (overlap needs two, and says so itself).

    Parameters
    ----------
    sentences
        Language code -> sentences; index n means the same in each. Sentences stay as they are: not
        stripped, not normalised.
    name
        For reports.
    source
        Where the text is from, JSON-able; becomes part of `info`.
    allow_unknown
        Take language codes that are not in `ilo_fast.corpora.languages.LANGUAGES`.

    Attributes
    ----------
    sentences : Mapping[str, tuple[str, ...]]
        Read-only.

    Raises
    ------
    CorpusError
        No language; an unknown code; a sentence that is no string, is empty or white space, holds
        NUL or half a surrogate pair; unequal numbers of sentences. Names the first few places.

    Warns
    -----
    Repeated sentences within a language and languages with identical text are logged as warnings
    and listed in `info`. They are worth knowing of, and occur in good data (FLORES-200 devtest
    repeats a line in Minangkabau).
    """

    sentences: Mapping[str, tuple[str, ...]]
    name: str = field(default="corpus", kw_only=True)
    source: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    allow_unknown: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        checked = check_sentences(self.sentences, allow_unknown=self.allow_unknown)
        object.__setattr__(self, "sentences", MappingProxyType(checked))
        object.__setattr__(self, "source", MappingProxyType(copy.deepcopy(dict(self.source))))
        info = self._info
        warn_of_flaws(checked, self.name, info["duplicated_sentences"], info["identical_languages"])

    @cached_property
    def _info(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **self.source,
            "languages": list(self.languages),
            "n_sentences": self.n_sentences,
            "sha256": self.fingerprint(),
            "duplicated_sentences": count_duplicates(self.sentences),
            "identical_languages": find_identical(self.sentences),
            "unknown_languages": [code for code in self.languages if code not in LANGUAGES],
        }

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes, in order."""
        return tuple(self.sentences)

    @property
    def n_sentences(self) -> int:
        """Sentences per language."""
        return len(next(iter(self.sentences.values())))

    @property
    def info(self) -> dict[str, Any]:
        """What the corpus is, JSON-able; a copy.

        ``name``; what the source says of itself (``kind``, ``path`` or ``dataset``, ``split``,
        ``revision``, ...); ``languages``; ``n_sentences``; ``sha256`` (the fingerprint);
        ``duplicated_sentences`` (code -> number of sentences that repeat an earlier one);
        ``identical_languages`` (groups of codes with the same text); ``unknown_languages``.
        """
        return copy.deepcopy(self._info)

    def __repr__(self) -> str:
        return (
            f"ParallelCorpus({self.name!r}, {len(self.languages)} languages x "
            f"{self.n_sentences} sentences: {listed(self.languages)})"
        )

    def __reduce__(self) -> tuple[Callable[..., ParallelCorpus], tuple[Any, ...]]:
        # A mapping proxy cannot be pickled, and a checked corpus needs no second warning.
        parts = (dict(self.sentences), self.name, dict(self.source), self.allow_unknown)
        return _checked, parts

    def fingerprint(self) -> str:
        """SHA-256 over languages and text, in hexadecimal.

        Depends on the codes and on every character, not on the name, the source, or the order of
        the languages.
        """
        return fingerprint(self.sentences)

    def select(
        self, languages: str | Sequence[str] | None = None, limit: int | None = None
    ) -> ParallelCorpus:
        """A part of the corpus.

        Parameters
        ----------
        languages
            Codes or names of sets (`ilo_fast.corpora.languages.NAMED_SETS`), in the order wanted;
            None keeps all.
        limit
            Keep only the first sentences, at most this many; None keeps all.

        Raises
        ------
        CorpusError
            A language that the corpus lacks, or a limit below 1.
        """
        if limit is not None:
            _check_limit(limit, "limit")
        codes = (
            self.languages if languages is None else resolve_codes(languages, known=self.sentences)
        )
        missing = [code for code in codes if code not in self.sentences]
        if missing:
            raise CorpusError(
                f"languages: {self.name!r} has no {listed(missing)}; "
                f"it has {', '.join(self.languages)}"
            )
        part = {code: self.sentences[code][:limit] for code in codes}
        return _checked(part, self.name, dict(self.source), self.allow_unknown)

    def head(self, n: int) -> ParallelCorpus:
        """The first sentences, at most `n`, of every language; `select(limit=n)`."""
        return self.select(limit=n)

    def sample(self, n: int, *, seed: int = 0) -> ParallelCorpus:
        """Some of the sentences, the same of every language, in their order in the corpus.

        Parameters
        ----------
        n
            How many, at most.
        seed
            Chooses them, by ``numpy.random.default_rng(seed)``; `info` records it as ``"sample"``.

        Raises
        ------
        CorpusError
            Fewer than one sentence.
        TypeError, ValueError
            A seed that is not a whole number of at least 0.
        """
        _check_limit(n, "n")
        whole_number("seed", seed, least=0)
        total = self.n_sentences
        if n >= total:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(total, n, replace=False))
        part = {code: tuple(lines[i] for i in rows) for code, lines in self.sentences.items()}
        source = {**self.source, "sample": {"n": n, "seed": seed, "of": total}}
        return _checked(part, self.name, source, self.allow_unknown)

    @classmethod
    def from_dict(
        cls,
        sentences: Mapping[str, Iterable[str]],
        *,
        name: str = "dict",
        allow_unknown: bool = False,
    ) -> ParallelCorpus:
        """From a mapping of language code to sentences; parameters and errors as the class."""
        return cls(
            sentences,  # type: ignore[arg-type]  # checked and made tuples on the way in
            name=name,
            source={"kind": "dict"},
            allow_unknown=allow_unknown,
        )

    @classmethod
    def from_dir(
        cls,
        path: str | PathLike[str],
        languages: str | Sequence[str] | None = None,
        *,
        limit: int | None = None,
        name: str | None = None,
        allow_unknown: bool = False,
    ) -> ParallelCorpus:
        """From a folder: one file per language, one sentence per line, UTF-8.

        Parameters
        ----------
        path
            Holds ``<code>.txt``, or the files of a FLORES-200 split (``<code>.devtest``), or those
            of NTREX-128 (``newstest2019-ref.<code>.txt``). Lines end in LF or CR LF only.
        languages
            Codes or names of sets to take, in this order; other files are not read. None: all
            files, sorted by code.
        limit
            As `select`; all sentences are checked first.
        name
            For reports; None: the name of the folder.
        allow_unknown
            Take files whose name is no known code.

        Raises
        ------
        AccessError
            The folder or a file cannot be read.
        CorpusError
            As the class; also no text files, a language without a file, a file that is not UTF-8.
        """
        folder = Path(path).expanduser()
        codes = None if languages is None else resolve_codes(languages, allow_unknown=allow_unknown)
        files = find_files(folder, codes, allow_unknown=allow_unknown)
        corpus = cls(
            {code: tuple(read_lines(file)) for code, file in files.items()},
            name=name or folder.resolve().name,
            source={"kind": "directory", "path": str(folder)},
            allow_unknown=allow_unknown,
        )
        return corpus.select(limit=limit)

    @classmethod
    def demo(
        cls, languages: str | Sequence[str] | None = None, *, limit: int | None = None
    ) -> ParallelCorpus:
        """The small corpus that ships with the package (machine-written; see its card).

        Parameters: as `select`.
        """
        sentences = {code: tuple(read_lines(file)) for code, file in demo_files("corpus").items()}
        return cls(sentences, name="demo", source={"kind": "demo"}).select(languages, limit)

    @classmethod
    def from_hub(
        cls,
        dataset_id: str,
        *,
        split: str,
        columns: Mapping[str, str] | None = None,
        configs: Mapping[str, str] | None = None,
        language_column: str | Sequence[str] | None = None,
        language_values: Mapping[str, str] | None = None,
        text_column: str | None = None,
        id_column: str | None = None,
        config: str | None = None,
        revision: str | None = None,
        limit: int | None = None,
        name: str | None = None,
        allow_unknown: bool = False,
        progress: bool = False,
    ) -> ParallelCorpus:
        """From a data set of the Hugging Face Hub (needs ``datasets`` >= 4).

        Describe its layout by exactly one of `columns`, `configs` and `language_column`.

        Parameters
        ----------
        dataset_id
            ``owner/name``.
        split
            Name of the split.
        columns
            Language code -> column, where one row has all languages.
        configs
            Language code -> configuration (subset), where each language has its own.
        language_column
            The column that names the language, where one row has one language. Several columns are
            joined with ``_``: ``("iso_639_3", "iso_15924")``.
        language_values
            With `language_column`: language code -> value in that column; only these are taken.
            None: every value is a language code.
        text_column
            Column of the sentences, with `configs` or `language_column`.
        id_column
            Column with equal values for translations, with `configs` or `language_column`. Rows are
            aligned by it, in the order of the first language. None: rows are aligned by position.
        config
            Configuration to load, with `columns` or `language_column`.
        revision
            Branch, tag or commit.
        limit, name, allow_unknown
            As `from_dir`.
        progress
            A bar on standard error, with `configs`.

        Raises
        ------
        AccessError
            ``datasets`` is not installed, or the data set is absent, gated or not reachable; says
            how to get access.
        CorpusError
            As the class; also a layout that does not fit (columns, configuration, split, ids).
        """
        source = HubSource(
            dataset_id,
            split=split,
            columns=columns,
            configs=configs,
            language_column=language_column,
            language_values=language_values,
            text_column=text_column,
            id_column=id_column,
            config=config,
            revision=revision,
        )
        sentences, info = read_hub(source, progress=progress)
        corpus = cls(sentences, name=name or dataset_id, source=info, allow_unknown=allow_unknown)
        return corpus.select(limit=limit)

    @classmethod
    def load(
        cls,
        name_or_path: str | PathLike[str],
        languages: str | Sequence[str] | None = None,
        limit: int | None = None,
        *,
        split: str | None = None,
        revision: str | None = None,
        allow_unknown: bool = False,
        progress: bool = False,
    ) -> ParallelCorpus:
        """By name or from a folder.

        Parameters
        ----------
        name_or_path
            ``demo``; ``flores200``, ``flores+`` or ``ntrex128`` (from the Hugging Face Hub); or a
            folder as for `from_dir`. A str that is a name means the data set: write ``./demo``, or
            pass a `Path`, for a folder of that name.
        languages, limit
            As `select`.
        split
            Of a named data set: ``dev`` (997 sentences) or ``devtest`` (1012, the default) for
            FLORES, ``test`` (1997) for NTREX-128.
        revision
            Branch, tag or commit of a named data set.
        allow_unknown, progress
            As `from_dir`, and as `from_hub`.

        Raises
        ------
        AccessError
            Neither a known name nor a folder; a data set that is gated or not reachable.
        CorpusError
            As the class; `split` or `revision` for a folder or the demo.
        """
        text = str(name_or_path).strip()
        name = text.lower() if isinstance(name_or_path, str) else ""
        if name in CORPUS_NAMES and name != "demo":
            codes = None if languages is None else resolve_codes(languages)
            source = named_source(name, codes, split=split, revision=revision)
            sentences, info = read_hub(source, progress=progress)
            return cls(sentences, name=name, source=info).select(limit=limit)
        for argument, value in (("split", split), ("revision", revision)):
            if value is not None:
                raise CorpusError(
                    f"{argument}={value!r} fits only named data sets "
                    f"({', '.join(CORPUS_NAMES[1:])}), not {text!r}; leave it out"
                )
        if name == "demo":
            return cls.demo(languages, limit=limit)
        if not text or not Path(text).expanduser().exists():
            raise AccessError(
                f"corpus {text!r} is neither a folder (one <code>.txt per language, one sentence "
                f"per line) nor a known name; names: {', '.join(CORPUS_NAMES)}"
            )
        return cls.from_dir(text, languages, limit=limit, allow_unknown=allow_unknown)


def _check_limit(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise CorpusError(f"{name} must be a whole number, got {value!r}")
    if value < 1:
        raise CorpusError(f"{name}={value} leaves no sentence; give at least 1, or None for all")


def _checked(
    sentences: dict[str, tuple[str, ...]], name: str, source: dict[str, Any], allow_unknown: bool
) -> ParallelCorpus:
    """A corpus of sentences that were checked before: neither checked nor warned of again."""
    corpus = object.__new__(ParallelCorpus)
    corpus.__dict__.update(
        sentences=MappingProxyType(sentences),
        name=name,
        source=MappingProxyType(source),
        allow_unknown=allow_unknown,
    )
    return corpus
