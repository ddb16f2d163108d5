"""Lines of text in several languages, numbered, as token ids, in batches of one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast.corpora.lines import is_blank
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import CorpusError
from ilo_fast.models.limits import position_limit
from ilo_fast.transcoders.prompts import prompt_batches
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lines:
    """All lines of all languages, numbered."""

    texts: tuple[str, ...]
    languages: tuple[str, ...]
    language: Integers
    line: Integers
    document: Integers
    is_parallel: bool


def numbered_lines(
    texts: ParallelCorpus | Mapping[str, Sequence[str]],
    documents: Sequence[Any] | Mapping[str, Sequence[Any]] | None,
) -> Lines:
    """Lines and their documents, as `line_features` takes them."""
    is_parallel = isinstance(texts, ParallelCorpus)
    if isinstance(texts, ParallelCorpus):
        if documents is None:
            documents = texts.groups
        texts = texts.sentences
    if not texts:
        raise CorpusError("texts has no language")
    known: dict[Any, int] = {}
    language, line, document = [], [], []
    flat: list[str] = []
    for at, (code, own) in enumerate(texts.items()):
        groups: Sequence[Any] = range(len(own))
        if isinstance(documents, Mapping):
            if code not in documents:
                raise ValueError(f"documents has no language {code}")
            groups = documents[code]
        elif documents is not None:
            if not is_parallel:
                raise ValueError(
                    "documents must be a mapping language -> ids, for the text is no ParallelCorpus"
                )
            groups = documents
        if len(groups) != len(own):
            raise ValueError(
                f"documents has {len(groups)} ids for the {len(own)} lines of {code}: one each"
            )
        numbers = [n for n, text in enumerate(own) if not is_blank(text)]
        if not numbers:
            raise CorpusError(f"{code} has no line with text: leave the language out")
        shared = is_parallel or isinstance(documents, Mapping)
        for n in numbers:
            name = groups[n] if shared else (code, groups[n])
            document.append(known.setdefault(name, len(known)))
        language += [at] * len(numbers)
        line += numbers
        flat += [own[n] for n in numbers]
    numbers_of = [np.array(values, np.int64) for values in (language, line, document)]
    return Lines(
        tuple(flat), tuple(texts), numbers_of[0], numbers_of[1], numbers_of[2], is_parallel
    )


def skipped_positions(transcoder: CrossLayerTranscoder, given: int | None) -> int:
    """How many tokens at the beginning of a line do not count."""
    if given is None:
        return 1 if transcoder.info is None else transcoder.info.skip_positions
    return whole_number("skip_positions", given, least=0)


def position_limit_of(model: nn.Module, reader: MLPReader) -> int | None:
    """Tokens that the model takes; None: any number."""
    return position_limit(reader.parts.backbone, getattr(model, "config", None))


def line_ids(tokenizer: Any, lines: Lines, skip: int, limit: int | None) -> list[list[int]]:
    """Tokens of each line, behind the one that begins it.

    Raises
    ------
    CorpusError
        As `line_features`.
    """
    plain = tokenizer(list(lines.texts), add_special_tokens=False, verbose=False)["input_ids"]
    first = beginning_token(tokenizer)
    ids = [[*first, *row] for row in plain]
    for at, row in enumerate(ids):
        if len(row) <= skip or not plain[at] or (limit is not None and len(row) > limit):
            place = f"{lines.languages[lines.language[at]]}, line {lines.line[at] + 1}"
            problem = (
                f"has {len(row)} tokens, the model takes {limit}: cut it"
                if limit is not None and len(row) > limit
                else f"has {len(row)} tokens, of which {skip} are skipped: leave it out"
            )
            raise CorpusError(f"{place} {problem}: {lines.texts[at][:80]!r}")
    return ids


def beginning_token(tokenizer: Any) -> list[int]:
    """The token before a line: BOS where the tokenizer begins texts with it, else the end token."""
    usual = list(tokenizer("a")["input_ids"])
    bos = tokenizer.bos_token_id
    if bos is not None and usual[:1] == [bos]:
        return [bos]
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    return [] if end is None else [end]


def equal_batches(ids: Sequence[Sequence[int]], most: int) -> list[list[int]]:
    """Rows of one length, which go together without padding."""
    batches = prompt_batches([len(row) for row in ids], most, None, longer=1)
    return [part for batch in batches for part in _of_one_length(batch, ids)]


def _of_one_length(batch: list[int], ids: Sequence[Sequence[int]]) -> list[list[int]]:
    parts: dict[int, list[int]] = {}
    for row in batch:
        parts.setdefault(len(ids[row]), []).append(row)
    return list(parts.values())
