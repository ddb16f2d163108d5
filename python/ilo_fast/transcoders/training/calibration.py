"""What a transcoder takes from data before it is trained: scales, biases, the loss's denominators.

No number of features is too small: the rate at which a feature is to fire is bounded, and what is
asked of the data is a quantile of the feature's own pre-activations.
"""

from __future__ import annotations

import math
from typing import Final

import torch

from ilo_fast.transcoders.activations import JumpReLU
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

_TOKENS: Final = 8192  # that quantiles are taken of
_AT_ONCE: Final = 1 << 24  # pre-activations


@torch.no_grad()
def start_from_data(
    transcoder: CrossLayerTranscoder, x: torch.Tensor, y: torch.Tensor, *, target_l0: float
) -> torch.Tensor:
    """Set scales and biases, so that features fire alike and what is written is right on average.

    Parameters
    ----------
    transcoder
        Changed in place.
    x, y : (tokens, layers, d)
        What the MLPs read and add, in the model's units.
    target_l0
        Of each layer, the features that are to fire for a token, on average.

    Returns
    -------
    variance : (layers,)
        Of y about its mean, scaled: the mean squared length. The denominators of the loss.

    Raises
    ------
    ValueError
        A layer whose MLP adds the same to every token, or numbers that are not finite.
    """
    size = transcoder.hidden_size**0.5
    for name, lengths in zip(("reads", "adds"), _lengths(x, y), strict=True):
        scale = torch.where(lengths > 0, size / lengths.clamp(min=1e-30), 1.0)
        (transcoder.input_scale if name == "reads" else transcoder.output_scale).copy_(scale)
    mean, variance = _mean_and_variance(y)
    transcoder.decoder_bias.copy_(mean * transcoder.output_scale[:, None])
    set_firing_rate(transcoder, x, min(target_l0 / transcoder.n_features, 0.5))
    return variance * transcoder.output_scale.square()


@torch.no_grad()
def go_on_from(
    transcoder: CrossLayerTranscoder,
    initial: CrossLayerTranscoder,
    x: torch.Tensor,
    y: torch.Tensor,
) -> torch.Tensor:
    """Start from the weights, thresholds and scales of another transcoder.

    Parameters
    ----------
    transcoder
        Changed in place; of the same shape and activation.
    x, y
        As for `start_from_data`; they set the loss's denominators alone.

    Returns
    -------
    variance : (layers,)
        As `start_from_data` returns it.
    """
    _lengths(x, y)
    transcoder.load_state_dict(initial.state_dict())
    return _mean_and_variance(y)[1] * transcoder.output_scale.square()


def _lengths(x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    """Mean lengths of what each layer reads and adds: 2 x (layers,)."""
    found = [values.norm(dim=2).mean(dim=0) for values in (x, y)]
    for name, lengths in zip(("reads", "adds"), found, strict=True):
        for layer, length in enumerate(lengths.tolist()):
            if not math.isfinite(length):
                raise ValueError(
                    f"layer {layer}: what its MLP {name} holds numbers that are not finite; does "
                    "the model give text at all? (dtype='float32' may help)"
                )
    return found


def _mean_and_variance(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean = y.mean(dim=0)
    variance = (y - mean).square().sum(dim=2).mean(dim=0)
    for layer, value in enumerate(variance.tolist()):
        if value <= 1e-12 * float(mean[layer].square().sum()):
            raise ValueError(
                f"layer {layer}: its MLP adds the same to every token: there is nothing to explain"
            )
    return mean, variance


@torch.no_grad()
def set_firing_rate(transcoder: CrossLayerTranscoder, x: torch.Tensor, rate: float) -> None:
    """Set the encoder's bias so that each feature is active for such a share of the tokens."""
    x = x[:_TOKENS]
    rank = min(len(x), max(1, math.ceil((1 - rate) * len(x))))
    at_once = max(1, _AT_ONCE // len(x))
    jump = isinstance(transcoder.activation, JumpReLU)
    for layer in range(transcoder.n_layers):
        scaled = x[:, layer] * transcoder.input_scale[layer]
        for first in range(0, transcoder.n_features, at_once):
            features = slice(first, first + at_once)
            pre = scaled @ transcoder.encoder_weight[layer, features].T
            level = pre.kthvalue(rank, dim=0).values  # so many are as high, or lower
            if jump:
                level = level - transcoder.log_threshold[layer, features].exp()
            transcoder.encoder_bias[layer, features] = -level
