"""Random kills, damaged files and hostile inputs, for minutes or hours: what holds, what does not.

    python tests/soak.py                           # five minutes
    python tests/soak.py --minutes 600 --seed 7 --json soak.json
    python tests/soak.py --only "killed pretraining" --minutes 2

No test of pytest and not part of CI. Every case ends in the value of an oracle (a run that nobody
disturbed, or a float64 brute force), or in an error of ilo_fast's own that names what is wrong; all
else is a fault. Case i of a class depends on the seed, the class and i alone. Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from helpers import training as tiny
from helpers.pretraining import run as pretrained_run
from helpers.soak import (
    ODD_LINES,
    ODD_NAMES,
    ODD_VALUES,
    Fault,
    command,
    copied,
    damaged,
    forked,
    refused_or,
    silenced,
    wanted,
)
from oracles import knn as oracle
from safetensors.torch import load_file

import ilo_fast
from ilo_fast import NeighborGraph, OverlapScores, Representations, extract, knn_graph, overlap
from ilo_fast.models.demo import demo_model_path
from ilo_fast.training.records import read_overlap_log

torch.set_num_threads(1)
LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn")
CODES = ",".join(LANGUAGES)


def corpus(limit: int = 8) -> Any:
    lines = ilo_fast.ParallelCorpus.demo().sentences
    return {code: list(lines[code])[:limit] for code in LANGUAGES}


def same(got: Any, reference: Any, what: str) -> None:
    wanted(np.array_equal(np.asarray(got), np.asarray(reference)), f"other {what}")


class Soak:
    """The classes of cases, and what they share: references made once, undisturbed."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.corpus = corpus()
        self.made: dict[str, Any] = {}

    def reference(self, name: str) -> Any:
        """What an undisturbed run gives; made once, before a case forks."""
        if name not in self.made:
            self.made[name] = getattr(self, f"_{name}")(self.work / name)
        return self.made[name]

    # ---- graphs

    def hostile_arrays(self, rng: np.random.Generator, folder: Path) -> str:
        n, d, k = (int(rng.integers(1, high)) for high in (60, 20, 8))
        X: Any = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-45, 38)
        X = X.astype(rng.choice(["f2", "f4", "f8", ">f4", "<f8", "i4", "c8", "O", "bool"]))
        metric = str(rng.choice(["cosine", "euclidean"]))
        for _ in range(rng.integers(0, 3)):
            way = int(rng.integers(10))
            if way == 0 and X.dtype.kind == "f":
                X[rng.integers(n), rng.integers(d)] = rng.choice([np.nan, np.inf, 0, -0.0])
            elif way == 1:
                X = X[:, ::-1]
            elif way == 2:
                X = np.asfortranarray(X)
            elif way == 3:
                X[rng.integers(n, size=n)] = X[rng.integers(n)]
            elif way == 4:
                X = np.ma.array(X, mask=rng.random(X.shape) < rng.choice([0, 0.05]))
            elif way == 5:
                X = np.broadcast_to(X[:1], X.shape)
                break  # nothing can be written into it
            elif way == 6 and X.dtype.kind == "f" and X.dtype.isnative:
                X = torch.tensor(np.ascontiguousarray(X), requires_grad=True)
                break
            elif way == 7:
                X = X[None] if rng.random() < 0.5 else X[0]
                break
            elif way == 8:
                X[rng.integers(n)] = 0
        options = {"metric": metric, "n_threads": 1}
        if rng.random() < 0.3:
            options["backend"] = str(rng.choice(["exact", "hnsw", "cuda", "fast"]))

        def check(graph: Any) -> None:
            values = np.asarray(X.detach() if isinstance(X, torch.Tensor) else np.ma.getdata(X))
            values = values.reshape(values.shape[-2:]).astype(values.dtype.newbyteorder("="))
            wanted(not np.ma.is_masked(X), "a mask was lost")
            indices = graph.indices.reshape(-1, k)
            if graph.info["backend"] == "exact":
                same(indices, oracle.knn(values, k, metric)[0], "neighbours")

        return refused_or(lambda: knn_graph(X, k, **options), check)

    def hostile_keywords(self, rng: np.random.Generator, folder: Path) -> str:
        x = np.random.default_rng(0).standard_normal((20, 4)).astype("f4")
        out = str(folder / "out")
        fine = {"max_steps": 1, "device": "cpu"}
        calls: list[tuple[Any, tuple[str, ...]]] = [
            (lambda **o: knn_graph(x, **{"n_neighbors": 3} | o), (
                "n_neighbors", "metric", "backend", "n_threads", "max_memory", "checkpoint",
                "queries")),
            (lambda **o: overlap({"a": x, "b": x}, **{"threshold": 1} | o), (
                "n_neighbors", "threshold", "metric", "backend", "n_threads", "parallel")),
            (lambda **o: extract(demo_model_path(), self.corpus, **{"cache": False} | o), (
                "layers", "device", "dtype", "batch_tokens", "cache", "pooling", "special_tokens",
                "max_length")),
            (ilo_fast.OverlapOptions, (
                "layers", "n_neighbors", "threshold", "metric", "backend", "n_threads", "pooling",
                "batch_tokens", "special_tokens", "max_length", "verify", "parallel")),
            (lambda **o: ilo_fast.finetune(demo_model_path(), tiny.LINES, out, **fine | o), (
                "language", "task", "freeze", "freeze_head", "max_steps", "learning_rate", "seed",
                "weight_decay", "warmup_steps", "batch_size", "max_length", "eval_fraction",
                "every", "save_steps", "callbacks", "report_to", "overwrite", "overlap_options")),
            (lambda **o: pretrained_run(Path(out), **{"max_steps": 1} | o), (
                "mixture", "languages", "vocab_size", "tokenizer_lines", "config", "hidden_size",
                "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "max_length",
                "context", "betas", "decay_share", "batch_size", "learning_rate", "seed", "dtype",
                "intermediate_size", "overwrite", "callbacks", "every")),
        ]  # fmt: skip
        call, names = calls[rng.integers(len(calls))]
        name, value = names[rng.integers(len(names))], ODD_VALUES[rng.integers(len(ODD_VALUES))]
        os.chdir(folder)
        try:
            return refused_or(lambda: call(**{name: value}), lambda _: None)
        except Fault as fault:
            raise Fault(f"{name}={value!r}: {fault}") from None

    def changing_rows(self, rng: np.random.Generator, folder: Path) -> str:
        n = int(rng.integers(200, 4000))
        X = rng.standard_normal((n, int(rng.integers(2, 40)))).astype("f4")
        done, backend = threading.Event(), str(rng.choice(["exact", "exact", "hnsw"]))

        def write() -> None:
            own = np.random.default_rng(int(rng.integers(2**30)))
            while not done.is_set():
                X[own.integers(0, n, 20)] = own.choice([np.nan, 0.0, 1e30, 1.0, own.random()])

        def check(graph: Any) -> None:
            i = graph.indices
            wanted(((i >= 0) & (i < n)).all(), "impossible indices")
            wanted((np.diff(np.sort(i, axis=1)) > 0).all(), "a neighbour twice")
            wanted((i != np.arange(n)[:, None]).all(), "a row that is its own neighbour")

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        try:
            return refused_or(lambda: knn_graph(X, 5, backend=backend, n_threads=2), check)
        finally:
            done.set()
            writer.join()

    def _graph(self, folder: Path) -> tuple[Any, Any]:
        x = np.random.default_rng(5).standard_normal((6000, 96)).astype("f4")
        return x, knn_graph(x, 6, n_threads=1)

    def killed_graph(self, rng: np.random.Generator, folder: Path) -> str:
        x, reference = self.reference("graph")

        def call() -> str:
            graph = knn_graph(x, 6, n_threads=1, checkpoint=folder / "c", max_memory="3MB")
            same(graph.indices, reference.indices, "neighbours")
            same(graph.distances, reference.distances, "distances")
            return "right"

        for _ in range(rng.integers(1, 4)):
            forked(call, kill_after=float(rng.uniform(0, 0.8)))
        return forked(call)

    def _saved_graph(self, place: Path) -> tuple[Any, Any, Path]:
        x = np.random.default_rng(6).standard_normal((300, 8)).astype("f4")
        graph = knn_graph(x, 4, checkpoint=place / "c")
        graph.save(place / "g" / "graph.npz")
        return x, graph, place

    def damaged_graph(self, rng: np.random.Generator, folder: Path) -> str:
        x, graph, place = self.reference("saved_graph")
        here = copied(place, folder / "g")
        what = damaged(here, rng)

        def check(got: NeighborGraph) -> None:
            same(got.indices, graph.indices, f"neighbours after {what}")

        first = refused_or(lambda: knn_graph(x, 4, checkpoint=here / "c"), check)
        second = refused_or(lambda: NeighborGraph.load(here / "g" / "graph.npz"), check)
        return "refused" if "refused" in (first, second) else "right"

    # ---- representations and scores

    def _extracted(self, cache: Path | bool) -> Representations:
        return extract(demo_model_path(), self.corpus, device="cpu", cache=cache)

    def _check_representations(self, reps: Any) -> None:
        for code, values in self.reference("values").items():
            same(reps[code], values, f"representations of {code}")

    def _values(self, place: Path) -> Any:
        return {code: values.copy() for code, values in self._extracted(False).items()}

    def killed_extraction(self, rng: np.random.Generator, folder: Path) -> str:
        def call() -> str:
            self._check_representations(self._extracted(folder / "cache"))
            return "right"

        for _ in range(rng.integers(1, 4)):
            forked(call, kill_after=float(rng.uniform(0, 1.0)))
        return forked(call)

    def _folders(self, place: Path) -> Path:
        self._extracted(place / "cache").save(place / "reps")
        return place

    def damaged_representations(self, rng: np.random.Generator, folder: Path) -> str:
        here = copied(self.reference("folders"), folder / "r")
        damaged(here, rng)
        again = refused_or(lambda: self._extracted(here / "cache"), self._check_representations)
        loaded = refused_or(
            lambda: Representations.load(here / "reps"), self._check_representations
        )
        return "refused" if "refused" in (again, loaded) else "right"

    def damaged_model(self, rng: np.random.Generator, folder: Path) -> str:
        here = copied(demo_model_path(), folder / "model")
        what = damaged(here, rng)
        # Nothing vouches for weights or vocabulary: other values are to be expected.
        text = {code: lines[:3] for code, lines in self.corpus.items()}

        def check(reps: Any) -> None:
            wanted(set(reps) == set(LANGUAGES), f"other languages after {what}")

        try:
            return refused_or(lambda: extract(here, text, device="cpu", cache=False), check)
        except Fault as fault:
            raise Fault(f"{what}: {fault}") from None

    def _results(self, place: Path) -> Path:
        place.mkdir(parents=True)
        scores = overlap(self._extracted(False), n_neighbors=3, threshold=1)
        (place / "scores.json").write_text(scores.to_json())
        self._finetune(place / "tuned", corpus=self.corpus)
        return place

    def damaged_results(self, rng: np.random.Generator, folder: Path) -> str:
        here = copied(self.reference("results"), folder / "r")
        names = ["scores.json", "overlap.jsonl", "run_card.json"]
        what = damaged(here, rng, names[rng.integers(3)])

        def sane(scores: Any) -> None:
            for name in ("bridge", "reach", "ilo"):
                table = getattr(scores, name)
                wanted(((table >= 0) & (table <= 1)).all(), f"{name} beyond 0 to 1 after {what}")

        def log(records: Any) -> None:
            for record in records:
                if record.scores is not None:
                    sane(record.scores)

        outcomes = [
            refused_or(lambda: OverlapScores.from_json(here / "scores.json"), sane)
            if (here / "scores.json").exists() else "refused",
            refused_or(lambda: read_overlap_log(here / "tuned" / "overlap.jsonl"), log)
            if (here / "tuned" / "overlap.jsonl").exists() else "refused",
        ]  # fmt: skip
        for path in (here / "scores.json", here / "tuned"):
            command("report", str(path), "-o", str(folder / "out"), "--overwrite")
        return "refused" if "refused" in outcomes else "right"

    # ---- training

    def _finetune(self, output: Path, **options: Any) -> Any:
        settings = {"max_steps": 6, "batch_size": 4, "save_steps": 1, "every": 3, **options}
        settings |= {"overlap_options": tiny.FEW} if "corpus" in options else {}
        return tiny.train(demo_model_path(), output, keep_checkpoints=True, **settings)

    def _pretrain(self, output: Path) -> Any:
        return pretrained_run(output, max_steps=8, save_steps=1, keep_checkpoints=True)

    def _finetuned(self, place: Path) -> Any:
        self._finetune(place / "run")
        return load_file(place / "run" / "model" / "model.safetensors"), place / "run"

    def _pretrained(self, place: Path) -> Any:
        self._pretrain(place / "run")
        return load_file(place / "run" / "model" / "model.safetensors"), place / "run"

    def _training(
        self, rng: np.random.Generator, folder: Path, train: Any, name: str, damage: bool
    ) -> str:
        reference, finished = self.reference(name)

        def call() -> str:
            def check(result: Any) -> None:
                weights = load_file(result.path / "model.safetensors")
                wanted(weights.keys() == reference.keys(), "other weights")
                for key, value in reference.items():
                    wanted(torch.equal(weights[key], value), f"other weights: {key}")

            return refused_or(lambda: train(folder / "run"), check)

        what = "kills"
        if damage and rng.random() < 0.5:
            copied(finished, folder / "run")
        else:
            for _ in range(1 if damage else rng.integers(1, 4)):
                forked(call, kill_after=float(rng.uniform(0.2, 3.0)))
        if damage and (folder / "run").is_dir():
            what = damaged(folder / "run", rng)
        try:
            outcome = forked(call)
        except Fault as fault:
            raise Fault(f"{what}: {fault}") from None
        wanted(damage or outcome == "right", "refused after a kill")
        return outcome

    def killed_finetuning(self, rng: np.random.Generator, folder: Path) -> str:
        return self._training(rng, folder, self._finetune, "finetuned", False)

    def killed_pretraining(self, rng: np.random.Generator, folder: Path) -> str:
        return self._training(rng, folder, self._pretrain, "pretrained", False)

    def damaged_finetuning(self, rng: np.random.Generator, folder: Path) -> str:
        return self._training(rng, folder, self._finetune, "finetuned", True)

    def damaged_pretraining(self, rng: np.random.Generator, folder: Path) -> str:
        return self._training(rng, folder, self._pretrain, "pretrained", True)

    # ---- the commands

    def _command_run(self, place: Path) -> str:
        status, text = command(
            "run", "-l", CODES, "--limit", "6", "-k", "3", "--threshold", "1", "-q",
            "--device", "cpu", "--cache", str(place / "cache"), "-o", str(place / "out"),
        )  # fmt: skip
        wanted(status == 0, f"run ends with {status}: {text[-300:]}")
        return "right"

    def _run(self, place: Path) -> Any:
        forked(lambda: self._command_run(place))
        return OverlapScores.from_json(place / "out" / "scores.json").ilo

    def killed_run(self, rng: np.random.Generator, folder: Path) -> str:
        reference = self.reference("run")
        for _ in range(rng.integers(1, 4)):
            forked(lambda: self._command_run(folder), kill_after=float(rng.uniform(0.1, 3.0)))
        forked(lambda: self._command_run(folder))
        same(OverlapScores.from_json(folder / "out" / "scores.json").ilo, reference, "scores")
        hidden = [p.name for p in folder.glob(".*")] + [p.name for p in folder.glob("out/.*.tmp")]
        wanted(not hidden, f"leftovers: {hidden}")
        return "right"

    def hostile_text(self, rng: np.random.Generator, folder: Path) -> str:
        place = folder / "texts"
        place.mkdir()
        names = [*LANGUAGES[: rng.integers(1, 4)]]
        if rng.random() < 0.4:
            names.append(str(rng.choice(ODD_NAMES)))
        count = int(rng.integers(0, 12))
        for name in names:
            lines = [str(rng.choice(ODD_LINES)) if rng.random() < 0.3 else f"line {i} of it"
                     for i in range(count + int(rng.random() < 0.1))]  # fmt: skip
            data = str(rng.choice(["\n", "\r\n", "\r"])).join(lines).encode("utf-8", "replace")
            (place / f"{name}.txt").write_bytes(
                data + (rng.bytes(5) if rng.random() < 0.1 else b"")
            )
        unknown = ["--allow-unknown"] if rng.random() < 0.5 else []
        out = folder / ("out" if rng.random() < 0.9 else "out\x1b[31m")
        status, _ = command(
            "run", "--corpus", str(place), "-k", "2", "--threshold", "1", "--no-cache",
            "--device", "cpu", "-o", str(out), *unknown,
        )  # fmt: skip
        return "right" if status == 0 else "refused"


# What each class needs of the references.
CLASSES = {
    "hostile arrays": (), "hostile keywords": (), "hostile text": (), "changing rows": (),
    "killed graph": ("graph",), "killed extraction": ("values",),
    "killed finetuning": ("finetuned",), "killed pretraining": ("pretrained",),
    "killed run": ("run",), "damaged graph": ("saved_graph",),
    "damaged representations": ("values", "folders"), "damaged model": (),
    "damaged results": ("results",), "damaged finetuning": ("finetuned",),
    "damaged pretraining": ("pretrained",),
}  # fmt: skip
FORKS_ITSELF = [n for n in CLASSES if n.startswith("killed") or (n.endswith("ing") and n[0] == "d")]


def one(soak: Soak, name: str, seed: int, number: int, keep: Path | None) -> tuple[str, str]:
    """Outcome and what is to be said of one case."""
    rng = np.random.default_rng([seed, list(CLASSES).index(name), number])
    random.seed(int(rng.integers(2**32)))
    method = getattr(soak, name.replace(" ", "_"))
    with tempfile.TemporaryDirectory(dir=keep, prefix="case-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        try:
            if name in FORKS_ITSELF:
                return method(rng, folder), ""
            return forked(lambda: method(rng, folder)), ""
        except Fault as fault:
            return "fault", str(fault)


def main_() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", action="append", choices=list(CLASSES), help="class; may be repeated"
    )
    parser.add_argument("--json", type=Path, help="a file for counts and faults")
    parser.add_argument("--verbose", action="store_true", help="what the cases themselves say")
    args = parser.parse_args()
    names = args.only or list(CLASSES)
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    seconds = dict.fromkeys(names, 0.0)
    faults: list[dict[str, Any]] = []
    began = time.monotonic()
    warnings.simplefilter("ignore")
    quiet = contextlib.nullcontext() if args.verbose else silenced()
    with tempfile.TemporaryDirectory(prefix="ilo-soak-") as place, quiet:
        soak, number = Soak(Path(place)), 0
        while time.monotonic() - began < 60 * args.minutes or number == 0:
            # The class that had the least time so far: each gets about the same.
            name = min(names, key=lambda name: seconds[name])
            for need in CLASSES[name]:
                soak.reference(need)  # its time is nobody's
            case, start = sum(counts[name].values()), time.monotonic()
            outcome, said = one(soak, name, args.seed, case, Path(place))
            seconds[name] += time.monotonic() - start
            counts[name][outcome] += 1
            number += 1
            if outcome == "fault":
                faults.append({"class": name, "case": case, "fault": said})
    total = time.monotonic() - began
    print(f"| class | cases | right | refused | faults |\n|---|{'---:|' * 4}")
    for name, count in counts.items():
        row = [sum(count.values()), count["right"], count["refused"], count["fault"]]
        print(f"| {name} | {' | '.join(map(str, row))} |")
    print(f"\n{sum(c.total() for c in counts.values())} cases in {total / 60:.1f} minutes, "
          f"{len(faults)} faults; seed {args.seed}")  # fmt: skip
    for fault in faults:
        print(f"- {fault['class']}, case {fault['case']}: {fault['fault']}")
    if args.json:
        report = {"seed": args.seed, "minutes": total / 60, "faults": faults,
                  "counts": {name: dict(count) for name, count in counts.items()}}  # fmt: skip
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main_())
