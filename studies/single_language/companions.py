"""Scores beside ILO and the translation share, of every layer and language."""

from __future__ import annotations

from typing import Any

import numpy as np

from ilo_fast import Representations

COMPANIONS = ("retrieval_p1", "mexa", "mutual_knn", "cka_unbiased")


def companion_values(representations: Representations, n_threads: int | None = None) -> dict:
    """(layers, languages) of each of `COMPANIONS`, as JSON can hold it.

    Each is a score of two languages; here the mean over all others. Of retrieval and MEXA a
    language is the one that is searched from, and the pivot.
    """
    from ilo_fast.scores.similarity import cka, mexa, mutual_knn, retrieval

    k = min(10, representations.n_sentences[0] - 1)
    tables = {
        "retrieval_p1": retrieval(representations, n_threads=n_threads)["cosine_p1"],
        "mexa": mexa(representations, n_threads=n_threads).values,
        "mutual_knn": mutual_knn(representations, n_neighbors=k, n_threads=n_threads).values,
        "cka_unbiased": cka(representations, unbiased=True, n_threads=n_threads).values,
    }
    return {name: over_others(table).tolist() for name, table in tables.items()}


def over_others(table: Any) -> Any:
    """Of (layers, languages, languages) the mean over the columns of other languages."""
    n = table.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 0.0, table)
    return others.sum(axis=-1) / (n - 1)
