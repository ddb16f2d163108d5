"""What is made of a measurement in the course of training: logged means, files for `compare`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ilo_fast.scores.certainty.replicates_file import REPLICATES_FILE, write_replicates
from ilo_fast.scores.result import SCORES_FILE, OverlapScores
from ilo_fast.training.records import OverlapRecord


def logged_metrics(name: str, record: OverlapRecord, scores: OverlapScores) -> dict[str, float]:
    """Means over languages of every layer, and the cost, under the names they are logged by."""
    tables = {"ilo": scores.ilo, "bridge": scores.bridge, "reach": scores.reach}
    if scores.translation_share is not None:
        tables["translations"] = scores.translation_share
    metrics = {
        f"{name}/{score}_layer_{layer:02d}": float(table[h].mean())
        for score, table in tables.items()
        for h, layer in enumerate(scores.layers)
    }
    if scores.limits is not None:
        metrics[f"{name}/ilo_under_mixing"] = scores.limits.means()["ilo_under_mixing"]
    metrics[f"{name}/seconds"] = record.seconds
    if record.share_of_time is not None:
        metrics[f"{name}/share_of_time"] = record.share_of_time
    return metrics


def keep_for_comparison(folder: Path, scores: OverlapScores) -> None:
    """Scores with replicates as `run` would leave them; those of an earlier step are replaced."""
    folder.mkdir(exist_ok=True)
    forget(folder)  # replicates never lie beside scores of another step
    scores.to_json(folder / SCORES_FILE)
    write_replicates(scores, folder)


def forget(folder: Path) -> None:
    """Remove what an earlier step left: it is not the last measurement any more."""
    for name in (REPLICATES_FILE, SCORES_FILE):
        (folder / name).unlink(missing_ok=True)


def without_replicates(record: OverlapRecord) -> OverlapRecord:
    """The record as it stays in memory: replicates may be large."""
    if record.scores is None or record.scores.replicates is None:
        return record
    return replace(record, scores=replace(record.scores, replicates=None))
