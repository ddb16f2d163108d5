"""What a fine-tuning run is given: text with some lines set aside, or labelled text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ilo_fast._util.hashing import digest
from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.corpora.text import normalised, read_text

LANGUAGE_MODEL: Final = "causal-lm"
CLASSIFICATION: Final = "classification"
TASKS: Final = (LANGUAGE_MODEL, CLASSIFICATION)
_EVALUATION_SPLITS: Final = ("dev", "validation")


@dataclass(frozen=True)
class TrainingData:
    """What is trained and evaluated on, as text; `targets` are positions in `labels`."""

    name: str
    train: Sequence[str]
    held: Sequence[str]
    labels: tuple[str, ...] = ()
    train_targets: Sequence[int] = ()
    held_targets: Sequence[int] = ()
    source: Any = None

    def fingerprint(self) -> str:
        """SHA-256 over texts and labels, in their order."""
        targets = [[int(t) for t in part] for part in (self.train_targets, self.held_targets)]
        return digest([self.train, self.held, self.labels, targets])


def task_of(task: str, data: Any) -> str:
    """The task that `task` stands for.

    Raises
    ------
    ValueError
        No such task, or `data` does not fit it.
    """
    fits = CLASSIFICATION if isinstance(data, LabelledCorpus) else LANGUAGE_MODEL
    if task in ("auto", fits):
        return fits
    if task not in TASKS:
        raise ValueError(f"task={task!r}: wanted 'auto', {' or '.join(map(repr, TASKS))}")
    if fits == CLASSIFICATION:
        raise ValueError(
            f"task={task!r} wants text, and data is a LabelledCorpus: pass "
            "data.texts(language, 'train')"
        )
    raise ValueError(
        f"task={task!r} wants labels, and data is a {type(data).__name__}: pass a LabelledCorpus, "
        "LabelledCorpus.from_dir(folder)"
    )


def read_data(data: Any, language: str, eval_fraction: float) -> TrainingData:
    """Text with some lines held out, or the splits of labelled data; errors as `read_text`."""
    if not isinstance(data, LabelledCorpus):
        kept, held = hold_out(read_text(data, language), eval_fraction)
        if isinstance(data, (str, os.PathLike)):
            path = os.fspath(data)
            return TrainingData(Path(path).name, kept, held, source={"path": path})
        return TrainingData(str(getattr(data, "name", "text")), kept, held)
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
        train_targets=targets.tolist(),
        held_targets=() if split is None else data.targets(language, split).tolist(),
        source=dict(data.source),
    )


def hold_out(lines: Sequence[str], share: float) -> tuple[list[str], list[str]]:
    """Set some lines aside, the same ones whatever the seed of the training.

    Lines that are the same (see `normalised`) stay together, so nothing held out is trained on.

    Parameters
    ----------
    lines
        The text.
    share
        Of the distinct lines, 0 to below 1; 0 sets nothing aside, else at least one line is.

    Returns
    -------
    kept, held : list of str
        Both in the order of `lines`.
    """
    keys = [normalised(line) for line in lines]
    distinct = list(dict.fromkeys(keys))
    if share == 0 or len(distinct) < 2:
        return list(lines), []
    wanted = min(max(1, round(share * len(distinct))), len(distinct) - 1)
    chosen = np.random.default_rng(0).choice(len(distinct), wanted, replace=False)
    held = {distinct[i] for i in chosen}
    kept = [line for line, key in zip(lines, keys, strict=True) if key not in held]
    return kept, [line for line, key in zip(lines, keys, strict=True) if key in held]
