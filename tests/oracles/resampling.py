"""Slow and obvious: the counts of a corpus of which only some units are there, from a new graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from oracles import knn


def counts(
    X: NDArray,
    labels: NDArray,
    sentences: NDArray | None,
    stays: NDArray[np.bool_],
    *,
    n_languages: int,
    n_neighbors: int,
    threshold: int,
    metric: str,
) -> dict[str, list[int]]:
    """Counts of each language, of the rows of X that stay."""
    labels = labels[stays]
    sentences = None if sentences is None else sentences[stays]
    indices, _ = knn.knn(X[stays], n_neighbors, metric)
    found: dict[str, list[int]] = {"points": [], "bridging": [], "reached": [], "translations": []}
    for language in range(n_languages):
        points = np.flatnonzero(labels == language)
        others = [{int(labels[j]) for j in indices[i]} - {language} for i in points]
        found["points"].append(len(points))
        found["bridging"].append(sum(len(found) >= threshold for found in others))
        found["reached"].append(len(set().union(*others)))
        if sentences is not None:
            found["translations"].append(
                sum(
                    sentences[i] == sentences[j] and labels[j] != language
                    for i in points
                    for j in indices[i]
                )
            )
    return found
