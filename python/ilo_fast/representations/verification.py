"""The check that the hooks of PooledForward see the model's own hidden states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast.models.structure import ModelParts
from ilo_fast.representations.pooling import PooledForward

# Relative distance allowed between a padded batch and one sentence at a time. In half precision the
# shape of a product chooses its kernel and so its rounding; a wrong mask or position is far worse.
_PADDING_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-3}
_HALF_TOLERANCE = 0.15


def verify(
    parts: ModelParts,
    layers: Sequence[int],
    pad_id: int,
    sentences: Sequence[Sequence[int]],
) -> None:
    """Compare the hooks with the model's own ``output_hidden_states``, on a few sentences.

    Two things can go wrong, and each has its check. The hooks may sit in the wrong place: compare
    with the hidden states of the same forward pass. Padding may leak (the model ignores the mask,
    or shifts positions): compare a padded batch with one sentence at a time.

    Parameters
    ----------
    sentences
        Token ids of at least one sentence, better of two with different lengths.

    Raises
    ------
    ValueError
        The hooks see something else; names the layer.
    """
    remedy = (
        "Representations would be wrong, so nothing was computed; please report the architecture "
        "(verify=False runs all the same)"
    )
    name = type(parts.backbone).__name__
    alone = []
    with PooledForward(parts, layers, pad_id) as forward:
        batch = forward(sentences)
        passes = [forward.with_states(ids) for ids in sentences]
    for ids, (ours, states) in zip(sentences, passes, strict=True):
        if states is None:
            raise ValueError(
                f"{name} returns no hidden_states to verify against; pass verify=False to trust "
                "the layers that were found"
            )
        if len(states) != parts.n_blocks + 1:
            raise ValueError(
                f"{name} returns {len(states)} hidden states where {parts.n_blocks} layers ran. "
                f"{remedy}"
            )
        for row, layer in enumerate(layers):
            theirs = states[layer]
            shaped = theirs.dim() == 3 and theirs.shape[:2] == (1, len(ids))
            mean = theirs[0].detach().float().mean(dim=0).cpu().numpy() if shaped else None
            if mean is None or _distance(ours[row, 0], mean) > 1e-5:
                raise ValueError(
                    f"layer {layer} of {name}: what enters the layer is not the model's "
                    f"hidden_states[{layer}]. {remedy}"
                )
        alone.append(ours[:, 0])
    weight = next(parts.backbone.parameters())
    limit = _PADDING_TOLERANCE.get(weight.dtype, _HALF_TOLERANCE)
    for column, single in enumerate(alone):
        for row, layer in enumerate(layers):
            change = _distance(batch[row, column], single[row])
            if change > limit:
                raise ValueError(
                    f"layer {layer} of {name} changes by {change:.2g} (relative) when the sentence "
                    f"is padded beside a longer one: the model does not honour attention_mask. "
                    f"{remedy}"
                )


def _distance(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Relative Euclidean distance; NaN on both sides counts as equal (reported elsewhere)."""
    if not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return 0.0
    scale = float(np.linalg.norm(theirs.astype(np.float64))) or 1.0
    return float(np.linalg.norm(ours.astype(np.float64) - theirs)) / scale
