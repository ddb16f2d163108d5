"""What a tokenizer gives each language: tokens for a word, for a character, for the same text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ilo_fast._util.checks import whole_number
from ilo_fast.corpora.grouping import group_languages
from ilo_fast.corpora.opening import Corpus, open_corpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.evaluation.tokens_counting import (
    Documents,
    TokenCounts,
    count_tokens,
    describe_tokenizer,
)
from ilo_fast.evaluation.tokens_estimates import (
    Estimates,
    estimates,
    group_means,
    intervals,
)
from ilo_fast.evaluation.tokens_result import TokenComparison, TokenStatistics
from ilo_fast.models.loading import given_tokenizer

Text = ParallelCorpus | Mapping[str, Sequence[str]] | str | os.PathLike[str]


def token_statistics(
    tokenizer: Any,
    corpus: Text,
    *,
    reference: str | None = "eng_Latn",
    documents: Documents = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    name: str | None = None,
    progress: bool = False,
) -> TokenStatistics:
    """What a tokenizer gives each language of a text.

    Parameters
    ----------
    tokenizer
        Of transformers, fast or slow, or its name or folder. No model is needed.
    corpus
        A parallel corpus, its name or folder; or language -> lines, which gives no premium.
    reference
        The language whose tokens others are compared with, in a parallel corpus; None: no premium.
    documents
        Of each line its document, the unit of intervals: one sequence for all languages of a
        parallel corpus, language -> sequence for other text. None: as the corpus says; else each
        line is one.
    n_bootstrap, seed
        Of the intervals.
    name
        What to call the tokenizer. None: its ``name_or_path``, or its class.
    progress
        A bar on stderr.

    Returns
    -------
    TokenStatistics
        Which says what each number is.

    Raises
    ------
    CorpusError
        No language; an empty line.
    TypeError
        `tokenizer` is none.
    ValueError
        The parallel corpus lacks the reference; `documents` does not fit the lines.
    """
    text, reference = _opened(corpus, reference, n_bootstrap, seed)
    tokenizer = given_tokenizer(tokenizer)
    counts = count_tokens(tokenizer, text, documents=documents, progress=progress)
    found = estimates(counts, reference=reference, n_bootstrap=n_bootstrap, seed=seed)
    name = name or getattr(tokenizer, "name_or_path", None) or type(tokenizer).__name__
    return _result(name, tokenizer, text, counts, found, (reference, n_bootstrap, seed))


def compare_tokenizers(
    tokenizers: Mapping[str, Any],
    corpus: Text,
    *,
    reference: str | None = "eng_Latn",
    documents: Documents = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    progress: bool = False,
) -> TokenComparison:
    """Several tokenizers on the same text, and how many tokens each takes beside the first.

    Parameters
    ----------
    tokenizers
        Name -> tokenizer, as `token_statistics` takes it.
    corpus, reference, documents, n_bootstrap, seed, progress
        As `token_statistics`.

    Raises
    ------
    CorpusError, TypeError, ValueError
        As `token_statistics`; no tokenizer.
    """
    if not tokenizers:
        raise ValueError("tokenizers is empty: give at least one, {name: tokenizer}")
    text, reference = _opened(corpus, reference, n_bootstrap, seed)
    made: dict[str, TokenStatistics] = {}
    totals, draws = [], []
    n_documents = np.zeros(0, np.int64)
    for name, given in tokenizers.items():
        tokenizer = given_tokenizer(given)
        counts = count_tokens(tokenizer, text, documents=documents, progress=progress)
        found = estimates(counts, reference=reference, n_bootstrap=n_bootstrap, seed=seed)
        made[name] = _result(name, tokenizer, text, counts, found, (reference, n_bootstrap, seed))
        totals.append(made[name].count("tokens").astype(np.float64))
        draws.append(found.tokens)
        n_documents = found.n_documents
    with np.errstate(divide="ignore", invalid="ignore"):  # text of which a tokenizer makes nothing
        ratio = np.stack(totals) / totals[0]
        spans = np.stack([intervals(own / draws[0], n_documents) for own in draws])
    known = np.isfinite(ratio)
    return TokenComparison(
        made, np.where(known, ratio, np.nan), np.where(known[..., None], spans, np.nan)
    )


def _opened(
    corpus: Text, reference: str | None, n_bootstrap: int, seed: int
) -> tuple[Corpus, str | None]:
    whole_number("n_bootstrap", n_bootstrap)
    whole_number("seed", seed, least=0)
    text = open_corpus(corpus)
    if not text.parallel:
        return text, None
    if reference is not None and reference not in text.sentences:
        raise ValueError(
            f"reference={reference!r} is not in the corpus, which has "
            f"{', '.join(text.sentences)}: choose one of them, or None for no premium"
        )
    return text, reference


def _result(
    name: str,
    tokenizer: Any,
    text: Corpus,
    counts: TokenCounts,
    found: Estimates,
    options: tuple[str | None, int, int],
) -> TokenStatistics:
    reference, n_bootstrap, seed = options
    groups = group_languages(counts.languages, "script")
    script = {code: of for of, codes in groups.items() for code in codes}
    script_values, script_spans = group_means(found, groups, counts.languages)
    documents = int(found.n_documents.min())
    return TokenStatistics(
        name=name,
        languages=counts.languages,
        script=tuple(script[code] for code in counts.languages),
        counts=np.stack([table.sum(axis=0) for table in counts.counts]),
        n_lines=np.array([len(table) for table in counts.counts], np.int64),
        n_documents=found.n_documents,
        values=found.values,
        intervals=intervals(found.draws, found.n_documents),
        scripts=tuple(groups),
        script_values=script_values,
        script_intervals=script_spans,
        inequality=found.inequality,
        inequality_intervals=intervals(found.inequality_draws, documents),
        reference=reference,
        n_bootstrap=n_bootstrap,
        seed=seed,
        info={
            "tokenizer": describe_tokenizer(tokenizer),
            "corpus": {"name": text.name, "sha256": text.sha256, "parallel": text.parallel},
        },
    )
