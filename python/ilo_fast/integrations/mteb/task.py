"""The task of MTEB that measures overlap."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTask, AbsTaskBitextMining
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.timing import TimingStack
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from ilo_fast._util.checks import choice, truth, whole_number
from ilo_fast._util.hashing import digest
from ilo_fast._util.messages import plain
from ilo_fast._util.versions import __version__
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.representations.result import Representations
from ilo_fast.scores.certainty.intervals import check_level
from ilo_fast.scores.checks import check_measurable
from ilo_fast.scores.companions.companions import companions as measure_companions
from ilo_fast.scores.companions.result import Companions
from ilo_fast.scores.flat import layer_means, of_languages
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.result import OverlapScores

SPLIT: Final = "test"
_FORMAT: Final = 1  # of what a result holds
_MAIN_SCORES: Final = ("ilo", "bridge", "reach", "translation_share", "translation_ilo")


class OverlapTask(AbsTask):  # type: ignore[misc]
    """Overlap of an encoder's vectors; made by `overlap_task`, a class for each corpus.

    MTEB runs a multilingual task one language after the other. This one is a single subset,
    ``"default"``, in which all languages lie together.

    Attributes
    ----------
    corpus : ParallelCorpus
    scores : OverlapScores or None
        Of the last model that was evaluated, in full precision; MTEB rounds to six digits.
    companions : Companions or None
    """

    abstask_prompt = AbsTaskBitextMining.abstask_prompt
    corpus: ParallelCorpus
    options: Mapping[str, Any]
    dataset: Any = None
    data_loaded: bool = False

    def __init__(self, seed: int = 42, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.scores: OverlapScores | None = None
        self.companions: Companions | None = None
        self.load_data()

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """The corpus as a table with a column for each language."""
        if not self.data_loaded:
            columns = {code: list(lines) for code, lines in self.corpus.sentences.items()}
            self.dataset = DatasetDict({SPLIT: Dataset.from_dict(columns)})
            self.data_loaded = True

    def _evaluate_subset(
        self,
        model: Any,
        data_split: Dataset,
        *,
        hf_split: str,
        hf_subset: str,
        encode_kwargs: Mapping[str, Any],
        prediction_folder: Path | None = None,
        num_proc: int | None = None,
        timer: TimingStack,
        **kwargs: Any,
    ) -> dict[str, Any]:
        arrays = {}
        for code in data_split.column_names:
            texts = Dataset.from_dict({"text": data_split[code]})
            loader = DataLoader(texts, batch_size=encode_kwargs.get("batch_size", 32))
            with timer("Encoding", split=hf_split, subset=code):
                found = model.encode(
                    loader,
                    task_metadata=self.metadata,
                    hf_split=hf_split,
                    hf_subset=code,
                    **encode_kwargs,
                )
            arrays[code] = _vectors(found, code, len(texts))
        with timer("Scoring", split=hf_split, subset=hf_subset):
            result = self._scored(arrays)
        if prediction_folder:
            assert self.scores is not None
            self._save_task_predictions(
                self.scores.to_dict(),
                model,
                prediction_folder,
                hf_split=hf_split,
                hf_subset=hf_subset,
            )
        return result

    def _scored(self, arrays: Mapping[str, NDArray[np.floating[Any]]]) -> dict[str, Any]:
        """What a result holds, from one vector for each sentence."""
        options = dict(self.options)
        with_companions = options.pop("companions")
        representations = Representations(
            {code: array[None] for code, array in arrays.items()},
            (0,),
            parallel=True,
            groups=self.corpus.groups,
        )
        self.scores = overlap(representations, **options, neighbors=with_companions)
        self.companions = None
        if with_companions:
            self.companions = measure_companions(
                representations,
                self.scores,
                directions=False,
                intervals=options["intervals"],
                level=options["level"],
                seed=options["seed"],
            )
        about = self.scores.intervals
        return {
            **layer_means(self.scores, 0, self.companions),
            "of_languages": of_languages(self.scores, 0),
            "intervals": None
            if about is None
            else {
                "level": about.level,
                "unit": about.unit,
                "n_units": about.n_units,
                "reason": about.reason,
            },
            "n_sentences": self.corpus.n_sentences,
            "n_languages": len(self.corpus.languages),
            "n_neighbors": options["n_neighbors"],
            "threshold": options["threshold"],
            "distance": options["metric"],
            "corpus_sha256": self.corpus.fingerprint(),
            "ilo_fast_version": __version__,
        }

    def _calculate_descriptive_statistics_from_split(
        self,
        split: str,
        *,
        hf_subset: str | None = None,
        compute_overall: bool = False,
        num_proc: int | None = None,
    ) -> dict[str, Any]:
        sentences = self.corpus.sentences.values()
        return {
            "num_samples": self.corpus.n_sentences,
            "number_of_characters": sum(len(line) for lines in sentences for line in lines),
        }

    def _get_content_columns(self) -> dict[str, str]:
        return dict.fromkeys(self.corpus.languages, "text")


def overlap_task(
    corpus: ParallelCorpus | str | os.PathLike[str],
    *,
    languages: str | Sequence[str] | None = None,
    limit: int | None = None,
    split: str | None = None,
    n_neighbors: int = 5,
    threshold: int = 3,
    metric: str = "cosine",
    companions: bool = True,
    intervals: bool = True,
    level: float = 0.95,
    seed: int = 0,
    n_threads: int | None = None,
    main_score: str = "ilo",
) -> OverlapTask:
    """A task for ``mteb.evaluate`` that measures overlap of all languages of a corpus at once.

    Its result holds means over languages of bridge, reach, ILO, translation share and the
    companions, the ends of their intervals (``ilo_low``, ``ilo_high``), what chance gives, and
    under ``"of_languages"`` the four scores of each language. The name of the task tells corpus
    and settings, since MTEB takes an older result of the same name for the same task.

    Parameters
    ----------
    corpus
        A :class:`~ilo_fast.ParallelCorpus` (also of `bitext_corpus`), or the name or folder of
        one.
    languages, limit, split
        Of a name or folder, as :meth:`~ilo_fast.ParallelCorpus.load` has them.
    n_neighbors, threshold, metric, intervals, level, seed, n_threads
        As :func:`~ilo_fast.overlap`.
    companions
        Also the scores of :func:`~ilo_fast.companions`. With intervals they are most of the time.
    main_score
        ``"ilo"``, ``"bridge"``, ``"reach"``, ``"translation_share"`` or, of the companions,
        ``"translation_ilo"``.

    Raises
    ------
    AccessError, CorpusError
        As :meth:`~ilo_fast.ParallelCorpus.load`.
    ValueError, TypeError
        Options out of range.
    """
    if not isinstance(corpus, ParallelCorpus):
        corpus = ParallelCorpus.load(corpus, languages, limit, split=split)
    elif languages is not None or limit is not None:
        corpus = corpus.select(languages, limit)
    choice("main_score", main_score, _MAIN_SCORES)
    if main_score == "translation_ilo" and not companions:
        raise ValueError("main_score='translation_ilo' is one of the companions: companions=True")
    options: dict[str, Any] = {
        "n_neighbors": whole_number("n_neighbors", n_neighbors),
        "threshold": whole_number("threshold", threshold),
        "metric": metric,
        "companions": truth("companions", companions),
        "intervals": truth("intervals", intervals),
        "level": check_level(level),
        "seed": whole_number("seed", seed, least=0),
    }
    check_measurable(
        dict.fromkeys(corpus.languages, corpus.n_sentences),
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric=metric,
        backend="auto",
        n_threads=n_threads,
        parallel=True,
    )
    content = {
        "format": _FORMAT,
        "corpus": corpus.fingerprint(),
        "languages": list(corpus.languages),
        "documents": corpus.groups,
        "main_score": main_score,
        **options,
    }
    name = re.sub(r"[^\w.+]+", "_", plain(corpus.name)).strip("_") or "corpus"
    known = corpus.info.get("kind") == "mteb"
    metadata = TaskMetadata(
        name=f"InterlingualOverlap-{name}-{digest(content)[:12]}",
        description=(
            f"Interlingual Local Overlap of {len(corpus.languages)} languages, "
            f"{corpus.n_sentences} sentences each (k = {n_neighbors}, t = {threshold}, {metric})."
        ),
        reference="https://arxiv.org/abs/2503.11280",
        dataset={
            "path": corpus.info["path"] if known else corpus.name,  # no path of this machine
            "revision": corpus.info["revision"] if known else corpus.fingerprint(),
        },
        type="BitextMining",
        category="t2t",
        modalities=["text"],
        eval_splits=[SPLIT],
        eval_langs=_bcp47(corpus.languages),  # a list: one subset
        main_score=main_score,
    )
    kind = type(
        "OverlapTask",
        (OverlapTask,),
        {
            "metadata": metadata,
            "corpus": corpus,
            "options": {**options, "n_threads": n_threads},
            "__module__": OverlapTask.__module__,
            "__doc__": OverlapTask.__doc__,
        },
    )
    made: OverlapTask = kind()
    return made


def _bcp47(codes: Sequence[str]) -> list[str]:
    """``eng-Latn`` of ``eng_Latn`` and of its variants; codes of other forms are left out."""
    matches = [re.match(r"([a-z]{3})_([A-Z][a-z]{3})(?:_|$)", code) for code in codes]
    return list(dict.fromkeys(f"{m[1]}-{m[2]}" for m in matches if m))


def _vectors(found: Any, code: str, n: int) -> NDArray[np.floating[Any]]:
    """What an encoder returned as float32 or float64, one row for each sentence."""
    if isinstance(found, torch.Tensor):
        found = found.detach().cpu()
        found = (found if found.dtype == torch.float64 else found.float()).numpy()
    array = np.asarray(found)
    if array.shape[:1] != (n,) or array.ndim != 2:
        raise ValueError(
            f"the encoder gave {code} an array of shape {array.shape}, wanted ({n}, dim): one "
            "vector for each sentence"
        )
    return array if array.dtype == np.float64 else array.astype(np.float32)
