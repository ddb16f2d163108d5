"""From sentences to token ids."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ilo_fast.errors import CorpusError
from ilo_fast.representations.language_codes import speaking


@dataclass(frozen=True)
class TokenizedText:
    """One language, ready for the model.

    Attributes
    ----------
    ids
        Token ids, one sequence per sentence.
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


def tokenize(
    tokenizer: Any,
    code: str,
    sentences: Sequence[str],
    *,
    limit: int | None,
    exclude_special: bool,
    language: str | None = None,
) -> TokenizedText:
    """Tokenize all sentences of one language at once.

    Parameters
    ----------
    limit
        Tokens kept per sentence, special ones included; None: all.
    exclude_special
        Whether special tokens stay out of the pooling.
    language
        What the tokenizer calls the language, where it asks for it.

    Raises
    ------
    CorpusError
        A sentence has no tokens, or only special ones; names its line.
    """
    with speaking(tokenizer, language):
        ids, special = _encode(tokenizer, sentences)
        long = [i for i, row in enumerate(ids) if limit is not None and len(row) > limit]
        if long:
            # Let the tokenizer cut: it keeps the closing token and knows which side to cut.
            cut = _encode(tokenizer, [sentences[i] for i in long], max_length=limit)
            for i, row, marks in zip(long, *cut, strict=True):
                ids[i], special[i] = row, marks
    bare = [i + 1 for i, marks in enumerate(special) if sum(marks) == len(marks)]
    if bare:
        what = "only special tokens, which special_tokens='exclude' leaves out" if (
            exclude_special and ids[bare[0] - 1]
        ) else "no tokens"  # fmt: skip
        more = f" (and {len(bare) - 1} more)" if len(bare) > 1 else ""
        raise CorpusError(
            f"{code}, line {bare[0]} yields {what}{more}: {sentences[bare[0] - 1]!r}; this "
            "tokenizer knows none of its characters. Drop the line in all languages"
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
