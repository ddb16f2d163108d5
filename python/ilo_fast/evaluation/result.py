"""What a classifier gets right in each language, and in groups of languages."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import path_of, whole_number
from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.equality import same_fields
from ilo_fast._util.files import write_text
from ilo_fast._util.messages import listed
from ilo_fast._util.optional import data_frame, xarray_dataset
from ilo_fast._util.schema import check_schema, read_result
from ilo_fast.corpora.grouping import group_languages
from ilo_fast.corpora.languages import describe_language, language_coordinates
from ilo_fast.evaluation.groups import Group
from ilo_fast.evaluation.reading import check_predictions, columns, measured, read_fields
from ilo_fast.evaluation.statistics import (
    bootstrap_means,
    confusion_matrix,
    macro_f1_interval,
)

SCHEMA_VERSION = 1
_KIND = "ilo_fast.transfer"
TRANSFER_FILE = "transfer.json"


@dataclass(frozen=True, eq=False)
class TransferScores:
    """Accuracy and macro-F1 of one classifier in each language.

    Two are equal where all is equal but ``info``, which says how they were made.

    Attributes
    ----------
    languages, labels : tuple of str
    n : tuple of int
        Examples of each language.
    accuracy, macro_f1 : float64, shape (languages,)
        Macro-F1 is the plain mean over the classes that are true or predicted at least once.
    accuracy_interval, macro_f1_interval : float64, shape (languages, 2)
        95 %: Wilson's, and a percentile bootstrap over the examples. Where the languages' examples
        are translations of each other, so are their errors: for the difference of two languages or
        models use paired `predictions` and not these.
    majority : float64, shape (languages,)
        Accuracy of always giving the most frequent class of the language's own examples, the best
        that a constant answer can do.
    targets, predictions : tuple of int64, shape (n,) each
        Positions in `labels`, in the order of the data.
    split : str
        What was evaluated.
    source : str or None
        The language that was trained on; it takes no part in groups.
    seed, n_boot : int
        Of all bootstraps.
    info : dict
        How the scores were made: model, data, versions.
    """

    languages: tuple[str, ...]
    labels: tuple[str, ...]
    accuracy: NDArray[np.float64]
    accuracy_interval: NDArray[np.float64]
    macro_f1: NDArray[np.float64]
    macro_f1_interval: NDArray[np.float64]
    majority: NDArray[np.float64]
    targets: tuple[NDArray[np.int64], ...]
    predictions: tuple[NDArray[np.int64], ...]
    split: str = "test"
    source: str | None = None
    seed: int = 0
    n_boot: int = 1000
    info: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_predictions(
        cls,
        targets: Mapping[str, Sequence[int] | NDArray[Any]],
        predictions: Mapping[str, Sequence[int] | NDArray[Any]],
        labels: Sequence[str],
        *,
        split: str = "test",
        source: str | None = None,
        seed: int = 0,
        n_boot: int = 1000,
        info: Mapping[str, Any] | None = None,
    ) -> TransferScores:
        """Score predictions, wherever they are from.

        Parameters
        ----------
        targets, predictions
            Language -> positions in `labels`, equally many in both.
        labels
            The classes.
        split, source, seed, n_boot, info
            As the class.

        Raises
        ------
        ValueError
            No languages, languages or numbers that differ, positions outside of `labels`.
        """
        if not targets or list(targets) != list(predictions):
            raise ValueError(
                f"predictions are of {listed(list(predictions)) or 'no languages'}, targets of "
                f"{listed(list(targets)) or 'no languages'}: wanted the same, in the same order"
            )
        whole_number("n_boot", n_boot)
        rows = []
        for code in targets:
            true, predicted = (np.asarray(x[code]) for x in (targets, predictions))
            check_predictions(code, true, predicted, len(labels))
            true, predicted = true.astype(np.int64), predicted.astype(np.int64)
            counts = confusion_matrix(true, predicted, len(labels))
            # From seed and code alone: the same whichever other languages there are.
            entropy = (seed, *code.encode())
            rows.append(
                {
                    **measured(counts),
                    "macro_f1_interval": macro_f1_interval(counts, seed=entropy, n_boot=n_boot),
                    "targets": true,
                    "predictions": predicted,
                }
            )
        return cls(
            languages=tuple(targets),
            labels=tuple(labels),
            split=split,
            source=source,
            seed=seed,
            n_boot=n_boot,
            info=dict(info or {}),
            **columns(rows),
        )

    def __repr__(self) -> str:
        others = [i for i, code in enumerate(self.languages) if code != self.source]
        where = f" of others than {self.source}" if len(others) < len(self.languages) else ""
        mean = f"mean accuracy{where}: {self.accuracy[others].mean():.3f}" if others else (
            f"accuracy of {self.source}: {self.accuracy[0]:.3f}"
        )  # fmt: skip
        return (
            f"TransferScores({len(self.languages)} languages, {len(self.labels)} classes, split "
            f"{self.split!r}; {mean})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TransferScores):
            return NotImplemented
        names = (field.name for field in dataclasses.fields(self) if field.name != "info")
        return same_fields(self, other, names)

    def __hash__(self) -> int:
        return hash((self.languages, self.labels, self.split, self.source, self.n))

    @property
    def n(self) -> tuple[int, ...]:
        """Examples of each language."""
        return tuple(len(true) for true in self.targets)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts of shape (languages, true class, predicted class)."""
        pairs = zip(self.targets, self.predictions, strict=True)
        return np.stack([confusion_matrix(t, p, len(self.labels)) for t, p in pairs])

    def groups(self, by: str = "resource_class", *, include_source: bool = False) -> list[Group]:
        """Means over groups of languages.

        Parameters
        ----------
        by
            ``"resource_class"``, ``"family"``, ``"region"``, ``"script"`` or ``"word_order"``.
        include_source
            Count the language that was trained on as well.

        Returns
        -------
        list of Group
            In the order of `~ilo_fast.corpora.grouping.group_languages`; empty
            where there are no languages but the source.

        Raises
        ------
        ValueError
            An unknown `by`.
        """
        found = []
        for name, codes in self._grouped(by, include_source).items():
            columns = [self.languages.index(code) for code in codes]
            values = np.stack([self.accuracy[columns], self.macro_f1[columns]])
            means, intervals = bootstrap_means(
                values, seed=self._entropy(codes), n_boot=self.n_boot
            )
            found.append(
                Group(
                    name=name,
                    languages=codes,
                    accuracy=float(means[0]),
                    accuracy_interval=None if intervals is None else _pair(intervals[0]),
                    macro_f1=float(means[1]),
                    macro_f1_interval=None if intervals is None else _pair(intervals[1]),
                    majority=float(self.majority[columns].mean()),
                )
            )
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One record per language, as in ``transfer.csv``."""
        return [
            {
                "language": code,
                "n": self.n[i],
                "accuracy": float(self.accuracy[i]),
                "accuracy_low": float(self.accuracy_interval[i, 0]),
                "accuracy_high": float(self.accuracy_interval[i, 1]),
                "macro_f1": float(self.macro_f1[i]),
                "macro_f1_low": float(self.macro_f1_interval[i, 0]),
                "macro_f1_high": float(self.macro_f1_interval[i, 1]),
                "majority": float(self.majority[i]),
            }
            for i, code in enumerate(self.languages)
        ]

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def to_xarray(self) -> Any:
        """`rows` and `confusion` as an xarray Dataset over language (needs xarray)."""
        rows = self.rows()
        variables: dict[str, tuple[Any, ...]] = {
            name: ("language", [row[name] for row in rows])
            for name in rows[0]
            if name != "language"
        }
        variables["confusion"] = (("language", "true", "predicted"), self.confusion)
        labels = {"true": list(self.labels), "predicted": list(self.labels)}
        return xarray_dataset(
            variables,
            {**language_coordinates(self.languages), **labels},
            {"split": self.split, "source": self.source or ""},
        )

    def to_csv(self) -> str:
        """`rows` as CSV, with what is known of each language; floats in full precision."""
        rows = [
            {"language": row["language"], **describe_language(row["language"]), **row}
            for row in self.rows()
        ]
        return csv_text(rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        pairs = zip(self.rows(), self.targets, self.predictions, strict=True)
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": _KIND,
            "settings": {
                "split": self.split,
                "source": self.source,
                "seed": self.seed,
                "n_boot": self.n_boot,
            },
            "labels": list(self.labels),
            "info": self.info,
            "rows": [{**r, "targets": t.tolist(), "predictions": p.tolist()} for r, t, p in pairs],
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON text, one line per language; with ``path``, also written there."""

        def dump(value: Any, indent: int | None = None) -> str:
            return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)

        content = self.to_dict()
        rows = ",\n  ".join(dump(row) for row in content.pop("rows"))
        head = dump(content, 1).removesuffix("}").rstrip()
        text = f'{head},\n "rows": [\n  {rows}\n ]\n}}\n'
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TransferScores:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            Something else, another schema version, or values that contradict each other:
            predictions outside of the labels, counts and scores that do not follow from them.
        """
        check_schema(data, _KIND, SCHEMA_VERSION, "evaluate again")
        return cls(**read_fields(data))

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> TransferScores:
        """Read what `to_json` gave: its text, the path it was written to, or the folder of both.

        Raises
        ------
        ValueError
            As `from_dict`; it names the file.
        """
        return read_result(source, TRANSFER_FILE, "transfer scores", cls.from_dict)

    def _grouped(self, by: str, include_source: bool) -> dict[str, tuple[str, ...]]:
        codes = [code for code in self.languages if include_source or code != self.source]
        return group_languages(codes, by)

    def _entropy(self, codes: Sequence[str]) -> tuple[int, ...]:
        return (self.seed, *",".join(codes).encode())


def _pair(interval: NDArray[np.float64]) -> tuple[float, float]:
    return float(interval[0]), float(interval[1])
