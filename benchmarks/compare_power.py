"""How often `compare` finds a difference where there is none, and where one was planted.

    python benchmarks/compare_power.py --representations REPS -o compare_power.json \\
        --markdown compare_power.md

halves: one model, its sentences split at random into two halves, compared unpaired. REPS is a
folder of ``ilo-fast extract``; without it, the embedded model on the embedded corpus. population:
the same with Gaussian vectors that are drawn anew each time.

power: two models on the same sentences of that population, the second with more noise. Theory is
the normal power of the mean difference over its standard deviation, both taken from the repetitions
(from differences alone: no standard error that is under test enters).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast import OverlapScores, ParallelCorpus, Representations, extract, overlap
from ilo_fast._util.statistics import t_quantile
from ilo_fast.models.demo import demo_model_path
from ilo_fast.scores.certainty.intervals import degrees_of_freedom
from ilo_fast.scores.comparison.compare import compare
from ilo_fast.scores.comparison.result import Comparison

LANGUAGES, DIMENSION, OFFSET, NOISE = 6, 16, 0.6, 0.6
Arrays = Mapping[str, NDArray[np.float32]]


def measured(arrays: Arrays, *, seed: int) -> OverlapScores:
    """Scores with replicates, of parallel text."""
    return overlap(arrays, parallel=True, n_threads=1, intervals=True, seed=seed)


def population(rng: np.random.Generator, n: int, noises: Sequence[float]) -> list[Arrays]:
    """One model for each noise, on the same `n` meanings; offsets of languages are fixed."""
    fixed = np.random.default_rng(7)
    offsets = OFFSET * fixed.standard_normal((LANGUAGES, 1, DIMENSION))
    meaning = rng.standard_normal((n, DIMENSION))
    return [
        dict(
            zip(
                map("language {}".format, range(LANGUAGES)),
                (meaning + offsets + noise * rng.standard_normal((LANGUAGES, n, DIMENSION))).astype(
                    np.float32
                ),
                strict=True,
            )
        )
        for noise in noises
    ]


def halves(arrays: Arrays, rng: np.random.Generator) -> list[Arrays]:
    """The sentences in two random halves, of one size."""
    n = next(iter(arrays.values())).shape[-2]
    order = rng.permutation(n)
    parts = np.sort(order[: n // 2]), np.sort(order[n // 2 : 2 * (n // 2)])
    return [{code: array[..., part, :] for code, array in arrays.items()} for part in parts]


def false_positives(
    name: str, draw: Callable[[np.random.Generator], list[Arrays]], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Per score: how often a p is at most 5 %, alone and corrected."""
    found: dict[str, list[list[float]]] = {}
    for repetition in range(options.repetitions):
        rng = np.random.default_rng([options.seed, repetition])
        comparison = compared(draw(rng), repetition, paired=False)
        for score in comparison.scores:
            row: list[float] = []
            for by in ("mean", "language"):
                tests = comparison.select(score=score, at="layer", by=by)
                alone = [d.p <= 0.05 for d in tests if d.p is not None]
                corrected = [d.p_corrected <= 0.05 for d in tests if d.p_corrected is not None]
                row += [np.mean(alone) if alone else np.nan, any(corrected)]
            found.setdefault(score, []).append(row)
    keys = ("mean_alone", "mean_any_corrected", "language_alone", "language_any_corrected")
    return [
        {
            "data": name,
            "score": score,
            **dict(zip(keys, map(_mean, np.transpose(rows)), strict=True)),
        }
        for score, rows in found.items()
    ]


def _mean(shares: NDArray[np.float64]) -> float | None:
    """Of the repetitions in which there was a test."""
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if len(known) else None


def compared(pair: Sequence[Arrays], seed: int, *, paired: bool) -> Comparison:
    scores = {name: measured(arrays, seed=seed) for name, arrays in zip("ab", pair, strict=True)}
    return compare(scores, paired=paired, seed=seed, n_draws=999)


def power(more: float, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Of two models on the same sentences, the second with so much more noise."""
    found: dict[tuple[str, bool], list[tuple[float, bool]]] = {}
    for repetition in range(options.repetitions):
        rng = np.random.default_rng([options.seed, 1, repetition])
        pair = population(rng, options.sentences, (NOISE, NOISE * (1 + more)))
        other = population(rng, options.sentences, (NOISE, NOISE * (1 + more)))
        for paired, models in ((True, pair), (False, [pair[0], other[1]])):
            for d in compared(models, repetition, paired=paired).select(at="layer", by="mean"):
                if d.difference is not None and d.p is not None:
                    found.setdefault((d.score, paired), []).append((d.difference, d.p <= 0.05))
    df = degrees_of_freedom(measured(pair[0], seed=0).replicates)
    records = []
    for (score, paired), tests in found.items():
        differences = np.array([difference for difference, _ in tests])
        shift = differences.mean() / differences.std(ddof=1)
        normal, critical = NormalDist(), t_quantile(0.975, df)
        theory = normal.cdf(-critical - shift) + 1 - normal.cdf(critical - shift)
        records.append(
            {
                "more_noise": more,
                "score": score,
                "paired": paired,
                "difference": float(differences.mean()),
                "sd": float(differences.std(ddof=1)),
                "found": float(np.mean([found for _, found in tests])),
                "theory": float(theory),
            }
        )
    return records


def markdown(result: Mapping[str, Any]) -> str:
    """Both tables."""
    lines = [
        "| data | score | mean of a layer | any layer, corrected | a language at a layer | any, "
        "corrected |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in result["false_positives"]:
        shares = ["-" if v is None else f"{100 * v:.1f} %" for k, v in row.items() if "_" in k]
        lines.append(f"| {row['data']} | {row['score']} | {' | '.join(shares)} |")
    lines += [
        "",
        "| more noise | score | difference | paired: found | theory | unpaired: found | theory |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    by_pair = {(r["more_noise"], r["score"], r["paired"]): r for r in result["power"]}
    for (more, score, paired), row in by_pair.items():
        other = by_pair.get((more, score, False))
        if paired and other is not None:
            cells = [f"{100 * r[key]:.1f} %" for r in (row, other) for key in ("found", "theory")]
            lines.append(
                f"| {100 * more:.0f} % | {score} | {row['difference']:+.4f} | {' | '.join(cells)} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--representations", type=Path, help="a folder of `ilo-fast extract`")
    parser.add_argument("--languages", type=int, help="only the first so many of them")
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--sentences", type=int, default=150, help="of the population")
    parser.add_argument("--more-noise", type=float, nargs="*", default=[0, 0.05, 0.1, 0.15, 0.2])
    parser.add_argument("--only", choices=("halves", "population", "power"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("compare_power.json"))
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    model: Representations = (
        Representations.load(options.representations)
        if options.representations
        else extract(demo_model_path(), ParallelCorpus.demo(), cache=True)
    )
    chosen = list(model)[: options.languages]
    arrays = {code: np.asarray(model[code]) for code in chosen}
    size = f"{len(chosen)} languages x {next(iter(arrays.values())).shape[-2]} sentences"
    result: dict[str, Any] = {
        "repetitions": options.repetitions,
        "seed": options.seed,
        "sentences": options.sentences,
        "false_positives": [],
        "power": [],
    }

    def write() -> None:
        options.output.write_text(json.dumps(result, indent=1) + "\n")
        if options.markdown:
            options.markdown.write_text(markdown(result))
        print(markdown(result), flush=True)

    if options.only in (None, "halves"):
        name = f"model in two halves, {size}"
        result["false_positives"] += false_positives(name, lambda rng: halves(arrays, rng), options)
        write()
    if options.only in (None, "population"):
        n = 2 * options.sentences
        name = f"population, {LANGUAGES} languages x {n} sentences"
        result["false_positives"] += false_positives(
            name, lambda rng: halves(population(rng, n, [NOISE])[0], rng), options
        )
        write()
    for more in options.more_noise if options.only in (None, "power") else ():
        result["power"] += power(more, options)
        write()


if __name__ == "__main__":
    main()
