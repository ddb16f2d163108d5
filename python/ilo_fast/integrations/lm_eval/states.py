"""What a model of lm-evaluation-harness answers to a request for the states of a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.huggingface import HFLM
from numpy.typing import NDArray

from ilo_fast.models.source import ModelSource
from ilo_fast.representations.extraction import extract

REQUEST: Final = "ilo_fast_sentence_states"
"""The kind of request, and the method of the model that answers it."""


class SentenceStates(int):
    """The row of a sentence in its corpus, carrying the sentence's pooled hidden states.

    A number, so that samples are logged as before: lm_eval writes every answer into its JSON.

    Attributes
    ----------
    vectors : float32, shape (layers, dim) or (languages, layers, dim), or None
        Of one language, or of all; None once they were scored.
    layers : tuple of int
    """

    vectors: NDArray[np.float32] | None
    layers: tuple[int, ...]

    @classmethod
    def of(cls, row: int, vectors: NDArray[np.float32], layers: tuple[int, ...]) -> SentenceStates:
        """A row with its vectors."""
        made = cls(row)
        made.vectors, made.layers = vectors, layers
        return made

    def of_language(self, number: int) -> NDArray[np.float32]:
        """The vectors of one of all languages, shape (layers, dim)."""
        assert self.vectors is not None
        found: NDArray[np.float32] = self.vectors[number]
        return found


@dataclass(frozen=True)
class Extraction:
    """How sentences are represented; the keywords of :func:`~ilo_fast.extract`.

    `layers` may also be ``"middle"`` or ``"all"``.
    """

    layers: int | Sequence[int] | str = "middle"
    pooling: str = "mean"
    special_tokens: str = "include"
    max_length: int | None = None
    batch_tokens: int | None = None
    tokenizer_languages: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layers, str) and self.layers not in ("middle", "all"):
            raise ValueError(
                f"layers={self.layers!r} is not known: use 'middle', 'all', or numbers"
            )


@dataclass
class SentenceRequest(Instance):  # type: ignore[misc]
    """A request for the states of one sentence.

    Attributes
    ----------
    language : str
    row : int
    extraction : Extraction
        The same object for all requests of a task.
    """

    language: str = ""
    row: int = 0
    extraction: Extraction = Extraction()


def sentence_states(lm: LM, requests: Sequence[SentenceRequest]) -> list[SentenceStates]:
    """Answer requests by one extraction for each task.

    Raises
    ------
    TypeError
        A model that is not one of Hugging Face's in this process.
    ValueError, FloatingPointError, MemoryError
        As `extract`.
    """
    if not isinstance(lm, HFLM):
        raise TypeError(
            f"overlap needs hidden states, which {type(lm).__name__} does not give: use "
            "model='hf' (lm_eval.models.huggingface.HFLM)"
        )
    answers: list[SentenceStates | None] = [None] * len(requests)
    tasks: dict[int, list[int]] = {}
    for i, request in enumerate(requests):
        tasks.setdefault(id(request.extraction), []).append(i)
    for members in tasks.values():
        by_language: dict[str, list[int]] = {}
        for i in members:
            by_language.setdefault(requests[i].language, []).append(i)
        options = requests[members[0]].extraction
        found = extract(
            lm.model,
            {code: [requests[i].arguments[0] for i in own] for code, own in by_language.items()},
            tokenizer=lm.tokenizer,
            tokenizer_languages=options.tokenizer_languages,
            layers=_layers(lm, options.layers),
            batch_tokens=options.batch_tokens,
            pooling=options.pooling,
            special_tokens=options.special_tokens,
            max_length=options.max_length,
        )
        for code, own in by_language.items():
            for column, i in enumerate(own):
                vectors = np.ascontiguousarray(found[code][:, column])
                answers[i] = SentenceStates.of(requests[i].row, vectors, found.layers)
    return [answer for answer in answers if answer is not None]


def _layers(lm: Any, layers: int | Sequence[int] | str) -> int | Sequence[int] | None:
    if layers == "all":
        return None
    if layers == "middle":
        n_blocks: int = ModelSource.open(lm.model, tokenizer=lm.tokenizer).info().n_blocks
        return n_blocks // 2
    assert not isinstance(layers, str)
    return layers


# There is no registry of kinds of requests: evaluate() calls the method of the request's name.
setattr(LM, REQUEST, sentence_states)
