"""What a graph explains: tokens that may come next, a difference of two, or a direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from ilo_fast._util.checks import whole_number
from ilo_fast.transcoders.attribution.data import Target
from ilo_fast.transcoders.attribution.local_model import LocalModel
from ilo_fast.transcoders.features.token_texts import TokenTexts

MOST_LOGITS: Final = 10


@dataclass(frozen=True)
class Difference:
    """The logit of a token less that of another; tokens by their ids or as text."""

    more: int | str
    less: int | str


@dataclass(frozen=True)
class Direction:
    """The product of a vector with what the model's head reads (behind the final norm).

    Attributes
    ----------
    vector : (d,)
        A gradient does not go through it.
    name : str
    """

    vector: torch.Tensor
    name: str


Wanted = Sequence[int | str] | Difference | Direction | None


@dataclass(frozen=True)
class Explained:
    """The targets of one prompt, and how they hang on a local model's pass.

    Attributes
    ----------
    targets : tuple of Target
    values : (targets,)
        Computed from the model.
    scores : (targets, vocabulary) or None
        What they are of the head's output; None for a direction.
    final : (targets, d) or None
        What they are of what the head reads; None but for a direction.
    """

    targets: tuple[Target, ...]
    values: torch.Tensor
    scores: torch.Tensor | None
    final: torch.Tensor | None


def explained(
    local: LocalModel, row: int, wanted: Wanted, probability: float, tokenizer: Any
) -> Explained:
    """The targets of one prompt of a local model.

    Parameters
    ----------
    wanted
        Tokens, a `Difference` or a `Direction`. None: the most probable tokens that together have
        `probability`, at most `MOST_LOGITS`.

    Raises
    ------
    ValueError
        A token is unknown or is several; a direction is of another length.
    """
    logits, factors = local.logits[row], local.factors[row]
    chances = logits.double().softmax(-1)
    if isinstance(wanted, Direction):
        vector = torch.as_tensor(wanted.vector, dtype=logits.dtype, device=logits.device).detach()
        final = local.base.final[row, 0]
        if vector.shape != final.shape:
            raise ValueError(
                f"direction has shape {tuple(vector.shape)}, wanted ({len(final)},): that of what "
                "the head reads"
            )
        if not bool(vector.isfinite().all()) or not bool(vector.any()):
            raise ValueError("direction is zero, or holds numbers that are not finite")
        value = (vector.double() @ final.double())[None]
        return Explained((Target(wanted.name, None, 1.0),), value, None, vector[None])
    if isinstance(wanted, Difference):
        more, less = (_token_id(t, tokenizer, len(logits)) for t in (wanted.more, wanted.less))
        if more == less:
            raise ValueError(f"difference is of a token and itself (id {more}): name two")
        scores = torch.zeros_like(logits)[None]
        scores[0, more], scores[0, less] = factors[more], -factors[less]
        label = f"{_shown(more, tokenizer)} - {_shown(less, tokenizer)}"
        value = (logits[more].double() - logits[less].double())[None]
        return Explained((Target(label, None, 1.0),), value, scores, None)
    if wanted is None:
        order = chances.argsort(descending=True, stable=True)[:MOST_LOGITS]
        enough = int((chances[order].cumsum(0) < probability).sum()) + 1
        ids = order[:enough].tolist()
    else:
        if isinstance(wanted, str) or not hasattr(wanted, "__iter__"):
            raise TypeError(f"targets={wanted!r:.60} is not a list: give [{wanted!r:.60}]")
        ids = [_token_id(token, tokenizer, len(logits)) for token in wanted]
        if not ids or len(set(ids)) < len(ids):
            raise ValueError("targets name no token, or one twice")
    scores = (-factors / len(factors)).expand(len(ids), -1).clone()
    rows = torch.arange(len(ids), device=logits.device)
    scores[rows, ids] += factors[ids]
    values = logits[ids].double() - logits.double().mean()
    targets = tuple(Target(_shown(t, tokenizer), t, float(chances[t])) for t in ids)
    return Explained(targets, values, scores, None)


def _token_id(token: int | str, tokenizer: Any, vocabulary: int) -> int:
    if isinstance(token, str):
        if tokenizer is None:
            raise ValueError(f"target {token!r} is text: pass a tokenizer, or the id of the token")
        ids = tokenizer(token, add_special_tokens=False)["input_ids"]
        known = tokenizer.convert_tokens_to_ids(token)
        if len(ids) != 1 and isinstance(known, int) and known != tokenizer.unk_token_id:
            ids = [known]
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
            pieces = [tokenizer.decode([i]) for i in ids]
            raise ValueError(
                f"target {token!r} is no single token of this tokenizer (it is {pieces}): name one "
                "of its pieces, with the space that goes before a word, or a token's id"
            )
        token = ids[0]
    try:
        return whole_number("target", token, least=0, most=vocabulary - 1)
    except (TypeError, ValueError):
        raise ValueError(
            f"target {token!r:.60}: wanted a token's id, 0 to {vocabulary - 1}, or text"
        ) from None


def _shown(token: int, tokenizer: Any) -> str:
    return str(token) if tokenizer is None else TokenTexts(tokenizer).of([token])[0]
