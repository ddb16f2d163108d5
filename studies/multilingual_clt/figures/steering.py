"""Suppression and substitution: the swap matrix, and what each strength does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from ilo_fast.plots.dose import DoseCurve, DoseTable, dose_figure
from ilo_fast.plots.swap import SwapTable, swap_figure
from ilo_fast.transcoders.multilingual.steering.measures import Measures
from ilo_fast.transcoders.multilingual.steering.result import SUBSTITUTION
from multilingual_clt.figures.drawing import counted
from multilingual_clt.findings import Read
from multilingual_clt.plan import Plan
from multilingual_clt.tables import STEERED, steering_results


def steering_figure(plan: Plan, read: Read) -> Figure | None:
    """Success by source and target, mean over seeds."""
    results = steering_results(plan, read)
    if not results:
        return None
    one = next(iter(results.values()))
    success, contrast = (
        np.mean([result.matrix(mode) for result in results.values()], axis=0)
        for mode in (SUBSTITUTION, "contrast")
    )
    return swap_figure(
        SwapTable(
            one.languages, success, contrast, "Substitution by language features",
            f"equal shares, {one.info['test_prompts']} prompts a pair, {counted(len(results))}",
        )
    )  # fmt: skip


def strength_figure(plan: Plan, read: Read) -> Figure | None:
    """Means over all pairs of languages at each strength, a column per seed."""
    results = steering_results(plan, read)
    if not results:
        return None
    panels: dict[tuple[int, int], list[DoseCurve]] = {}
    unsteered: dict[tuple[int, int], float] = {}
    for column, result in enumerate(results.values()):
        for row, get in enumerate(STEERED.values()):
            unsteered[row, column] = float(np.mean([get(pair.unsteered) for pair in result.pairs]))
            panels[row, column] = [
                DoseCurve(mode, np.mean([_curve(p.modes[mode].curve, get) for p in pairs], axis=0))
                for mode in result.pairs[0].modes
                if (pairs := [p for p in result.pairs if mode in p.modes])
            ]
    strengths = np.array(next(iter(results.values())).info["strengths"], np.float64)
    return dose_figure(
        DoseTable(
            strengths, tuple(f"seed {seed}" for seed in results), tuple(STEERED), panels, unsteered,
            "Steering the language", "equal shares, means over all ordered pairs of languages",
        )
    )  # fmt: skip


def _curve(
    curve: tuple[tuple[float, Measures], ...], get: Callable[[Measures], float]
) -> list[float]:
    return [get(measures) for _, measures in curve]
