"""The task of lm-evaluation-harness that measures overlap."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from lm_eval.api.task import Task

from ilo_fast._util.checks import truth, whole_number
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.integrations.lm_eval.states import (
    REQUEST,
    Extraction,
    SentenceRequest,
    SentenceStates,
)
from ilo_fast.representations.result import Representations
from ilo_fast.scores.certainty.intervals import MIN_UNITS, check_level
from ilo_fast.scores.checks import check_measurable
from ilo_fast.scores.companions.companions import companions as measure_companions
from ilo_fast.scores.companions.entries import COMPANIONS
from ilo_fast.scores.companions.result import Companions
from ilo_fast.scores.flat import SCORES, WITHOUT_CHANCE, layer_means
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.result import OverlapScores

# What a YAML file of a task holds besides the options of the task itself.
_HARNESS: Final = ("task", "class", "metadata", "num_fewshot", "task_alias", "tag", "repeats")
_OPTIONS: Final = (
    "corpus", "languages", "limit", "split", "layers", "pooling", "special_tokens", "max_length",
    "batch_tokens", "tokenizer_languages", "n_neighbors", "threshold", "metric", "companions",
    "intervals", "level", "seed",
)  # fmt: skip


class OverlapTask(Task):  # type: ignore[misc]
    """Overlap of parallel text as a task of lm-evaluation-harness.

    A document is a sentence in all languages; ``limit`` of ``simple_evaluate`` takes the first. The
    model must be ``HFLM``. Metrics are means over languages: ``ilo``, ``bridge``, ``reach``,
    ``translation_share``; ends of their intervals as metrics of their own, ``ilo_low`` and
    ``ilo_high``; what chance gives; of several layers each with ``_layer_<number>`` behind.

    Parameters
    ----------
    corpus
        A :class:`~ilo_fast.ParallelCorpus`, or the name or folder of one.
    task
        The task's name in results; None: ``ilo_<name of the corpus>``.
    languages, limit, split
        Of a name or folder, as :meth:`~ilo_fast.ParallelCorpus.load` has them.
    layers
        ``"middle"`` (half the number of blocks), ``"all"``, or numbers as
        :func:`~ilo_fast.extract` has them.
    pooling, special_tokens, max_length, batch_tokens, tokenizer_languages
        As :func:`~ilo_fast.extract`.
    n_neighbors, threshold, metric, intervals, level, seed
        As :func:`~ilo_fast.overlap`.
    companions
        Also the scores of :func:`~ilo_fast.companions`.
    config
        The same options, and ``task``, from a YAML file of lm_eval, whose ``class`` is
        ``!function ilo_fast.integrations.lm_eval.OverlapTask``; ``metadata`` of the call or of
        the command line goes before the file, where its keys begin with ``ilo_``.

    Attributes
    ----------
    scores : OverlapScores or None
        After the run: of every layer that was asked for, and every language.
    companions : Companions or None

    Raises
    ------
    AccessError, CorpusError
        As :meth:`~ilo_fast.ParallelCorpus.load`.
    ValueError
        Options out of range, or that are not known.
    """

    VERSION = 1
    OUTPUT_TYPE = REQUEST

    def __init__(
        self,
        corpus: ParallelCorpus | str | os.PathLike[str] | None = None,
        *,
        task: str | None = None,
        languages: str | Sequence[str] | None = None,
        limit: int | None = None,
        split: str | None = None,
        layers: int | Sequence[int] | str = "middle",
        pooling: str = "mean",
        special_tokens: str = "include",
        max_length: int | None = None,
        batch_tokens: int | None = None,
        tokenizer_languages: Mapping[str, str] | None = None,
        n_neighbors: int = 5,
        threshold: int = 3,
        metric: str = "cosine",
        companions: bool = False,
        intervals: bool = True,
        level: float = 0.95,
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if config is not None:
            OverlapTask.__init__(self, **_options_of(config))
            return
        if corpus is None:
            raise ValueError(
                "corpus is missing: give a ParallelCorpus, or the name or folder of one"
            )
        if not isinstance(corpus, ParallelCorpus):
            corpus = ParallelCorpus.load(corpus, languages, limit, split=split)
        elif languages is not None or limit is not None:
            corpus = corpus.select(languages, limit)
        self.corpus: ParallelCorpus = corpus
        self.scores: OverlapScores | None = None
        self.companions: Companions | None = None
        self._with_companions = truth("companions", companions)
        self._extraction = Extraction(
            layers, pooling, special_tokens, max_length, batch_tokens, tokenizer_languages
        )
        self._overlap: dict[str, Any] = {
            "n_neighbors": whole_number("n_neighbors", n_neighbors),
            "threshold": whole_number("threshold", threshold),
            "metric": metric,
        }
        self._intervals: dict[str, Any] = {
            "intervals": truth("intervals", intervals),
            "level": check_level(level),
            "seed": whole_number("seed", seed, least=0),
        }
        self._check(corpus.n_sentences)
        self._metrics: dict[str, float] | None = None
        self._layers: tuple[int, ...] = (0,)
        self._has_intervals = True
        sentences = corpus.sentences
        self._docs = [
            {"row": row, **{code: lines[row] for code, lines in sentences.items()}}
            for row in range(corpus.n_sentences)
        ]
        super().__init__()
        self.set_config("task", task or f"ilo_{corpus.name}")
        self.set_config("num_fewshot", 0)
        self.set_config("output_type", REQUEST)
        self.set_config("generation_kwargs", None)
        self.set_config("metadata", self._described())

    def _described(self) -> dict[str, Any]:
        """What results record of the task, under ``configs``."""
        return {
            "version": self.VERSION,
            "corpus": self.corpus.name,
            "corpus_sha256": self.corpus.fingerprint(),
            "languages": list(self.corpus.languages),
            **{name: getattr(self._extraction, name) for name in Extraction.__dataclass_fields__},
            **self._overlap,
            **self._intervals,
            "companions": self._with_companions,
        }

    def _check(self, n_sentences: int) -> None:
        check_measurable(
            dict.fromkeys(self.corpus.languages, n_sentences),
            **self._overlap,
            backend="auto",
            n_threads=None,
            parallel=True,
        )

    def download(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the corpus is there."""

    def has_training_docs(self) -> bool:
        """No."""
        return False

    def has_validation_docs(self) -> bool:
        """No."""
        return False

    def has_test_docs(self) -> bool:
        """Yes: the corpus."""
        return True

    def test_docs(self) -> list[dict[str, Any]]:
        """One for each sentence: its row and, by language, its text."""
        return self._docs

    def doc_to_text(self, doc: Mapping[str, Any]) -> str:
        """The sentence in the first language."""
        return str(doc[self.corpus.languages[0]])

    def doc_to_target(self, doc: Mapping[str, Any]) -> str:
        """Empty: there is nothing to answer."""
        return ""

    def fewshot_context(self, *args: Any, **kwargs: Any) -> str:
        """Empty: sentences stand alone, without examples, instructions or chat template."""
        return ""

    def build_all_requests(self, **kwargs: Any) -> None:
        """As `Task`, never from a cache, whose key knows only the task's name.

        Raises
        ------
        ValueError
            `limit` or `samples` leave too few sentences.
        """
        limit, samples = kwargs.get("limit"), kwargs.get("samples")
        n = self.corpus.n_sentences
        rows = samples or range(min(int(limit or n), n))
        self._check(len(rows))
        groups = self.corpus.groups
        n_units = len(rows if groups is None else {groups[row] for row in rows})
        self._has_intervals = self._intervals["intervals"] and n_units >= MIN_UNITS
        self._metrics = self.scores = self.companions = None
        super().build_all_requests(**{**kwargs, "cache_requests": False})

    def construct_requests(
        self, doc: Mapping[str, Any], ctx: str, **kwargs: Any
    ) -> list[SentenceRequest]:
        """One for each language."""
        return [
            SentenceRequest(
                request_type=REQUEST,
                doc=doc,
                arguments=(doc[code],),
                idx=i,
                metadata=kwargs["metadata"],
                language=code,
                row=doc["row"],
                extraction=self._extraction,
            )
            for i, code in enumerate(self.corpus.languages)
        ]

    def process_results(
        self, doc: Mapping[str, Any], results: Sequence[SentenceStates]
    ) -> dict[str, Any]:
        """The states of the sentence in all languages, under the name of every metric."""
        layers = results[0].layers
        vectors = np.stack([one.vectors for one in results if one.vectors is not None])
        whole = SentenceStates.of(results[0], vectors, layers)
        for one in results:
            one.vectors = None
        return dict.fromkeys(self._names(layers), whole)

    def aggregation(self) -> dict[str, Callable[[Sequence[Any]], float]]:
        """How each metric follows from the states of all sentences, which are scored once."""

        def metric(name: str) -> Callable[[Sequence[Any]], float]:
            return lambda sentences: self._measured(sentences).get(name, math.nan)

        return {name: metric(name) for name in self._names(self._layers)}

    def higher_is_better(self) -> dict[str, bool]:
        """Of the four scores and the ends of their intervals; of nothing else is it said."""
        ends = [f"{score}{end}" for score in SCORES for end in ("", "_low", "_high")]
        names = [name for one in ends for name in _suffixed([one], self._layers)]
        return {name: True for name in self._names(self._layers) if name in names}

    def _names(self, layers: tuple[int, ...]) -> list[str]:
        """Of all metrics; of one layer as they are, of several with its number behind."""
        self._layers = layers
        ends = ("", "_low", "_high") if self._has_intervals else ("",)
        names = [f"{score}{end}" for score in SCORES for end in ends]
        names += ["translation_chance", "translation_chance_given_graph", "ilo_under_mixing"]
        if self._with_companions:
            names += [
                f"{name}{end}"
                for name in COMPANIONS
                for end in (*ends, *(("_chance",) if name not in WITHOUT_CHANCE else ()))
            ]
        return _suffixed(names, layers)

    def _measured(self, sentences: Sequence[SentenceStates]) -> dict[str, float]:
        """All metrics, from the states of all sentences of all processes."""
        if self._metrics is not None:
            return self._metrics
        ordered = sorted(sentences)  # by row: those of several processes come in turns
        groups, layers = self.corpus.groups, ordered[0].layers
        representations = Representations(
            {
                code: np.stack([one.of_language(c) for one in ordered], axis=1)
                for c, code in enumerate(self.corpus.languages)
            },
            layers,
            parallel=True,
            groups=None if groups is None else [groups[row] for row in ordered],
            info={"layers": list(layers), "corpus_sha256": self.corpus.fingerprint()},
        )
        for one in ordered:
            one.vectors = None  # logged samples keep the row
        self.scores = overlap(
            representations, **self._overlap, **self._intervals, neighbors=self._with_companions
        )
        if self._with_companions:
            self.companions = measure_companions(
                representations, self.scores, directions=False, **self._intervals
            )
        self._metrics = {
            _suffixed([name], layers)[row]: value
            for row in range(len(layers))
            for name, value in layer_means(self.scores, row, self.companions).items()
        }
        return self._metrics


def _suffixed(names: Sequence[str], layers: tuple[int, ...]) -> list[str]:
    """The names of metrics for each layer: as they are for one, else with its number behind."""
    if len(layers) == 1:
        return list(names)
    digits = len(str(max(layers)))
    return [f"{name}_layer_{layer:0{digits}d}" for layer in layers for name in names]


def _options_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of `OverlapTask` that a YAML file and the call's metadata give."""
    unknown = [key for key in config if key not in (*_HARNESS, *_OPTIONS)]
    given = {key: value for key, value in config.items() if key in _OPTIONS}
    metadata = config.get("metadata")
    for key, value in metadata.items() if isinstance(metadata, Mapping) else ():
        option = str(key).removeprefix("ilo_")
        if option != key:
            given[option] = value
            unknown += [] if option in _OPTIONS else [str(key)]
    if unknown:
        raise ValueError(
            f"unknown options of a task: {', '.join(unknown)}; it takes {', '.join(_OPTIONS)}"
        )
    return {"task": config.get("task"), **given}
