"""Figures of steering: what of a result they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ilo_fast.transcoders.multilingual.steering.result import (
    SUBSTITUTION,
    SUPPRESSION,
    SteeringResult,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROWS: Final = ("share in target", "share in source", "content (nats)", "loss, alone (nats)")


def steering_figures(result: SteeringResult, title: str) -> dict[str, Figure]:
    """``"swap"``, and ``"dose_SOURCE"`` of every source: name -> figure.

    Raises
    ------
    ImportError
        matplotlib is missing; says how to install it.
    """
    from ilo_fast.report.files import check_can_draw

    check_can_draw()
    from ilo_fast.plots.dose import DoseCurve, DoseTable, dose_figure
    from ilo_fast.plots.swap import SwapTable, swap_figure

    n = int(result.info["test_prompts"])
    below = f"{n} test prompts, strengths chosen on {result.info['validation_prompts']} others"
    swap = SwapTable(
        result.languages, result.matrix(SUBSTITUTION), result.matrix("contrast"), title, below
    )
    found = {"swap": swap_figure(swap)}
    strengths = np.array(result.info["strengths"], np.float64)
    for source in result.languages:
        pairs = [one for one in result.pairs if one.source == source]
        if not pairs:
            continue
        panels: dict[tuple[int, int], list[DoseCurve]] = {}
        unsteered: dict[tuple[int, int], float] = {}
        for column, one in enumerate(pairs):
            plain = one.unsteered
            levels = (plain.target.share, plain.source.share, plain.content, plain.loss_alone)
            for row, level in enumerate(levels):
                unsteered[row, column] = level
                panels[row, column] = []
            for mode in one.modes.values():
                measures = [m for _, m in mode.curve]
                values = (
                    [m.target.share for m in measures],
                    [m.source.share for m in measures],
                    [m.content for m in measures],
                    [m.loss_alone for m in measures],
                )
                intervals = {
                    0: ([m.target.low for m in measures], [m.target.high for m in measures]),
                    1: ([m.source.low for m in measures], [m.source.high for m in measures]),
                    2: ([m.content_low for m in measures], [m.content_high for m in measures]),
                }
                for row, own in enumerate(values):
                    shown = mode.mode in (SUBSTITUTION, SUPPRESSION)  # more would hide each other
                    low, high = intervals.get(row, (None, None)) if shown else (None, None)
                    panels[row, column].append(
                        DoseCurve(
                            mode.mode,
                            np.array(own),
                            None if low is None else np.array(low),
                            None if high is None else np.array(high),
                            mode.strength,
                        )
                    )
        table = DoseTable(
            strengths, tuple(f"{one.source} > {one.target}" for one in pairs), _ROWS, panels,
            unsteered, f"{title}: from {source}", f"{below}; dots: chosen; bands: 95 %",
        )  # fmt: skip
        found[f"dose_{source}"] = dose_figure(table)
    return found
