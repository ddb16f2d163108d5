"""Intervals and tests as ``scores.json`` has them: beside each score, and once for all.

Version 1 of the file had neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import real_number, share, whole_number
from ilo_fast._util.messages import listed
from ilo_fast.scores.certainty.intervals import Intervals
from ilo_fast.scores.certainty.permutations import MixingTest

Array = NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]

SCORES: Final = ("bridge", "reach", "ilo", "translation_share")
_UNITS: Final = ("document", "sentence", "point")


def number(values: Array | None, *at: int) -> float | None:
    """A value as JSON can hold it: None where there is none."""
    value = math.nan if values is None else float(values[at])
    return None if math.isnan(value) else value


def intervals_object(intervals: Intervals | None, layers: Sequence[int]) -> dict[str, Any] | None:
    """What the rows do not have: the level, the unit, and the intervals of the means."""
    if intervals is None:
        return None
    return {
        "level": intervals.level,
        "unit": intervals.unit,
        "n_units": intervals.n_units,
        "reason": intervals.reason,
        "reasons": {str(column): reason for column, reason in intervals.reasons.items()},
        "means": [
            {"layer": layer}
            | {
                f"{score}_{end}": number(values, h)
                for score, pair in intervals.of_means().items()
                for end, values in zip(("low", "high"), pair, strict=True)
            }
            for h, layer in enumerate(layers)
        ],
    }


def test_object(test: MixingTest | None, layers: Sequence[int]) -> dict[str, Any] | None:
    """What the rows do not have: how much was permuted, and the p-values of the means."""
    if test is None:
        return None
    return {
        "n_permutations": test.n_permutations,
        "seed": test.seed,
        "shuffled_within": test.shuffled_within,
        "means": [
            {
                "layer": layer,
                "p_mixing": number(test.p_mixing_mean, h),
                "p_translation": number(test.p_translation_mean, h),
            }
            for h, layer in enumerate(layers)
        ],
    }


def read_intervals(data: Any, rows: Rows, shape: tuple[int, int]) -> Intervals | None:
    """The inverse of `intervals_object`, with the ends that stand in the rows.

    Raises
    ------
    ValueError
        Ends that no interval of the scores has, or reasons of languages that are not there.
    """
    if data is None:
        return None
    level = real_number("level", data["level"])
    if not 0.5 <= level < 1:
        raise ValueError(f"level is {level}, wanted 0.5 to 1")
    if data["unit"] not in _UNITS:
        raise ValueError(f"unit is {data['unit']!r}, wanted one of {', '.join(_UNITS)}")
    parallel = rows[0]["translation_share"] is not None
    names = SCORES if parallel else SCORES[:-1]
    for row in rows:
        for name in names:
            _check_ends(row, name)
    reasons = {int(column): str(reason) for column, reason in data["reasons"].items()}
    if not reasons.keys() <= set(range(shape[1])):
        raise ValueError(f"reasons are of columns {listed(sorted(reasons))}, of {shape[1]} there")
    if len(data["means"]) != shape[0]:
        raise ValueError(f"intervals of {len(data['means'])} means for {shape[0]} layers")
    ends = {
        end: {name: _column(rows, f"{name}_{end}").reshape(shape) for name in names}
        for end in ("low", "high")
    }
    return Intervals(
        level=level,
        low=ends["low"],
        high=ends["high"],
        mean_low={name: _column(data["means"], f"{name}_low") for name in names},
        mean_high={name: _column(data["means"], f"{name}_high") for name in names},
        reason=str(data["reason"]),
        reasons=reasons,
        unit=data["unit"],
        n_units=whole_number("n_units", data["n_units"]),
    )


def read_test(data: Any, rows: Rows, shape: tuple[int, int]) -> MixingTest | None:
    """The inverse of `test_object`, with the p-values that stand in the rows."""
    if data is None:
        return None
    parallel = rows[0]["translation_share"] is not None
    means = data["means"]
    if len(means) != shape[0]:
        raise ValueError(f"p-values of {len(means)} means for {shape[0]} layers")
    return MixingTest(
        p_mixing=_column(rows, "p_mixing").reshape(shape),
        p_mixing_mean=_column(means, "p_mixing"),
        p_translation=_column(rows, "p_translation").reshape(shape) if parallel else None,
        p_translation_mean=_column(means, "p_translation") if parallel else None,
        ilo_mean=_column(rows, "ilo_permuted_mean").reshape(shape),
        ilo_sd=_column(rows, "ilo_permuted_sd").reshape(shape),
        n_permutations=whole_number("n_permutations", data["n_permutations"]),
        seed=whole_number("seed", data["seed"], least=0),
        shuffled_within=str(data["shuffled_within"]),
    )


def _column(rows: Rows, name: str) -> Array:
    """Shares; NaN where there is none."""
    return np.array(
        [math.nan if row[name] is None else share(name, row[name]) for row in rows], np.float64
    )


def _check_ends(row: Mapping[str, Any], name: str) -> None:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if (low is None) != (high is None) or (low is not None and not low <= row[name] <= high):
        raise ValueError(
            f"{name} of layer {row['layer']}, {row['language']} is {row[name]}, and its interval "
            f"from {low} to {high}"
        )
