"""What a fine-tuning run is given: text or labelled text to train on, a corpus to measure on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ilo_fast._util.hashing import digest
from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.corpora.opening import Corpus
from ilo_fast.corpora.text import read_text
from ilo_fast.representations.extraction import resolve_layers
from ilo_fast.scores.overlap import overlap
from ilo_fast.training.finetune.examples import hold_out
from ilo_fast.training.finetune.heads import CLASSIFICATION, LANGUAGE_MODEL
from ilo_fast.training.finetune.options import Options

_EVALUATION_SPLITS = ("dev", "validation")


@dataclass(frozen=True)
class TrainingData:
    """What is trained and evaluated on, as text."""

    name: str
    train: tuple[str, ...]
    held: tuple[str, ...]
    labels: tuple[str, ...] = ()
    train_targets: Any = None
    held_targets: Any = None
    info: Any = None

    def fingerprint(self) -> str:
        """SHA-256 over texts and labels, in their order."""
        targets = [[int(t) for t in part] if part is not None else []
                   for part in (self.train_targets, self.held_targets)]  # fmt: skip
        return digest([self.train, self.held, self.labels, targets])


def task_of(task: str, data: Any) -> str:
    """The task that `task` stands for; a ValueError where `data` does not fit it."""
    fits = CLASSIFICATION if isinstance(data, LabelledCorpus) else LANGUAGE_MODEL
    if task == "auto" or task == fits:
        return fits
    if fits == CLASSIFICATION:
        raise ValueError(
            f"task={task!r} wants text, and data is a LabelledCorpus: pass "
            "data.texts(language, 'train')"
        )
    raise ValueError(
        f"task={task!r} wants labels, and data is a {type(data).__name__}: pass a LabelledCorpus, "
        "LabelledCorpus.from_dir(folder)"
    )


def read_data(data: Any, task: str, options: Options) -> TrainingData:
    """Text with some lines held out, or the splits of labelled data; errors as `read_text`."""
    language = options.language
    if task == LANGUAGE_MODEL:
        lines = read_text(data, language)
        kept, held = hold_out(lines, options.heldout)
        named = isinstance(data, (str, os.PathLike))
        name = Path(os.fspath(data)).name if named else getattr(data, "name", "text")
        info = {"path": os.fspath(data)} if named else None
        return TrainingData(str(name), tuple(kept), tuple(held), info=info)
    targets = data.targets(language, "train")
    found = sorted({data.labels[target] for target in targets})
    if len(found) < 2:
        raise ValueError(
            f"data: all {len(targets)} texts of {language} to train on have the label "
            f"{found[0]!r}, and a classifier needs two"
        )
    split = next((s for s in _EVALUATION_SPLITS if s in data.splits_of(language)), None)
    return TrainingData(
        data.name,
        data.texts(language, "train"),
        () if split is None else data.texts(language, split),
        labels=tuple(data.labels),
        train_targets=targets,
        held_targets=None if split is None else data.targets(language, split),
        info=dict(data.source),
    )


def check_overlap(options: Mapping[str, Any], corpus: Corpus, n_blocks: int) -> None:
    """Whether what is to be measured can be, of this corpus and a model of so many blocks.

    Raises
    ------
    ValueError
        Layers that do not exist, fewer sentences than neighbours, a threshold out of reach.
    """
    resolve_layers(options.get("layers"), n_blocks)
    sizes = [len(lines) for lines in corpus.sentences.values()]
    defaults: Any = overlap.__kwdefaults__
    k = options.get("n_neighbors", defaults["n_neighbors"])
    t = options.get("threshold", defaults["threshold"])
    if len(sizes) < 2:
        raise ValueError(
            f"corpus has {len(sizes)} language: overlap between languages needs at least 2"
        )
    if not 1 <= k < sum(sizes):
        raise ValueError(
            f"overlap_options: n_neighbors={k!r} must be 1 to {sum(sizes) - 1}: the corpus has "
            f"{sum(sizes)} sentences in all its languages"
        )
    if not 1 <= t <= min(len(sizes) - 1, k):
        raise ValueError(
            f"overlap_options: threshold={t!r} must be 1 to {min(len(sizes) - 1, k)} with "
            f"{len(sizes)} languages and n_neighbors={k}"
        )
