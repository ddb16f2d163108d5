"""The files of a zero-shot evaluation: scores, table, and the figure with the overlap beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast._util.messages import listed
from ilo_fast.report.files import _staged, check_can_draw

if TYPE_CHECKING:
    from ilo_fast.evaluation.result import TransferScores
    from ilo_fast.scores.overlap import OverlapScores

__all__ = ["FIGURE_FILES", "TABLE_FILE", "TRANSFER_FILE", "check_comparable", "write_transfer"]

TRANSFER_FILE = "transfer.json"
TABLE_FILE = "transfer.csv"
FIGURE_FILES = ("transfer.png", "transfer.svg")


def write_transfer(
    transfer: TransferScores,
    folder: Path,
    *,
    before: OverlapScores | None = None,
    after: OverlapScores | None = None,
    score: str = "ilo",
    by: str | None = None,
) -> list[Path]:
    """Write ``transfer.json`` and ``transfer.csv``, and with overlap scores the figure.

    Parameters
    ----------
    transfer
        What to write.
    folder
        Made where it does not exist. The files come into it together, or not at all; the figure of
        earlier scores is removed.
    before, after, score, by
        As `transfer_figure`; ``transfer.png`` and ``transfer.svg`` are drawn where both are given.

    Returns
    -------
    list of Path

    Raises
    ------
    ValueError
        Only one of `before` and `after`; and as `transfer_figure`.
    ReportDependencyError
        A figure, where matplotlib is missing.
    """
    if (before is None) != (after is None):
        raise ValueError("before and after are drawn together: give both, or neither")
    names = [TRANSFER_FILE, TABLE_FILE]
    with _staged(folder) as aside:
        transfer.to_json(aside / TRANSFER_FILE)
        (aside / TABLE_FILE).write_text(transfer.to_csv(), encoding="utf-8")
        if before is not None and after is not None:
            check_can_draw()
            from ilo_fast.plots.figures import png_bytes, svg_text
            from ilo_fast.plots.transfer import transfer_figure

            figure = transfer_figure(before, after, transfer, score=score, by=by)
            (aside / FIGURE_FILES[0]).write_bytes(png_bytes(figure))
            (aside / FIGURE_FILES[1]).write_text(svg_text(figure), encoding="utf-8")
            names += FIGURE_FILES
        for name in FIGURE_FILES:
            (folder / name).unlink(missing_ok=True)
    return [folder / name for name in names]


def check_comparable(before: OverlapScores, after: OverlapScores, languages: Sequence[str]) -> None:
    """Raise where the difference of two scores would mean nothing, or lacks `languages`.

    Raises
    ------
    ValueError
        Layers, settings or languages that differ, or that are missing.
    """
    for name in ("layers", "n_neighbors", "threshold", "metric"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            raise ValueError(
                f"before and after differ in {name} ({one} and {other}), so they cannot be "
                "compared: measure both alike"
            )
    # The neighbours of one language depend on which others are there.
    if set(before.languages) != set(after.languages):
        odd = sorted(set(before.languages) ^ set(after.languages))
        raise ValueError(
            f"before and after are of different languages ({listed(odd)} only in one), so they "
            "cannot be compared: measure both on the same text"
        )
    missing = [code for code in languages if code not in before.languages]
    if missing:
        raise ValueError(
            f"before and after lack {listed(missing)}, which have been evaluated: measure the "
            "overlap of all languages, or evaluate those alone that it has (languages=, on the "
            "command line --languages)"
        )
