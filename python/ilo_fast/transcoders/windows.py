"""Text as windows of tokens, each of one language, with the document of every token."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Windows:
    """Windows of tokens, all of one length, nothing padded.

    Attributes
    ----------
    ids : (windows, context) int64
    language : (windows,) int64
        Index into `languages`: a window never holds two.
    document : (windows, context) int64
        The line of the language's text that a token is of.
    languages : tuple of str
    """

    ids: torch.Tensor
    language: torch.Tensor
    document: torch.Tensor
    languages: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)
