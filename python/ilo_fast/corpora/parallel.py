"""Parallel text: the same line means the same in every language.

Every `ParallelCorpus` is checked when it is made: all languages have the same number of sentences,
and no sentence is empty. Code that takes one need not check again.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from types import MappingProxyType
from typing import Any

from ilo_fast._util.messages import listed, plain
from ilo_fast.corpora.checks import check_sentences, find_flaws, warn_of_flaws
from ilo_fast.corpora.choosing import Languages
from ilo_fast.corpora.documents import check_groups, documents_info
from ilo_fast.corpora.files import as_path, demo_files
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.corpora.folder import read_folder
from ilo_fast.corpora.hub import HubSource, read_hub
from ilo_fast.corpora.languages import resolve_codes
from ilo_fast.corpora.lines import read_lines
from ilo_fast.corpora.named import CORPUS_NAMES, check_only_named, no_such_corpus, read_named
from ilo_fast.corpora.sampling import check_limit, sampled_rows
from ilo_fast.errors import AccessError, CorpusError


@dataclass(frozen=True, eq=False, repr=False)
class ParallelCorpus:
    """Sentences in several languages, aligned by position.

    Usually made by `load`, `from_dir`, `from_dict`, `from_hub` or `demo`; the constructor makes the
    same checks. One language alone is allowed (overlap needs two, and says so itself). Repeated
    sentences and identical languages are logged, and in `info`; good data has both.

    Parameters
    ----------
    sentences
        Language code -> sentences, any iterable of strings; index n means the same in each. Codes
        become canonical (``en``: ``eng_Latn``), sentences stay as they are: not stripped, not
        normalised.
    name
        For reports.
    source
        Where the text is from, JSON-able; becomes part of `info`.
    groups
        The document of each sentence: intervals of scores draw documents. None: not known.
    allow_unknown
        Take language codes that are not in `ilo_fast.corpora.languages.LANGUAGES`.

    Attributes
    ----------
    sentences : Mapping[str, tuple[str, ...]]
        Read-only.

    Raises
    ------
    CorpusError
        No language; a code that is not known, or may be several; two names of one language; a
        sentence that is missing, no string, shows nothing (white space, invisible characters), or
        holds NUL or half a surrogate pair; unequal numbers of sentences or ids. Names the places.
    """

    sentences: Mapping[str, tuple[str, ...]]
    name: str = field(default="corpus", kw_only=True)
    source: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    groups: tuple[str, ...] | None = field(default=None, kw_only=True)
    allow_unknown: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        checked = check_sentences(self.sentences, allow_unknown=self.allow_unknown)
        object.__setattr__(self, "sentences", MappingProxyType(checked))
        object.__setattr__(self, "source", MappingProxyType(copy.deepcopy(dict(self.source))))
        if self.groups is not None:
            place = self.source.get("documents_from") or "groups"
            ids = check_groups(self.groups, self.n_sentences, place)
            object.__setattr__(self, "groups", ids)
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
            **documents_info(self.groups, self.source.get("documents_from")),
            **find_flaws(self.sentences),
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

        ``name``; what the source says of itself (``kind``, ``path``, ``split``, ``sample``, ...);
        ``languages``; ``n_sentences``; ``sha256`` (the fingerprint); ``n_documents``,
        ``documents_from`` and ``documents_sha256`` (of which sentences are of one), None where
        that is not known; ``duplicated_sentences`` (code -> number that repeat an earlier one);
        ``identical_languages`` (codes with the same text); ``not_nfc`` (code -> number that are not
        composed Unicode); ``unknown_languages``.
        """
        return copy.deepcopy(self._info)

    def __repr__(self) -> str:
        return (
            f"ParallelCorpus({self.name!r}, {len(self.languages)} languages x "
            f"{self.n_sentences} sentences: {listed(self.languages)})"
        )

    def __reduce__(self) -> tuple[Callable[..., ParallelCorpus], tuple[Any, ...]]:
        # A mapping proxy cannot be pickled, and a checked corpus needs no second warning.
        parts = (dict(self.sentences), self.groups, self.name, dict(self.source))
        return _checked, (*parts, self.allow_unknown)

    def fingerprint(self) -> str:
        """SHA-256 over codes and text, in hexadecimal; not over their order, nor over documents."""
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
            check_limit(limit, "limit")
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
        groups = self.groups and self.groups[:limit]
        return _checked(part, groups, self.name, dict(self.source), self.allow_unknown)

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

        Raises: as `ilo_fast.corpora.sampling.sampled_rows`.
        """
        total = self.n_sentences
        rows = sampled_rows(total, n, seed)
        if len(rows) == total:
            return self
        part = {code: tuple(lines[i] for i in rows) for code, lines in self.sentences.items()}
        groups = self.groups and tuple(self.groups[i] for i in rows)
        source = {**self.source, "sample": {"n": n, "seed": seed, "of": total}}
        return _checked(part, groups, self.name, source, self.allow_unknown)

    @classmethod
    def from_dict(
        cls,
        sentences: Mapping[str, Iterable[str]],
        *,
        name: str = "dict",
        groups: Iterable[str] | None = None,
        allow_unknown: bool = False,
    ) -> ParallelCorpus:
        """From a mapping (or table of pandas or `datasets`); parameters and errors as the class."""
        return cls(
            sentences,  # type: ignore[arg-type]  # checked and made tuples on the way in
            name=name,
            source={"kind": "dict"},
            groups=groups,  # type: ignore[arg-type]  # as well
            allow_unknown=allow_unknown,
        )

    @classmethod
    def from_dir(
        cls,
        path: str | PathLike[str],
        languages: Languages = None,
        *,
        limit: int | None = None,
        name: str | None = None,
        split: str | None = None,
        allow_unknown: bool = False,
    ) -> ParallelCorpus:
        """From a folder with a file per language, or a table with a column per language, UTF-8.

        Parameters
        ----------
        path
            A folder of ``<code>.txt``, one sentence per line; a release of FLORES-200, FLORES+ or
            NTREX-128; Moses files, or their common beginning; a ``.tsv``, ``.csv``, ``.jsonl`` or
            ``.parquet`` with a column per language, or one per language with a column ``text``;
            each also as ``.gz``. See `ilo_fast.corpora.layouts`, of documents
            `ilo_fast.corpora.documents`.
        languages
            Codes or names of sets to take, in this order; other files are not read. A mapping says
            what a language is called there: ``{"zho_Hans": "zh"}``, in a string ``zho_Hans=zh``.
            None: all, sorted by code.
        limit
            As `select`; all sentences are checked first.
        name
            For reports; None: the name of the folder.
        split
            Which of several, such as ``dev``; None: ``devtest``, or the only one.
        allow_unknown
            Take files and columns whose name is no known code, or an ambiguous one.

        Raises
        ------
        AccessError
            The folder or a file cannot be read.
        CorpusError
            As the class; also no corpus, a split or language that is not there, a flawed file.
        """
        folder = as_path(path)
        sentences, groups, info = read_folder(
            folder, languages, split=split, allow_unknown=allow_unknown
        )
        name = plain(name or folder.resolve().name) or "corpus"
        corpus = cls(sentences, name=name, source=info, groups=groups, allow_unknown=allow_unknown)
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
        columns, configs, language_column, language_values, text_column, id_column, config, revision
            As `ilo_fast.corpora.hub.HubSource`.
        limit, name, allow_unknown
            As `from_dir`.
        progress
            A bar on standard error, with `configs`.

        Raises
        ------
        AccessError
            ``datasets`` is missing, or the data set is absent, gated or not reachable.
        CorpusError
            As the class; also a layout that does not fit (columns, configuration, split, ids).
        """
        source = HubSource(
            dataset_id, split=split, columns=columns, configs=configs,
            language_column=language_column, language_values=language_values,
            text_column=text_column, id_column=id_column, config=config, revision=revision,
        )  # fmt: skip
        sentences, groups, info = read_hub(source, progress=progress)
        name = name or dataset_id
        corpus = cls(sentences, name=name, source=info, groups=groups, allow_unknown=allow_unknown)
        return corpus.select(limit=limit)

    @classmethod
    def load(
        cls,
        name_or_path: str | PathLike[str],
        languages: Languages = None,
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
            ``demo``; ``flores200``, ``flores+`` or ``ntrex128`` (from the Hub); or a folder or file
            as for `from_dir`. A name means the data set: a folder of that name is ``./demo``.
        languages, limit
            As `from_dir`; of a name, no mapping.
        split
            Of a named data set: ``dev`` (997 sentences) or ``devtest`` (1012, the default) for
            FLORES, ``test`` (1997) for NTREX-128; of a folder as for `from_dir`.
        revision
            Branch, tag or commit of a named data set.
        allow_unknown, progress
            As `from_dir`, and as `from_hub`.

        Raises
        ------
        AccessError
            Neither a known name nor a folder; a data set that is gated or not reachable.
        CorpusError
            As `from_dir`; a `split` for the demo, a `revision` for that or a folder.
        """
        path = as_path(name_or_path)
        name = name_or_path.strip().lower() if isinstance(name_or_path, str) else ""
        if name in CORPUS_NAMES:
            if isinstance(languages, Mapping):
                raise CorpusError(f"languages: {name!r} has codes as here; give them alone")
            if name == "demo":
                check_only_named(str(path), revision=revision, split=split)
                return cls.demo(languages, limit=limit)
            text, groups, info = read_named(
                name, languages, split=split, revision=revision, progress=progress
            )
            return cls(text, name=name, source=info, groups=groups).select(limit=limit)
        check_only_named(str(path), revision=revision)
        try:
            return cls.from_dir(
                path, languages, limit=limit, split=split, allow_unknown=allow_unknown
            )
        except AccessError as error:
            if os.path.lexists(path):
                raise
            raise no_such_corpus(name_or_path) from error


def _checked(
    sentences: dict[str, tuple[str, ...]],
    groups: tuple[str, ...] | None,
    name: str,
    source: dict[str, Any],
    allow_unknown: bool,
) -> ParallelCorpus:
    """A corpus of sentences that were checked before: neither checked nor warned of again."""
    corpus = object.__new__(ParallelCorpus)
    corpus.__dict__.update(
        sentences=MappingProxyType(sentences),
        groups=groups,
        name=name,
        source=MappingProxyType(source),
        allow_unknown=allow_unknown,
    )
    return corpus
