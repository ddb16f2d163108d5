"""One pair of languages: every way of steering at every strength, the choice, the comparison."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.steering.conditions import (
    Condition,
    adding,
    substituting,
    suppressing,
)
from ilo_fast.transcoders.multilingual.steering.measures import Measures, Outcome, measured
from ilo_fast.transcoders.multilingual.steering.result import (
    SUBSTITUTION,
    SUPPRESSION,
    Contrast,
    ModeResult,
    PairResult,
    SteeringExample,
)
from ilo_fast.transcoders.multilingual.steering.running import Runner

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Make = Callable[[float], Condition]
Succeeds = Callable[[Sequence[str]], Floats]

RANDOM: Final = "random"
RANDOM_SUPPRESSION: Final = "random_suppression"
VECTORS: Final = ("mean_difference", "unembedding")


def steered_pair(runner: Runner, source: str, target: str) -> PairResult:
    """All ways of steering from one language into another; each has features."""
    steering = _Pair(runner, source, target)
    [(_, unsteered)] = runner.run(source, target, [adding(None)], key="unsteered")
    steering.suppression()
    steering.substitution()
    steering.random()
    for name in VECTORS:
        if name in runner.bench.settings.baselines:
            steering.vector(name)
    return steering.result(unsteered)


class _Pair:
    def __init__(self, runner: Runner, source: str, target: str) -> None:
        self.runner, self.source, self.target = runner, source, target
        self.bench, self.settings = runner.bench, runner.bench.settings
        self.columns = self.bench.columns[source], self.bench.columns[target]
        self.document = self.bench.prompts.document[runner.test]
        self.modes: dict[str, ModeResult] = {}
        self.texts: dict[str, tuple[str, ...]] = {}

    def _into_target(self, said: Sequence[str]) -> Floats:
        return np.array([float(code == self.target) for code in said])

    def _out_of_source(self, said: Sequence[str]) -> Floats:
        return np.array([float(code != self.source) for code in said])

    def suppression(self) -> None:
        """The source's features, scaled down."""
        off = self.columns[0]
        self._add(SUPPRESSION, [lambda s: suppressing(off, s)], self._out_of_source, of_source=True)

    def substitution(self) -> None:
        """The source's features off, the target's at their mean."""
        off, on = self.columns
        means = self.bench.means.of(self.target, on)
        self._add(SUBSTITUTION, [lambda s: substituting(off, on, means, s)], self._into_target)

    def random(self) -> None:
        """Random features in place of the languages'."""
        if RANDOM not in self.settings.baselines:
            return
        off, on = self.columns
        off = np.setdiff1d(off, on)
        try:
            both = self.bench.random_sets(np.concatenate([off, on]))
            of_source = self.bench.random_sets(self.columns[0])
        except ValueError as error:
            logger.warning("%s>%s has no random baseline: %s", self.source, self.target, error)
            return

        def suppressed(row: Integers) -> Make:
            return lambda s: suppressing(row, s)

        def substituted(row: Integers) -> Make:
            first, second = row[: len(off)], row[len(off) :]
            means = self.bench.means.overall[second]
            return lambda s: substituting(first, second, means, s)

        self._add(
            RANDOM_SUPPRESSION, [suppressed(row) for row in of_source], self._out_of_source,
            of_source=True,
        )  # fmt: skip
        self._add(RANDOM, [substituted(row) for row in both], self._into_target)

    def vector(self, name: str) -> None:
        """A vector added to the stream behind the layer that does most on the validation half."""
        make = {
            "mean_difference": self.bench.mean_difference,
            "unembedding": self.bench.unembedding,
        }
        vectors = make[name](self.source, self.target)
        layers = np.arange(self.bench.it.n_layers)

        def only(layer: int) -> Make:
            alone = np.where(layers[:, None] == layer, vectors, 0.0)
            return lambda s: adding(s * alone)

        strengths = self.settings.strengths[::-2][::-1]  # with the strongest
        said = self.runner.said(self.source, [only(int(at))(s) for s in strengths for at in layers])
        best = int(np.argmax([self._into_target(own).mean() for own in said]))
        layer = best % len(layers)  # the first: of equals the weakest
        self._add(name, [only(layer)], self._into_target, layer=layer)

    def _add(
        self,
        mode: str,
        sets: Sequence[Make],
        succeeds: Succeeds,
        *,
        of_source: bool = False,
        layer: int | None = None,
    ) -> None:
        """Run every strength; choose on the validation half, measure on the test half."""
        strengths, n = self.settings.strengths, len(sets)
        runs = self.runner.run(
            self.source, self.target, [make(s) for s in strengths for make in sets],
            n_sets=n, key=mode if of_source else None,
        )  # fmt: skip
        of_strength = [runs[at * n : (at + 1) * n] for at in range(len(strengths))]
        validation = [float(np.mean([succeeds(said) for said, _ in own])) for own in of_strength]
        outcomes = [[outcome for _, outcome in own] for own in of_strength]
        chosen = int(np.argmax(validation))  # the first: strengths ascend
        best = outcomes[chosen]
        success = np.mean([succeeds(one.said) for one in best], axis=0)
        self.texts[mode] = best[0].texts
        self.modes[mode] = ModeResult(
            mode=mode,
            strength=strengths[chosen],
            layer=layer,
            n_sets=n,
            validation=tuple(validation),
            curve=tuple(
                (s, self._measured(own)) for s, own in zip(strengths, outcomes, strict=True)
            ),
            success=tuple(map(float, success)),
        )

    def _measured(self, outcomes: Sequence[Outcome]) -> Measures:
        seed = self.settings.seed
        return measured(outcomes, self.source, self.target, self.document, seed)

    def _contrast(self, mode: str, baselines: Sequence[str]) -> Mapping[str, Contrast]:
        known = [name for name in baselines if name in self.modes]
        if not known:
            return {}
        best = max(known, key=lambda name: max(self.modes[name].validation))
        difference = np.subtract(self.modes[mode].success, self.modes[best].success)
        return {mode: Contrast.of(best, difference, self.document, self.settings.seed)}

    def result(self, unsteered: Outcome) -> PairResult:
        """All that was run."""
        prompts, test = self.bench.prompts, self.runner.test
        examples = []
        for row in range(min(self.settings.n_examples, len(test))):
            texts = {"unsteered": unsteered.texts[row]}
            texts |= {mode: own[row] for mode, own in self.texts.items()}
            examples.append(
                SteeringExample(
                    prompts.texts[self.source][test[row]],
                    prompts.references[self.target][test[row]],
                    texts,
                )
            )
        return PairResult(
            source=self.source,
            target=self.target,
            n_source=len(self.columns[0]),
            n_target=len(self.columns[1]),
            unsteered=self._measured([unsteered]),
            modes=self.modes,
            contrasts={
                **self._contrast(SUBSTITUTION, (RANDOM, *VECTORS)),
                **self._contrast(SUPPRESSION, (RANDOM_SUPPRESSION,)),
            },
            document=tuple(map(int, self.document)),
            examples=tuple(examples),
        )
