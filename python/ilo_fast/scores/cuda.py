"""Scores on a GPU: all layers in one call, and graphs that never leave the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast.graph.arrays import Stack, of_one_layout
from ilo_fast.graph.cuda import place_and_limits, run_info, segment


def overlap(
    segments: Sequence[Stack],
    n_neighbors: int,
    languages: NDArray[np.int32],
    sentences: NDArray[np.int64] | None,
    *,
    n_languages: int,
    threshold: int,
    metric: str,
    n_threads: int,
    update: Callable[[float], None] | None,
) -> tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64] | None,
    NDArray[np.float64],
    dict[str, Any],
]:
    """Bridge, reach, ILO, shares of translations and of other languages; info: of all layers."""
    rows = of_one_layout(segments)
    bridge, reach, ilo, share, cross, layers = _core.cuda_overlap(
        [segment(s) for s in rows],
        rows[0].dtype,
        n_neighbors,
        languages,
        sentences,
        cosine=metric == "cosine",
        n_languages=n_languages,
        threshold=threshold,
        **place_and_limits(rows, n_threads, 0, update),
    )
    return bridge, reach, ilo, share, cross, run_info(rows, 0, layers)
