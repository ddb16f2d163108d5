"""What is run: conditions, runs, and which sentences are trained on, tested on and measured on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = "eng_Latn"
CLASSIFICATION, LM = "classification", "lm"

CONDITIONS = {
    "none": "nothing is frozen",
    "embeddings": "embeddings and head, no block",
    "first": "the first n blocks, embeddings and head (the condition of arXiv 2503.11280)",
    "last": "the last n blocks, embeddings and head",
    "random": "n blocks drawn by the seed (not the first n, nor the last n), embeddings and head",
    "head": "all blocks, embeddings and final norm: only the task head is trained",
}
DEFAULT_CONDITIONS = {
    CLASSIFICATION: ("none", "embeddings", "first", "last", "random", "head"),
    LM: ("none", "embeddings", "first", "last", "random"),
}
RATES_ASIDE = ("none", "first")  # the conditions that are repeated at other learning rates
NOTE = (
    "first, last and random freeze the same number of parameters: n blocks of equal size, and with "
    "them the embeddings and the head (the output projection onto the vocabulary, where the model "
    "trained has one, and the final norm), as the published code does with the first blocks. A "
    "classifier and a pooler are never frozen. The same seed gives every condition the same new "
    "classifier and the same order of data."
)


@dataclass(frozen=True)
class Run:
    """One fine-tuning: a model, a task, a condition and a seed."""

    task: str
    model: str
    label: str
    condition: str
    seed: int
    rate: float | None = None  # a learning rate aside from the recipe's, part of the label

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.task}-{slug(self.label)}-{self.condition}-seed{self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {k: v for k, v in asdict(self).items() if k != "rate" or v is not None}


def slug(text: str) -> str:
    """Safe in a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "model"


def runs(
    models: dict[str, str],
    tasks: dict[str, Sequence[str]],
    seeds: int,
    lm_labels: Iterable[str],
    rates_aside: Sequence[float] = (),
) -> list[Run]:
    """All runs, seed by seed: what is there of an interrupted study is balanced.

    ``models`` maps a label to a path or hub name, ``tasks`` a task to its conditions. Of each of
    ``rates_aside`` there are runs of `RATES_ASIDE`, as if it were a model of its own.
    """
    lm_labels = set(lm_labels)
    return [
        Run(task, path, label_at(label, rate), condition, seed, rate)
        for seed in range(seeds)
        for rate in (None, *rates_aside)
        for task, conditions in tasks.items()
        for label, path in models.items()
        if task != LM or label in lm_labels
        for condition in conditions
        if rate is None or condition in RATES_ASIDE
    ]


def label_at(label: str, rate: float | None) -> str:
    """What a model is called where it is trained at a learning rate aside from its recipe's."""
    return label if rate is None else f"{label} at {rate:g}"


def frozen_blocks(condition: str, n_blocks: int, n: int, seed: int) -> tuple[int, ...] | None:
    """The blocks to freeze; None where nothing at all is frozen.

    ``random`` depends on the seed alone, so that every model with as many blocks, and both tasks,
    freeze the same.
    """
    first, last = tuple(range(n)), tuple(range(n_blocks - n, n_blocks))
    if condition == "none":
        return None
    if condition == "embeddings":
        return ()
    if condition == "first":
        return first
    if condition == "last":
        return last
    if condition == "head":
        return tuple(range(n_blocks))
    if condition != "random":
        raise ValueError(f"condition={condition!r} is not known: use {', '.join(CONDITIONS)}")
    if not 0 < n < n_blocks or n_blocks < 3:
        raise ValueError(
            f"freeze_n={n} of {n_blocks} blocks: random has nothing to draw that is neither the "
            "first n nor the last n; name --conditions without it"
        )
    rng = np.random.default_rng([2503, 11280, seed])
    while True:
        drawn = tuple(sorted(int(i) for i in rng.choice(n_blocks, n, replace=False)))
        if drawn not in (first, last):
            return drawn


def bands(n_layers: int, n: int) -> dict[str, tuple[int, ...]]:
    """Hidden states of each part: ``early`` leave the first n blocks, ``late`` the last n.

    Hidden state 0, the embedding output, is a part of its own; what lies between is ``middle``,
    which a model with 2 n blocks does not have: ``late`` is then all that lies ``above`` the first
    n blocks.
    """
    if n < 1:
        raise ValueError(f"freeze_n={n}: wanted at least 1, in a model of at least 2 blocks")
    if n > (n_layers - 1) // 2:
        raise ValueError(
            f"freeze_n={n} of {n_layers - 1} blocks: first and last would overlap; "
            f"give at most {(n_layers - 1) // 2}"
        )
    parts = {
        "embeddings": (0,),
        "early": tuple(range(1, n + 1)),
        "middle": tuple(range(n + 1, n_layers - n)),
        "late": tuple(range(n_layers - n, n_layers)),
        "above": tuple(range(n + 1, n_layers)),
    }
    return {name: layers for name, layers in parts.items() if layers}


def spread(lines: Sequence[int], limit: int | None) -> list[int]:
    """``limit`` of the lines, evenly spread (neighbours are often from one article)."""
    if limit is None or limit >= len(lines):
        return list(lines)
    return [lines[i] for i in np.linspace(0, len(lines) - 1, limit).round().astype(int)]


def unseen_lines(
    sib_ids: Iterable[str], n_lines: int, articles: Sequence[str] | None = None
) -> tuple[list[int], dict[str, Any]]:
    """Lines of FLORES devtest that SIB does not have, and how many were dropped, and why.

    Parameters
    ----------
    sib_ids
        The field ``flores`` of every labelled sentence, of all splits: ``dev:N`` or ``devtest:N``.
    n_lines
        Lines of FLORES devtest.
    articles
        Of each line, the article that it was taken from. Lines of an article of which SIB has any
        sentence are dropped, too.
    """
    used = set()
    for identifier in sib_ids:
        part, _, number = identifier.partition(":")
        if part not in ("dev", "devtest") or not number.isdigit():
            raise ValueError(f"flores={identifier!r}: wanted 'dev:N' or 'devtest:N'")
        if part == "devtest":
            used.add(int(number))
    if used and max(used) >= n_lines:
        raise ValueError(f"devtest:{max(used)} is beyond the {n_lines} lines of FLORES devtest")
    free = [line for line in range(n_lines) if line not in used]
    info: dict[str, Any] = {"lines": n_lines, "of_sib": len(used)}
    if articles is not None:
        if len(articles) != n_lines:
            raise ValueError(f"{len(articles)} articles for {n_lines} lines of FLORES devtest")
        touched = {articles[line] for line in used}
        kept = [line for line in free if articles[line] not in touched]
        info["of_an_article_of_sib"] = len(free) - len(kept)
        free = kept
    info["left"] = len(free)
    return free, info


def read_articles(folder: Path) -> list[str] | None:
    """The article of every FLORES devtest line, where its metadata are beside it."""
    path = folder / "metadata_devtest.tsv"
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t")[0] for line in lines]


def shared_articles(
    train_ids: Iterable[str], test_ids: Iterable[str], articles: Sequence[str] | None
) -> dict[str, int]:
    """How many test sentences come from an article that has training sentences, too.

    Parameters
    ----------
    train_ids, test_ids
        The field ``flores`` of the sentences, ``dev:N`` or ``devtest:N``.
    articles
        Of each devtest line, the article that it was taken from; those of dev are not known.
    """

    def known(identifiers: Iterable[str]) -> list[str]:
        pairs = [identifier.split(":") for identifier in identifiers]
        return [articles[int(line)] for part, line in pairs if articles and part == "devtest"]

    trained, tested = set(known(train_ids)), known(test_ids)
    return {"known": len(tested), "of_training": sum(article in trained for article in tested)}
