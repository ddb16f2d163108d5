"""The translation-ranking loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812


def ranking_loss(vectors: torch.Tensor, passage: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE with several positives (Khosla et al., 2020): pick a translation out of the batch.

    vectors: (n, dim), passage: (n,), equal numbers mean the same passage in another language.
    All other passages are negatives, those in the row's own language included: with them a
    vector that mainly tells the language loses.
    """
    x = F.normalize(vectors, dim=-1)
    logits = x @ x.T / temperature
    itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
    same = (passage[:, None] == passage[None, :]) & ~itself
    log_p = logits.masked_fill(itself, float("-inf")).log_softmax(dim=-1)
    n_positive = same.sum(dim=-1)
    per_row = -log_p.masked_fill(~same, 0.0).sum(dim=-1) / n_positive.clamp(min=1)
    return per_row[n_positive > 0].mean()
