"""Tokens as they may be shown: with the space before them, and characters whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PART: Final = "\N{REPLACEMENT CHARACTER}"
"""What stands for bytes that are no whole character yet."""


class TokenTexts:
    """The texts of a tokenizer's tokens.

    Many tokenizers drop the space before the first token of what they decode. So a token is decoded
    behind another, whose text is taken off again.

    Parameters
    ----------
    tokenizer
        Of transformers.

    Attributes
    ----------
    special : frozenset of str
        The texts of special tokens, as they are shown.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = {int(i) for i in tokenizer.all_special_ids}
        plain = [i for i in tokenizer("a")["input_ids"] if i not in self._special]
        self._before = plain[-1:]
        self._skipped = len(self._decoded(self._before))
        self._known: dict[int, str] = {}
        self._runs: dict[tuple[int, ...], list[str]] = {}
        self.special = frozenset(self.of(sorted(self._special)))

    def _decoded(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def of(self, ids: Sequence[int]) -> list[str]:
        """The text of each token by itself."""
        for token in ids:
            if token not in self._known:
                self._known[token] = self._alone(token)
        return [self._known[token] for token in ids]

    def _alone(self, token: int) -> str:
        if token in self._special:
            return str(self._tokenizer.convert_ids_to_tokens(token))
        return self._decoded([*self._before, token])[self._skipped :]

    def along(self, ids: NDArray[np.int64]) -> list[str]:
        """The texts of tokens in a row.

        Where several make one character, the last of them has it, the others `PART`.
        """
        tokens = ids.tolist()
        texts = self.of(tokens)
        at = 0
        while at < len(texts):
            end = at
            while end < len(texts) and PART in texts[end]:
                end += 1
            if end - at > 1:
                texts[at:end] = self._run(tuple(tokens[at:end]))
            at = end + 1
        return texts

    def _run(self, tokens: tuple[int, ...]) -> list[str]:
        if tokens not in self._runs:
            found, done = [], ""
            for n in range(1, len(tokens) + 1):
                text = self._decoded([*self._before, *tokens[:n]])[self._skipped :]
                whole = text.rstrip(PART)
                new = whole[len(done) :]
                found.append(new or PART)
                done = whole if len(whole) > len(done) else done
            self._runs[tokens] = found
        return self._runs[tokens]
