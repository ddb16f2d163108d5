"""What is found out with a loaded model before the long work: checks, padding, sizes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ilo_fast.models.structure import ModelParts
from ilo_fast.representations.batches import default_batch_tokens
from ilo_fast.representations.pooling import PooledForward
from ilo_fast.representations.verification import Padding, find_padding, verify

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What the work needs to know.

    Attributes
    ----------
    padding
        How sentences share batches: "right", or "none" where only those of one length do.
    batch_tokens
        Padded tokens per batch.
    dim
        Length of a representation.
    """

    padding: str
    batch_tokens: int
    dim: int


def prepare(
    parts: ModelParts,
    layers: Sequence[int],
    pad_id: int,
    samples: Sequence[Sequence[int]],
    *,
    checked: bool,
    batch_tokens: int | None,
    device: torch.device,
    dtype: str,
) -> Prepared:
    """Look at a few sentences.

    Parameters
    ----------
    samples
        Their token ids.
    checked
        Compare the hooks with the model's own hidden states.
    batch_tokens
        As asked for; None: the default of the device.

    Raises
    ------
    ValueError
        The hooks see something else than the model's states.
    """
    if checked:
        verify(parts, layers, pad_id, samples)
    padding = find_padding(parts, layers, pad_id, samples)
    if device.type == "cpu":
        _warn_of_slow_dtype(dtype)
    budget = batch_tokens or default_batch_tokens(device)
    dim = parts.dim
    if tuple(layers) == (parts.n_blocks,):
        # The last layer may be wider: a projection (AltCLIP), two streams (Reformer).
        with PooledForward(parts, layers, pad_id) as forward:
            dim = forward([min(samples, key=len)]).shape[2]
    return _settled(padding, budget, dim, type(parts.backbone).__name__)


def _settled(padding: Padding, batch_tokens: int, dim: int, name: str) -> Prepared:
    if padding == "none":
        logger.info("%s does not mask padding: only sentences of one length share a batch", name)
    if padding == "alone":
        logger.info("%s reads a sentence otherwise beside others: one sentence at a time", name)
        batch_tokens = 1
    return Prepared("right" if padding == "right" else "none", batch_tokens, dim)


def _warn_of_slow_dtype(dtype: str) -> None:
    """Half precision without instructions for it is slower than float32, not faster."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    needed = {"bfloat16": ("avx512_bf16", "amx_bf16"), "float16": ("avx512_fp16", "amx_fp16")}
    # On other processors the names differ: say nothing rather than something wrong.
    known = [capabilities[name] for name in needed.get(dtype, ()) if name in capabilities]
    if known and not any(known):
        logger.warning(
            "dtype=%r: this processor has no instructions for it, float32 is faster", dtype
        )
