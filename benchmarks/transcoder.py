"""A training step of a cross-layer transcoder: seconds per million tokens, peak memory, its parts.

    python benchmarks/transcoder.py -o transcoder.json
    python benchmarks/transcoder.py --shape 6x192x2048x16 --repeats 7

A step is forward and backward of one batch with top-k features and a mean squared error, without an
optimizer. A shape is layers x width x features x k. Contestants: ours (`transcoders.sparse` with
the core's kernels), torch with dense activations, torch with `embedding_bag`; the latter two encode
by a dense product and `topk`, and get tokens and weights in the layout that suits them.

Before any clock starts, loss and gradients of all ways are compared, in float64. Every run is a
process of its own, so that its peak memory is its own; contestants take turns, round by round.
`parts` times the steps of ours one by one, and the forward pass of a language model of that size,
which training needs as well: a random Llama with the same layers and width, without its head. On a
machine that others use, too, compare CPU seconds with `--threads 1`: threads that wait for each
other count as work.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import knn_common as common
from processes import in_process, memory

WAYS = ("ours", "embedding_bag", "dense")
SHAPES = ("6x192x2048x16", "8x256x4096x16")
GOALS = {
    SHAPES[0]: {"dense": 6.0, "embedding_bag": 1.7},
    SHAPES[1]: {"dense": 10.0, "embedding_bag": 2.2},
}


# ---- the ways


def numbers(shape: list[int], batch: int, seed: int) -> dict[str, Any]:
    """A batch and weights: rows of x and of the encoder at a length of sqrt(d) and 1."""
    import torch

    n_layers, d, n_features, _ = shape
    random = torch.Generator().manual_seed(seed)

    def normal(*sizes: int) -> torch.Tensor:
        return torch.randn(sizes, generator=random)

    return {
        "x": normal(batch, n_layers, d),
        "y": normal(batch, n_layers, d),
        "weight": normal(n_layers, n_features, d) / d**0.5,
        "bias": 0.1 * normal(n_layers, n_features),
        "decoder": [normal(n_features, n_layers - s, d) / d**0.5 for s in range(n_layers)],
        "decoder_bias": normal(n_layers, d),
    }


def parameters(data: dict[str, Any]) -> list[Any]:
    return [data["weight"], data["bias"], data["decoder_bias"], *data["decoder"]]


def ours(data: dict[str, Any], k: int) -> Any:
    from ilo_fast.transcoders import sparse

    active = sparse.encode_top_k(data["x"], data["weight"], data["bias"], k)
    out = sparse.decode(active, data["decoder"], data["decoder_bias"])
    return (out - data["y"]).square().sum() / len(out)


def by_torch(data: dict[str, Any], k: int, bag: bool) -> Any:
    """Layers first: x and y are (layers, tokens, d)."""
    import torch
    from torch.nn import functional

    x, weight = data["x"], data["weight"]
    n_layers, n, d = x.shape
    pre = torch.baddbmm(data["bias"][:, None], x, weight.transpose(1, 2))
    values, places = pre.topk(k, dim=-1)
    values = values.relu()
    if not bag:
        activations = torch.zeros_like(pre).scatter(-1, places, values)
    outputs: list[Any] = [data["decoder_bias"][layer] for layer in range(n_layers)]
    for source, decoder in enumerate(data["decoder"]):
        flat = decoder.flatten(1)
        if bag:
            added = functional.embedding_bag(
                places[source], flat, mode="sum", per_sample_weights=values[source]
            )
        else:
            added = activations[source] @ flat
        for at, part in enumerate(added.view(n, -1, d).unbind(1)):
            outputs[source + at] = outputs[source + at] + part
    errors = [(out - y).square().sum() for out, y in zip(outputs, data["y"], strict=True)]
    return sum(errors) / n


def step(way: str, data: dict[str, Any], k: int) -> Callable[[], float]:
    """Forward and backward; gives the loss, and leaves gradients as `zero_grad` wants them."""
    if way != "ours":
        data["x"], data["y"] = (data[name].transpose(0, 1).contiguous() for name in "xy")
    for parameter in parameters(data):
        parameter.requires_grad_()

    def run() -> float:
        for parameter in parameters(data):
            parameter.grad = None
        loss = ours(data, k) if way == "ours" else by_torch(data, k, way == "embedding_bag")
        loss.backward()
        return float(loss.detach())

    return run


# ---- runs, each in its own process


def work(task: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(task["threads"])
    run = {"check": check, "parts": parts}.get(task["way"], measure)
    return run(task)


def check(task: dict[str, Any]) -> dict[str, Any]:
    """The largest difference of loss and gradients between ours and the others, relative.

    In float64: in float32 two features that are nearly equal may change places, and a single one of
    them is more than rounding is.
    """
    import torch

    found = {}
    for way in WAYS:
        data = numbers(task["shape"], min(256, task["batch"]), task["seed"])
        for name, value in data.items():
            data[name] = (
                value.double() if isinstance(value, torch.Tensor) else [w.double() for w in value]
            )
        loss = step(way, data, task["shape"][3])()
        found[way] = [loss, *(parameter.grad for parameter in parameters(data))]
    differences = {}
    for way in WAYS[1:]:
        largest = abs(found["ours"][0] - found[way][0]) / found[way][0]
        for own, other in zip(found["ours"][1:], found[way][1:], strict=True):
            largest = max(largest, float((own - other).norm() / other.norm()))
        differences[way] = largest
    return {"differences": differences}


def measure(task: dict[str, Any]) -> dict[str, Any]:
    data = numbers(task["shape"], task["batch"], task["seed"])
    run = step(task["way"], data, task["shape"][3])
    run()
    for parameter in parameters(data):
        parameter.grad = None
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    seconds, worked = [], time.process_time()
    for _ in range(task["steps"]):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    cpu = (time.process_time() - worked) / task["steps"]
    return {
        "seconds": statistics.median(seconds),
        "cpu_seconds": cpu,
        "peak_bytes_beside_weights_and_batch": memory("VmHWM") - before,
    }


def parts(task: dict[str, Any]) -> dict[str, Any]:
    """What a step of ours consists of, and the language model's forward pass."""
    import torch

    from ilo_fast import _core
    from ilo_fast.transcoders import sparse

    (n_layers, d, n_features, k), n = task["shape"], task["batch"]
    data = numbers(task["shape"], n, task["seed"])
    threads = {"n_threads": task["threads"]}
    encoder = [data[name].numpy() for name in ("x", "weight", "bias")]
    decoder = [weight.numpy() for weight in data["decoder"]]
    with torch.no_grad():
        active = sparse.encode_top_k(data["x"], data["weight"], data["bias"], k)
        out = sparse.decode(active, data["decoder"], data["decoder_bias"])
    entries = [active.indptr.numpy(), active.indices.numpy(), active.values.numpy()]
    towards = out.numpy()
    wanted = {"want_values": True, "want_weights": True, "want_bias": True}

    def loss() -> None:
        there = out.detach().requires_grad_()
        ((there - data["y"]).square().sum() / n).backward()

    calls: dict[str, Callable[[], Any]] = {
        "encode": lambda: _core.encode_top_k(*encoder, k=k, of_batch=False, **threads),
        "decode": lambda: _core.decode(*entries, decoder, data["decoder_bias"].numpy(), **threads),
        "loss": loss,
        "decode_backward": lambda: _core.decode_backward(
            towards, *entries, decoder, **wanted, **threads
        ),
        "encode_backward": lambda: _core.encode_backward(
            entries[2], *entries[:2], *encoder[:2], want_x=False, want_weight=True, **threads
        ),
        "language_model": language_model(n_layers, d, n),
    }
    seconds: dict[str, float] = {}
    for name, call in calls.items():
        call()
        times = []
        for _ in range(task["steps"]):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        seconds[name] = statistics.median(times)
    peak = _core.peak_flops(n_threads=task["threads"])
    return {
        "seconds_by_part": seconds,
        "simd": _core.simd_level(),
        "peak_gflops": peak / 1e9,
        "share_of_peak_encoder": 2.0 * n * n_layers * n_features * d / seconds["encode"] / peak,
    }


def language_model(n_layers: int, d: int, n: int, length: int = 128) -> Callable[[], Any]:
    import torch
    from transformers import LlamaConfig, LlamaModel

    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=d,
        intermediate_size=4 * d,
        num_hidden_layers=n_layers,
        num_attention_heads=d // 32,
    )
    model = LlamaModel(config).eval()
    ids = torch.randint(8192, (n // length, length))

    def run() -> None:
        with torch.inference_mode():
            model(input_ids=ids, use_cache=False)

    return run


# ---- the comparison


def compare(shape: str, args: argparse.Namespace) -> dict[str, Any]:
    sizes = [int(part) for part in shape.lower().split("x")]
    shared = {"shape": sizes, **{key: getattr(args, key) for key in ("threads", "batch", "seed")}}
    differences = in_process(__file__, {**shared, "way": "check"})["differences"]
    print(f"{shape}: differences {differences}", flush=True)
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ("parts", *args.ways)}
    load = []
    for number in range(args.repeats):
        for way, own in runs.items():
            load.append(os.getloadavg()[0])
            steps = args.slow_steps if way == "dense" else args.steps
            own.append(in_process(__file__, {**shared, "way": way, "steps": steps}))
            if way != "parts":
                print(f"round {number}: {way}: {own[-1]['seconds']:.4f} s a step", flush=True)
    million = 1e6 / args.batch
    results = {}
    for way in args.ways:
        median = {key: statistics.median(run[key] for run in runs[way]) for key in runs[way][0]}
        median["seconds_per_million_tokens"] = median["seconds"] * million
        results[way] = {**median, "all_seconds": [run["seconds"] for run in runs[way]]}
    first = runs["parts"][0]
    by_part = {
        name: million * statistics.median(run["seconds_by_part"][name] for run in runs["parts"])
        for name in first["seconds_by_part"]
    }
    own = results["ours"]["seconds_per_million_tokens"]
    return {
        "shape": shape,
        "batch": args.batch,
        "threads": args.threads,
        "load": [min(load), max(load)],
        "differences": differences,
        "results": results,
        "parts_seconds_per_million_tokens": by_part,
        "simd": first["simd"],
        "peak_gflops": statistics.median(run["peak_gflops"] for run in runs["parts"]),
        "share_of_peak_encoder": statistics.median(
            run["share_of_peak_encoder"] for run in runs["parts"]
        ),
        "share_of_language_model": by_part["language_model"] / (by_part["language_model"] + own),
        "times_as_fast": {
            way: results[way]["seconds"] / results["ours"]["seconds"]
            for way in args.ways
            if way != "ours"
        },
        "times_as_fast_by_cpu": {
            way: results[way]["cpu_seconds"] / results["ours"]["cpu_seconds"]
            for way in args.ways
            if way != "ours"
        },
    }


def show(case: dict[str, Any]) -> None:
    low, high = case["load"]
    print(f"\n{case['shape']}, batch {case['batch']}, {case['threads']} threads, "
          f"load {low:.1f} to {high:.1f}\n")  # fmt: skip
    print("| way | s per million tokens | CPU s | memory beside weights and batch, MB |")
    print("|---" * 4 + "|")
    for way, r in case["results"].items():
        print(
            f"| {way} | {r['seconds_per_million_tokens']:.1f} | "
            f"{r['cpu_seconds'] * 1e6 / case['batch']:.1f} | "
            f"{r['peak_bytes_beside_weights_and_batch'] / 1e6:.0f} |"
        )
    for way, times in case["times_as_fast"].items():
        goal = GOALS.get(case["shape"], {}).get(way)
        by_cpu = case["times_as_fast_by_cpu"][way]
        aim = f", goal {goal}" if goal else ""
        print(f"- {times:.2f} times as fast as {way} ({by_cpu:.2f} by CPU seconds{aim})")
    listed = ", ".join(
        f"{name} {value:.1f}" for name, value in case["parts_seconds_per_million_tokens"].items()
    )
    print(f"- seconds per million tokens of: {listed}")
    print(
        f"- encoder product and choice: {100 * case['share_of_peak_encoder']:.0f} % of the peak of "
        f"{case['peak_gflops']:.0f} GFLOP/s ({case['simd']}); the language model's own forward: "
        f"{100 * case['share_of_language_model']:.0f} % of a step with it"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", action="append", help="LAYERSxWIDTHxFEATURESxK; repeatable")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--batch", type=int, default=2048, help="tokens of a step")
    parser.add_argument("--threads", type=int, default=common.default_threads())
    parser.add_argument("--repeats", type=int, default=5, help="processes of each way")
    parser.add_argument("--steps", type=int, default=9, help="of a process")
    parser.add_argument("--slow-steps", type=int, default=2, help="of a process of dense")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def main() -> int:
    args = parse()
    if args.work:
        print(json.dumps(work(json.loads(args.work))))
        return 0
    if "ours" not in args.ways:
        raise SystemExit("--ways must name ours: the others are compared with it")
    report: dict[str, Any] = {"machine": common.machine(), "cases": []}
    wrong = 0
    for shape in args.shape or SHAPES:
        case = compare(shape, args)
        report["cases"].append(case)
        show(case)
        if args.output:
            common.write_json(args.output, report)
        wrong += max(case["differences"].values()) > 1e-10
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
