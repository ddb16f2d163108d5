"""`LanguageFeatures`: features of single languages, as they were found, and on new text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.json_numbers import finite
from ilo_fast._util.optional import data_frame

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LanguageFeatures:
    """Features of languages, found on one half of the documents and tested on the other.

    With rate = firings / tokens of a language, selectivity is the rate in the feature's language
    over the sum of the rates in all. In the order of languages, the strongest first.

    Attributes
    ----------
    languages : tuple of str
    n_layers, n_features : int
    columns : (found,) int64
        layer * n_features + feature.
    language : (found,) int64
        Index into `languages`.
    firings : (found, 2) int64
        In its language, on the half that found it and on the other.
    found_selectivity, found_other : (found,) float64
        Selectivity, and the largest share of another language, on the half that found it: too
        high, and too low, for they are selected for it.
    selectivity, other : (found,) float64
        The same on the other half. NaN where it is silent there.
    low, high : (found,) float64
        95 % interval of `selectivity`, documents being the units.
    rates : (found, languages) float64
        On the other half.
    p, p_holm, p_adjusted : (found,) float64
        Of `selectivity` where labels are permuted within parallel documents of the other half: by
        itself; corrected by Holm; by step-down maxT, which 1,000 permutations suffice for.
    holds : (found,) bool
        Whether it passes the rule on the other half, too.
    counts, chance_counts : (layers, languages) float64
        All features that pass the rule on the half that finds, also beyond `n_per_language`; and
        the mean number where labels are permuted there.
    passed : (passed,) int64
        Columns of all features that pass on the half that finds, of any language.
    n_documents : (2,) int64
    test_documents : (documents,) bool
        Those of the other half, by number.
    options : mapping
        What `language_features` was called with, the seed among it.
    """

    languages: tuple[str, ...]
    n_layers: int
    n_features: int
    columns: Integers
    language: Integers
    firings: Integers
    found_selectivity: Floats
    found_other: Floats
    selectivity: Floats
    other: Floats
    low: Floats
    high: Floats
    rates: Floats
    p: Floats
    p_holm: Floats
    p_adjusted: Floats
    holds: Booleans
    counts: Floats
    chance_counts: Floats
    passed: Integers
    n_documents: Integers
    test_documents: Booleans
    options: Mapping[str, Any]

    def __repr__(self) -> str:
        return (
            f"LanguageFeatures({len(self.languages)} languages, {len(self.passed)} features pass; "
            f"{int(self.holds.sum())} of the {len(self)} kept hold on other documents)"
        )

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def layer(self) -> Integers:
        return self.columns // self.n_features

    @property
    def density(self) -> Floats:
        """(found,): rate in its language on the other half."""
        found: Floats = self.rates[np.arange(len(self)), self.language]
        return found

    @property
    def share_that_holds(self) -> float:
        """Of those found. NaN where none was."""
        return float(self.holds.mean()) if len(self) else math.nan

    def of(self, language: str, *, that_hold: bool = False) -> Integers:
        """Columns of one language; only those that hold on the other half, where wanted.

        Raises
        ------
        ValueError
            There is no such language.
        """
        if language not in self.languages:
            raise ValueError(f"language={language!r}, the features are of {self.languages}")
        mine = self.language == self.languages.index(language)
        found: Integers = self.columns[mine & self.holds if that_hold else mine]
        return found

    def select(self, languages: Sequence[str]) -> LanguageFeatures:
        """The features of some languages, as they were found among all; in the order of this.

        Raises
        ------
        ValueError
            There is no such language.
        """
        missing = [code for code in languages if code not in self.languages]
        if missing:
            raise ValueError(f"languages names {missing[0]}, the features are of {self.languages}")
        kept = [at for at, code in enumerate(self.languages) if code in languages]
        mine = np.isin(self.language, kept)
        return replace(
            self,
            languages=tuple(self.languages[at] for at in kept),
            **{name: getattr(self, name)[mine] for name in _OF_FEATURES},
            language=np.searchsorted(kept, self.language[mine]),
            rates=self.rates[mine][:, kept],
            counts=self.counts[:, kept],
            chance_counts=self.chance_counts[:, kept],
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "languages": list(self.languages),
            "n_layers": self.n_layers,
            "n_features": self.n_features,
            "features": self.records(),
            "share_that_holds": finite(self.share_that_holds),
            "passed": self.passed.tolist(),
            "counts": self.counts.tolist(),
            "chance_counts": self.chance_counts.tolist(),
            "n_documents": self.n_documents.tolist(),
            "test_documents": np.flatnonzero(self.test_documents).tolist(),
            "options": dict(self.options),
        }

    def records(self) -> list[dict[str, Any]]:
        """A row for each feature."""
        numbers = (
            "found_selectivity", "found_other", "selectivity", "low", "high", "other", "density",
            "p", "p_holm", "p_adjusted",
        )  # fmt: skip
        columns = {name: getattr(self, name) for name in numbers}
        return [
            {
                "language": self.languages[self.language[at]],
                "layer": int(self.layer[at]),
                "feature": int(self.columns[at] % self.n_features),
                "found_firings": int(self.firings[at, 0]),
                "firings": int(self.firings[at, 1]),
                **{name: finite(values[at]) for name, values in columns.items()},
                "holds": bool(self.holds[at]),
            }
            for at in range(len(self))
        ]

    def to_dataframe(self) -> Any:
        """`records` as a table."""
        return data_frame(self.records())

    def summary(self) -> list[dict[str, Any]]:
        """A row for each language: how many, how selective when found and after, what holds."""
        rows = []
        for at, code in enumerate(self.languages):
            mine = self.language == at
            known = mine & ~np.isnan(self.selectivity)
            rows.append(
                {
                    "language": code,
                    "passed": int(self.counts[:, at].sum()),
                    "by_chance": finite(self.chance_counts[:, at].sum()),
                    "kept": int(mine.sum()),
                    "found_selectivity": _mean(self.found_selectivity[mine]),
                    "selectivity": _mean(self.selectivity[known]),
                    "density": _mean(self.density[known]),
                    "mean_layer": _mean(self.layer[mine]),
                    "hold": int(self.holds[mine].sum()),
                    "significant": int((self.p_adjusted[mine] <= 0.05).sum()),
                }
            )
        return rows


_OF_FEATURES: Final = (
    "columns", "firings", "found_selectivity", "found_other", "selectivity", "other", "low", "high",
    "p", "p_holm", "p_adjusted", "holds",
)  # fmt: skip


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
