"""The whole flow beside the published procedure, from text to ILO scores.

The baseline is written out from its definition (arXiv 2503.11280): one sentence at a time through
the model with ``output_hidden_states=True``, the mean over its tokens at every layer; then, layer
by layer, the full N x N matrix of cosine similarities, a sort, and a Python loop over the points.

    python benchmarks/pipeline.py --model DIR --corpus DIR --limit 100 --repeats 5 --json out.json

Contenders take turns within each repeat and medians are compared, so a busy machine slows all
alike. Times are wall seconds for tokenising, forward passes and pooling; loading is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.float32]]


def published_extract(model: Any, tokenizer: Any, corpus: Mapping[str, list[str]]) -> Arrays:
    """One sentence at a time, all hidden states, mean over tokens: (layers, sentences, dim)."""
    out = {}
    for code, lines in corpus.items():
        rows = []
        for line in lines:
            inputs = tokenizer(line, return_tensors="pt", truncation=True)
            with torch.no_grad():
                states = model(**inputs, output_hidden_states=True).hidden_states
            rows.append(np.stack([s[0].mean(dim=0).float().numpy() for s in states]))
        out[code] = np.stack(rows, axis=1)
    return out


def published_scores(reps: Arrays, k: int, threshold: int) -> NDArray[np.float64]:
    """Bridge, reach and ILO, shape (3, layers, languages): full matrix, loop over points."""
    codes = list(reps)
    n_layers = next(iter(reps.values())).shape[0]
    labels = [code for code in codes for _ in range(reps[code].shape[1])]
    result = np.zeros((3, n_layers, len(codes)))
    for layer in range(n_layers):
        points = np.concatenate([reps[code][layer] for code in codes]).astype(np.float64)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        similarity = points @ points.T
        np.fill_diagonal(similarity, -np.inf)
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        bridges: dict[str, int] = dict.fromkeys(codes, 0)
        reached: dict[str, set[str]] = {code: set() for code in codes}
        for i, row in enumerate(nearest):
            others = {labels[j] for j in row} - {labels[i]}
            bridges[labels[i]] += len(others) >= threshold
            reached[labels[i]] |= others
        for column, code in enumerate(codes):
            bridge = bridges[code] / reps[code].shape[1]
            reach = len(reached[code]) / (len(codes) - 1)
            ilo = 2 * bridge * reach / (bridge + reach) if bridge + reach else 0.0
            result[:, layer, column] = bridge, reach, ilo
    return result


def read_corpus(folder: Path, languages: int | None, limit: int | None) -> dict[str, list[str]]:
    files = sorted(folder.glob("*_*.txt"))[:languages]
    if len(files) < 2:
        sys.exit(f"{folder} has fewer than two <code>.txt files")
    return {p.stem: p.read_text(encoding="utf-8").splitlines()[:limit] for p in files}


def timed(times: dict[str, list[float]], name: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    value = work()
    times.setdefault(name, []).append(time.perf_counter() - start)
    return value


def largest_difference(ours: Arrays, theirs: Arrays) -> tuple[float, float]:
    """Largest absolute difference, and the same relative to the layer's largest value."""
    absolute = relative = 0.0
    for code in theirs:
        change = np.abs(ours[code] - theirs[code]).max(axis=(1, 2))
        absolute = max(absolute, float(change.max()))
        relative = max(relative, float((change / np.abs(theirs[code]).max(axis=(1, 2))).max()))
    return absolute, relative


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder or Hub name")
    parser.add_argument("--corpus", required=True, type=Path, help="folder of <code>.txt files")
    parser.add_argument("--limit", type=int, default=100, help="sentences a language (0: all)")
    parser.add_argument("--languages", type=int, default=None, help="only the first so many")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument(
        "--budgets", type=int, nargs="*", default=[], help="also time these batch_tokens"
    )
    parser.add_argument("-k", "--n-neighbors", type=int, default=5)
    parser.add_argument("--threshold", type=int, default=3)
    parser.add_argument("--skip-scores", action="store_true")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    from transformers import AutoModel, AutoTokenizer

    from ilo_fast.representations.extraction import extract

    corpus = read_corpus(arguments.corpus, arguments.languages, arguments.limit or None)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    models = {
        dtype: AutoModel.from_pretrained(arguments.model, dtype=getattr(torch, dtype)).eval()
        for dtype in ("float32", "bfloat16")
    }

    def ours(dtype: str, budget: int | None = None) -> Any:
        return extract(
            models[dtype], corpus, tokenizer=tokenizer, batch_tokens=budget, progress=False
        )

    # The first pass of anything pays for buffers and lazy imports: not counted.
    few = {code: lines[:2] for code, lines in corpus.items()}
    for model in models.values():
        published_extract(model, tokenizer, few)
        extract(model, few, tokenizer=tokenizer, progress=False)

    times: dict[str, list[float]] = {}
    baseline: Arrays = {}
    for repeat in range(arguments.repeats):
        print(f"repeat {repeat + 1} of {arguments.repeats}", file=sys.stderr)
        baseline = timed(
            times,
            "one at a time, float32",
            lambda: published_extract(models["float32"], tokenizer, corpus),
        )
        full = timed(times, "extract, float32", lambda: ours("float32"))
        half = timed(times, "extract, bfloat16", lambda: ours("bfloat16"))
        for budget in arguments.budgets:
            timed(times, f"extract, float32, {budget}", lambda b=budget: ours("float32", b))
    absolute, relative = largest_difference(full, baseline)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    first = medians["one at a time, float32"]
    report: dict[str, Any] = {
        "benchmark": "pipeline",
        "model": str(arguments.model),
        "languages": len(corpus),
        "sentences": sum(map(len, corpus.values())),
        "tokens": sum(full.info["n_tokens"].values()),
        "threads": torch.get_num_threads(),
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "load": os.getloadavg()},
        "versions": full.info["versions"],
        "extract": {
            "seconds": times,
            "median": medians,
            "speedup": {name: first / value for name, value in medians.items()},
            "speedup_by_repeat": {
                name: [a / b for a, b in zip(times["one at a time, float32"], v, strict=True)]
                for name, v in times.items()
            },
            "float32_max_abs_difference": absolute,
            "float32_max_relative_difference": relative,
            "bfloat16_max_relative_difference": largest_difference(half, baseline)[1],
        },
    }
    print(f"\n{report['sentences']} sentences, {report['tokens']} tokens, {len(corpus)} languages")
    print(f"{'extract':<30}{'median s':>10}{'speedup':>10}")
    for name, value in medians.items():
        print(f"{name:<30}{value:>10.2f}{first / value:>9.2f}x")
    print(f"float32 against one at a time: {absolute:.2g} absolute, {relative:.2g} relative")
    if not arguments.skip_scores:
        report["scores"] = compare_scores(baseline, full, half, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def compare_scores(baseline: Arrays, full: Any, half: Any, arguments: Any) -> dict[str, Any]:
    """Time the scoring stage, check it, and show what bfloat16 does to the scores."""
    from ilo_fast.scores.overlap import overlap

    k, threshold = arguments.n_neighbors, arguments.threshold
    overlap(full, n_neighbors=k, threshold=threshold)
    times: dict[str, list[float]] = {}
    for _ in range(arguments.repeats):
        theirs = timed(times, "full matrix, loop", lambda: published_scores(baseline, k, threshold))
        ours = timed(times, "overlap", lambda: overlap(full, n_neighbors=k, threshold=threshold))
    # The oracle on the same representations; the baseline's differ by float32 rounding.
    oracle = published_scores(full, k, threshold)
    same = np.stack([ours.bridge, ours.reach, ours.ilo])
    coarse = overlap(half, n_neighbors=k, threshold=threshold)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    change = np.abs(coarse.ilo - ours.ilo)
    print(f"\n{'scores':<30}{'median s':>10}{'speedup':>10}")
    for name, value in medians.items():
        print(f"{name:<30}{value:>10.2f}{medians['full matrix, loop'] / value:>9.2f}x")
    print(f"overlap against the oracle on the same input: {np.abs(same - oracle).max():.2g}")
    print(f"float32 extract against the whole baseline:   {np.abs(same - theirs).max():.2g}")
    print("\nlayer   ILO float32   ILO bfloat16   largest change in a language")
    for row, layer in enumerate(ours.layers):
        print(
            f"{layer:>5}{ours.ilo[row].mean():>14.4f}{coarse.ilo[row].mean():>15.4f}"
            f"{change[row].max():>17.4f}"
        )
    return {
        "seconds": times,
        "median": medians,
        "max_difference_to_oracle_on_same_input": float(np.abs(same - oracle).max()),
        "max_difference_to_baseline": float(np.abs(same - theirs).max()),
        "ilo_float32": ours.ilo.mean(axis=1).tolist(),
        "ilo_bfloat16": coarse.ilo.mean(axis=1).tolist(),
        "bfloat16_max_ilo_change": change.max(axis=1).tolist(),
    }


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


if __name__ == "__main__":
    main()
