"""Conditions run on prompts: how they go on, and what is measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.steering.conditions import Condition, steered
from ilo_fast.transcoders.multilingual.steering.generating import (
    continuations,
    mean_log_likelihoods,
)
from ilo_fast.transcoders.multilingual.steering.measures import (
    Outcome,
    chrf_scores,
    plain_said,
)
from ilo_fast.transcoders.multilingual.steering.preparing import Bench

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Generated:
    """How all prompts of a source went on under one condition, whatever the target.

    Attributes
    ----------
    texts, said : tuple of str
    loss, loss_alone, distinct : (test prompts,)
    """

    texts: tuple[str, ...]
    said: tuple[str, ...]
    loss: Floats
    loss_alone: Floats
    distinct: Floats


class Runner:
    """Runs conditions on the prompts of a bench.

    What does not depend on the target (the model as it is, features suppressed) is generated once
    for each source, and kept.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        prompts = bench.prompts
        self.validation = np.flatnonzero(prompts.is_validation)
        self.test = np.flatnonzero(~prompts.is_validation)
        self._other = _others(prompts.document[self.test])
        self._kept: dict[tuple[str, str], list[Generated]] = {}

    def forget(self) -> None:
        """What was kept of a source, when its pairs are done."""
        self._kept.clear()

    def said(self, source: str, conditions: Sequence[Condition]) -> list[list[str]]:
        """Of each condition (validation prompts,): the language that they go on in."""
        rows = self._continued(source, self.validation, conditions)
        return [list(plain_said(self.bench.identifier.predict(self._texts(own)))) for own in rows]

    def run(
        self,
        source: str,
        target: str,
        conditions: Sequence[Condition],
        *,
        n_sets: int = 1,
        key: str | None = None,
    ) -> list[tuple[list[str], Outcome]]:
        """Of each condition what validation prompts go on in, and measures of the test prompts.

        Parameters
        ----------
        n_sets
            So many conditions that follow each other are draws of one; likelihoods, which take most
            of the time, are computed for the first of them, and are NaN for the others.
        key
            Names conditions that do not depend on the target.
        """
        bench, test = self.bench, self.test
        every = np.arange(len(bench.prompts))
        kept = None if key is None else self._kept.get((source, key))
        if kept is None:
            kept = self._generated(source, self._continued(source, every, conditions))
            if key is not None:
                self._kept[source, key] = kept
        rest = [bench.prompts.rest[target][at] for at in test]
        both = np.full((len(conditions), 2 * len(test)), np.nan)
        both[::n_sets] = self._references(
            source, [*rest, *(rest[at] for at in self._other)], conditions[::n_sets]
        )
        references = [bench.prompts.references[target][at] for at in test]
        found = []
        for one, likelihoods in zip(kept, both, strict=True):
            texts = tuple(one.texts[at] for at in test)
            outcome = Outcome(
                texts=texts,
                said=tuple(one.said[at] for at in test),
                reference=likelihoods[: len(test)],
                shuffled=likelihoods[len(test) :],
                chrf=chrf_scores(texts, references),
                loss=one.loss,
                loss_alone=one.loss_alone,
                distinct=one.distinct,
            )
            found.append(([one.said[at] for at in self.validation], outcome))
        return found

    def _continued(
        self, source: str, prompts: NDArray[Any], conditions: Sequence[Condition]
    ) -> list[list[list[int]]]:
        """Of each condition and prompt the tokens that follow."""
        bench, n = self.bench, len(prompts)
        own = [bench.prompts.ids[source][at] for at in prompts]
        with steered(bench.it, conditions) as steering:
            rows = continuations(
                bench.it.model,
                own * len(conditions),
                max_new_tokens=bench.settings.max_new_tokens,
                pad=bench.pad,
                forbidden=bench.forbidden,
                begin=lambda batch: steering.begin([at // n for at in batch]),
            )
        return [rows[at * n : (at + 1) * n] for at in range(len(conditions))]

    def _references(
        self, source: str, following: Sequence[Sequence[int]], conditions: Sequence[Condition]
    ) -> Floats:
        """(conditions, following): likelihoods behind the test prompts, which come twice."""
        bench, n = self.bench, len(following)
        prompts = [bench.prompts.ids[source][at] for at in self.test] * 2
        with steered(bench.it, conditions) as steering:
            found = mean_log_likelihoods(
                bench.it.model,
                prompts * len(conditions),
                list(following) * len(conditions),
                pad=bench.pad,
                begin=lambda batch: steering.begin([at // n for at in batch]),
            )
        return found.reshape(len(conditions), n)

    def _texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        tokenizer = self.bench.tokenizer
        return [str(tokenizer.decode(row, skip_special_tokens=True)) for row in rows]

    def _generated(self, source: str, rows: Sequence[list[list[int]]]) -> list[Generated]:
        """Of each condition, with the losses of the model as it is."""
        bench, n = self.bench, len(self.test)
        prompts = [bench.prompts.ids[source][at] for at in self.test]
        own = [row for one in rows for row in (one[at] for at in self.test)]
        first = list(bench.beginning)
        before = [first or row[:1] for row in own]  # without one, the first token is given
        after = [row if first else row[1:] for row in own]
        behind, alone = -mean_log_likelihoods(
            bench.it.model, [*prompts * len(rows), *before], [*own, *after], pad=bench.pad
        ).reshape(2, len(rows), n)
        found = []
        for at, one in enumerate(rows):
            texts = self._texts(one)
            distinct = [len(set(row)) / len(row) for row in own[at * n : (at + 1) * n]]
            found.append(
                Generated(
                    texts=tuple(texts),
                    said=plain_said(bench.identifier.predict(texts)),
                    loss=behind[at],
                    loss_alone=alone[at],
                    distinct=np.array(distinct),
                )
            )
        return found


def _others(document: NDArray[np.int64]) -> list[int]:
    """For each prompt another, of another document where there is one: its reference is wrong."""
    n = len(document)
    found = []
    for at in range(n):
        later = [(at + step) % n for step in range(1, n)]
        found.append(next((o for o in later if document[o] != document[at]), later[0]))
    return found
