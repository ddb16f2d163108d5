"""The small text on which other people's harnesses are tested."""

from __future__ import annotations

from ilo_fast import ParallelCorpus

LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn", "tha_Thai")
N = 16


def small_corpus() -> ParallelCorpus:
    """N sentences of the embedded corpus in LANGUAGES."""
    return ParallelCorpus.demo(LANGUAGES, limit=N)
