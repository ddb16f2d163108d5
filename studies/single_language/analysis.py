"""From finished runs to paired differences, intervals and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .companions import COMPANIONS
from .plan import CLASSIFICATION, CONDITIONS, LM, SOURCE, bands
from .stats import Claim, Interval, interval

SCORES = ("ilo", "translation_share", *COMPANIONS)
ACCURACIES = ("zero-shot", "English")


@dataclass(frozen=True)
class Group:
    """All runs of one task and model: seeds that every condition has, in step with each other.

    Attributes
    ----------
    before : score -> (languages, layers)
    after : score -> condition -> (seeds, languages, layers)
    correct : condition -> (seeds, languages, test sentences), 0 or 1; empty without labels
    loss : condition -> (seeds,), nats a token of held-out English; empty with labels
    """

    task: str
    label: str
    freeze_n: int
    languages: tuple[str, ...]
    layers: tuple[int, ...]
    conditions: tuple[str, ...]
    seeds: tuple[int, ...]
    before: dict[str, NDArray[np.float64]]
    after: dict[str, dict[str, NDArray[np.float64]]]
    correct: dict[str, NDArray[np.float64]]
    loss: dict[str, NDArray[np.float64]]
    frozen: dict[str, list[Any]]

    @property
    def bands(self) -> dict[str, tuple[int, ...]]:
        """Positions of the layers of each part."""
        return bands(len(self.layers), self.freeze_n)

    def at(self, x: NDArray[np.float64], where: str | int) -> NDArray[np.float64]:
        """(seeds, languages) of a part (its mean) or of one layer."""
        if isinstance(where, int):
            return x[..., where]
        return x[..., list(self.bands[where])].mean(axis=-1)

    def change(self, condition: str, score: str) -> NDArray[np.float64]:
        """After minus before, (seeds, languages, layers)."""
        return self.after[score][condition] - self.before[score]

    def difference(self, condition: str, other: str, score: str) -> NDArray[np.float64]:
        """A condition minus another one of the same seed, (seeds, languages, layers)."""
        return self.after[score][condition] - self.after[score][other]

    def answers(self, condition: str, where: str) -> NDArray[np.float64]:
        """Which answers are right, (seeds, languages, sentences): English, or all others."""
        english = np.array([code == SOURCE for code in self.languages])
        return self.correct[condition][:, english if where == "English" else ~english]

    @property
    def contrasts(self) -> list[tuple[str, str]]:
        """Every condition beside none; the first blocks beside each other condition."""
        pairs = [(c, "none") for c in self.conditions if c != "none"]
        pairs += [("first", c) for c in self.conditions if c not in ("none", "first")]
        return [p for p in pairs if set(p) <= set(self.conditions)]


def groups(
    results: Sequence[dict[str, Any]], before: dict[str, dict[str, Any]], freeze_n: dict[str, int]
) -> list[Group]:
    """Sort finished runs into groups; runs whose seed is not finished everywhere are left out."""
    by_group: dict[tuple[str, str], dict[str, dict[int, dict[str, Any]]]] = {}
    for result in results:
        run = result["run"]
        conditions = by_group.setdefault((run["task"], run["label"]), {})
        conditions.setdefault(run["condition"], {})[run["seed"]] = result
    found = []
    for (task, label), by_condition in by_group.items():
        seeds = tuple(sorted(set.intersection(*(set(s) for s in by_condition.values()))))
        conditions = tuple(c for c in CONDITIONS if c in by_condition)
        if not seeds or "none" not in conditions:
            continue
        start = before[label]
        rows = {c: [by_condition[c][s] for s in seeds] for c in conditions}
        found.append(
            Group(
                task=task,
                label=label,
                freeze_n=freeze_n[label],
                languages=tuple(start["languages"]),
                layers=tuple(start["layers"]),
                conditions=conditions,
                seeds=seeds,
                before={s: np.array(start[s], float).T for s in SCORES},
                after={
                    score: {
                        c: np.array([np.array(r["after"][score], float).T for r in rows[c]])
                        for c in conditions
                    }
                    for score in SCORES
                },
                correct={
                    c: np.array([r["transfer"]["correct"] for r in rows[c]], float)
                    for c in conditions
                    if task == CLASSIFICATION
                },
                loss={
                    c: np.array([r["metrics"]["token_loss"] for r in rows[c]], float)
                    for c in conditions
                    if task == LM
                },
                frozen={c: [r["frozen"] for r in rows[c]] for c in conditions},
            )
        )
    return found


def rows(group: Group) -> Iterator[dict[str, Any]]:
    """Every difference with its interval: what, of which score, where."""

    def row(what: str, score: str, where: str | int, found: Interval, **more: Any) -> dict:
        place = f"layer {group.layers[where]}" if isinstance(where, int) else where
        names = {"task": group.task, "model": group.label}
        return {**names, "what": what, "score": score, "where": place, **found.to_dict(), **more}

    places: list[str | int] = [*group.bands, *range(len(group.layers))]
    for score in SCORES:
        for condition in group.conditions:
            x = group.change(condition, score)
            for where in places:
                yield row(
                    f"{condition}: after - before", score, where, interval(group.at(x, where))
                )
        for condition, other in group.contrasts:
            x = group.difference(condition, other, score)
            for where in places:
                yield row(f"{condition} - {other}", score, where, interval(group.at(x, where)))
    for condition, other in group.contrasts if group.loss else ():
        x = (group.loss[condition] - group.loss[other])[:, None]
        yield row(f"{condition} - {other}", "token_loss", "English", interval(x))
    if group.correct:
        for condition, other in group.contrasts:
            for where in ACCURACIES:
                x = group.answers(condition, where) - group.answers(other, where)
                inner = interval(x.mean(axis=-1))
                yield row(
                    f"{condition} - {other}",
                    "accuracy",
                    where,
                    interval(x),
                    seeds_and_languages_alone=inner.to_dict(),
                )


def claims(group: Group) -> list[Claim]:
    """The claims of arXiv 2503.11280 that this group can speak to, in the order of the paper.

    1: training on one language disrupts the alignment of early layers. 2: freezing early layers
    preserves it. 3: freezing early layers improves cross-lingual generalisation. What has a comma
    asks whether it is the *early* layers that matter.
    """
    found = []
    for score in SCORES:
        change = group.change("none", score)
        early, late = group.at(change, "early"), group.at(change, "late")
        found += [
            Claim(
                "1",
                "training on one language lowers it in early layers",
                score,
                "none: after - before, early layers",
                interval(early),
                -1,
            ),
            Claim(
                "1, early",
                "... more than in late layers",
                score,
                "none: change in early layers - change in late layers",
                interval(early - late),
                -1,
            ),
        ]
    if "first" not in group.conditions:
        return found
    others = [c for c in ("none", "embeddings", "last", "random") if c in group.conditions]
    says = {
        "none": ("2", "freezing the first n blocks keeps it higher in the layers above them"),
        "embeddings": ("2, blocks", "... more than freezing embeddings and head alone"),
    }
    for score in SCORES:
        # In the first n blocks it is trivial: with the embeddings frozen, they give what they gave.
        for other in [c for c in others if c in says]:
            x = group.at(group.difference("first", other, score), "above")
            measured = f"first - {other}, layers above the first n"
            found.append(Claim(*says[other], score, measured, interval(x), 1))
    says = {
        "none": ("3", "freezing the first n blocks raises zero-shot accuracy"),
        "embeddings": ("3, blocks", "... more than freezing embeddings and head alone"),
        "last": ("3, early", "... more than freezing the last n"),
        "random": ("3, early", "... more than freezing n at random"),
    }
    for other in others if group.correct else ():
        x = group.answers("first", "zero-shot") - group.answers(other, "zero-shot")
        measured = f"first - {other}, zero-shot accuracy"
        found.append(Claim(*says[other], "accuracy", measured, interval(x), 1))
    return found
