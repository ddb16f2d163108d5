"""Exact k-NN graphs on a GPU: ilo_fast beside torch, cuVS and faiss, and beside the bare product.

All contestants get the same float32 rows in the device's memory and run in turn, round after round;
the first round only warms up, the tables give medians, and every clock starts and stops with the
device idle. Peers get rows of length 1 beforehand; ours starts from the rows as they are, and ends
with its result in the host's memory. Ours must be exact: a sample of rows is compared with float64
brute force on the device, both products with each other, and the exit status is 1 if any row
differs. Of the others the share of rows whose neighbours are not ours (as sets) is printed.

    python benchmarks/knn_graph_gpu.py -o gpu.json
    python benchmarks/knn_graph_gpu.py --shape 1048576x4096 -k 5 32 --data anisotropic -o gpu.json
    python benchmarks/knn_graph_gpu.py --stack 33x31372x4096 -o stack.json
    python benchmarks/knn_graph_gpu.py --machine emulated --shape 300x64   # tries the script

The ceiling is the fp16 product of all rows with all rows by cuBLASLt, tile after tile into one
buffer, nothing else: the fastest of several tiles. Shares of it count, for ours, the half of the
product that symmetry leaves. A peer that would take longer than ``--limit-seconds`` answers only
for the first rows, and its time is scaled up: how many rows, stands in the table. What ``--budget``
seconds do not allow for is left out, and said to be.

``--stack`` times the scores of a whole stack of layers, from the device's memory and from pinned
memory of the host, beside the published procedure (arXiv 2503.11280) on the same device: layer by
layer the full float32 matrix of similarities, its largest values, and a Python loop over points.

Exit status 2: no GPU here. With ``--machine emulated`` the engine runs on the CUDA emulator (in
builds with ILO_FAST_TESTING=ON) and the peers on the CPU: that tests this script, and none of its
figures mean anything.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import knn_common as common
import numpy as np
import torch

from ilo_fast import _core, overlap
from ilo_fast.graph import cuda

OURS = ("library", "fused")
PEERS = ("torch-float32", "torch-tf32", "torch-bfloat16", "cuvs", "faiss-gpu")
DATA = ("isotropic", "anisotropic", "massive")
SHAPES = ("31372x1024", "31372x4096", "262144x1024")
STAGES = ("prepare", "filter", "rerank", "widen")
TILES = (4096, 8192, 16384)  # of the bare product
LANES = 16  # of the definition of a distance: csrc/knn/rows.h

Device = torch.device


# ---- data, clocks


def rows(kind: str, n: int, d: int, seed: int, device: Device) -> torch.Tensor:
    """As `knn_common.rows` draws them, but on the device."""
    generator = torch.Generator(device).manual_seed(seed)
    X = torch.randn((n, d), generator=generator, device=device)
    if kind == "anisotropic":
        X += 30 * torch.randn(d, generator=generator, device=device)
    elif kind == "massive":
        X[:, :2] *= 300
    return X


def idle(device: Device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], Any], device: Device) -> tuple[float, Any]:
    idle(device)
    start = time.perf_counter()
    result = work()
    idle(device)
    return time.perf_counter() - start, result


# ---- the answer


def lane_sum(terms: torch.Tensor) -> torch.Tensor:
    """`reference.lane_sum`: the order of addition that the definition asks for."""
    terms = torch.nn.functional.pad(terms, (0, -terms.shape[-1] % LANES))
    lanes = torch.zeros_like(terms[..., :LANES])
    for start in range(0, terms.shape[-1], LANES):
        lanes += terms[..., start : start + LANES]
    width = LANES // 2
    while width:
        lanes[..., :width] += lanes[..., width : 2 * width]
        width //= 2
    return lanes[..., 0]


def units(X: torch.Tensor) -> torch.Tensor:
    X = X.double()
    return X / lane_sum(X * X).sqrt()[..., None]


def exact_neighbours(X: torch.Tensor, asked: torch.Tensor, k: int) -> torch.Tensor:
    """Cosine neighbours of some rows by (distance, index), in float64; see `knn_common`."""
    n, d = X.shape
    Q = units(X[asked])
    keep = min(n - 1, max(64, 4 * k))
    best = torch.full((len(asked), keep), -torch.inf, dtype=torch.float64, device=X.device)
    ids = torch.zeros((len(asked), keep), dtype=torch.int64, device=X.device)
    step = max(1, 2**27 // d)
    for begin in range(0, n, step):
        found = Q @ units(X[begin : begin + step]).T
        here = (asked >= begin) & (asked < begin + step)
        found[here, asked[here] - begin] = -torch.inf
        values, columns = found.topk(min(keep, found.shape[1]))
        best, order = torch.cat([best, values], dim=1).topk(keep)
        ids = torch.cat([ids, columns + begin], dim=1).gather(1, order)
    clear = best[:, -1] < best[:, k - 1] - 1e-11
    answer = torch.empty((len(asked), k), dtype=torch.int64)
    for q in range(len(asked)):
        if clear[q] or keep == n - 1:
            candidates = ids[q]
            squared = lane_sum((units(X[candidates]) - Q[q]) ** 2)
        else:  # rounding might have cost it a neighbour
            candidates = torch.arange(n, device=X.device)
            parts = [lane_sum((units(X[b : b + step]) - Q[q]) ** 2) for b in range(0, n, step)]
            squared = torch.cat(parts)
            squared[asked[q]] = torch.inf
        order = np.lexsort((candidates.cpu().numpy(), squared.cpu().numpy()))[:k]
        answer[q] = candidates.cpu()[torch.from_numpy(order)]
    return answer


def unlike(found: torch.Tensor, wanted: torch.Tensor) -> int:
    """Rows whose neighbours differ, as sets."""
    a, b = found.sort(dim=1).values, wanted[: len(found)].to(found.device).sort(dim=1).values
    return int((a != b).any(dim=1).sum())


# ---- contestants


class Ours:
    def __init__(self, product: str, X: torch.Tensor, k: int, machine: str) -> None:
        self.product, self.X, self.k, self.machine = product, X, k, machine
        self.infos: list[dict[str, Any]] = []

    def __call__(self) -> torch.Tensor:
        on_gpu = self.machine == "gpu"
        indices, _, infos = cuda._core.cuda_knn_graph(
            [placed(self.X[None])],
            "float32",
            self.k,
            cosine=True,
            stream=torch.cuda.current_stream().cuda_stream if on_gpu else 0,
            product=self.product,
            library=cuda.library() if on_gpu else "",
        )
        self.infos.append(infos[0])
        return torch.from_numpy(indices[0])


def placed(X: torch.Tensor) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    return X.data_ptr(), tuple(X.shape), tuple(s * X.element_size() for s in X.stride())


class Peer:
    """Answers for the first rows: as many as it is asked for."""

    def __init__(self, search: Callable[[int], torch.Tensor], what: str) -> None:
        self.search, self.what = search, what


def torch_peer(name: str, unit: torch.Tensor, k: int) -> Peer:
    precision = "high" if name == "torch-tf32" else "highest"
    matrix = unit.bfloat16() if name == "torch-bfloat16" else unit
    n = len(unit)
    free = torch.cuda.mem_get_info(unit.device)[0] if unit.is_cuda else 2**30
    chunk = max(1, min(n, 16384, min(8 * 2**30, free // 4) // (n * matrix.element_size())))

    def search(count: int) -> torch.Tensor:
        torch.set_float32_matmul_precision(precision)
        found = []
        for begin in range(0, count, chunk):
            block = matrix[begin : min(count, begin + chunk)]
            similarity = block @ matrix.T
            own = torch.arange(len(block), device=unit.device)
            similarity[own, own + begin] = -torch.inf
            found.append(similarity.topk(k).indices)
        return torch.cat(found)

    return Peer(search, f"torch {torch.__version__}, {chunk} rows at a time")


def cuvs_peer(unit: torch.Tensor, k: int) -> Peer:
    import cuvs
    from cuvs.neighbors import brute_force

    index = brute_force.build(unit, metric="sqeuclidean")

    def search(count: int) -> torch.Tensor:
        found = brute_force.search(index, unit[:count], k + 1)[1]
        return without_self(torch.as_tensor(found, device=unit.device).long(), k)

    return Peer(search, f"cuVS {cuvs.__version__}, brute force, float32")


def faiss_peer(unit: torch.Tensor, k: int) -> Peer:
    import faiss
    import faiss.contrib.torch_utils  # lets it take tensors

    if not hasattr(faiss, "StandardGpuResources"):
        raise ImportError("this faiss is without GPU")
    resources = faiss.StandardGpuResources()

    def search(count: int) -> torch.Tensor:
        metric = faiss.METRIC_INNER_PRODUCT
        found = faiss.knn_gpu(resources, unit[:count], unit, k + 1, metric=metric)[1]
        return without_self(found, k)

    return Peer(search, f"faiss {faiss.__version__}, knn_gpu, float32")


def without_self(found: torch.Tensor, k: int) -> torch.Tensor:
    keep = found != torch.arange(len(found), device=found.device)[:, None]
    keep[keep.all(dim=1), -1] = False
    return found[keep].reshape(len(found), k)


def peer(name: str, unit: torch.Tensor, k: int) -> Peer:
    """Throws ImportError where it is not to be had."""
    if name == "cuvs":
        return cuvs_peer(unit, k)
    if name == "faiss-gpu":
        return faiss_peer(unit, k)
    return torch_peer(name, unit, k)


# ---- the ceiling


@contextmanager
def cublaslt(device: Device) -> Iterator[None]:
    """fp16 products by cuBLASLt, all sums in float32."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cuda.preferred_blas_library()
    torch.backends.cuda.preferred_blas_library("cublaslt")
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    try:
        yield
    finally:
        torch.backends.cuda.preferred_blas_library(before)


def bare_product(half: torch.Tensor, tile: int, buffer: torch.Tensor) -> None:
    n = len(half)
    for i in range(0, n, tile):
        a = half[i : i + tile]
        for j in range(0, n, tile):
            b = half[j : j + tile]
            torch.mm(a, b.T, out=buffer[: len(a) * len(b)].view(len(a), len(b)))


def bare(half: torch.Tensor) -> dict[int, Callable[[], None]]:
    """Of each size of tile, the whole product."""
    n = len(half)
    sizes = [t for t in TILES if t < n] or [n]
    buffer = torch.empty(min(n, max(sizes)) ** 2, dtype=half.dtype, device=half.device)
    return {t: lambda t=t: bare_product(half, t, buffer) for t in sizes}


# ---- a case


def measure(kind: str, n: int, d: int, k: int, args: argparse.Namespace) -> dict[str, Any]:
    device = torch.device("cuda" if args.machine == "gpu" else "cpu")
    X = rows(kind, n, d, args.seed, device)
    unit = X / X.norm(dim=1, keepdim=True)
    contestants: dict[str, Callable[[], Any]] = {}
    answers: dict[str, torch.Tensor] = {}
    times: dict[str, list[float]] = {}
    timed_rows: dict[str, int] = {}
    ran: dict[str, str] = {}
    ours = {f"ilo_fast ({p})": Ours(p, X, k, args.machine) for p in args.products}
    contestants |= ours
    for name in args.peers:
        try:
            found = peer(name, unit, k)
        except ImportError as error:
            ran[name] = f"not here: {error}"
            continue
        count = rows_in_time(found, n, args.limit_seconds, device)
        timed_rows[name] = count
        ran[name] = found.what
        contestants[name] = lambda found=found, count=count: found.search(count)
    half = unit.half()
    with cublaslt(device):
        tiles = bare(half)
        names = {t: f"bare fp16 product, tiles of {t}" for t in tiles}
        for round_ in range(args.repeats + 1):  # the first only warms up
            for name, work in contestants.items():
                taken, answer = seconds_of(work, device)
                times.setdefault(name, []).append(taken)
                if round_ == args.repeats:
                    answers[name] = answer
                del answer
            for t, work in tiles.items():
                times.setdefault(names[t], []).append(seconds_of(work, device)[0])
    best_tile = min(tiles, key=lambda t: statistics.median(times[names[t]][1:]))
    for t in tiles:
        if t != best_tile:
            del times[names[t]]
    scale = {name: n / count for name, count in timed_rows.items()}
    medians = {m: statistics.median(t[1:]) * scale.get(m, 1) for m, t in times.items()}
    ceiling = 2.0 * n * n * d / medians[names[best_tile]]
    results: dict[str, dict[str, Any]] = {}
    truth = answers[next(iter(ours))] if ours else None
    for name, median in medians.items():
        result: dict[str, Any] = {"median_seconds": median, "seconds": times[name][1:]}
        result["full_product_tflops"] = 2.0 * n * n * d / median / 1e12
        if name in timed_rows:
            result["rows_timed"] = timed_rows[name]
        if name in ran and truth is not None:
            result["wrong_rows"] = unlike(answers[name], truth) / timed_rows[name]
        if "torch-float32" in medians:
            result["times_torch_float32"] = medians["torch-float32"] / median
        results[name] = result
    sample = torch.randperm(n, generator=torch.Generator().manual_seed(args.seed))[: args.check]
    wanted = exact_neighbours(X, sample.to(device), k)
    for name, engine in ours.items():
        results[name] |= stages(engine.infos[1:])
        results[name]["share_of_bare_rate_half_matrix"] = float(n) * n * d / medians[name] / ceiling
        results[name]["rows_unlike_float64"] = int(
            (answers[name][sample] != wanted).any(dim=1).sum()
        )
        results[name]["rows_unlike_the_other"] = int((answers[name] != truth).any(dim=1).sum())
    return {
        "data": kind,
        "n": n,
        "d": d,
        "n_neighbors": k,
        "checked_rows": len(sample),
        "bare_product": names[best_tile],
        "ran": ran,
        "results": results,
    }


def rows_in_time(found: Peer, n: int, limit: float, device: Device) -> int:
    """As many rows as take no longer than the limit; measured on a few, which also warms up."""
    count = min(n, 1024)
    found.search(count)
    while count < n:
        taken, _ = seconds_of(lambda c=count: found.search(c), device)
        allowed = count * limit / max(taken, 1e-6)
        if taken > 0.1 * limit or allowed < 4 * count:
            return int(min(n, max(count, allowed)))
        count = min(n, 4 * count)
    return n


def stages(infos: list[dict[str, Any]]) -> dict[str, Any]:
    last = infos[-1]
    return {
        "seconds_by_stage": {
            s: statistics.median(info[f"seconds_{s}"] for info in infos) for s in STAGES
        },
        "certified_share": last["certified_rows"] / last["queries"],
        "widened_rows": last["widened_rows"],
        "measured_rows": last["measured_rows"],
        "candidates_per_row": last["candidates_per_row"],
        "panels": last["panels"],
        "tile_rows": last["tile_rows"],
    }


def show(case: dict[str, Any]) -> None:
    results = case["results"]
    print(f"\n{case['data']}, {case['n']} x {case['d']}, k = {case['n_neighbors']}")
    for name, what in case["ran"].items():
        print(f"- {name}: {what}")
    print("\n| | median s | range | TFLOP/s | torch float32 / | wrong rows |")
    print("|---" * 6 + "|")
    for name, r in results.items():
        wrong = ""
        if "rows_unlike_float64" in r:
            wrong = f"{r['rows_unlike_float64']} of {case['checked_rows']} checked"
        elif "wrong_rows" in r:
            wrong = f"{100 * r['wrong_rows']:.2f} %"
        part = r.get("rows_timed", case["n"])
        note = "" if part == case["n"] else f" (from {part} rows)"
        ratio = f"{r['times_torch_float32']:.2f}" if "times_torch_float32" in r else ""
        print(
            f"| {name} | {r['median_seconds']:.4f}{note} | {min(r['seconds']):.4f} to "
            f"{max(r['seconds']):.4f} | {r['full_product_tflops']:.1f} | {ratio} | {wrong} |"
        )
    own = {name: r for name, r in results.items() if "seconds_by_stage" in r}
    print(
        "\n| seconds | "
        + " | ".join(STAGES)
        + " | certified at first | measured against all | candidates a row "
        + "| of the bare rate, half matrix |\n"
        + "|---" * (5 + len(STAGES))
        + "|"
    )
    for name, r in own.items():
        cells = [f"{r['seconds_by_stage'][s]:.4f}" for s in STAGES]
        print(
            f"| {name} | {' | '.join(cells)} | {100 * r['certified_share']:.2f} % "
            f"| {r['measured_rows']} | {r['candidates_per_row']:.1f} "
            f"| {100 * r['share_of_bare_rate_half_matrix']:.0f} % |",
            flush=True,
        )
        if r["rows_unlike_the_other"]:
            print(f"{name}: {r['rows_unlike_the_other']} rows unlike {next(iter(own))}")


# ---- a stack of layers


def stack_of_languages(
    layers: int, n: int, d: int, args: argparse.Namespace, device: Device
) -> tuple[torch.Tensor, np.ndarray]:
    """Sentences in several languages: what they mean, how their language looks, and noise."""
    n_languages = args.languages
    size = n // n_languages
    languages = np.minimum(np.arange(n) // max(1, size), n_languages - 1).astype(np.int32)
    sentences = np.arange(n) - languages.astype(np.int64) * size
    generator = torch.Generator(device).manual_seed(args.seed)
    X = torch.empty((layers, n, d), dtype=getattr(torch, args.stack_dtype), device=device)
    of_language = torch.from_numpy(languages).long().to(device)
    of_sentence = torch.from_numpy(sentences).to(device)
    for layer in range(layers):
        meaning = torch.randn((int(sentences.max()) + 1, d), generator=generator, device=device)
        looks = torch.randn((n_languages, d), generator=generator, device=device)
        noise = torch.randn((n, d), generator=generator, device=device)
        mixing = layer / max(1, layers - 1)  # from languages apart to languages together
        X[layer] = (meaning[of_sentence] + 2 * (1 - mixing) * looks[of_language] + noise).to(
            X.dtype
        )
    return X, languages


def published(
    X: torch.Tensor, languages: np.ndarray, n_languages: int, args: argparse.Namespace
) -> tuple[int, np.ndarray]:
    """Layers that were done in the time allowed, and their scores (layers, languages)."""
    torch.set_float32_matmul_precision("highest")
    k, threshold = args.n_neighbors[0], args.threshold
    scores = np.zeros((len(X), n_languages))
    labels = languages.tolist()
    sizes = np.bincount(languages, minlength=n_languages)
    start = time.perf_counter()
    for layer, points in enumerate(X):
        points = points.float()
        points = points / points.norm(dim=1, keepdim=True)
        # Its column 0 is taken for the point itself.
        nearest = (points @ points.T).topk(k + 1).indices[:, 1:].cpu().tolist()
        bridges = [0] * n_languages
        reached: list[set[int]] = [set() for _ in range(n_languages)]
        for i, neighbours in enumerate(nearest):
            own = labels[i]
            others = {labels[j] for j in neighbours} - {own}
            bridges[own] += len(others) >= threshold
            reached[own] |= others
        for language in range(n_languages):
            bridge = bridges[language] / sizes[language]
            reach = len(reached[language]) / (n_languages - 1)
            scores[layer, language] = 2 * bridge * reach / (bridge + reach) if bridge + reach else 0
        if time.perf_counter() - start > args.published_seconds:
            return layer + 1, scores
    return len(X), scores


def measure_stack(layers: int, n: int, d: int, args: argparse.Namespace) -> dict[str, Any]:
    on_gpu = args.machine == "gpu"
    device = torch.device("cuda" if on_gpu else "cpu")
    X, languages = stack_of_languages(layers, n, d, args, device)
    pinned = X.cpu().pin_memory() if on_gpu else X.clone()
    ends = np.cumsum(np.bincount(languages, minlength=args.languages)).tolist()
    found: dict[str, Any] = {}

    def scores(stack: torch.Tensor) -> Callable[[], Any]:
        parts = zip([0, *ends], ends, strict=False)
        of_language = {f"l{c:03d}": stack[:, a:b] for c, (a, b) in enumerate(parts)}
        return lambda: overlap(
            of_language,
            n_neighbors=args.n_neighbors[0],
            threshold=args.threshold,
            backend="cuda",
            parallel=n % args.languages == 0,
        )

    contestants = {
        "ilo_fast, from the device's memory": scores(X),
        "ilo_fast, from pinned memory": scores(pinned),
        "the published procedure": lambda: published(X, languages, args.languages, args),
    }
    times: dict[str, list[float]] = {}
    for _ in range(args.repeats + 1):  # the first only warms up
        for name, work in contestants.items():
            taken, found[name] = seconds_of(work, device)
            times.setdefault(name, []).append(taken)
    results: dict[str, dict[str, Any]] = {}
    for name, taken in times.items():
        results[name] = {"median_seconds": statistics.median(taken[1:]), "seconds": taken[1:]}
    done, published_ilo = found["the published procedure"]
    slow = results["the published procedure"]
    slow["layers_timed"] = done
    slow["median_seconds"] *= layers / done
    first, second = (found[name] for name in list(contestants)[:2])
    ilo = first.ilo
    for name in list(contestants)[:2]:
        infos = found[name].info["layers"]
        results[name]["seconds_by_stage"] = {
            s: sum(info[f"seconds_{s}"] for info in infos) for s in STAGES
        }
        results[name]["certified_share"] = sum(i["certified_rows"] for i in infos) / (n * layers)
    difference = float(np.abs(ilo[:done] - published_ilo[:done]).max())
    return {
        "layers": layers,
        "n": n,
        "d": d,
        "dtype": args.stack_dtype,
        "n_neighbors": args.n_neighbors[0],
        "languages": args.languages,
        "same_scores_from_both_memories": bool(
            (first.bridge == second.bridge).all() and (first.reach == second.reach).all()
        ),
        "mean_ilo_first_and_last_layer": [float(ilo[0].mean()), float(ilo[-1].mean())],
        "largest_difference_of_ilo_from_published": difference,
        "results": results,
    }


def show_stack(case: dict[str, Any]) -> None:
    print(
        f"\noverlap of {case['layers']} x {case['n']} x {case['d']} {case['dtype']}, "
        f"{case['languages']} languages, k = {case['n_neighbors']}\n\n| | median s | range | |"
        "\n|---|---|---|---|"
    )
    for name, r in case["results"].items():
        note = ""
        if "certified_share" in r:
            parts = ", ".join(f"{s} {t:.3f}" for s, t in r["seconds_by_stage"].items())
            note = f"{parts}; certified at first {100 * r['certified_share']:.2f} %"
        elif r["layers_timed"] < case["layers"]:
            note = f"{r['layers_timed']} layers timed, scaled to all"
        print(
            f"| {name} | {r['median_seconds']:.3f} | {min(r['seconds']):.3f} to "
            f"{max(r['seconds']):.3f} | {note} |"
        )
    if not case["same_scores_from_both_memories"]:
        print("THE SCORES FROM PINNED MEMORY DIFFER")
    print(
        "largest difference of ILO from the published procedure's: "
        f"{case['largest_difference_of_ilo_from_published']:.4f}",
        flush=True,
    )


# ---- the whole


def numbers(shape: str, count: int) -> list[int]:
    parts = shape.lower().split("x")
    if len(parts) != count or not all(p.isdigit() and int(p) > 0 for p in parts):
        raise SystemExit(f"{shape!r} is no shape: give {'x'.join(['LAYERS', 'N', 'D'][-count:])}")
    return [int(p) for p in parts]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", action="append", help=f"N x D, repeatable; {', '.join(SHAPES)}")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("-k", "--n-neighbors", nargs="+", type=int, default=[5])
    parser.add_argument("--products", nargs="+", default=list(OURS), choices=OURS)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--check", type=int, default=200, help="rows compared with float64")
    parser.add_argument("--limit-seconds", type=float, default=3, help="of one run of a peer")
    parser.add_argument("--budget", type=float, default=480, help="seconds; no case starts after")
    parser.add_argument("--stack", help="LAYERS x N x D: time the scores of a stack instead")
    parser.add_argument(
        "--stack-dtype", default="float32", choices=["float16", "bfloat16", "float32"]
    )
    parser.add_argument("--languages", type=int, default=31, help="of the stack")
    parser.add_argument("--threshold", type=int, default=3, help="of the stack")
    parser.add_argument("--published-seconds", type=float, default=30)
    parser.add_argument("--machine", default="gpu", choices=["gpu", "emulated"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def use_emulator() -> None:
    """Put the CUDA emulator in the place of the GPU."""
    from ilo_fast import _core_testing

    device = {"name": "CUDA emulator", "capability": (8, 0), "memory": 1 << 31, "l2": 1 << 22}
    found = {"problem": "", "devices": [device], "architectures": "", "runtime": 0}
    cuda.status = lambda: found
    cuda._core = SimpleNamespace(
        cuda_knn_graph=partial(_core_testing.cuda_knn_graph, machine="emulated"),
        cuda_overlap=partial(_core_testing.cuda_overlap, machine="emulated"),
    )


def describe(args: argparse.Namespace) -> dict[str, Any]:
    """The machine; ends the program where there is no GPU to measure."""
    status = _core.cuda_status()
    if args.machine == "gpu":
        problem = status["problem"]
        if status["devices"] and not torch.cuda.is_available():
            problem = "this torch sees no GPU"
        if problem:
            print(f"nothing can be measured here: {problem}", file=sys.stderr)
            raise SystemExit(2)
        driver = {"device": status["devices"][0], "cuda_of_torch": torch.version.cuda}
    else:
        print("a dry run of this script on the CUDA emulator: none of its times mean anything")
        use_emulator()
        driver = {"dry_run": True}
    return common.machine() | {"torch": torch.__version__} | driver


def main() -> int:
    args = parse()
    start = time.perf_counter()
    report: dict[str, Any] = {"machine": describe(args), "cases": [], "left_out": []}
    wrong = 0
    if args.stack:
        case = measure_stack(*numbers(args.stack, 3), args)
        report["cases"].append(case)
        show_stack(case)
        wrong += not case["same_scores_from_both_memories"]
    else:
        shapes = [numbers(shape, 2) for shape in args.shape or SHAPES]
        for n, d in shapes:
            for k in args.n_neighbors:
                for kind in args.data:
                    if time.perf_counter() - start > args.budget:
                        left_out = f"{kind}, {n} x {d}, k = {k}"
                        report["left_out"].append(left_out)
                        print(f"left out, the budget is spent: {left_out}")
                        continue
                    case = measure(kind, n, d, k, args)
                    report["cases"].append(case)
                    show(case)
                    if args.output:
                        common.write_json(args.output, report)
        for case in report["cases"]:
            for r in case["results"].values():
                wrong += r.get("rows_unlike_float64", 0) + r.get("rows_unlike_the_other", 0)
    if args.output:
        common.write_json(args.output, report)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
