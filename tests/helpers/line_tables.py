"""Tables of features of parallel lines, made up: what is shared in them is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from helpers import firings
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.line_features import LineFeatures

CODES = ("eng_Latn", "deu_Latn", "fra_Latn", "rus_Cyrl", "hin_Deva", "spa_Latn", "zho_Hans")


def table_of(
    values: NDArray[np.float64],
    documents: Sequence[int] | NDArray[np.int64] | None = None,
    tokens: int = 10,
) -> LineFeatures:
    """Of dense (languages, lines, layers, features); zeros are not active."""
    n_languages, n, n_layers, _ = values.shape
    flat = values.reshape(n_languages * n, -1)
    line = np.tile(np.arange(n), n_languages)
    made = firings.table_of(
        (flat != 0).astype(int), np.full(len(flat), tokens), np.repeat(np.arange(n_languages), n),
        line if documents is None else np.tile(documents, n_languages), CODES[:n_languages],
        n_layers=n_layers,
    )  # fmt: skip
    found = flat[flat != 0].astype(np.float32)
    return dataclasses.replace(made, line=line, sums=2 * found, maxima=found)


def planted(
    shares: Sequence[float],
    random: np.random.Generator,
    *,
    n_languages: int = 3,
    n_lines: int = 60,
    n_features: int = 400,
    n_active: int = 20,
    documents: NDArray[np.int64] | None = None,
) -> LineFeatures:
    """Each line has `n_active` features in each layer: of `shares[layer]` all languages have one.

    The others are drawn for each language alone; all values are random. Features of a document
    are alike where `documents` are given: half of what is shared is of the document.
    """
    values = np.zeros((n_languages, n_lines, len(shares), n_features))
    for layer, share in enumerate(shares):
        n_shared = round(share * n_active)
        for line in range(n_lines):
            common = random.choice(n_features, n_shared, replace=False)
            if documents is not None:
                of_document = np.random.default_rng([layer, int(documents[line]), n_features])
                common[: n_shared // 2] = of_document.choice(
                    n_features, n_shared // 2, replace=False
                )
            common = np.unique(common)
            others = np.setdiff1d(np.arange(n_features), common)
            for language in range(n_languages):
                own = random.choice(others, n_active - len(common), replace=False)
                values[language, line, layer, np.append(common, own)] = 1.0
    values[values > 0] *= random.uniform(0.5, 2.0, int((values > 0).sum()))
    return table_of(values, documents)
