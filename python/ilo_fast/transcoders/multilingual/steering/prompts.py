"""Prompts: the first parts of parallel lines, with what follows in every language."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import counted
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.transcoders.multilingual.documents import in_turn
from ilo_fast.transcoders.multilingual.lines import beginning_token

Integers = NDArray[np.int64]

LEAST_TOKENS: Final = 4
"""Of a prompt, and of what follows it."""


@dataclass(frozen=True, eq=False)
class SteeringPrompts:
    """The same lines in every language, cut in two.

    Attributes
    ----------
    line, document : (prompts,) int64
        Of the corpus; documents are numbered.
    is_validation : (prompts,) bool
        No document is on both sides.
    ids : language -> prompts -> token ids
        With the token that begins a text.
    rest : language -> prompts -> token ids
        What follows in the line, at most as many as are generated.
    texts : language -> prompts -> str
        The prompts.
    references : language -> prompts -> str
        What follows, whole.
    background : (lines,) int64
        Lines of the corpus of documents that no prompt is of.
    """

    line: Integers
    document: Integers
    is_validation: NDArray[np.bool_]
    ids: dict[str, list[list[int]]]
    rest: dict[str, list[list[int]]]
    texts: dict[str, list[str]]
    references: dict[str, list[str]]
    background: Integers

    def __len__(self) -> int:
        return len(self.line)


def steering_prompts(
    corpus: ParallelCorpus,
    tokenizer: Any,
    *,
    documents: Sequence[Any] | None,
    n_prompts: int,
    validation_share: float,
    background_share: float,
    max_new_tokens: int,
    limit: int | None,
    seed: int,
) -> SteeringPrompts:
    """Draw lines and cut them.

    Documents are drawn into the background, the validation half and the test half. In each half
    lines are taken round by round, one of each document, so that there are many documents. Every
    document is in all languages, so that there is nothing for `document_halves` to balance.

    Parameters
    ----------
    documents
        Of every line; None: those of the corpus, else each line is one.
    limit
        Tokens that the model takes; None: any number.

    Raises
    ------
    ValueError
        There are fewer lines that can be cut than prompts; says how many.
    """
    names: Sequence[Any] = documents if documents is not None else corpus.groups or ()
    if documents is None and corpus.groups is None:
        names = range(corpus.n_sentences)
    if len(names) != corpus.n_sentences:
        raise ValueError(
            f"documents has {len(names)} ids for {corpus.n_sentences} lines: one for each"
        )
    known: dict[Any, int] = {}
    document = np.array([known.setdefault(name, len(known)) for name in names], np.int64)
    first = beginning_token(tokenizer)
    rows = {
        code: tokenizer(list(lines), add_special_tokens=False, verbose=False)["input_ids"]
        for code, lines in corpus.sentences.items()
    }
    lengths = np.array([[len(ids) for ids in own] for own in rows.values()])
    room = math.inf if limit is None else limit - max_new_tokens - len(first)
    if room < 2 * LEAST_TOKENS:
        raise ValueError(
            f"max_new_tokens={max_new_tokens} leaves {max(0, room):g} tokens for a prompt of the "
            f"{limit} that the model takes: wanted {2 * LEAST_TOKENS} or more"
        )
    usable = np.all((lengths >= 2 * LEAST_TOKENS) & (lengths <= room), axis=0)
    random = np.random.default_rng(seed)
    order = random.permutation(len(known))
    n_background = round(background_share * len(known))
    n_validation = round(validation_share * (len(known) - n_background))
    parts = np.split(order, [n_background, n_background + n_validation])
    first_half = round(validation_share * n_prompts)
    wanted = (first_half, n_prompts - first_half)
    chosen = [
        _drawn(part, document, usable, n, random) for part, n in zip(parts[1:], wanted, strict=True)
    ]
    for drawn, n, half in zip(chosen, wanted, ("validation", "test"), strict=True):
        if len(drawn) < max(n, 2):
            raise ValueError(
                f"n_prompts={n_prompts} needs {max(n, 2)} lines for the {half} half, and of the "
                f"{counted(corpus.n_sentences, 'line')} of the corpus {len(drawn)} are there "
                f"({2 * LEAST_TOKENS} to {room:g} tokens in every language, of documents that are "
                "not in the other half or the background): pass fewer prompts, or more text"
            )
    if len(np.unique(document[chosen[1]])) < 2:
        raise ValueError(
            "the test half is of one document, and intervals are over documents: pass more text, "
            "or documents= with smaller units"
        )
    line = np.concatenate(chosen)
    cut = {code: [_cut(list(own[at]), tokenizer) for at in line] for code, own in rows.items()}
    return SteeringPrompts(
        line=line,
        document=document[line],
        is_validation=np.arange(len(line)) < len(chosen[0]),
        ids={code: [[*first, *ids[:k]] for ids, k in own] for code, own in cut.items()},
        rest={code: [ids[k : k + max_new_tokens] for ids, k in own] for code, own in cut.items()},
        texts={code: [_text(tokenizer, ids[:k]) for ids, k in own] for code, own in cut.items()},
        references={
            code: [_text(tokenizer, ids[k:]) for ids, k in own] for code, own in cut.items()
        },
        background=np.flatnonzero(np.isin(document, parts[0])),
    )


def _drawn(
    part: NDArray[Any],
    document: Integers,
    usable: NDArray[Any],
    n: int,
    random: np.random.Generator,
) -> Integers:
    """At most n lines, one of each document, then a second of each, and so on."""
    place = np.full(int(document.max()) + 1, -1)
    place[part] = np.arange(len(part))
    rows = random.permutation(np.flatnonzero((place[document] >= 0) & usable))
    return np.asarray(rows[in_turn(place[document[rows]])][:n], np.int64)


def _cut(ids: list[int], tokenizer: Any) -> tuple[list[int], int]:
    """Tokens of a line and where it is cut: at the half, or after it where the next word begins."""
    half = (len(ids) + 1) // 2
    for k in range(half, len(ids) - LEAST_TOKENS + 1):
        before = _text(tokenizer, ids[:k])
        after = _text(tokenizer, ids[: k + 1])
        if after.startswith(before) and after[len(before) : len(before) + 1].isspace():
            return ids, k
    return ids, half


def _text(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
