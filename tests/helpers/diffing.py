"""Tables of features made up, and transcoders opened with a model that is in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from helpers import tiny_models
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
    flat = counts.reshape(-1, n_columns)
    row, column = np.nonzero(flat)
    values = flat[row, column]
    sums = (values * np.broadcast_to(strength, (n_columns,))[column]).astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(flat)))])
    line = np.tile(np.arange(n_documents), n_languages)
    return LineFeatures(
        tuple(f"l{at:02d}_Latn" for at in range(n_languages)),
        np.repeat(np.arange(n_languages), n_documents), line, line,
        tokens.ravel().astype(np.int64), indptr.astype(np.int64), column.astype(np.int32),
        values.astype(np.int32), sums, sums, n_layers, n_columns // n_layers, True,
    )  # fmt: skip


def opened(model: Any, coder: CrossLayerTranscoder, name: str = "tiny") -> Opened:
    setting: Any = None  # of no folder
    return Opened(name, model, TOKENIZER, coder.eval(), Path(name), setting)
