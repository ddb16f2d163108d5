"""A folder of results, read for the page: the scores, and whatever lies beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.files import replace_atomically
from ilo_fast._util.npz import opened_npz
from ilo_fast.corpora.named import CORPUS_NAMES
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import AccessError
from ilo_fast.report.run_data import RunData
from ilo_fast.scores.companions.result import COMPANIONS_FILE, Companions
from ilo_fast.scores.result import SCORES_FILE, OverlapScores
from ilo_fast.scores.structure.file import STRUCTURE_FILE
from ilo_fast.scores.structure.result import Structure

logger = logging.getLogger(__name__)

POSITIONS_FILE: Final = "positions.npz"
_Part = TypeVar("_Part")


def read_run(source: Path, *, name: str = "", with_texts: bool = True) -> RunData:
    """What a folder of results (or its ``scores.json``) holds.

    Companions, structure and positions that are missing are left out; those that are damaged or of
    other scores, too, and a warning says so. Texts are those of the corpus that the scores name,
    where it is still there and unchanged.

    Raises
    ------
    FileNotFoundError, ValueError
        Scores that cannot be read.
    """
    folder = source if source.is_dir() else source.parent
    scores = OverlapScores.from_json(source / SCORES_FILE if source.is_dir() else source)
    companions = _fitting(
        _part(folder / COMPANIONS_FILE, Companions.from_json),
        lambda found: RunData("", scores, companions=found),
    )
    structure = _fitting(
        _part(folder / STRUCTURE_FILE, Structure.from_json),
        lambda found: RunData("", scores, structure=found),
    )
    positions = _fitting(
        _part(folder / POSITIONS_FILE, read_positions),
        lambda found: RunData("", scores, positions=found),
    )
    texts = recorded_texts(scores) if with_texts else None
    name = name or scores.model_name or folder.name
    return RunData(name, scores, companions, structure, positions, texts)


def _fitting(found: _Part | None, check: Callable[[_Part], RunData]) -> _Part | None:
    """What was found, if it is of the same run as the scores."""
    if found is None:
        return None
    try:
        check(found)
    except ValueError as error:
        logger.warning("left out of the report: %s", error)
        return None
    return found


def _part(path: Path, read: Callable[[Path], _Part]) -> _Part | None:
    if not path.is_file():
        return None
    try:
        return read(path)
    except (OSError, ValueError) as error:
        logger.warning("%s is left out of the report: %s", path.name, error)
        return None


def write_positions(positions: NDArray[Any], folder: Path) -> Path:
    """Write the map of every layer beside the scores."""
    path = folder / POSITIONS_FILE
    with replace_atomically(path, positions.nbytes) as file:
        np.savez_compressed(file, positions=positions.astype(np.float32))
    return path


def read_positions(path: Path) -> NDArray[np.float32]:
    """What `write_positions` wrote.

    Raises
    ------
    ValueError
        Something else, or a damaged file.
    """
    with opened_npz(path, "positions") as arrays:
        positions: NDArray[np.float32] = arrays["positions"]
        if positions.dtype != np.float32:
            raise ValueError(f"it holds {positions.dtype}, wanted float32")
        if positions.ndim != 3 or positions.shape[-1] != 2 or not np.isfinite(positions).all():
            raise ValueError("wanted finite numbers, layers x points x 2")
        return positions


def recorded_texts(scores: OverlapScores) -> Mapping[str, Sequence[str]] | None:
    """The sentences that were scored, from the folder that the scores name; None without them.

    Only what is on this machine and the same text, by its fingerprint, is taken.
    """
    run = scores.recorded("run")
    source, wanted = run.get("corpus"), run.get("corpus_sha256")
    if not isinstance(source, str) or source.lower() in CORPUS_NAMES[1:]:
        return None  # a data set on the Hub: nothing is asked of the network here
    limit, seed = run.get("limit"), run.get("seed")
    corpora = logging.getLogger("ilo_fast.corpora")
    level = corpora.level
    corpora.setLevel(logging.ERROR)  # what is odd about the text was said when it was measured
    try:
        corpus = ParallelCorpus.load(
            source,
            list(scores.languages),
            limit if seed is None else None,
            split=run.get("split"),
            allow_unknown=True,
        )
        if seed is not None and limit is not None:
            corpus = corpus.sample(limit, seed=seed)
    except (AccessError, OSError, ValueError, TypeError) as error:
        logger.info("no texts in the report: %s", error)
        return None
    finally:
        corpora.setLevel(level)
    if corpus.fingerprint() != wanted:
        logger.info("no texts in the report: %s is not the text that was scored", source)
        return None
    return corpus.sentences
