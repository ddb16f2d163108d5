"""What makes labelled text a corpus: flaws that are errors, and flaws that are warnings."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ilo_fast._util.messages import elide, listed
from ilo_fast.corpora.checks import check_code, check_strings
from ilo_fast.corpora.lines import is_blank
from ilo_fast.errors import CorpusError

logger = logging.getLogger(__name__)

ByLanguage = Mapping[str, Mapping[str, "Examples"]]


@dataclass(frozen=True)
class Examples:
    """The examples of one language and split, in order.

    Attributes
    ----------
    texts, labels : tuple of str
        Equally long.
    ids : tuple of str
        As in the file, else the line (from 1).
    fields : mapping of str to tuple
        The other fields of the rows, None where a row lacks one.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def check_shape(examples: object) -> None:
    """Raise a CorpusError unless it maps languages to mappings from splits, both strings."""
    wanted = "wanted language code -> split -> examples"
    if not isinstance(examples, Mapping):
        raise CorpusError(f"examples is a {type(examples).__name__}: {wanted}")
    for code, parts in examples.items():
        check_code(code)
        if not isinstance(parts, Mapping):
            raise CorpusError(f"examples[{code!r}] is a {type(parts).__name__}: {wanted}")
        for split in parts:
            if not isinstance(split, str) or not split.strip() or not split.isprintable():
                raise CorpusError(
                    f"examples[{code!r}]: split {elide(repr(split), 80)} is no name, such as 'test'"
                )


def check_examples(examples: ByLanguage) -> None:
    """Raise a CorpusError if there are no examples, or a text is blank or no string."""
    check_shape(examples)
    if not any(parts for parts in examples.values()):
        raise CorpusError("examples: none; give at least one language with one split")
    for code, parts in examples.items():
        if not parts:
            raise CorpusError(f"{code} has no examples; leave it out")
        for split, part in parts.items():
            _check_part(code, split, part)


def _check_part(code: str, split: str, part: Examples) -> None:
    if not part.texts:
        raise CorpusError(f"{code}, {split} has no examples; leave it out")
    if not len(part.texts) == len(part.labels) == len(part.ids):
        raise CorpusError(
            f"{code}, {split}: {len(part.texts)} texts, {len(part.labels)} labels and "
            f"{len(part.ids)} ids; wanted as many of each"
        )
    check_strings(f"{code}, {split}", part.texts)
    blank = [i for i, t in zip(part.ids, part.texts, strict=True) if is_blank(t)]
    if blank:
        raise CorpusError(
            f"{code}, {split}: empty or blank texts (id {listed(blank)}); fill them in, or remove "
            "the rows"
        )


def resolve_labels(examples: ByLanguage, given: Sequence[str]) -> tuple[str, ...]:
    """The classes in the order of their numbers: `given`, or if that is empty, those that occur.

    Raises
    ------
    CorpusError
        See `ilo_fast.corpora.labelled.corpus.LabelledCorpus`.
    """
    return _given_labels(examples, tuple(given)) if given else _common_labels(examples)


def _common_labels(examples: ByLanguage) -> tuple[str, ...]:
    """All classes, sorted, provided that no language and no split has one of its own."""
    fix = "Spell the classes alike, or if they are meant, in Python, pass labels= with all"
    by_language = {
        code: {label for part in parts.values() for label in part.labels}
        for code, parts in examples.items()
    }
    fullest = max(by_language, key=lambda code: len(by_language[code]))
    odd = {c: sorted(own - by_language[fullest]) for c, own in by_language.items()}
    odd = {code: extra for code, extra in odd.items() if extra}
    if odd:
        shown = listed(list(odd), lambda code: f"{code} has {listed(odd[code])}")
        raise CorpusError(
            f"labels do not match across languages: {shown}, which {fullest} "
            f"({listed(sorted(by_language[fullest]))}) lacks. {fix}"
        )
    trained = {x for parts in examples.values() if "train" in parts for x in parts["train"].labels}
    untrained = [
        (f"{code}, {split}", extra)
        for code, parts in examples.items()
        for split, part in parts.items()
        if trained and (extra := sorted(set(part.labels) - trained))
    ]
    if untrained:
        shown = listed(untrained, lambda item: f"{item[0]} has {listed(item[1])}")
        raise CorpusError(
            f"labels do not match across splits: {shown}, which no split 'train' "
            f"({listed(sorted(trained))}) has. {fix}"
        )
    labels = by_language[fullest]
    numbers = all(label.isascii() and label.isdecimal() for label in labels)
    return tuple(sorted(labels, key=int)) if numbers else tuple(sorted(labels))


def _given_labels(examples: ByLanguage, given: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(given)) < len(given):
        raise CorpusError(f"labels holds a class twice: {listed(given)}")
    others = {
        label: f"{code}, {split}"
        for code, parts in examples.items()
        for split, part in parts.items()
        for label in part.labels
        if label not in given
    }
    if others:
        shown = listed(sorted(others), lambda label: f"{label!r} ({others[label]})")
        raise CorpusError(f"labels: {listed(given)} lacks what examples have: {shown}")
    return given


def warn_of_flaws(examples: ByLanguage, labels: Sequence[str], name: str) -> None:
    """Log classes that a language lacks, and texts in two splits of a language."""
    lacking = {}
    repeated = {}
    for code, parts in examples.items():
        own = {label for part in parts.values() for label in part.labels}
        if len(own) < len(labels):
            lacking[code] = [label for label in labels if label not in own]
        distinct = [set(part.texts) for part in parts.values()]
        shared = sum(map(len, distinct)) - len(set().union(*distinct))
        if shared:
            repeated[code] = shared
    if lacking:
        shown = listed(list(lacking), lambda code: f"{code}: {listed(lacking[code])}")
        logger.warning("%s: classes without an example (%s)", name, shown)
    if repeated:
        shown = listed(list(repeated), lambda code: f"{code}: {repeated[code]}")
        logger.warning("%s: texts that occur in two splits of a language (%s)", name, shown)
