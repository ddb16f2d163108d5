"""`GraphData`: which sources made which features and predictions of a prompt, by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["feature", "rest", "error", "token", "position", "bias"]
KINDS: Final[tuple[Kind, ...]] = ("feature", "rest", "error", "token", "position", "bias")


@dataclass(frozen=True)
class Sources:
    """What may contribute, one entry a source, grouped by kind in the order of `KINDS`.

    Attributes
    ----------
    kind : (n,) int8
        An index into `KINDS`:

        - feature: an active feature of the transcoder, at one position;
        - rest: what the active features of a layer and position write that are no nodes of the
          graph (there are none unless there are more than ``max_features``);
        - error: what an MLP adds and the transcoder does not explain; in the positions that the
          transcoder skips, all that the MLP adds;
        - token: the embedding of the prompt's token;
        - position: what is added at a position before the first block, whatever the token;
        - bias: the constants of a block and of the transcoder in that layer. Layer -1: what is
          added before the first block, at all positions alike; the number of layers: behind the
          last block.
    layer : (n,) int32
        -1 for tokens and positions.
    position : (n,) int32
        -1 for biases, which stand for all positions.
    feature : (n,) int32
        Counted in its layer; -1 for other kinds.
    activation : (n,) float64
        Of a feature; of an error or a token the length of its vector; NaN for other kinds.
    """

    kind: NDArray[np.int8]
    layer: NDArray[np.int32]
    position: NDArray[np.int32]
    feature: NDArray[np.int32]
    activation: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)

    def of_kind(self, *kinds: Kind) -> NDArray[np.bool_]:
        """(n,) which are of these kinds."""
        return np.isin(self.kind, [KINDS.index(kind) for kind in kinds])


@dataclass(frozen=True)
class Target:
    """What a graph explains, at the last token of the prompt.

    Attributes
    ----------
    label : str
        The token; "A - B" for a difference; a name for a direction.
    token_id : int or None
        None for differences and directions.
    probability : float
        Of the token, as the model has it; 1 for differences and directions. The weight of the
        target in influence.
    """

    label: str
    token_id: int | None
    probability: float


@dataclass(frozen=True)
class GraphData:
    """Direct effects between the features of a prompt, its tokens, and what is predicted after it.

    Attributes
    ----------
    prompt : str
    tokens : tuple of str
        Of the prompt, as they may be shown.
    token_ids : (tokens,) int64
    sources : Sources
    targets : tuple of Target
    adjacency : (rows, sources)
        What each source adds to each row's value, attention and norms and MLPs held. Rows are the
        features, in the order of `sources`, then `targets`.
    values : (rows,) float64
        Of a feature, its pre-activation, with its bias; of a token, its logit less the mean of all
        logits; of a difference, that of two logits; of a direction, its product with what the head
        reads. Computed from the model, not from `adjacency`.
    info : mapping
        JSON-able: the model, the transcoder, the settings, the number of layers.
    """

    prompt: str
    tokens: tuple[str, ...]
    token_ids: NDArray[np.int64]
    sources: Sources
    targets: tuple[Target, ...]
    adjacency: NDArray[Any]
    values: NDArray[np.float64]
    info: Mapping[str, Any]

    @property
    def n_features(self) -> int:
        """Features that are nodes: active ones, one entry a position."""
        return len(self.values) - len(self.targets)

    @property
    def n_layers(self) -> int:
        found: int = self.info["n_layers"]
        return found

    @cached_property
    def residual(self) -> float:
        """The largest difference of a row's sum and its value, relative to the value.

        Of a value of 0, relative to the sum of the row's absolute numbers.
        """
        off = np.abs(self.adjacency.sum(axis=1, dtype=np.float64) - self.values)
        sizes = np.abs(self.adjacency).sum(axis=1, dtype=np.float64)
        size = np.where(self.values == 0, sizes, np.abs(self.values))
        with np.errstate(over="ignore"):
            found = (off / np.maximum(size, np.finfo(np.float64).tiny)).max(initial=0.0)
        return float(min(found, np.finfo(np.float64).max))  # files take no infinity
