"""Parallel text from MTEB's own bitext tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mteb
from mteb.abstasks import AbsTaskBitextMining

from ilo_fast._util.messages import listed
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.errors import CorpusError


def bitext_corpus(
    task: str | AbsTaskBitextMining,
    *,
    languages: str | Sequence[str] | None = None,
    limit: int | None = None,
    split: str | None = None,
    documents: str | None = None,
) -> ParallelCorpus:
    """The text of a bitext task that has a column for each language, all languages at once.

    ``FloresBitextMining``, ``NTREXBitextMining``, ``IN22GenBitextMining`` and others whose
    ``parallel_subsets`` is true. The data are loaded once, by MTEB; a task that was loaded before
    is read as it is.

    Parameters
    ----------
    task
        Its name, or the task itself.
    languages, limit
        As :meth:`~ilo_fast.ParallelCorpus.select`.
    split
        None: the only one that the task evaluates.
    documents
        Column that says of which document a sentence is: intervals draw documents. None: the unit
        is the sentence.

    Raises
    ------
    CorpusError
        Text in pairs of languages, a split or column that is not there, flawed text.
    """
    if isinstance(task, str):
        task = mteb.get_task(task)
    name = task.metadata.name
    if not getattr(task, "parallel_subsets", False):
        raise CorpusError(
            f"{name} has no column for each language (parallel_subsets), but its own text for "
            "every pair: overlap needs the same sentences in all languages"
        )
    if not task.data_loaded:
        task.load_data()
    splits = list(task.eval_splits)
    if split is None and len(splits) == 1:
        split = splits[0]
    if split not in task.dataset:
        raise CorpusError(f"split={split!r} is not there: {name} has {listed(list(task.dataset))}")
    table: Any = task.dataset[split]
    codes = {code for pair in task.metadata.eval_langs for code in pair.split("-")}
    columns = [column for column in table.column_names if column in codes]
    if documents is not None and documents not in table.column_names:
        raise CorpusError(
            f"documents={documents!r} is no column of {name}: it has {listed(table.column_names)}"
        )
    dataset = task.metadata.dataset
    corpus = ParallelCorpus(
        {column: table[column] for column in columns},
        name=name,
        source={
            "kind": "mteb",
            "path": dataset["path"],
            "revision": dataset["revision"],
            "split": split,
            "documents_from": documents,
        },
        groups=None if documents is None else tuple(map(str, table[documents])),
        allow_unknown=True,
    )
    return corpus.select(languages, limit)
