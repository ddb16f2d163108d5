"""What a classifier trained in one language can do in the others, and what a tokenizer gives each.

classifiers ─▶ transfer ─▶ result
load            predict     accuracy, macro-F1, intervals, groups

tokens_words ─▶ tokens_counting ─▶ tokens_estimates ─▶ tokens, tokens_result
words of text    tokens of each     statistics,         for a tokenizer, for several
                 line                intervals

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ilo_fast.evaluation.tokens import compare_tokenizers as compare_tokenizers
    from ilo_fast.evaluation.tokens import token_statistics as token_statistics
    from ilo_fast.evaluation.tokens_result import TokenComparison as TokenComparison
    from ilo_fast.evaluation.tokens_result import TokenStatistics as TokenStatistics

_HOME = {
    "compare_tokenizers": "tokens",
    "token_statistics": "tokens",
    "TokenComparison": "tokens_result",
    "TokenStatistics": "tokens_result",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
