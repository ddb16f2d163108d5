"""The overlap that finetune() and pretrain() measure meanwhile, if they are given a corpus."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from ilo_fast._util.messages import listed
from ilo_fast.corpora.opening import open_corpus
from ilo_fast.corpora.text import shared_lines
from ilo_fast.representations.extraction import resolve_layers
from ilo_fast.training.callback import OverlapCallback
from ilo_fast.training.measuring import OverlapOptions
from ilo_fast.training.run_folder import OVERLAP_FILE, RunFolder

logger = logging.getLogger(__name__)


class Watch:
    """What is measured in a run; with ``corpus=None``, nothing.

    Parameters
    ----------
    name
        What records and figures call the model; None: what it calls itself.

    Raises
    ------
    AccessError, CorpusError
        As :func:`~ilo_fast.corpora.opening.open_corpus`.
    TypeError
        `options` are something else, a dict say.
    ValueError
        Fewer sentences than neighbours, a threshold out of reach.
    """

    def __init__(
        self, corpus: Any, options: OverlapOptions | None, name: str | None = None
    ) -> None:
        if options is not None and not isinstance(options, OverlapOptions):
            raise TypeError(_wanted(options))
        self.name = name
        self._corpus = None if corpus is None else open_corpus(corpus)
        self._options = options or OverlapOptions()
        if self._corpus is None:
            return
        n_languages = len(self._corpus.sentences)
        n_sentences = sum(map(len, self._corpus.sentences.values()))
        k, t = self._options.n_neighbors, self._options.threshold
        if n_languages < 2:
            raise ValueError(
                f"corpus has {n_languages} language: overlap between languages needs at least 2"
            )
        if k >= n_sentences:
            raise ValueError(
                f"overlap_options: n_neighbors={k} must be 1 to {n_sentences - 1}: the corpus has "
                f"{n_sentences} sentences in all its languages"
            )
        if t > min(n_languages - 1, k):
            raise ValueError(
                f"overlap_options: threshold={t} must be 1 to {min(n_languages - 1, k)} with "
                f"{n_languages} languages and n_neighbors={k}"
            )

    @property
    def tokenizer_languages(self) -> Mapping[str, str] | None:
        """The caller's choice of codes, where the tokenizer marks languages."""
        return self._options.tokenizer_languages

    @property
    def measures(self) -> bool:
        """Whether there is a corpus to measure on."""
        return self._corpus is not None

    def identity(self) -> dict[str, Any]:
        """What the measurements depend on, besides the model."""
        if self._corpus is None:
            return {"corpus_sha256": None, "overlap_options": None}
        return {
            "corpus_sha256": self._corpus.sha256,
            "overlap_options": self._options.identity(),
        }

    def metadata(self, training_lines: Iterable[str]) -> dict[str, Any]:
        """For the card; a warning names lines that the training text has, too."""
        if self._corpus is None:
            return {"corpus": None, "overlap": None, "shared_lines": []}
        found = shared_lines(training_lines, self._corpus.sentences)
        if found:
            where = listed([f"{code} line {number}" for code, number in found])
            logger.warning(
                "%d lines of the corpus that is measured are in the training text, too (%s): what "
                "is measured there is not what untrained text would show",
                len(found), where,
            )  # fmt: skip
        return {
            "corpus": self._corpus.info,
            "overlap": OVERLAP_FILE,
            "shared_lines": [list(place) for place in found],
        }

    def callbacks(
        self, run: RunFolder, tokenizer: Any, every: int | None, n_blocks: int
    ) -> list[OverlapCallback]:
        """The callback that measures, or none.

        Raises
        ------
        ValueError
            Layers that a model of so many blocks does not have.
        """
        if self._corpus is None:
            return []
        resolve_layers(self._options.layers, n_blocks)
        options = self._options
        callback = OverlapCallback(
            self._corpus, tokenizer=tokenizer, every=every, output=run.path / OVERLAP_FILE,
            layers=options.layers, n_neighbors=options.n_neighbors,
            threshold=options.threshold, metric=options.metric, backend=options.backend,
            n_threads=options.n_threads, parallel=options.parallel,
            batch_tokens=options.batch_tokens, pooling=options.pooling,
            special_tokens=options.special_tokens, max_length=options.max_length,
            verify=options.verify, tokenizer_languages=options.tokenizer_languages,
            intervals=options.intervals,
        )  # fmt: skip
        callback.model_name = self.name
        return [callback]


def _wanted(options: object) -> str:
    given = options if isinstance(options, Mapping) else {}
    keywords = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return (
        f"overlap_options is a {type(options).__name__}: wanted "
        f"ilo_fast.OverlapOptions({keywords or '...'})"
    )
