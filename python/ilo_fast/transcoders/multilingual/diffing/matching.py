"""Features of two transcoders matched one to one: by what they read, write, and when they fire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast._util.statistics import wilson_interval
from ilo_fast.transcoders.multilingual.diffing.paired import Floats, Integers
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Matrix = NDArray[np.float32]

MIN_SIMILARITY: Final = 0.5
_ROWS: Final = 512  # of the similarities, at one time


@dataclass(frozen=True, eq=False)
class Matching:
    """Pairs of features that are each other's most similar one.

    Attributes
    ----------
    before, after : (pairs,) int64
        Columns, layer * n_features + feature; each occurs once at most.
    similarity : (pairs,)
        Mean of the three that follow.
    encoder, decoder : (pairs,)
        Cosines of what features read, and of what they write into all layers together.
    correlation : (pairs,)
        Of the activations on the same tokens.
    n_before, n_after : int
        Features that were to be matched: those that fire on these tokens.
    n_features : int
        Of each layer.
    min_similarity : float
        Below it a pair does not count as matched.
    """

    before: Integers
    after: Integers
    similarity: Floats
    encoder: Floats
    decoder: Floats
    correlation: Floats
    n_before: int
    n_after: int
    n_features: int
    min_similarity: float

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(pairs,) which are similar enough."""
        return self.similarity >= self.min_similarity

    @property
    def share(self) -> float | None:
        """Of the features before, those with a match."""
        return int(self.kept.sum()) / self.n_before if self.n_before else None

    @property
    def moved(self) -> float | None:
        """Of the matches, those in another layer."""
        kept = self.kept
        layers = self.before[kept] // self.n_features, self.after[kept] // self.n_features
        return float((layers[0] != layers[1]).mean()) if kept.any() else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: shares and means, not the pairs."""
        kept = self.kept
        n = int(kept.sum())
        interval = wilson_interval(n / self.n_before, self.n_before) if self.n_before else None
        return {
            "features_before": self.n_before,
            "features_after": self.n_after,
            "matched": n,
            "share": self.share,
            "share_interval": None if interval is None else list(interval),
            "in_another_layer": self.moved,
            "min_similarity": self.min_similarity,
            **{
                f"mean_{name}": float(getattr(self, name)[kept].mean()) if n else None
                for name in ("similarity", "encoder", "decoder", "correlation")
            },
        }


def match_features(
    before: CrossLayerTranscoder,
    after: CrossLayerTranscoder,
    activations: tuple[Matrix, Matrix],
    *,
    min_similarity: float = MIN_SIMILARITY,
) -> Matching:
    """Match the features of two transcoders of the same shape of model.

    The similarity of two features is the mean of the cosine of their encoder vectors, the cosine of
    their decoder vectors (into all layers, where there is none zeros), and the correlation of their
    activations. A pair is two features of any layers of which each is the other's most similar.

    Parameters
    ----------
    activations : 2 x (tokens, layers * n_features)
        Of both, on the same tokens, in the same order. Features that never fire are left out.
    min_similarity
        Below it a pair does not count.

    Raises
    ------
    ValueError
        The transcoders are of models of different shapes; the tokens are not the same number.
    """
    for name in ("n_layers", "hidden_size"):
        mine, other = getattr(before, name), getattr(after, name)
        if mine != other:
            raise ValueError(f"before has {name}={mine}, after {other}: they are of other models")
    if len(activations[0]) != len(activations[1]):
        raise ValueError(
            f"activations are of {len(activations[0])} and {len(activations[1])} tokens: wanted "
            "those of the same tokens"
        )
    alive = [np.flatnonzero(a.any(axis=0)) for a in activations]
    parts = [
        (*_directions(coder, columns), _standardised(table, columns))
        for coder, columns, table in zip((before, after), alive, activations, strict=True)
    ]
    mine, theirs = parts
    n, m = map(len, alive)
    best = np.full(n, -1)
    highest, best_of_column = np.full(m, -np.inf), np.full(m, -1)
    for start in range(0, n, _ROWS):
        rows = slice(start, min(n, start + _ROWS))
        if not m:
            break
        similar = mine[0][rows] @ theirs[0].T
        for a, b in zip(mine[1:], theirs[1:], strict=True):
            similar += a[rows] @ b.T
        best[rows] = similar.argmax(axis=1)
        top = similar.argmax(axis=0)
        values = similar[top, np.arange(m)]
        better = values > highest
        highest[better], best_of_column[better] = values[better], start + top[better]
    left = np.flatnonzero(best >= 0)
    left = left[best_of_column[best[left]] == left]
    right = best[left]
    encoder, decoder, correlation = (
        np.einsum("ij,ij->i", a[left].astype(np.float64), b[right].astype(np.float64))
        for a, b in zip(mine, theirs, strict=True)
    )
    return Matching(
        alive[0][left], alive[1][right], (encoder + decoder + correlation) / 3,
        encoder, decoder, correlation, n, m, before.n_features, min_similarity,
    )  # fmt: skip


def decoder_lengths(transcoder: CrossLayerTranscoder) -> Floats:
    """Of what each feature writes at activation 1, by output: (columns, layers), model's units."""
    return np.asarray(np.linalg.norm(_written(transcoder), axis=2), np.float64)


def centres(lengths: Floats, n_features: int) -> Floats:
    """The mean layer into which each feature writes, by lengths: (columns,)."""
    total = lengths.sum(axis=1)
    own = np.arange(len(lengths)) // n_features
    mean = lengths @ np.arange(lengths.shape[1]) / np.where(total > 0, total, 1)
    return np.asarray(np.where(total > 0, mean, own), np.float64)


@torch.no_grad()
def _written(transcoder: CrossLayerTranscoder) -> Matrix:
    """(columns, layers, d): decoder vectors, zeros into the layers that are not written into."""
    n_layers, n_features, d = transcoder.encoder_weight.shape
    out = np.zeros((n_layers, n_features, n_layers, d), np.float32)
    scale = transcoder.output_scale.float().cpu().numpy()
    for layer, weight in enumerate(transcoder.decoder_weights):
        span = slice(layer, layer + weight.shape[1])
        out[layer, :, span] = weight.float().cpu().numpy() / scale[span, None]
    return out.reshape(n_layers * n_features, n_layers, d)


@torch.no_grad()
def _directions(transcoder: CrossLayerTranscoder, columns: Integers) -> tuple[Matrix, Matrix]:
    reads = transcoder.encoder_weight.float().cpu().numpy().reshape(-1, transcoder.hidden_size)
    writes = _written(transcoder).reshape(len(reads), -1)
    return _unit(reads[columns]), _unit(writes[columns])


def _standardised(activations: Matrix, columns: Integers) -> Matrix:
    values = activations[:, columns].T
    return _unit(values - values.mean(axis=1, keepdims=True))


def _unit(rows: Matrix) -> Matrix:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)
