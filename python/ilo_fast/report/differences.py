"""Differences between runs as the page shows them: curves for the script, rows for a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ilo_fast._util.messages import plain
from ilo_fast.scores.comparison.records import MEAN
from ilo_fast.scores.table import SCORE_TITLES

if TYPE_CHECKING:
    from ilo_fast.scores.comparison.records import Difference
    from ilo_fast.scores.comparison.result import Comparison


def difference_curves(comparison: Comparison) -> list[dict[str, Any]]:
    """For every score and later run: the first run minus that one, over layers.

    Empty where the runs have other layers: then only their best layers can be subtracted.
    """
    found = []
    for score in comparison.scores:
        for other, name in enumerate(comparison.names[1:], start=1):
            own = [d for d in _of_first(comparison, score, "layer") if d.b == name]
            if own:
                found.append(
                    {
                        "score": score,
                        "b": plain(name),
                        "other": other,
                        "layers": [d.layer_a for d in own],
                        "values": [d.difference for d in own],
                        "low": [d.low for d in own],
                        "high": [d.high for d in own],
                    }
                )
    return found


def difference_table(comparison: Comparison | None, reason: str) -> dict[str, Any]:
    """Rows of mean ILO and translation share: of each layer, or of the best ones; or why none."""
    if comparison is None:
        why = f": {plain(reason)}" if reason else ""
        return {"reason": f"No differences with intervals{why}.", "rows": [], "subtitle": ""}
    at = "layer" if comparison.same_layers else "best"
    wanted = [name for name in ("ilo", "translation_share") if name in comparison.scores]
    rows = [_row(d) for score in wanted for d in _of_first(comparison, score, at)]
    return {"reason": "", "rows": rows, "subtitle": plain(comparison.subtitle)}


def _of_first(comparison: Comparison, score: str, at: str) -> list[Difference]:
    chosen = comparison.select(score=score, at=at, by=MEAN)
    return [d for d in chosen if d.a == comparison.names[0]]


def _row(d: Difference) -> dict[str, Any]:
    same = d.layer_a == d.layer_b
    ends = None if d.low is None or d.high is None else (d.low, d.high)
    return {
        "score": SCORE_TITLES[d.score],
        "names": f"{plain(d.a)} \N{MINUS SIGN} {plain(d.b)}",
        "layer": str(d.layer_a) if same else f"{d.layer_a} and {d.layer_b}",
        "value": d.difference,
        "ends": ends,
        "p": d.p_corrected,
    }
