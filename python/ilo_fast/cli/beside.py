"""What `run` and `score` measure beside the scores, unless ``--quick``: kept in the same folder."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ilo_fast.scores.result import OverlapScores


def measure_beside(
    folder: Path,
    representations: Mapping[str, NDArray[Any]],
    scores: OverlapScores,
    args: argparse.Namespace,
    *,
    fresh: bool,
) -> list[Path]:
    """Structure, map and companions of the scores; those that are there of kept scores stay.

    Companions without intervals are measured again where intervals are wanted now.

    The paths of all files. Each is written when it is ready, so that interrupted work resumes.
    """
    from ilo_fast.report.reading import POSITIONS_FILE, write_positions
    from ilo_fast.scores.companions.companions import companions
    from ilo_fast.scores.companions.result import COMPANIONS_FILE
    from ilo_fast.scores.structure.file import STRUCTURE_FILE
    from ilo_fast.scores.structure.layout import layout
    from ilo_fast.scores.structure.structure import structure

    if scores.neighbors is None:  # --quick, now or when the scores were made
        return []
    paths = {name: folder / name for name in (STRUCTURE_FILE, POSITIONS_FILE, COMPANIONS_FILE)}
    if fresh:
        for path in paths.values():
            path.unlink(missing_ok=True)
    progress = not args.quiet
    if not paths[STRUCTURE_FILE].exists():
        structure(scores, progress=progress).to_json(paths[STRUCTURE_FILE])
    if not paths[POSITIONS_FILE].exists():
        write_positions(layout(scores, progress=progress), folder)
    if scores.translation_share is None:  # nothing says which sentences are translations
        paths.pop(COMPANIONS_FILE)
    elif not _kept(paths[COMPANIONS_FILE], args):
        found = companions(
            representations,
            scores,
            intervals=args.companion_intervals,
            n_threads=args.n_threads,
            progress=progress,
        )
        found.to_json(paths[COMPANIONS_FILE])
    return list(paths.values())


def _kept(path: Path, args: argparse.Namespace) -> bool:
    """Whether the companions in the file are those that are wanted."""
    from ilo_fast.scores.companions.result import Companions

    try:
        found = Companions.from_json(path)
    except (OSError, ValueError):
        return False
    return not args.companion_intervals or any(one.low is not None for one in found.scores)
