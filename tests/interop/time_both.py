"""Seconds that a graph takes, ours and circuit-tracer's, in turn, on one thread each.

    python tests/interop/time_both.py CASE ENVIRONMENT/bin/python --source CHECKOUT

CASE is a folder of make_case.py; ENVIRONMENT and CHECKOUT as in README.md. Each measurement has a
process of its own; loading is not counted. The processor's seconds are the ones to compare where
other work shares the machine. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("case", type=Path)
    parser.add_argument("python", nargs="?", help="of circuit-tracer's environment")
    parser.add_argument("--source", default="", help="where circuit_tracer is, if not installed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="float32", help="of ours where no environment is given")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64])
    args = parser.parse_args()
    if args.python is None:
        print(json.dumps(ours(args.case, args.dtype)))
        return
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(args.repeats):
        for dtype in ("float32", "float64"):
            command = [sys.executable, __file__, args.case, "--dtype", dtype]
            found.setdefault(f"ilo_fast, {dtype}", []).append(asked(command, {}))
        for size in args.batch_sizes:
            with tempfile.TemporaryDirectory() as out:
                command = [args.python, HERE / "run_circuit_tracer.py", args.case, out]
                command += ["--dtype", "float32", "--repeats", "1", "--batch-size", size]
                asked(command, {"PYTHONPATH": args.source}, reads=False)
                times = json.loads((Path(out) / "times.json").read_text())
            name = f"circuit-tracer, float32, batch_size={size}"
            found.setdefault(name, []).append(times)
    shown = {}
    for name, runs in found.items():
        shown[name] = runs[0]
        for key in ("seconds", "cpu_seconds"):
            each = [run[key] for run in runs]
            shown[name] |= {key: statistics.median(each), f"{key}_each": each}
    print(json.dumps(shown, indent=1))


def asked(command: list[Any], environment: dict[str, str], reads: bool = True) -> dict[str, Any]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, **threads, **environment}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1]) if reads else {}


def ours(case: Path, dtype: str) -> dict[str, Any]:
    import resource

    import torch
    from transformers import LlamaForCausalLM

    from ilo_fast.transcoders.attribution.attribute import attribution_graph
    from ilo_fast.transcoders.files.circuit_tracer import import_circuit_tracer

    model = LlamaForCausalLM.from_pretrained(case / "llama").eval()
    transcoder = import_circuit_tracer(case / "clt")
    ids = json.loads((case / "prompt.json").read_text())
    start = time.perf_counter(), time.process_time()
    graph = attribution_graph(model, transcoder, ids, skip_positions=1, dtype=getattr(torch, dtype))
    return {
        "seconds": time.perf_counter() - start[0],
        "cpu_seconds": time.process_time() - start[1],
        "features": graph.n_features,
        "targets": len(graph.targets),
        "residual": graph.residual,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    main()
