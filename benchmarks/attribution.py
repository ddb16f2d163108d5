"""An attribution graph of the embedded model: seconds, memory, and beside one row at a time.

    python benchmarks/attribution.py --threads 2 -o attribution.json
    python benchmarks/attribution.py --prompts 0 --repeats 5

The prompt is 32 tokens of the demo corpus, the transcoder the embedded cross-layer one: some 3 000
active features. Contestants: ours in float64 and in float32; `rows`, the same local model with one
backward pass for each row in float64, as is obvious; it takes a sample of the rows, and its time is
that of the sample times all rows over those. Its rows are compared with ours. Every run is a
process of its own, so that its peak memory is its own; contestants take turns, round by round.
`--prompts` then traces so many parallel sentences of the demo corpus in one call.

Beside circuit-tracer: `tests/interop/README.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import knn_common as common
from processes import in_process, memory

WAYS = ("float64", "float32", "rows")


def demo(tokens: int) -> tuple[Any, list[int]]:
    """The embedded model and transcoder, and the first so many tokens of its corpus."""
    from ilo_fast import ParallelCorpus
    from ilo_fast.transcoders.files.opening import open_transcoder

    opened = open_transcoder("demo", device="cpu")
    text = " ".join(ParallelCorpus.demo().sentences["eng_Latn"][: tokens // 4])
    ids = opened.tokenizer(text, add_special_tokens=False)["input_ids"]
    return opened, [opened.tokenizer.bos_token_id, *ids][:tokens]


def work(task: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(task["threads"])
    torch.set_num_interop_threads(1)
    if task["way"] == "many":
        return many(task)
    opened, ids = demo(task["tokens"])
    if task["way"] == "rows":
        return by_row(opened, ids, task["sample"])
    from ilo_fast.transcoders.attribution.attribute import attribution_graph

    def run() -> Any:
        dtype = getattr(torch, task["way"])
        return attribution_graph(opened.model, opened.transcoder, ids, dtype=dtype)

    run()
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    start, worked = time.perf_counter(), time.process_time()
    graph = run()
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - worked,
        "peak_bytes": memory("VmHWM") - before,
        "graph_bytes": graph.adjacency.nbytes,
        "active_features": graph.n_features,
        "tokens": len(ids),
        "residual": graph.residual,
    }


def by_row(opened: Any, ids: list[int], sample: int) -> dict[str, Any]:
    """One backward pass a row, and the same numbers as ours."""
    import copy

    import numpy as np
    import torch

    from ilo_fast.transcoders.attribution.attribute import attribution_graph
    from ilo_fast.transcoders.attribution.local_model import LocalModel
    from ilo_fast.transcoders.replacement import ReplacementModel

    model = copy.deepcopy(opened.model).double()
    coder = copy.deepcopy(opened.transcoder).double()
    graph = attribution_graph(model, coder, ids)
    local = LocalModel(
        ReplacementModel(model, coder), torch.tensor([ids]), torch.tensor([len(ids)])
    )
    adds = [part.detach().requires_grad_() for part in local.adds.unbind(2)]
    with torch.enable_grad():
        reads = local.replay(local.tokens.detach(), adds).reads
    sources, n = graph.sources, graph.n_features
    place, layer, feature = (
        torch.from_numpy(of[:n]).long() for of in (sources.position, sources.layer, sources.feature)
    )
    chosen = np.random.default_rng(0).choice(np.flatnonzero(sources.layer[:n] > 0), sample, False)
    seconds, worst = 0.0, 0.0
    for at in chosen.tolist():
        start = time.perf_counter()
        to = int(layer[at])
        weight = coder.encoder_weight[to, feature[at]] * coder.input_scale[to]
        value = reads[to][0, place[at]] @ weight
        grads = torch.autograd.grad(value, adds[:to], retain_graph=True)
        row = torch.zeros(n, dtype=torch.float64)
        for layer_from, decoder in enumerate(coder.decoder_weights[:to]):
            mine = (layer == layer_from).nonzero()[:, 0]
            for k in range(layer_from, to):
                written = decoder[feature[mine], k - layer_from] / coder.output_scale[k]
                row[mine] += (written * grads[k][0, place[mine]]).sum(1).detach()
        row *= torch.from_numpy(sources.activation[:n])
        seconds += time.perf_counter() - start
        off = np.abs(row.numpy() - graph.adjacency[at, :n]).max()
        worst = max(worst, float(off / np.abs(graph.adjacency[at]).max()))
    total = len(graph.values)
    return {
        "seconds": seconds * total / sample,
        "sample": sample,
        "rows": total,
        "difference": worst,
    }


def many(task: dict[str, Any]) -> dict[str, Any]:
    """Parallel sentences, as many of each language as fit, cut to the tokens of the single one."""
    from ilo_fast import ParallelCorpus
    from ilo_fast.transcoders.attribution.attribute import attribution_graphs

    opened, _ = demo(2)
    corpus = ParallelCorpus.demo().sentences
    codes = opened.transcoder.info.languages
    prompts = [
        ids[: task["tokens"]]
        for at in range(-(-task["prompts"] // len(codes)))
        for code in codes
        for ids in [opened.tokenizer(corpus[code][at])["input_ids"][:-1]]
    ][: task["prompts"]]
    import torch

    start, worked = time.perf_counter(), time.process_time()
    residual, features = 0.0, 0
    for begin in range(0, len(prompts), 50):
        part = prompts[begin : begin + 50]
        graphs = attribution_graphs(opened.model, opened.transcoder, part, dtype=torch.float32)
        residual = max(residual, *(graph.residual for graph in graphs))
        features += sum(graph.n_features for graph in graphs)
    return {
        "prompts": len(prompts),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - worked,
        "tokens": sum(map(len, prompts)),
        "active_features": features,
        "residual": residual,
        "dtype": "float32",
        "peak_bytes": memory("VmHWM"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=common.default_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sample", type=int, default=100, help="rows that `rows` computes")
    parser.add_argument("--prompts", type=int, default=500, help="traced in one call (0: none)")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        print(json.dumps(work(json.loads(args.work))))
        return
    shared = {key: getattr(args, key) for key in ("tokens", "threads", "sample", "prompts")}
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    load = []
    for number in range(args.repeats):
        for way, own in runs.items():
            load.append(os.getloadavg()[0])
            own.append(in_process(__file__, {**shared, "way": way}))
            print(f"round {number}: {way}: {own[-1]['seconds']:.2f} s", flush=True)
    report: dict[str, Any] = {
        "machine": common.machine(),
        "threads": args.threads,
        "load": [min(load), max(load)],
        "one_prompt": {
            way: {key: statistics.median(run[key] for run in own) for key in own[0]}
            for way, own in runs.items()
        },
    }
    one = report["one_prompt"]
    report["times_as_fast_as_rows"] = one["rows"]["seconds"] / one["float64"]["seconds"]
    if args.prompts:
        report["many_prompts"] = in_process(__file__, {**shared, "way": "many"})
    print(json.dumps(report, indent=1))
    if args.output:
        common.write_json(args.output, report)


if __name__ == "__main__":
    main()
