"""How much is written by each layer and in each language, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ilo_fast._util.json_numbers import finite, nested
from ilo_fast.transcoders.multilingual.diffing.paired import Floats, check_paired
from ilo_fast.transcoders.multilingual.document_bootstrap import DocumentBootstrap
from ilo_fast.transcoders.multilingual.line_features import LineFeatures


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | None]:
        """JSON-able."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, eq=False)
class Brightness:
    """Strength of the features of a layer, summed: how much they write into the stream per token.

    Attributes
    ----------
    languages : tuple of str
    before, after : (languages, layers)
        Mean over tokens of the sum over features of activation times the length of what the feature
        writes, in the model's units.
    change, change_low, change_high : (languages, layers)
        log2 of after over before, with a percentile interval over documents; NaN where nothing is
        active.
    late : Estimate
        Change of the last third of the layers less that of the first third, each a mean over its
        layers and over the languages: above 0, late features became brighter than early ones.
    """

    languages: tuple[str, ...]
    before: Floats
    after: Floats
    change: Floats
    change_low: Floats
    change_high: Floats
    late: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        tables = ("before", "after", "change", "change_low", "change_high")
        return {
            "languages": list(self.languages),
            **{name: nested(getattr(self, name)) for name in tables},
            "late": self.late.to_dict(),
        }


def third(n_layers: int) -> int:
    """Layers that are early, and as many that are late."""
    return max(1, n_layers // 3)


def brightness(
    before: LineFeatures,
    after: LineFeatures,
    norms: tuple[ArrayLike, ArrayLike],
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> Brightness:
    """Strength by layer and language of two tables of the same lines.

    Parameters
    ----------
    norms
        Of each table's columns, the length of what a feature writes at activation 1.
    n_boot, seed
        Of the bootstrap over documents, the same ones before and after.
    """
    check_paired(before, after)
    names, document = np.unique(before.document, return_inverse=True)
    n, n_languages, n_layers = len(names), len(before.languages), before.n_layers
    tokens = np.zeros((n, n_languages))
    np.add.at(tokens, (document, before.language), before.tokens)
    masses = []
    for table, own in zip((before, after), norms, strict=True):
        weight = np.asarray(own, np.float64).ravel()[table.indices]
        mass = np.zeros((n, n_languages, n_layers))
        where = (document[table.rows], table.language[table.rows],
                 table.indices // table.n_features)  # fmt: skip
        np.add.at(mass, where, table.sums * weight)
        masses.append(mass)
    total = tokens.sum(axis=0)[:, None]
    mean_b, mean_a = (mass.sum(axis=0) / total for mass in masses)
    change = log_ratio(mean_a, mean_b)
    bootstrap = DocumentBootstrap(tokens.sum(axis=1), n_draws=n_boot, seed=seed)
    drawn_b, drawn_a = (bootstrap.drawn(mass) for mass in masses)
    changes = log_ratio(drawn_a, drawn_b)  # tokens cancel
    low, high = bootstrap.ends(changes)
    return Brightness(
        before.languages, mean_b, mean_a, change, low, high,
        estimate(_late(change), _late(changes), bootstrap),
    )  # fmt: skip


def _late(change: Floats) -> Floats:
    k = third(change.shape[-1])
    values = change[..., -k:].mean(axis=-1) - change[..., :k].mean(axis=-1)
    return np.asarray(values.mean(axis=-1))


def log_ratio(after: Floats, before: Floats) -> Floats:
    """log2 of after over before; NaN where either is 0."""
    known = (after > 0) & (before > 0)
    one = np.ones_like(after)
    found = np.log2(np.where(known, after, one) / np.where(known, before, one))
    return np.where(known, found, np.nan)


def estimate(value: Floats | float, draws: Floats, bootstrap: DocumentBootstrap) -> Estimate:
    """A number and the interval of its draws, None where any draw is not defined."""
    if not np.isfinite(value):
        return Estimate(None, None, None)
    low, high = bootstrap.ends(draws)
    return Estimate(float(value), finite(low), finite(high))
