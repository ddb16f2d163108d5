"""Every feature before and after: rates and strength per language, with intervals by document."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilo_fast._util.json_numbers import finite
from ilo_fast._util.statistics import t_quantile
from ilo_fast._util.student import two_sided_p
from ilo_fast.transcoders.multilingual.by_language import shares
from ilo_fast.transcoders.multilingual.diffing.paired import (
    DocumentSums,
    Floats,
    Integers,
    blocks,
    check_paired,
    document_sums,
)
from ilo_fast.transcoders.multilingual.line_features import LineFeatures

CONFIDENCE: Final = 0.95
_NORMAL: Final = 200  # degrees of freedom, as good as infinitely many


@dataclass(frozen=True, eq=False)
class FeatureChanges:
    """Features before and after, one entry a pair; NaN where a number is not defined.

    Intervals are 95 %, for drawing other documents: ratios, linearised, with the same documents
    before and after (a t interval of the sum of squares over documents).

    Attributes
    ----------
    languages : tuple of str
    n_features : int
        Of each layer.
    before, after : (pairs,) int64
        layer * n_features + feature.
    firings_before, firings_after : (pairs,)
        Over all text.
    rate_before, rate_after, rate_change_low, rate_change_high : (languages, pairs)
        Firings per token.
    strength_before, strength_after, strength_change_low, strength_change_high : (languages, pairs)
        Mean over all tokens of activation times the length of what the feature writes.
    growth, brightening : (pairs,)
        log2 of after over before, of rate and of strength, means over languages, to which the
        rate of one firing in all text is added (of strength: at the pair's strength).
    growth_p, brightening_p : (pairs,)
        Of the change, two-sided, by document.
    share_before, share_after : (languages, pairs)
        Of the sum of the rates of all languages.
    turn : (pairs,)
        Half the sum of the absolute changes of the shares: 0 the same, 1 other languages.
    turn_p : (pairs,)
        Of the language whose share changes most for its standard error (score test by document,
        Student's t), times the number of languages.
    centre_before, centre_after : (pairs,)
        Mean layer into which a feature writes, by the lengths of its decoder vectors.
    """

    languages: tuple[str, ...]
    n_features: int
    before: Integers
    after: Integers
    firings_before: Floats
    firings_after: Floats
    rate_before: Floats
    rate_after: Floats
    rate_change_low: Floats
    rate_change_high: Floats
    strength_before: Floats
    strength_after: Floats
    strength_change_low: Floats
    strength_change_high: Floats
    growth: Floats
    growth_p: Floats
    brightening: Floats
    brightening_p: Floats
    share_before: Floats
    share_after: Floats
    turn: Floats
    turn_p: Floats
    centre_before: Floats
    centre_after: Floats

    def __len__(self) -> int:
        return len(self.before)

    @property
    def shift(self) -> Floats:
        """Layers by which the centre of what a feature writes has moved: (pairs,)."""
        return self.centre_after - self.centre_before

    def record(self, at: int) -> dict[str, Any]:
        """One pair, JSON-able."""
        found: dict[str, Any] = {
            "layer": int(self.before[at]) // self.n_features,
            "feature": int(self.before[at]) % self.n_features,
            "layer_after": int(self.after[at]) // self.n_features,
            "feature_after": int(self.after[at]) % self.n_features,
        }
        for name in _NUMBERS:
            found[name] = finite(getattr(self, name)[at])
        for name in _BY_LANGUAGE:
            values = getattr(self, name)[:, at]
            found[name] = {
                code: finite(value) for code, value in zip(self.languages, values, strict=True)
            }
        return found


def feature_changes(
    before: LineFeatures,
    after: LineFeatures,
    *,
    norms: tuple[ArrayLike, ArrayLike] | None = None,
    centres: tuple[ArrayLike, ArrayLike] | None = None,
    pairs: tuple[ArrayLike, ArrayLike] | None = None,
) -> FeatureChanges:
    """Compare features of two tables of the same lines.

    Parameters
    ----------
    before, after
        As `line_features` gives them, of the same text.
    norms
        Of each table's columns, the length of what a feature writes at activation 1, in the model's
        units. None: 1.
    centres
        Of each table's columns, the mean layer that it writes into. None: its own layer.
    pairs
        Columns of `before`, and those of `after` that they are compared with. None: the same.

    Raises
    ------
    ValueError
        The tables are not of the same lines; there are fewer than two documents.
    """
    check_paired(before, after)
    if pairs is None:
        if before.n_columns != after.n_columns:
            raise ValueError(
                f"before has {before.n_columns} features, after {after.n_columns}: they cannot be "
                "compared number by number; pass pairs"
            )
        pairs = (np.arange(before.n_columns), np.arange(after.n_columns))
    left, right = (np.asarray(columns, np.int64) for columns in pairs)
    sums = document_sums(before), document_sums(after)
    if len(sums[0].tokens) < 2:
        raise ValueError("text is of one document, wanted two or more: intervals are by document")
    weights = [
        np.ones(table.n_columns) if norms is None else np.asarray(norms[i], np.float64).ravel()
        for i, table in enumerate((before, after))
    ]
    places = [
        np.arange(table.n_columns) // table.n_features
        if centres is None
        else np.asarray(centres[i], np.float64).ravel()
        for i, table in enumerate((before, after))
    ]
    parts = [
        _block(sums, left[part], right[part], weights[0][left[part]], weights[1][right[part]])
        for part in [*blocks(len(left), sums[0].tokens)] or [slice(0)]  # no pair at all
    ]
    joined = {name: np.concatenate([p[name] for p in parts], axis=-1) for name in parts[0]}
    return FeatureChanges(
        before.languages,
        before.n_features,
        left,
        right,
        **joined,
        centre_before=places[0][left].astype(np.float64),
        centre_after=places[1][right].astype(np.float64),
    )


def _block(
    sums: tuple[DocumentSums, DocumentSums],
    left: Integers,
    right: Integers,
    norm_left: Floats,
    norm_right: Floats,
) -> dict[str, Floats]:
    tokens = sums[0].tokens
    n_documents = len(tokens)
    df = n_documents - 1
    whole = tokens.sum(axis=0)[:, None]
    (count_b, sum_b), (count_a, sum_a) = sums[0].dense(left), sums[1].dense(right)
    strong_b, strong_a = sum_b * norm_left, sum_a * norm_right
    rate_b, rate_a = count_b.sum(axis=0) / whole, count_a.sum(axis=0) / whole
    bright_b, bright_a = strong_b.sum(axis=0) / whole, strong_a.sum(axis=0) / whole
    factor = np.sqrt(n_documents / df)

    def influence(values: Floats, ratio: Floats) -> Floats:
        """What each document adds to the error of a ratio of sums: (documents, languages, n).

        As in `mean_interval`; kept, for errors of differences.
        """
        return np.asarray((values - ratio * tokens[:, :, None]) / whole)

    off_b, off_a = influence(count_b, rate_b), influence(count_a, rate_a)
    off_s = influence(strong_a - strong_b, bright_a - bright_b)
    wide = t_quantile(0.5 + CONFIDENCE / 2, df) * factor
    half = wide * np.sqrt(np.square(off_a - off_b).sum(axis=0))
    half_s = wide * np.sqrt(np.square(off_s).sum(axis=0))
    found = {
        "firings_before": count_b.sum(axis=(0, 1)),
        "firings_after": count_a.sum(axis=(0, 1)),
        "rate_before": rate_b,
        "rate_after": rate_a,
        "rate_change_low": rate_a - rate_b - half,
        "rate_change_high": rate_a - rate_b + half,
        "strength_before": bright_b,
        "strength_after": bright_a,
        "strength_change_low": bright_a - bright_b - half_s,
        "strength_change_high": bright_a - bright_b + half_s,
    }
    one = 1 / tokens.sum()
    firings = np.maximum(count_b.sum(axis=(0, 1)) + count_a.sum(axis=(0, 1)), 1)
    typical = (strong_b.sum(axis=(0, 1)) + strong_a.sum(axis=(0, 1))) / firings
    typical = np.where(typical > 0, typical, 1)
    for name, b, a, off, least in (
        ("growth", rate_b, rate_a, off_a - off_b, one),
        ("brightening", bright_b, bright_a, off_s, one * typical),
    ):
        mean_b, mean_a = b.mean(axis=0), a.mean(axis=0)
        found[name] = np.log2((mean_a + least) / (mean_b + least))
        error = factor * np.sqrt(np.square(off.mean(axis=1)).sum(axis=0))
        found[f"{name}_p"] = two_sided_p(_ratio(mean_a - mean_b, error), df)
    share_b, share_a = shares(rate_b), shares(rate_a)
    moved = share_a - share_b
    # What each document adds to the change, about the shares of both together, as in a score test:
    # where documents with a language are few, the variance about each own share is too small.
    same = (share_a + share_b) / 2
    parts = _share_parts(count_a / whole, same, rate_a) - _share_parts(
        count_b / whole, same, rate_b
    )
    p = two_sided_p(_ratio(moved, np.sqrt(np.square(parts).sum(axis=0))), _NORMAL)
    known = ~np.isnan(moved).any(axis=0)
    least_p = np.full(p.shape[1], np.nan)
    least_p[known] = np.minimum(1, np.nanmin(p[:, known], axis=0) * len(moved))
    return {
        **found,
        "share_before": share_b,
        "share_after": share_a,
        "turn": np.abs(moved).sum(axis=0) / 2,
        "turn_p": least_p,
    }


def _ratio(value: Floats, error: Floats) -> Floats:
    """A t statistic: 0 where nothing changes, infinite where it changes and never varies."""
    safe = np.where(error > 0, error, 1.0)
    never = error <= 1e-12 * np.abs(value)  # no more than rounding
    endless = np.where(
        value > 0, np.inf, np.where(value < 0, -np.inf, np.where(np.isnan(value), np.nan, 0.0))
    )
    return np.asarray(np.where(never | np.isnan(value), endless, value / safe))


def _share_parts(rates: Floats, share: Floats, whole: Floats) -> Floats:
    """(documents, languages, n): which add up to the shares of `whole` less `share`."""
    total = whole.sum(axis=0)
    safe = np.where(total > 0, total, np.nan)
    return np.asarray((rates - share * rates.sum(axis=1, keepdims=True)) / safe)


def masked(changes: FeatureChanges, mask: NDArray[np.bool_]) -> FeatureChanges:
    """Some pairs."""
    parts: dict[str, Any] = {}
    for field in fields(changes):
        value = getattr(changes, field.name)
        parts[field.name] = value[..., mask] if isinstance(value, np.ndarray) else value
    return FeatureChanges(**parts)


_NUMBERS: Final = (
    "firings_before", "firings_after", "growth", "growth_p", "brightening", "brightening_p", "turn",
    "turn_p", "centre_before", "centre_after",
)  # fmt: skip
_BY_LANGUAGE: Final = (
    "rate_before", "rate_after", "rate_change_low", "rate_change_high", "strength_before",
    "strength_after", "strength_change_low", "strength_change_high", "share_before", "share_after",
)  # fmt: skip
