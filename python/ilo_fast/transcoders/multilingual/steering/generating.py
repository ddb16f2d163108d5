"""How prompts go on, token by token by the likeliest, and how likely given continuations are."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import GenerationConfig

from ilo_fast.models.forward import accepted, evaluating, inference, working_device
from ilo_fast.transcoders.prompts import prompt_batches

Floats = NDArray[np.float64]
Begin = Callable[[Sequence[int]], None]

BATCH_TOKENS: Final = 16384
"""Of prompts and what follows them."""
_LOGITS_BYTES: Final = 2 * 10**8


def continuations(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    pad: int,
    forbidden: Sequence[int] = (),
    batch_tokens: int = BATCH_TOKENS,
    begin: Begin | None = None,
) -> list[list[int]]:
    """The likeliest token, `max_new_tokens` times.

    Parameters
    ----------
    prompts
        Token ids.
    pad
        Token that fills up shorter prompts, on the left.
    forbidden
        Tokens that are never chosen: those that end a text, so that all are of one length.
    begin
        Called before each batch with the numbers of its prompts.
    """
    device = working_device(model)
    settings: dict[str, Any] = {
        "max_new_tokens": max_new_tokens, "do_sample": False, "num_beams": 1, "use_cache": True,
        "pad_token_id": pad, "eos_token_id": None, "suppress_tokens": sorted(forbidden) or None,
    }  # fmt: skip
    config = GenerationConfig(**settings)  # type: ignore[no-untyped-call]
    found: list[list[int]] = [[] for _ in prompts]
    lengths = [len(row) + max_new_tokens for row in prompts]
    generate: Any = model.generate
    with evaluating(model), inference(model), _without_settings(model):
        for batch in prompt_batches(lengths, batch_tokens, getattr(model, "config", None)):
            ids, mask = _left_padded([prompts[at] for at in batch], pad, device)
            if begin is not None:
                begin(batch)
            with warnings.catch_warnings():  # of settings of the model's own that do not matter
                warnings.simplefilter("ignore", UserWarning)
                out = generate(input_ids=ids, attention_mask=mask, generation_config=config)
            for row, at in zip(out[:, ids.shape[1] :].tolist(), batch, strict=True):
                found[at] = row
    return found


def mean_log_likelihoods(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    following: Sequence[Sequence[int]],
    *,
    pad: int,
    batch_tokens: int = BATCH_TOKENS,
    begin: Begin | None = None,
) -> Floats:
    """(prompts,): log probability per token, in nats, of what follows each prompt.

    prompts, following: of each at least one token. Others as for `continuations`.
    """
    device = working_device(model)
    found = np.zeros(len(prompts))
    rows = [[*a, *b] for a, b in zip(prompts, following, strict=True)]
    lengths = [len(row) for row in rows]
    config = getattr(model, "config", None)
    vocabulary = getattr(config, "vocab_size", None) or 1
    most = min(batch_tokens, max(1, _LOGITS_BYTES // (4 * vocabulary)))
    with evaluating(model), inference(model):
        for batch in prompt_batches(lengths, most, config):
            ids, mask = _left_padded([rows[at] for at in batch], pad, device)
            n = max(len(following[at]) for at in batch)
            if begin is not None:
                begin(batch)
            options = accepted(
                model,
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0),
                use_cache=False,
                logits_to_keep=n + 1,
            )
            logits = model(input_ids=ids, **options).logits[:, -n - 1 : -1]
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # of bfloat16
            chosen = logits.gather(2, ids[:, -n:, None])[:, :, 0].double()
            chosen -= logits.logsumexp(2).double()
            sizes = torch.tensor([len(following[at]) for at in batch], device=device)
            counted = torch.arange(n, 0, -1, device=device) <= sizes[:, None]
            means = torch.where(counted, chosen, 0.0).sum(1) / sizes
            found[batch] = means.cpu().numpy()
    if not np.isfinite(found).all():
        raise ValueError(
            f"the model gives NaN or infinity for {(~np.isfinite(found)).sum()} of {len(found)} "
            "continuations: pass smaller strengths, or load it in another dtype"
        )
    return found


@contextlib.contextmanager
def _without_settings(model: Any) -> Iterator[None]:
    """`generate` takes what is None from the model's settings: penalties, other ends of a text."""
    before = model.generation_config
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        model.generation_config = before


def _left_padded(
    rows: Sequence[Sequence[int]], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, (rows, longest)."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids.to(device), mask.to(device)
