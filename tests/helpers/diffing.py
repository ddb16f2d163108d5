"""Tables of features made up, and transcoders opened with a model that is in memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from helpers import firings, tiny_models
from numpy.typing import NDArray

from ilo_fast.transcoders.files.opening import Opened
from ilo_fast.transcoders.multilingual.line_features import LineFeatures
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

TOKENIZER = tiny_models.tokenizer()


def table_of(
    counts: NDArray[Any], tokens: NDArray[Any], *, n_layers: int = 1, strength: Any = 1.0
) -> LineFeatures:
    """A parallel text: counts (languages, documents, columns), tokens (languages, documents)."""
    n_languages, n_documents, n_columns = counts.shape
    made = firings.table_of(
        counts.reshape(-1, n_columns), tokens.ravel(),
        np.repeat(np.arange(n_languages), n_documents),
        np.tile(np.arange(n_documents), n_languages),
        [f"l{at:02d}_Latn" for at in range(n_languages)], n_layers=n_layers,
    )  # fmt: skip
    sums = made.counts * np.broadcast_to(strength, (n_columns,))[made.indices]
    return dataclasses.replace(made, sums=sums.astype(np.float32), maxima=sums.astype(np.float32))


def opened(model: Any, coder: CrossLayerTranscoder, name: str = "tiny") -> Opened:
    setting: Any = None  # of no folder
    return Opened(name, model, TOKENIZER, coder.eval(), Path(name), setting)
