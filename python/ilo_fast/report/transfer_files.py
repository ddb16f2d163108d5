"""The files of a zero-shot evaluation: scores, table, and the figure with the overlap beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast.evaluation.result import TRANSFER_FILE
from ilo_fast.report.files import check_can_draw, rendered, write_files

if TYPE_CHECKING:
    from ilo_fast.evaluation.result import TransferScores
    from ilo_fast.scores.result import OverlapScores

TABLE_FILE = "transfer.csv"
FIGURE_FILES = ("transfer.png", "transfer.svg", "transfer.pdf")


def write_transfer(
    transfer: TransferScores,
    folder: Path,
    *,
    before: OverlapScores | None = None,
    after: OverlapScores | None = None,
    by: str | None = None,
) -> list[Path]:
    """Write ``transfer.json`` and ``transfer.csv``, and with overlap scores the figure.

    Parameters
    ----------
    transfer
        What to write.
    folder
        Made where it does not exist. Everything is rendered before the first file is written; the
        figure of earlier scores is removed.
    before, after, by
        As `transfer_figure`; ``transfer.png`` and ``transfer.svg`` are drawn where both are given.

    Raises
    ------
    ValueError
        Only one of `before` and `after`; and as `transfer_figure`.
    ImportError
        A figure, where matplotlib is missing.
    """
    if (before is None) != (after is None):
        raise ValueError("before and after are drawn together: give both, or neither")
    contents = {
        TRANSFER_FILE: transfer.to_json().encode(),
        TABLE_FILE: transfer.to_csv().encode(),
    }
    if before is not None and after is not None:
        check_can_draw()
        from ilo_fast.report.transfer_figure import transfer_figure

        figure = transfer_figure(before, after, transfer, by=by)
        contents |= rendered("transfer", figure)
    return write_files(folder, contents, stale=FIGURE_FILES)
