"""`AblationMatrix`: what switching off the features of one language does to the loss in others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.json_numbers import finite
from ilo_fast._util.optional import data_frame

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AblationMatrix:
    """Change of the loss in nats per token: rows are the sets, columns the languages of the text.

    Attributes
    ----------
    sets : tuple of str
        The language whose features are switched off in each row.
    languages : tuple of str
    columns : mapping
        Set -> its features, layer * n_features + feature.
    base : (languages,) float64
        Loss per token with nothing switched off.
    change : (sets, languages) float64
        Loss per token with the set switched off, less `base`.
    low, high : (sets, languages) float64
        95 % interval of `change`, of paired differences of documents. NaN of a single document.
    random : (sets, n_random, languages) float64
        Changes by sets of random features, matched one by one with those of the set on layer,
        density and strength.
    p, p_holm, p_adjusted : (sets, languages) float64
        Rank of `change` among `random`, large changes being evidence: by itself; corrected by Holm
        over all cells, which needs more random sets than there are cells times 20; by step-down
        maxT over all cells, which 200 sets suffice for.
    specificity : (sets,) float64
        Change in the set's own language less the mean change in the others; NaN where its language
        is not among those of the text.
    specificity_p, specificity_p_holm : (sets,) float64
        Rank of it among that of the random sets; corrected by Holm over the sets.
    n_lines, n_documents, n_tokens : (languages,) int64
    options : mapping
    """

    sets: tuple[str, ...]
    languages: tuple[str, ...]
    columns: Mapping[str, NDArray[np.int64]]
    base: Floats
    change: Floats
    low: Floats
    high: Floats
    random: Floats
    p: Floats
    p_holm: Floats
    p_adjusted: Floats
    specificity: Floats
    specificity_p: Floats
    specificity_p_holm: Floats
    n_lines: NDArray[np.int64]
    n_documents: NDArray[np.int64]
    n_tokens: NDArray[np.int64]
    options: Mapping[str, Any]

    def __repr__(self) -> str:
        own = ", ".join(
            f"{name} {value:+.3f}" for name, value in zip(self.sets, self.specificity, strict=True)
        )
        return f"AblationMatrix(own less others, nats: {own}; {self.random.shape[1]} random sets)"

    def records(self) -> list[dict[str, Any]]:
        """A row for each cell."""
        middle = self.random.mean(axis=1)
        low, high = np.percentile(self.random, (2.5, 97.5), axis=1)
        return [
            {
                "set": name,
                "language": code,
                "n_features": len(self.columns[name]),
                "base": float(self.base[b]),
                "change": float(self.change[a, b]),
                "low": finite(self.low[a, b]),
                "high": finite(self.high[a, b]),
                "random_mean": float(middle[a, b]),
                "random_low": float(low[a, b]),
                "random_high": float(high[a, b]),
                "p": float(self.p[a, b]),
                "p_holm": float(self.p_holm[a, b]),
                "p_adjusted": float(self.p_adjusted[a, b]),
            }
            for a, name in enumerate(self.sets)
            for b, code in enumerate(self.languages)
        ]

    def to_dataframe(self) -> Any:
        """`records` as a table."""
        return data_frame(self.records())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; of the random sets means and percentiles."""
        return {
            "sets": {name: self.columns[name].tolist() for name in self.sets},
            "languages": list(self.languages),
            "cells": self.records(),
            "specificity": [
                {
                    "set": name,
                    "specificity": finite(self.specificity[a]),
                    "p": finite(self.specificity_p[a]),
                    "p_holm": finite(self.specificity_p_holm[a]),
                }
                for a, name in enumerate(self.sets)
            ],
            "n_lines": self.n_lines.tolist(),
            "n_documents": self.n_documents.tolist(),
            "n_tokens": self.n_tokens.tolist(),
            "options": dict(self.options),
        }
