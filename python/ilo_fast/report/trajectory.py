"""The figure of a training run: overlap of each layer against optimizer steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ilo_fast._util.messages import counted
from ilo_fast.report.files import rendered, write_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ilo_fast.scores.result import OverlapScores
    from ilo_fast.training.records import OverlapRecord


def write_trajectory(records: Sequence[OverlapRecord], folder: Path) -> list[Path]:
    """Write ``trajectory.png`` and ``trajectory.svg`` into ``folder``, each whole or not at all.

    Raises
    ------
    ValueError
        As `trajectory_figure`.
    """
    return write_files(Path(folder), rendered("trajectory", trajectory_figure(records)))


def trajectory_figure(records: Sequence[OverlapRecord]) -> Figure:
    """Mean ILO over languages, a line for each layer; where text is parallel, translations below.

    Parameters
    ----------
    records
        What `read_overlap_log` gave. A measurement that failed is a gap in every line.

    Raises
    ------
    ValueError
        No measurement that succeeded, or measurements of different layers.
    """
    from ilo_fast.plots.trajectory import TrajectoryPanel
    from ilo_fast.plots.trajectory import trajectory_figure as draw

    first = _measured(records)[0]
    panels = [TrajectoryPanel(_means(records, "ilo"), "ILO")]
    if first.translation_chance is not None:
        values, chance = _means(records, "translation_share"), first.translation_chance.mean()
        name = "neighbours that\nare translations"
        panels.append(TrajectoryPanel(values, name, float(chance)))
    what = "Interlingual Local Overlap" if len(panels) == 1 else "Overlap"
    return draw(
        [record.step for record in records],
        first.layers,
        panels,
        title=f"{what} during training",
        subtitle=f"{first.subtitle} · {counted(len(records), 'measurement')}",
    )


def _measured(records: Sequence[OverlapRecord]) -> list[OverlapScores]:
    """The scores of the measurements that succeeded, all of the same layers."""
    found = [record.scores for record in records if record.scores is not None]
    if not found:
        raise ValueError(
            f"records holds {counted(len(records), 'measurement')}, none of which succeeded: "
            "there is nothing to draw"
        )
    for scores in found:
        if scores.layers != found[0].layers:
            raise ValueError(
                f"records holds measurements of layers {found[0].layers} and {scores.layers}: "
                "draw them apart"
            )
    return found


def _means(records: Sequence[OverlapRecord], score: str) -> NDArray[np.float64]:
    """Means over languages, shape (records, layers); NaN where a measurement failed."""
    gap = np.full(len(_measured(records)[0].layers), np.nan)
    return np.array(
        [gap if r.scores is None else r.scores.values(score).mean(axis=1) for r in records]
    )
