"""Labelled text in several languages: what a classifier is trained on and evaluated with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import elide, listed, plain
from ilo_fast.corpora.checks import canonical
from ilo_fast.corpora.choosing import Languages
from ilo_fast.corpora.files import as_path, display_path
from ilo_fast.corpora.fingerprint import add_words
from ilo_fast.corpora.labelled.checks import (
    Examples,
    check_examples,
    check_shape,
    resolve_labels,
    warn_of_flaws,
)
from ilo_fast.corpora.labelled.files import find_labelled_files
from ilo_fast.corpora.languages import resolve_code, resolve_codes
from ilo_fast.corpora.tables import Row, read_rows
from ilo_fast.errors import CorpusError

__all__ = ["Examples", "LabelledCorpus"]


@dataclass(frozen=True, eq=False, repr=False)
class LabelledCorpus:
    """Texts with one label each, by language and split.

    Usually made by `from_dir` or `from_dict`. Languages need not be parallel, nor have the same
    splits or sizes; their labels must be the same set.

    Parameters
    ----------
    examples
        Language code -> split -> `Examples`.
    labels
        The classes, in the order of their numbers. Empty: those that occur, sorted (as numbers
        where all are numbers). Then no language may have a class that the language with the most
        classes lacks, and no split one that "train" lacks: that is more likely another spelling
        than another class.
    name
        For reports.
    source
        Where the text is from, JSON-able; becomes part of `info`.

    Attributes
    ----------
    languages : tuple of str
    labels : tuple of str
    splits : tuple of str
        All that occur, in order of appearance; see `splits_of` for one language.

    Raises
    ------
    CorpusError
        No examples; an empty or blank text; labels that do not match; naming the places.

    Warns
    -----
    Classes that a language lacks, and texts that occur in two splits of a language, are logged.
    """

    examples: Mapping[str, Mapping[str, Examples]]
    labels: tuple[str, ...] = field(default=(), kw_only=True)
    name: str = field(default="labelled", kw_only=True)
    source: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        check_examples(self.examples)
        object.__setattr__(self, "examples", canonical(self.examples))
        object.__setattr__(self, "labels", resolve_labels(self.examples, self.labels))
        warn_of_flaws(self.examples, self.labels, self.name)

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes, in order."""
        return tuple(self.examples)

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits that any language has."""
        return tuple(dict.fromkeys(split for parts in self.examples.values() for split in parts))

    def splits_of(self, language: str) -> tuple[str, ...]:
        """The splits of one language.

        Raises
        ------
        CorpusError
            A language without examples.
        """
        return tuple(self._language(language))

    def texts(self, language: str, split: str) -> tuple[str, ...]:
        """The texts, as they are.

        Raises
        ------
        CorpusError
            A language without examples, or a split that it does not have.
        """
        return self._part(language, split).texts

    def targets(self, language: str, split: str) -> NDArray[np.int64]:
        """The labels as positions in `labels`, a new array (n,). Raises as `texts`."""
        number = {label: i for i, label in enumerate(self.labels)}
        return np.array([number[label] for label in self._part(language, split).labels], np.int64)

    def ids(self, language: str, split: str) -> tuple[str, ...]:
        """The "id" of each row, else its line in the file. Raises as `texts`."""
        return self._part(language, split).ids

    def field(self, language: str, split: str, name: str) -> tuple[Any, ...]:
        """Another field of the rows, None where a row lacks it.

        Raises
        ------
        CorpusError
            As `texts`; also a field that no row has.
        """
        part = self._part(language, split)
        if name not in part.fields:
            has = ", ".join(part.fields) or "no other fields"
            raise CorpusError(f"name: {language}, {split} has no field {name!r}; it has {has}")
        return part.fields[name]

    def n(self, language: str, split: str) -> int:
        """Number of examples. Raises as `texts`."""
        return len(self._part(language, split).texts)

    def fingerprint(self) -> str:
        """SHA-256 over languages, splits, classes, texts and labels, in hexadecimal.

        Does not depend on the name, the source, ids and other fields, nor on the order of languages
        and splits.
        """
        sha = hashlib.sha256(b"ilo_fast.LabelledCorpus.1")
        add_words(sha, self.labels)
        for code in sorted(self.examples):
            for split in sorted(self.examples[code]):
                part = self.examples[code][split]
                add_words(sha, (code, split))
                add_words(sha, part.texts)
                add_words(sha, part.labels)
        return sha.hexdigest()

    @property
    def info(self) -> dict[str, Any]:
        """What the corpus is, JSON-able: name, source, languages, labels, sizes, sha256."""
        return {
            "name": self.name,
            **self.source,
            "languages": list(self.languages),
            "labels": list(self.labels),
            "n": {c: {s: len(e.texts) for s, e in p.items()} for c, p in self.examples.items()},
            "sha256": self.fingerprint(),
        }

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{split} {sum(len(p[split].texts) for p in self.examples.values() if split in p)}"
            for split in self.splits
        )
        return (
            f"LabelledCorpus({self.name!r}, {len(self.languages)} languages, "
            f"{len(self.labels)} classes; {sizes}: {listed(self.languages)})"
        )

    def select(self, languages: str | Sequence[str]) -> LabelledCorpus:
        """Some of the languages, in the order given, with all classes.

        Parameters
        ----------
        languages
            Codes, or names of sets (`ilo_fast.corpora.languages.NAMED_SETS`).

        Raises
        ------
        CorpusError
            A language without examples.
        """
        codes = resolve_codes(languages, allow_unknown=True, known=self.examples)
        part = {code: self._language(code) for code in codes}
        return LabelledCorpus(part, labels=self.labels, name=self.name, source=self.source)

    @classmethod
    def from_dict(
        cls,
        examples: Mapping[str, Mapping[str, tuple[Iterable[str], Iterable[Any]]]],
        *,
        labels: Sequence[str] = (),
        name: str = "dict",
    ) -> LabelledCorpus:
        """From language -> split -> (texts, labels).

        Parameters
        ----------
        examples
            ``{"eng_Latn": {"train": (texts, labels), "test": (texts, labels)}}``; labels are
            strings or whole numbers.
        labels, name
            As the class.

        Raises
        ------
        CorpusError
            As the class; also unequal numbers of texts and labels.
        """
        check_shape(examples)
        found: dict[str, dict[str, Examples]] = {}
        for code, parts in examples.items():
            found[code] = {}
            for split, pair in parts.items():
                place = f"{code}, {split}"
                if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                    raise CorpusError(f"{place}: wanted a pair (texts, labels)")
                if any(isinstance(x, str | bytes) or not isinstance(x, Iterable) for x in pair):
                    raise CorpusError(f"{place}: wanted texts and labels, two sequences")
                texts, names = tuple(pair[0]), tuple(pair[1])
                if len(texts) != len(names):
                    raise CorpusError(f"{place}: {len(texts)} texts but {len(names)} labels")
                words = tuple(_label(v, f"{place}, example {i}") for i, v in enumerate(names, 1))
                ids = tuple(str(i) for i in range(1, len(texts) + 1))
                found[code][split] = Examples(texts, words, ids)
        return cls(found, labels=_classes(labels), name=name, source={"kind": "dict"})

    @classmethod
    def from_dir(
        cls,
        path: str | PathLike[str],
        languages: Languages = None,
        *,
        split: str | None = None,
        text_field: str = "text",
        label_field: str = "label",
        labels: Sequence[str] = (),
        name: str | None = None,
        allow_unknown: bool = False,
    ) -> LabelledCorpus:
        """From a folder of tables: JSON lines, CSV or TSV (UTF-8), or Parquet.

        Parameters
        ----------
        path
            Holds ``<code>.jsonl``, ``.csv``, ``.tsv`` (a header names the columns) or
            ``.parquet``, each also as ``.gz``, whose rows have a text, a label and a ``split``,
            and may have an ``id`` and other fields; or ``<split>/<code>.jsonl``; or
            ``<code>/<split>.jsonl``. In a CSV file a cell may be
            quoted; in a TSV file quotes are text, and no cell holds a tab or a line break.
        languages
            As `ParallelCorpus.from_dir`.
        split
            The split of rows that name none, where no folder names it either.
        text_field, label_field
            Names of the fields that hold the text and the label.
        labels, name
            As the class; the name of the folder where None.
        allow_unknown
            Take names of files that are no known language code.

        Raises
        ------
        AccessError
            The folder or a file cannot be read.
        CorpusError
            As the class; also no labelled files, a language without one, a row without a text, a
            label or a split, a file that is not UTF-8.
        """
        folder = as_path(path)
        found: dict[str, dict[str, list[tuple[Row, str, str]]]] = {}
        for code, file in find_labelled_files(folder, languages, allow_unknown=allow_unknown):
            parts = found.setdefault(code, {})
            for row in read_rows(file.path):
                own = file.split or row.values.get("split") or split
                if not isinstance(own, str):
                    raise CorpusError(
                        f"{row.place}: no split; put a field 'split' into the rows, lay the files "
                        f"out as <split>/{file.path.name}, or in Python, pass split='test' for all"
                    )
                text = _cell(row, text_field, "text_field")
                label = _label(_cell(row, label_field, "label_field"), row.place)
                parts.setdefault(own, []).append((row, text, label))
            if not parts:
                raise CorpusError(f"{file.path.name} holds no examples")
        used = {text_field, label_field, "id", "split"}
        return cls(
            {c: {s: _examples(rows, used) for s, rows in p.items()} for c, p in found.items()},
            labels=_classes(labels),
            name=plain(name or folder.resolve().name) or "labelled",
            source={"kind": "directory", "path": display_path(folder)},
        )

    def _language(self, language: str) -> Mapping[str, Examples]:
        code = resolve_code(language, self.examples) if isinstance(language, str) else None
        if code not in self.examples:
            raise CorpusError(
                f"language: {self.name!r} has no labelled examples in {language!r}; it has "
                f"{', '.join(self.languages)}"
            )
        return self.examples[str(code)]

    def _part(self, language: str, split: str) -> Examples:
        parts = self._language(language)
        if split not in parts:
            raise CorpusError(
                f"split: {language} has no split {split!r} in {self.name!r}; it has "
                f"{', '.join(parts)}"
            )
        return parts[split]


def _examples(rows: Sequence[tuple[Row, str, str]], used: set[str]) -> Examples:
    names = dict.fromkeys(key for row, _, _ in rows for key in row.values if key not in used)
    return Examples(
        texts=tuple(text for _, text, _ in rows),
        labels=tuple(label for _, _, label in rows),
        ids=tuple(_identity(row) for row, _, _ in rows),
        fields={name: tuple(row.values.get(name) for row, _, _ in rows) for name in names},
    )


def _identity(row: Row) -> str:
    own = row.values.get("id")
    return str(row.line if own is None or own == "" else own)


def _cell(row: Row, name: str, argument: str) -> Any:
    if name not in row.values:
        raise CorpusError(
            f"{row.place}: no field {name!r}; it has "
            f"{listed(list(row.values), lambda key: elide(plain(key), 60))}. Rename "
            f"one, or in Python, say with {argument}= what it is called"
        )
    if row.values[name] is None:
        raise CorpusError(f"{row.place}: the field {name!r} is empty; fill it in")
    return row.values[name]


def _classes(labels: Sequence[Any]) -> tuple[str, ...]:
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        raise CorpusError(f"labels={labels!r}: wanted a sequence of the classes")
    return tuple(_label(label, "labels") for label in labels)


def _label(value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, np.integer)):
        raise CorpusError(
            f"{place}: the label is {elide(repr(value), 80)} ({type(value).__name__}); wanted "
            "a string or a whole number, one label per example"
        )
    label = str(value).strip()
    if not label:
        raise CorpusError(f"{place}: the label is empty")
    return label
