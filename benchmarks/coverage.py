"""How often 95 % intervals of overlap scores hold the truth, on populations that can be redrawn.

    python benchmarks/coverage.py --repetitions 400 -o coverage.json --markdown coverage.md

Truth is the mean of a score over all draws of a population at the same size. Coverage is the share
of draws whose interval holds it. The variance ratio is the mean of the squared standard errors over
the variance between draws: 1 is right; that of the delete-one jackknife stands beside it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ilo_fast.graph.arrays import as_stack
from ilo_fast.graph.knn import stacked_graph
from ilo_fast.scores.certainty import intervals
from ilo_fast.scores.certainty.replicates import Replicates
from ilo_fast.scores.certainty.resampling import Resampling

K, T = 5, 3


@dataclass(frozen=True)
class Population:
    """Sentences are a meaning, plus an offset and noise of their language; all Gaussian.

    ``offset`` and ``noise`` are in standard deviations of meaning.
    """

    name: str
    sizes: tuple[int, ...]
    offset: float
    noise: float
    documents: bool = False
    parallel: bool = True
    dimension: int = 16

    def draw(self, rng: np.random.Generator) -> tuple[list[NDArray], list[str] | None]:
        fixed = np.random.default_rng(7)  # of the population, not of the draw
        n, d = max(self.sizes), self.dimension
        meaning, groups = rng.standard_normal((n, d)), None
        if self.documents:
            lengths = rng.integers(1, 6, n)
            of_sentence = np.repeat(np.arange(n), lengths)[:n]
            meaning = 0.8 * rng.standard_normal((n, d))[of_sentence] + 0.6 * meaning
            groups = [str(document) for document in of_sentence]
        arrays = []
        for size in self.sizes:
            offset = self.offset * fixed.standard_normal(d)
            noise = self.noise * fixed.uniform(0.6, 1.4)
            own = meaning[:size] if self.parallel else rng.standard_normal((size, d))
            arrays.append((own + offset + noise * rng.standard_normal((size, d))).astype("f4"))
        return arrays, groups


POPULATIONS = (
    Population("languages mix", (120,) * 6, 0.3, 0.6),
    Population("languages apart", (120,) * 6, 1.0, 0.6),
    Population("weak meaning", (120,) * 6, 0.6, 1.5),
    Population("more languages", (200,) * 12, 0.7, 0.8),
    Population("languages far apart", (100,) * 12, 1.4, 0.8),
    Population("almost no contact", (100,) * 12, 2.0, 0.8),
    Population("documents", (240,) * 6, 0.5, 0.6, documents=True),
    Population("not parallel, unequal", (24, 48, 80, 120, 160, 200), 0.5, 0.6, parallel=False),
)


def replicates(population: Population, seed: int, draw: int) -> Replicates:
    """Those of one draw."""
    arrays, groups = population.draw(np.random.default_rng([seed, draw]))
    resampling = Resampling(
        population.sizes,
        parallel=population.parallel,
        groups=groups,
        n_neighbors=K,
        threshold=T,
        seed=draw,
    )
    stacks = [as_stack(array) for array in arrays]
    graph = stacked_graph(
        stacks,
        resampling.list_length,
        metric="cosine",
        backend="exact",
        n_threads=1,
        progress=False,
    )
    resampling.add_layer(graph.indices[0], stacks)
    return resampling.replicates()


def measure(population: Population, seed: int, repetitions: int) -> list[dict]:
    """One record per score: languages one by one, and their mean."""
    plain_mean = np.full(len(population.sizes), 1 / len(population.sizes))
    values: dict[str, list] = {}
    for draw in range(repetitions):
        found = replicates(population, seed, draw)
        bounds = intervals.intervals(found)
        for score, whole in found.whole.scores(K).items():
            ours = intervals.deviations(found, score)
            jackknife = intervals.jackknife_deviations(found, score)
            one = [whole[0], bounds.low[score][0], bounds.high[score][0]]
            mean = [whole[0] @ plain_mean, bounds.mean_low[score][0], bounds.mean_high[score][0]]
            for deviations in (ours, jackknife):
                one.append(intervals.standard_error(deviations)[0] ** 2)
                mean.append(intervals.standard_error(deviations @ plain_mean)[0] ** 2)
            values.setdefault(score, []).append(np.column_stack([one, mean]))
    return [
        {"population": population.name, "score": score, **_summary(np.array(draws))}
        for score, draws in values.items()
    ]


def _summary(draws: NDArray) -> dict:
    """Of (draws, [value, low, high, variance, jackknife's variance], [languages..., mean])."""
    value, low, high, ours, jackknife = np.moveaxis(draws, 1, 0)
    truth, variance = value.mean(axis=0), value.var(axis=0, ddof=1)
    held = ((low <= truth) & (truth <= high)).mean(axis=0)

    def ratio(estimates: NDArray) -> list[float | None]:
        """For languages together, and for their mean; none where draws do not differ."""
        sums = [(estimates.mean(axis=0)[at], variance[at]) for at in (slice(-1), slice(-1, None))]
        return [float(e.sum() / v.sum()) if v.sum() > 1e-12 else None for e, v in sums]

    return {
        "truth": float(truth[-1]),
        "coverage_language": float(held[:-1].mean()),
        "coverage_language_lowest": float(held[:-1].min()),
        "coverage_mean": float(held[-1]),
        "width_language": float((high - low)[:, :-1].mean()),
        "width_mean": float((high - low)[:, -1].mean()),
        "variance_ratio": ratio(ours),
        "variance_ratio_jackknife": ratio(jackknife),
    }


def markdown(records: list[dict]) -> str:
    """A table with one row per population and score."""

    def both(ratios: list[float | None]) -> str:
        return " / ".join("-" if r is None else f"{r:.2f}" for r in ratios)

    lines = [
        "| population | score | truth | language (lowest) | mean | variance ratio | jackknife |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for r in records:
        lowest = f"{100 * r['coverage_language']:.1f} ({100 * r['coverage_language_lowest']:.1f})"
        lines.append(
            f"| {r['population']} | {r['score']} | {r['truth']:.3f} | {lowest} | "
            f"{100 * r['coverage_mean']:.1f} | {both(r['variance_ratio'])} | "
            f"{both(r['variance_ratio_jackknife'])} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("coverage.json"))
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    records: list[dict] = []
    for population in POPULATIONS:
        found = measure(population, options.seed, options.repetitions)
        records += found
        print(markdown(found), flush=True)
        about = {"repetitions": options.repetitions, "seed": options.seed, "rows": records}
        options.output.write_text(json.dumps(about, indent=1) + "\n")
        if options.markdown:
            options.markdown.write_text(markdown(records))


if __name__ == "__main__":
    main()
