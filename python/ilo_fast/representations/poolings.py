"""From the hidden states of a sentence's tokens to one vector: the kinds of pooling."""

from __future__ import annotations

from typing import Final, Literal, get_args

import torch

Pooling = Literal["mean", "weighted_mean", "last", "first", "max"]

POOLINGS: Final[tuple[str, ...]] = get_args(Pooling)
"""Their names.

``mean``: over all tokens, as published (arXiv 2503.11280). ``weighted_mean``: the i-th token counts
i times (SGPT, arXiv 2202.08904): in a decoder, later tokens have seen more. ``last``, ``first``: of
one token (end of sentence, or CLS). ``max``: the largest value in each dimension.
"""


def pool_tokens(hidden: torch.Tensor, excluded: torch.Tensor | None, pooling: str) -> torch.Tensor:
    """One float32 vector per sentence.

    Parameters
    ----------
    hidden
        (sentences, tokens, dim), of any floating-point type.
    excluded
        (sentences, tokens): True for padding, and for what is not to count. At least one token of
        each sentence counts; first, last and i-th are told among those that do. None: all count.
    pooling
        One of `POOLINGS`.
    """
    if pooling == "mean" and excluded is None:
        return hidden.sum(dim=1, dtype=torch.float32) / hidden.shape[1]
    if excluded is None:
        excluded = torch.zeros(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
    if pooling in ("first", "last"):
        order = torch.arange(hidden.shape[1], device=hidden.device).expand_as(excluded)
        if pooling == "first":
            chosen = order.masked_fill(excluded, hidden.shape[1]).argmin(dim=1)
        else:
            chosen = order.masked_fill(excluded, -1).argmax(dim=1)
        rows = torch.arange(hidden.shape[0], device=hidden.device)
        return hidden[rows, chosen].float()
    if pooling == "max":
        return hidden.masked_fill(excluded[:, :, None], -torch.inf).amax(dim=1).float()
    # Fill, do not multiply by zero: a padding position may hold inf or NaN.
    hidden = hidden.masked_fill(excluded[:, :, None], 0)
    counted = ~excluded
    if pooling == "mean":
        return hidden.sum(dim=1, dtype=torch.float32) / counted.sum(dim=1, keepdim=True)
    weights = (counted.cumsum(dim=1) * counted).to(torch.float32)
    total = torch.einsum("btd,bt->bd", hidden.float(), weights)
    return total / weights.sum(dim=1, keepdim=True)
