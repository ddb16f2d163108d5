"""Tables of features with rates that are known: firings drawn, document by document."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.line_features import LineFeatures

FIVE = ("eng_Latn", "deu_Latn", "fra_Latn", "rus_Cyrl", "hin_Deva")


def table_of(
    counts: NDArray[Any],
    tokens: NDArray[Any],
    language: NDArray[Any],
    document: NDArray[Any],
    languages: Sequence[str],
    *,
    n_layers: int = 1,
    parallel: bool = True,
) -> LineFeatures:
    """Of dense counts (rows, columns), a row for each document of each language."""
    row, column = np.nonzero(counts)
    entries = counts[row, column]
    return LineFeatures(
        languages=tuple(languages),
        language=np.asarray(language, np.int64),
        line=np.asarray(document, np.int64),
        document=np.asarray(document, np.int64),
        tokens=np.asarray(tokens, np.int64),
        indptr=np.concatenate([[0], np.cumsum((counts > 0).sum(axis=1))]).astype(np.int64),
        indices=column.astype(np.int32),
        counts=entries.astype(np.int32),
        sums=entries.astype(np.float32),
        maxima=np.ones(len(entries), np.float32),
        n_layers=n_layers,
        n_features=counts.shape[1] // n_layers,
        is_parallel=parallel,
    )


def drawn(
    random: np.random.Generator,
    rates: NDArray[np.float64],
    documents: int,
    *,
    languages: Sequence[str] = FIVE,
    fertility: Sequence[float] | None = None,
    spread: float = 0.0,
    clump: float = 1.0,
    parallel: bool = True,
    n_layers: int = 1,
) -> LineFeatures:
    """Firings at known rates.

    rates : (languages, columns), per token. fertility: tokens of a document in each language, where
    1 is 30 to 60. spread: variance of a document's rate over its square, shared by translations.
    clump: firings that come together, on average.
    """
    n, columns = rates.shape
    length = random.integers(30, 60, size=documents)
    tokens = np.round(length * np.array(fertility or [1.0] * n)[:, None]).astype(np.int64)
    topic = random.gamma(1 / spread, spread, size=(documents, columns)) if spread else 1.0
    counts = random.poisson(rates[:, None] * tokens[:, :, None] * topic / clump)
    counts = counts + random.poisson(counts * (clump - 1.0))
    document = np.arange(n * documents)
    table = table_of(
        counts.reshape(-1, columns),
        tokens.reshape(-1),
        np.repeat(np.arange(n), documents),
        document % documents if parallel else document,
        languages,
        n_layers=n_layers,
        parallel=parallel,
    )
    return dataclasses.replace(table, line=document % documents)
