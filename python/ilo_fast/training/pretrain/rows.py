"""The rows of a run, from texts, shares and tokenizer; and what of the text to warn of."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ilo_fast._util.messages import listed
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.corpora.text import shared_lines
from ilo_fast.training.pretrain.loop import Plan
from ilo_fast.training.pretrain.mixture import MixedRows, Quota, Stream
from ilo_fast.training.pretrain.tokenizer import encode_lines

logger = logging.getLogger(__name__)

# Passes through the text of one language beyond which repeating it teaches little
# (Muennighoff et al., 2023, arXiv 2305.16264).
MANY_EPOCHS = 4


def rows_of(
    texts: Mapping[str, Sequence[str]],
    shares: Mapping[str, float],
    tokenizer: Any,
    plan: Plan,
) -> tuple[MixedRows, dict[str, Any]]:
    """The rows of the run, and how much of each language's text they use."""
    used = {code: share for code, share in shares.items() if share > 0}
    streams = []
    for code in used:
        ids, offsets = encode_lines(tokenizer, texts[code])
        stream = Stream(ids, offsets, length=plan.context, seed=plan.seed, language=code)
        streams.append(stream)
    quota = Quota(list(used.values()), steps=plan.steps, rows=plan.batch_size)
    facts = {}
    for code, stream, rows in zip(used, streams, quota.totals.tolist(), strict=True):
        tokens = rows * plan.context
        facts[code] = {
            "share": rows / (plan.steps * plan.batch_size),
            "tokens": tokens,
            "tokens_of_text": stream.n_tokens,
            "epochs": round(tokens / stream.n_tokens, 3),
        }
    often = {code: f["epochs"] for code, f in facts.items() if f["epochs"] > MANY_EPOCHS}
    if often:
        logger.warning(
            "little text for so many steps: it is gone through %s times; a model learns little "
            "from text that comes more than %d times",
            ", ".join(f"{epochs:.1f} ({code})" for code, epochs in often.items()), MANY_EPOCHS,
        )  # fmt: skip
    return MixedRows(streams, quota, plan.batch_size), facts


def lines_shared(texts: Mapping[str, Sequence[str]], corpus: ParallelCorpus) -> list[list[Any]]:
    """Language and line of what `corpus` has in common with the text; logs it."""
    shared = shared_lines((line for lines in texts.values() for line in lines), corpus)
    if shared:
        where = listed([f"{code} line {number}" for code, number in shared])
        logger.warning(
            "%d lines of the corpus that is measured are in the training text, too (%s): what is "
            "measured there is not what untrained text would show",
            len(shared), where,
        )  # fmt: skip
    return [[code, number] for code, number in shared]
