"""Parallel text: the same line means the same in every language.

`ParallelCorpus` is the only way for text into the measurement, so that what it
promises need not be checked again: every language has the same number of
sentences, and no sentence is empty.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ilo_fast._util.messages import listed
from ilo_fast.corpora.checks import (
    check_sentences,
    count_duplicates,
    find_identical,
    first_duplicate,
)
from ilo_fast.corpora.files import find_files, read_lines
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.corpora.languages import LANGUAGES, resolve_codes
from ilo_fast.errors import AccessError, CorpusError

__all__ = ["CORPUS_NAMES", "ParallelCorpus"]

logger = logging.getLogger(__name__)

CORPUS_NAMES: Final[tuple[str, ...]] = ("demo", "flores200", "flores+", "ntrex128")
"""What `ParallelCorpus.load` knows by name."""


@dataclass(frozen=True, eq=False, repr=False)
class ParallelCorpus:
    """Sentences in several languages, aligned by position.

    Usually made by `load`, `from_dir`, `from_dict`, `from_hub` or `demo`; the
    constructor checks as they do. One language alone is allowed (overlap needs
    two, and says so itself).

    Parameters
    ----------
    sentences
        Language code -> sentences; index n means the same in each. Sentences
        are kept as they are: not stripped, not normalised.
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
        No language; an unknown code; a sentence that is no string, is empty or
        white space, holds NUL or half a surrogate pair; unequal numbers of
        sentences. All places are named, up to a few.

    Warns
    -----
    Duplicated sentences within a language and languages with identical text are
    logged as warnings and listed in `info`: they are flaws to know of, and occur
    in good data (FLORES-200 devtest repeats a line in Minangkabau).
    """

    sentences: Mapping[str, tuple[str, ...]]
    name: str = field(default="corpus", kw_only=True)
    source: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    allow_unknown: bool = field(default=False, kw_only=True)
    _info: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._settle(check_sentences(self.sentences, allow_unknown=self.allow_unknown))
        _warn(self)

    def _settle(self, sentences: dict[str, tuple[str, ...]]) -> None:
        """Set what is derived; `sentences` are known to be right."""
        assign = object.__setattr__
        assign(self, "sentences", MappingProxyType(sentences))
        assign(self, "source", MappingProxyType(copy.deepcopy(dict(self.source))))
        info = {
            "name": self.name,
            **self.source,
            "languages": list(sentences),
            "n_sentences": self.n_sentences,
            "sha256": self.fingerprint(),
            "duplicated_sentences": count_duplicates(sentences),
            "identical_languages": find_identical(sentences),
            "unknown_languages": [code for code in sentences if code not in LANGUAGES],
        }
        assign(self, "_info", info)

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

        ``name``, what the source says of itself (``kind``, ``path`` or
        ``dataset``, ``split``, ``revision``, ...), ``languages``,
        ``n_sentences``, ``sha256`` (the fingerprint),
        ``duplicated_sentences`` (code -> sentences that occur before in the
        same language, where there are any), ``identical_languages`` (groups of
        codes with the same text), ``unknown_languages``.
        """
        return copy.deepcopy(self._info)

    def __repr__(self) -> str:
        shown = listed(self.languages)
        return (
            f"ParallelCorpus({self.name!r}, {len(self.languages)} languages x "
            f"{self.n_sentences} sentences: {shown})"
        )

    def __reduce__(self) -> tuple[Callable[..., ParallelCorpus], tuple[Any, ...]]:
        # A mapping proxy cannot be pickled, and what was checked once needs no second warning.
        parts = (dict(self.sentences), self.name, dict(self.source), self.allow_unknown)
        return _trusted, parts

    def fingerprint(self) -> str:
        """SHA-256 over languages and text, in hexadecimal.

        Depends on the codes and on every character, not on the name, the
        source, or the order of the languages.
        """
        return fingerprint(self.sentences)

    def select(
        self, languages: str | Sequence[str] | None = None, limit: int | None = None
    ) -> ParallelCorpus:
        """A part of the corpus.

        Parameters
        ----------
        languages
            Codes or names of sets (`ilo_fast.corpora.languages.NAMED_SETS`), which is
            then the order; None keeps all.
        limit
            The first so many sentences; None, or more than there are, keeps all.

        Raises
        ------
        CorpusError
            A language that the corpus lacks, or a limit below 1.
        """
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise CorpusError(f"limit must be a whole number, got {limit!r}")
        if limit is not None and limit < 1:
            raise CorpusError(f"limit={limit} leaves no sentence; give at least 1, or None for all")
        codes = self.languages if languages is None else _resolve(languages, self.languages)
        missing = [code for code in codes if code not in self.sentences]
        if missing:
            raise CorpusError(
                f"languages: {self.name!r} has no {listed(missing)}; "
                f"it has {', '.join(self.languages)}"
            )
        part = {code: self.sentences[code][:limit] for code in codes}
        return _trusted(part, self.name, dict(self.source), self.allow_unknown)

    @classmethod
    def from_dict(
        cls,
        sentences: Mapping[str, Iterable[str]],
        *,
        name: str = "dict",
        allow_unknown: bool = False,
    ) -> ParallelCorpus:
        """From a mapping of language code to sentences.

        Parameters, errors: as the class.
        """
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
        """From a folder: one file a language, one sentence a line, UTF-8.

        Parameters
        ----------
        path
            Holds ``<code>.txt``, or the files of a FLORES-200 split
            (``<code>.devtest``), or those of NTREX-128
            (``newstest2019-ref.<code>.txt``). Lines end in LF or CR LF only.
        languages
            Codes or names of sets to take, in this order; other files are not
            read. None: all files, sorted by code.
        limit
            Take the first so many sentences, after all were checked.
        name
            For reports; the name of the folder where None.
        allow_unknown
            Take files whose name is no known code.

        Raises
        ------
        AccessError
            The folder or a file cannot be read.
        CorpusError
            As the class; also no text files, a language without a file, a file
            that is not UTF-8.
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
        folder = resources.files("ilo_fast") / "demo" / "corpus"
        found = folder.iterdir() if folder.is_dir() else ()
        files = sorted(
            (file for file in found if file.name.endswith(".txt")), key=lambda file: file.name
        )
        if not files:
            raise AccessError(
                "the demo corpus is not in this installation of ilo_fast; install it again"
            )
        corpus = cls(
            {file.name.removesuffix(".txt"): tuple(read_lines(file)) for file in files},
            name="demo",
            source={"kind": "demo"},
        )
        return corpus.select(languages, limit)

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
    ) -> ParallelCorpus:
        """From a data set of the Hugging Face Hub (needs ``datasets`` >= 4).

        Say how it is laid out by exactly one of `columns`, `configs` and
        `language_column`. Nothing is guessed.

        Parameters
        ----------
        dataset_id
            ``owner/name``.
        split
            Name of the split.
        columns
            Language code -> column: one row has all languages.
        configs
            Language code -> configuration (subset): one configuration a
            language, the text in `text_column`.
        language_column
            One row has one language, named in this column, the text in
            `text_column`. Several columns are joined with ``_``
            (``("iso_639_3", "iso_15924")``).
        language_values
            With `language_column`: language code -> value in that column,
            where they differ; only these are taken. None: every value is taken
            as a code.
        text_column
            Column of the sentences, with `configs` or `language_column`.
        id_column
            Column whose equal values mark translations, with `configs` or
            `language_column`: rows are aligned by it, in the order of the first
            language. None: the order of the rows is the alignment.
        config
            Configuration to load, with `columns` or `language_column`.
        revision
            Branch, tag or commit.
        limit, name, allow_unknown
            As `from_dir`.

        Raises
        ------
        AccessError
            ``datasets`` is not installed, or the data set is absent, gated or
            not reachable; says how to get access.
        CorpusError
            As the class; also a layout that does not fit (columns,
            configuration, split, ids).
        """
        from ilo_fast.corpora.hub import HubSource, read_hub

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
        sentences, info = read_hub(source)
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
    ) -> ParallelCorpus:
        """By name or from a folder.

        Parameters
        ----------
        name_or_path
            ``demo``; ``flores200``, ``flores+`` or ``ntrex128`` (from the
            Hugging Face Hub); or a folder as for `from_dir`. A name wins over a
            folder of that name: write ``./demo``, or a `Path`, for the folder.
        languages
            Codes or names of sets; None: all there are.
        limit
            The first so many sentences.
        split
            Of a named data set: ``dev`` (997 sentences) or ``devtest`` (1012, the
            default) for FLORES, ``test`` (1997) for NTREX-128.
        revision
            Branch, tag or commit of a named data set.
        allow_unknown
            As `from_dir`.

        Raises
        ------
        AccessError
            Not a name and not a folder (says what names exist); a data set that
            is gated or not reachable.
        CorpusError
            As the class; `split` or `revision` for what has none.
        """
        text = str(name_or_path).strip()
        # A Path is a folder, whatever its name.
        name = text.lower() if isinstance(name_or_path, str) else ""
        if name in CORPUS_NAMES and name != "demo":
            from ilo_fast.corpora.hub import named_source, read_hub

            codes = None if languages is None else resolve_codes(languages)
            source = named_source(name, codes, split=split, revision=revision)
            sentences, info = read_hub(source)
            return cls(sentences, name=name, source=info).select(limit=limit)
        for argument, value in (("split", split), ("revision", revision)):
            if value is not None:
                raise CorpusError(
                    f"{argument}={value!r} fits only the data sets that are known by name "
                    f"({', '.join(CORPUS_NAMES[1:])}), not {text!r}"
                )
        if name == "demo":
            return cls.demo(languages, limit=limit)
        if not text or not Path(text).expanduser().exists():
            raise AccessError(
                f"corpus {text!r} is neither a folder nor a name that is known; "
                f"names: {', '.join(CORPUS_NAMES)}. A folder holds one file a language, "
                "<code>.txt, one sentence a line"
            )
        return cls.from_dir(text, languages, limit=limit, allow_unknown=allow_unknown)


def _trusted(
    sentences: dict[str, tuple[str, ...]], name: str, source: dict[str, Any], allow_unknown: bool
) -> ParallelCorpus:
    """A corpus of sentences that were checked before: no second check, no second warning."""
    corpus = object.__new__(ParallelCorpus)
    for key, value in (("name", name), ("source", source), ("allow_unknown", allow_unknown)):
        object.__setattr__(corpus, key, value)
    object.__setattr__(corpus, "sentences", sentences)
    corpus._settle(sentences)
    return corpus


def _resolve(languages: str | Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
    """Codes to select: those of the corpus may be unknown ones, others may not."""
    parts = languages.split(",") if isinstance(languages, str) else list(languages)
    codes: dict[str, None] = {}
    for part in parts:
        own = isinstance(part, str) and part.strip() in present
        codes.update(dict.fromkeys([part.strip()] if own else resolve_codes([part])))
    return tuple(codes) or resolve_codes(languages)


def _warn(corpus: ParallelCorpus) -> None:
    """Log what is odd, but no reason to refuse."""
    duplicates = corpus.info["duplicated_sentences"]
    if duplicates:

        def show(code: str) -> str:
            first, again = first_duplicate(corpus.sentences[code])
            return f"{code} {duplicates[code]} (line {again} is line {first})"

        logger.warning(
            "corpus %r: sentences that occur before in the same language: %s",
            corpus.name,
            listed(list(duplicates), show),
        )
    for codes in corpus.info["identical_languages"]:
        logger.warning(
            "corpus %r: %s have exactly the same text; a file that was copied?",
            corpus.name,
            " and ".join(codes),
        )
