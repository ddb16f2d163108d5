"""From sentences to token ids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from ilo_fast.errors import CorpusError

# Tokenizers without a limit of their own say so with a huge number.
_NO_LIMIT = 10**6


@dataclass(frozen=True)
class TokenizedText:
    """One language, ready for the model.

    Attributes
    ----------
    ids
        Token ids, one sequence a sentence.
    special
        As `ids`: 1 for each special token that the tokenizer added (BOS, CLS, SEP, EOS).
    truncated
        Number of sentences that were cut at the model's length.
    digest
        SHA-256 over all of the above: equal digests mean equal input to the model.
    """

    ids: tuple[Sequence[int], ...]
    special: tuple[Sequence[int], ...]
    truncated: int
    digest: str


def length_limit(tokenizer: Any, position_limit: int | None, max_length: int | None) -> int | None:
    """Tokens kept of a sentence, special ones included; None where nothing sets a limit.

    Raises
    ------
    ValueError
        For a `max_length` that the model does not allow or that leaves no room for text.
    """
    own = getattr(tokenizer, "model_max_length", None)
    known = [int(n) for n in (own, position_limit) if n is not None and 0 < n < _NO_LIMIT]
    limit = min(known) if known else None
    if max_length is None:
        return limit
    if position_limit is not None and max_length > position_limit:
        raise ValueError(
            f"max_length={max_length} is more than the model's {position_limit} positions"
        )
    added = tokenizer.num_special_tokens_to_add() if _counts_specials(tokenizer) else 0
    if max_length <= added:
        raise ValueError(
            f"max_length={max_length} leaves no room for text: this tokenizer adds {added} special "
            "tokens to each sentence"
        )
    return max_length


def _counts_specials(tokenizer: Any) -> bool:
    return callable(getattr(tokenizer, "num_special_tokens_to_add", None))


def position_limit(backbone: nn.Module, config: Any) -> int | None:
    """Number of positions that the model can tell apart; None for no limit (T5, BLOOM)."""
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    for name in ("max_position_embeddings", "max_seq_len"):
        value = getattr(text_config, name, None)
        if isinstance(value, int) and value > 0:
            return value - _reserved_positions(backbone, value)
    return None


def _reserved_positions(backbone: nn.Module, rows: int) -> int:
    """RoBERTa starts to count after its padding index: two rows of the table are never used."""
    for name, module in backbone.named_modules():
        if (
            isinstance(module, nn.Embedding)
            and "position" in name.rsplit(".", 1)[-1]
            and module.padding_idx is not None
            and module.num_embeddings == rows
        ):
            return module.padding_idx + 1
    return 0


def tokenize(
    tokenizer: Any,
    code: str,
    sentences: Sequence[str],
    *,
    limit: int | None,
    exclude_special: bool,
) -> TokenizedText:
    """Tokenize all sentences of one language at once.

    Raises
    ------
    CorpusError
        For a sentence that yields no tokens but special ones.
    """
    ids, special = _encode(tokenizer, sentences)
    long = [i for i, row in enumerate(ids) if limit is not None and len(row) > limit]
    if long:
        # The tokenizer cuts, not we: it keeps the closing special token and its own cutting side.
        cut = _encode(tokenizer, [sentences[i] for i in long], max_length=limit)
        for i, row, marks in zip(long, *cut, strict=True):
            ids[i], special[i] = row, marks
    bare = [i + 1 for i, marks in enumerate(special) if sum(marks) == len(marks)]
    if bare:
        what = "only special tokens, which special_tokens='exclude' leaves out" if (
            exclude_special and ids[bare[0] - 1]
        ) else "no tokens"  # fmt: skip
        raise CorpusError(
            f"{code}, line {bare[0]} yields {what}{_others(len(bare) - 1)}: "
            f"{sentences[bare[0] - 1]!r}; this tokenizer knows none of its characters. Drop the "
            "line in all languages"
        )
    sha = hashlib.sha256()
    lengths = np.array([len(row) for row in ids], dtype="<i8")
    sha.update(lengths.tobytes())
    for table in (ids, special):
        sha.update(np.concatenate([np.asarray(row, dtype="<i8") for row in table]).tobytes())
    return TokenizedText(tuple(ids), tuple(special), len(long), sha.hexdigest())


def _encode(
    tokenizer: Any, sentences: Sequence[str], max_length: int | None = None
) -> tuple[list[Sequence[int]], list[Sequence[int]]]:
    encoding = tokenizer(
        list(sentences),
        add_special_tokens=True,
        padding=False,
        truncation=max_length is not None,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=False,
        return_special_tokens_mask=True,
        verbose=False,
    )
    return list(encoding["input_ids"]), list(encoding["special_tokens_mask"])


def _others(count: int) -> str:
    return f" (and {count} more)" if count else ""
