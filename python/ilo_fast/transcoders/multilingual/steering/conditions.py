"""What is done to a model: features scaled or set, vectors added; many conditions in one batch.

`intervened` does the same for one condition, feature by feature. Here every row of a batch has a
condition of its own, so that all strengths of all sets of features run at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast.models.forward import as_written, evaluating
from ilo_fast.transcoders.interventions.intervened import replacement_of
from ilo_fast.transcoders.interventions.places import TokenPlaces
from ilo_fast.transcoders.interventions.writing import activations_of, converted
from ilo_fast.transcoders.reading import watched
from ilo_fast.transcoders.replacement import ReplacementModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NONE: Integers = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Condition:
    """What is done, at every token but those that the transcoder skips.

    Attributes
    ----------
    columns : (features,)
        layer * n_features + feature, each once.
    scale, value : (features,)
        The activation a becomes scale * a + value.
    vectors : (layers, d) or None
        Added to the residual stream behind each layer.
    """

    columns: Integers
    scale: Floats
    value: Floats
    vectors: Floats | None = None


def adding(vectors: Floats | None) -> Condition:
    """(layers, d), added behind each layer; None: nothing is done."""
    return Condition(_NONE, np.zeros(0), np.zeros(0), vectors)


def suppressing(columns: Integers, strength: float) -> Condition:
    """Features scaled by 1 - strength: 1 switches them off, 2 reverses them."""
    return Condition(columns, np.full(len(columns), 1 - strength), np.zeros(len(columns)))


def substituting(source: Integers, target: Integers, means: Floats, strength: float) -> Condition:
    """Features of one language off, those of another at strength times `means`.

    means: (target,). A feature of both is of the target.
    """
    off = np.setdiff1d(source, target)
    columns = np.concatenate([off, target])
    value = np.concatenate([np.zeros(len(off)), strength * means])
    return Condition(columns, np.zeros(len(columns)), value)


@contextlib.contextmanager
def steered(it: ReplacementModel, conditions: Sequence[Condition]) -> Iterator[SteeredRows]:
    """Within the block, each row of a pass runs under its condition: say which by `begin`."""
    it = replacement_of(it, None)
    places = TokenPlaces(it.model, it.parts, lambda begins, lengths: None)
    rows = SteeredRows(it, conditions, places)
    with (
        evaluating(it.transcoder),
        as_written(it.model),
        places.watching(),
        watched(it.sites, rows.read, rows.written),
    ):
        yield rows


@dataclass(frozen=True, eq=False)
class _Change:
    """What one condition does at one layer."""

    place: torch.Tensor  # (features,) of those of the layer that any condition changes
    scale: torch.Tensor
    value: torch.Tensor
    writes: torch.Tensor  # (features, span * d), in the model's units


class SteeredRows:
    """Changes what MLPs add, row by row of a batch."""

    def __init__(
        self, it: ReplacementModel, conditions: Sequence[Condition], places: TokenPlaces
    ) -> None:
        self._it, self._places = it, places
        self._of: list[torch.Tensor] = []
        self._number = torch.zeros(0, dtype=torch.long)
        self._waiting: dict[int, torch.Tensor] = {}
        coder = it.transcoder
        self._features: list[list[int]] = []
        self._changes: list[list[_Change | None]] = []
        for layer in range(it.n_layers):
            own = [c.columns[c.columns // coder.n_features == layer] for c in conditions]
            union = np.unique(np.concatenate([*own, _NONE])) % coder.n_features
            self._features.append([int(feature) for feature in union])
            self._changes.append([self._change(layer, union, c) for c in conditions])
        given = [c.vectors for c in conditions]
        self._vectors: torch.Tensor | None = None
        if any(v is not None for v in given):
            shape = it.n_layers, it.parts.dim
            stacked = np.stack([np.zeros(shape) if v is None else v for v in given])
            self._vectors = torch.from_numpy(stacked).to(coder.encoder_weight)

    def _change(self, layer: int, union: Integers, given: Condition) -> _Change | None:
        coder = self._it.transcoder
        here = given.columns // coder.n_features == layer
        if not here.any():
            return None
        features = given.columns[here] % coder.n_features
        weight = coder.decoder_weights[layer][
            torch.from_numpy(features).to(coder.input_scale.device)
        ]
        scale = coder.output_scale[layer : layer + weight.shape[1], None]
        return _Change(
            torch.from_numpy(np.searchsorted(union, features)).to(weight.device),
            torch.from_numpy(given.scale[here]).to(weight),
            torch.from_numpy(given.value[here]).to(weight),
            (weight / scale).flatten(1).detach(),
        )

    def begin(self, conditions: Sequence[int]) -> None:
        """The rows of the passes that follow are under these conditions."""
        device = self._it.transcoder.encoder_weight.device
        number = torch.tensor(list(conditions), device=device)
        n = len(self._changes[0]) if self._changes else 0
        self._of = [(number == at).nonzero()[:, 0] for at in range(n)]
        self._number = number

    def read(self, layer: int, x: torch.Tensor) -> None:
        """The MLP of `layer` reads x."""
        if layer == 0:
            self._waiting.clear()
        features = self._features[layer]
        if not features:
            return
        coder, positions = self._it.transcoder, self._places.now.positions
        rows, tokens = positions.shape
        act = activations_of(coder, layer, x.reshape(-1, x.shape[-1]), features)
        act = act.view(rows, tokens, -1)
        keep = (positions >= self._it.skip_positions).to(act.device, act.dtype)
        for change, own in zip(self._changes[layer], self._of, strict=True):
            if change is None or not len(own):
                continue
            now = act[own][:, :, change.place]
            more = (now * (change.scale - 1) + change.value) * keep[own, :, None]
            written = (more @ change.writes).view(len(own), tokens, -1, coder.hidden_size)
            for to in range(written.shape[2]):
                into = self._waiting.get(layer + to)
                if into is None:
                    into = act.new_zeros(rows, tokens, coder.hidden_size)
                    self._waiting[layer + to] = into
                into.index_add_(0, own, written[:, :, to])

    def written(self, layer: int, y: torch.Tensor) -> torch.Tensor | None:
        """What the MLP of `layer` adds, y, with what is added to it."""
        more = self._waiting.pop(layer, None)
        if self._vectors is not None:
            vector = self._vectors[self._number, layer][:, None]
            keep = self._places.now.positions >= self._it.skip_positions
            vector = vector * keep[:, :, None].to(vector.device, vector.dtype)
            more = vector if more is None else more + vector
        return None if more is None else y + converted(more, y).view(y.shape)
