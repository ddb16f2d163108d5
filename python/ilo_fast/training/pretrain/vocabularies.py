"""Tokenizers of several sizes, trained on several mixtures of the same text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.training.pretrain.mixture import complete_shares
from ilo_fast.training.pretrain.tokenizer import as_pretrained, sample_lines, train_tokenizer


def train_tokenizers(
    texts: Mapping[str, Sequence[str]],
    *,
    vocab_sizes: Sequence[int] = (8192, 16384, 32768, 65536),
    mixtures: Mapping[str, Mapping[str, float] | None] | None = None,
    n_lines: int = 5000,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Byte-level BPE of every size on every mixture, as `train_tokenizer` makes it.

    Parameters
    ----------
    texts
        Language -> lines.
    vocab_sizes
        Tokens of each; little text gives fewer.
    mixtures
        Name -> language -> share of the lines, as `complete_shares` has it; a language with share 0
        is left out. None: one, ``"equal"``, of equal shares.
    n_lines
        Lines of each language on average; all mixtures have equally many in total. A language of
        fewer gives its own over and over.
    seed
        Of the lines that are drawn.
    progress
        A bar on stderr.

    Returns
    -------
    dict
        ``"NAME SIZE"`` -> tokenizer of transformers.

    Raises
    ------
    ValueError
        As `complete_shares` and `train_tokenizer`.
    """
    whole_number("n_lines", n_lines)
    named = {"equal": None} if mixtures is None else dict(mixtures)
    found: dict[str, Any] = {}
    total = len(named) * len(vocab_sizes)
    cost = len(named) * sum(vocab_sizes)
    with cost_bar(progress, "training", cost=cost, items=total, unit="tokenizer") as bar:
        for name, mixture in named.items():
            shares = complete_shares(mixture, list(texts))
            lines: list[str] = []
            for code, share in shares.items():
                wanted = round(share * n_lines * len(texts))
                lines += sample_lines({code: texts[code]}, wanted, seed=seed) if wanted else []
            for size in vocab_sizes:
                core = train_tokenizer(lines, vocab_size=size)
                found[f"{name} {size}"] = as_pretrained(core, max_length=512)
                bar.advance(size, 1)
    return found
