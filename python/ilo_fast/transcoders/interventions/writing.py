"""What interventions add to a model's MLPs, computed from what the MLPs read in the same pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.interventions.places import Places
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder


def activations_of(
    transcoder: CrossLayerTranscoder, layer: int, x: torch.Tensor, features: Sequence[int]
) -> torch.Tensor:
    """Activations of some features of a layer, 0 where they are not active.

    x: (n, d), of any type of float. Returns (n, features).
    """
    active = transcoder.encode_layer(layer, converted(x, transcoder.encoder_weight))
    column = torch.full((transcoder.n_features,), -1, device=active.indices.device)
    column[list(features)] = torch.arange(len(features), device=column.device)
    of_entry = column[active.features]
    kept = of_entry >= 0
    found = active.values.new_zeros(len(x), len(features))
    return found.index_put((active.tokens[kept], of_entry[kept]), active.values[kept])


def pre_activations_of(
    transcoder: CrossLayerTranscoder, layer: int, x: torch.Tensor, features: Sequence[int]
) -> torch.Tensor:
    """As `activations_of`, before it is decided what is active."""
    weight = transcoder.encoder_weight[layer, list(features)]
    scaled = converted(x, weight) * transcoder.input_scale[layer]
    return scaled @ weight.T + transcoder.encoder_bias[layer, list(features)]


def converted(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`x` with the type and on the device of another tensor.

    Not by ``.to()``: where a `Freezer` is entered, that narrows nothing.
    """
    if (x.dtype, x.device) == (like.dtype, like.device):
        return x
    return torch.empty(x.shape, dtype=like.dtype, device=like.device).copy_(x)


@dataclass(frozen=True)
class _Written:
    """What one layer's interventions add: at some of the pass's tokens, to so many layers."""

    tokens: torch.Tensor  # (n,) of rows * tokens
    added: torch.Tensor  # (n, span, d)


class Writing:
    """What interventions add, layer by layer, as a pass goes on.

    Parameters
    ----------
    transcoder
    interventions
        Several on one feature act one after the other.
    skip_positions
        So many positions are never touched.
    """

    def __init__(
        self,
        transcoder: CrossLayerTranscoder,
        interventions: Sequence[Intervention],
        skip_positions: int,
    ) -> None:
        self._transcoder, self._skip = transcoder, skip_positions
        self._of_layer: dict[int, list[Intervention]] = {}
        for one in interventions:
            self._of_layer.setdefault(one.layer, []).append(one)
        self._written: dict[int, _Written] = {}

    def wanted(
        self, layer: int, feature: int, activation: torch.Tensor, places: Places
    ) -> torch.Tensor:
        """What one feature's activations, (rows, tokens), are to be."""
        for one in self._of_layer.get(layer, ()):
            if one.feature == feature:
                mask = one.mask(places.positions, places.lengths, places.prompts, self._skip)
                activation = torch.where(
                    mask.to(activation.device), one.apply(activation), activation
                )
        return activation

    def read(self, layer: int, x: torch.Tensor, places: Places) -> None:
        """The MLP of `layer` reads x, (rows, tokens, d) or tokens end to end."""
        self._written.pop(layer, None)
        here = self._of_layer.get(layer)
        if here is None:
            return
        masks = [
            one.mask(places.positions, places.lengths, places.prompts, self._skip).flatten()
            for one in here
        ]
        tokens = torch.stack(masks).any(0).nonzero()[:, 0]
        if not len(tokens):
            return
        coder = self._transcoder
        features = sorted({one.feature for one in here})
        rows = x.reshape(-1, x.shape[-1])[tokens.to(x.device)]
        current = activations_of(coder, layer, rows, features)
        wanted = dict(zip(features, current.unbind(1), strict=True))
        for one, mask in zip(here, masks, strict=True):
            before = wanted[one.feature]
            chosen = mask[tokens].to(before.device)
            wanted[one.feature] = torch.where(chosen, one.apply(before), before)
        more = torch.stack([wanted[feature] for feature in features], 1) - current
        weight = coder.decoder_weights[layer][features]
        scale = coder.output_scale[layer : layer + weight.shape[1], None]
        added = torch.einsum("nf,fsd->nsd", more, weight / scale)
        self._written[layer] = _Written(tokens, added)

    def added(self, layer: int, y: torch.Tensor) -> torch.Tensor:
        """What the MLP of `layer` adds, y, and what the interventions of this pass add to it."""
        flat = y.reshape(-1, y.shape[-1])
        for source, written in self._written.items():
            if 0 <= layer - source < written.added.shape[1]:
                more = converted(written.added[:, layer - source], y)
                flat = flat.index_put((written.tokens.to(y.device),), more, accumulate=True)
        return flat.view(y.shape)

    def is_written(self, layer: int) -> bool:
        """Whether the interventions of this pass add something at `layer`."""
        return any(
            0 <= layer - source < written.added.shape[1]
            for source, written in self._written.items()
        )
