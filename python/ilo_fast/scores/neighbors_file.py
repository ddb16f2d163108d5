"""``neighbors.npz`` beside ``scores.json``: the graph of every layer that was scored.

The format is `NeighborGraph.save`'s; a checksum of the scores keeps another run's graph out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.certainty.replicates_file import scores_sha256
from ilo_fast.scores.table import ScoreTable

NEIGHBORS_FILE: Final = "neighbors.npz"
_OF: Final = "scores_sha256"


def write_neighbors(scores: ScoreTable, folder: Path) -> Path | None:
    """Write the graph of the scores into the folder of their ``scores.json``; None without one."""
    graph = scores.neighbors
    if graph is None:
        return None
    path = folder / NEIGHBORS_FILE
    about = {**graph.info, _OF: scores_sha256(scores)}
    NeighborGraph(graph.indices, graph.distances, about).save(path)
    return path


def read_neighbors(folder: Path, scores: ScoreTable) -> NeighborGraph:
    """What `write_neighbors` wrote.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged, or the graph of other scores; names the file.
    """
    path = folder / NEIGHBORS_FILE
    graph = NeighborGraph.load(path)
    shape = (len(scores.layers), sum(scores.n_sentences), scores.n_neighbors)
    if graph.info.get(_OF) != scores_sha256(scores) or graph.indices.shape != shape:
        raise ValueError(f"{path} belongs to other scores than those of the scores.json beside it")
    return graph
