"""One model on one corpus: representations, scores, companions, structure, kept in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ilo_fast import OverlapScores, ParallelCorpus, Representations, extract, overlap
from ilo_fast._util.files import read_json, write_json
from ilo_fast.report.files import write_scores
from ilo_fast.scores.certainty.sample_size import SizeCurve, size_curve
from ilo_fast.scores.companions.companions import Companions, companions
from ilo_fast.scores.companions.result import COMPANIONS_FILE
from ilo_fast.scores.structure.file import STRUCTURE_FILE
from ilo_fast.scores.structure.result import Structure
from ilo_fast.scores.structure.structure import structure


@dataclass(frozen=True)
class Options:
    """What every measurement of the study has."""

    n_permutations: int = 1000
    seed: int = 0
    max_length: int | None = None


@dataclass(frozen=True)
class Measured:
    """All that is known of a model."""

    scores: OverlapScores
    companions: Companions
    structure: Structure
    curve: SizeCurve
    seconds: dict[str, float]


def measure_model(
    name: str,
    source: str,
    corpus: ParallelCorpus,
    folder: Path,
    options: Options,
    say: Callable[[str], None],
) -> Measured:
    """Measure, or read what an earlier call left in `folder` of the same text and options."""
    said = folder / "study.json"
    about = {"corpus": corpus.fingerprint(), **vars(options)}
    if said.is_file() and read_json(said).get("about") != about:
        raise ValueError(
            f"{folder} was made of other text or with other options: give another --out"
        )
    seconds: dict[str, float] = read_json(said)["seconds"] if said.is_file() else {}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(said, {"about": about, "seconds": seconds})

    def done(step: str, started: float) -> None:
        seconds[step] = time.perf_counter() - started
        write_json(said, {"about": about, "seconds": seconds})
        say(f"{name}: {step} {seconds[step]:.0f} s")

    kept = folder / "representations"
    if "extract" in seconds:
        representations = Representations.load(kept)
    else:
        started = time.perf_counter()
        representations = extract(source, corpus, max_length=options.max_length)
        representations.save(kept)
        done("extract", started)
    if "overlap" in seconds:
        scores = OverlapScores.from_json(folder)
    else:
        started = time.perf_counter()
        scores = overlap(
            representations,
            intervals=True,
            n_permutations=options.n_permutations,
            seed=options.seed,
            neighbors=True,
        )
        scores.info["run"] = {"model_name": name, "corpus_name": corpus.name}
        write_scores(scores, folder)
        done("overlap", started)
    if "structure" in seconds:
        parts = Structure.from_json(folder)
    else:
        started = time.perf_counter()
        parts = structure(scores, seed=options.seed)
        parts.to_json(folder / STRUCTURE_FILE)
        done("structure", started)
    if "companions" in seconds:
        others = Companions.from_json(folder)
    else:
        started = time.perf_counter()
        others = companions(representations, scores, seed=options.seed)  # the tables rank means
        others.to_json(folder / COMPANIONS_FILE)
        done("companions", started)
    if "size" in seconds:
        curve = read_curve(folder / "size.json")
    else:
        started = time.perf_counter()
        curve = size_curve(representations, whole=scores, seed=options.seed)
        write_json(folder / "size.json", curve_object(curve))
        done("size", started)
    return Measured(scores, others, parts, curve, seconds)


def curve_object(curve: SizeCurve) -> dict[str, Any]:
    """A curve as JSON can hold it: NaN as None."""

    def listed(values: np.ndarray) -> Any:
        return np.where(np.isnan(values), None, values.astype(object)).tolist()

    return {
        "sizes": curve.sizes,
        "n_blocks": curve.n_blocks,
        "layers": curve.layers,
        "languages": curve.languages,
        "means": {name: listed(values) for name, values in curve.means.items()},
        "spread": {name: listed(values) for name, values in curve.spread.items()},
    }


def read_curve(path: Path) -> SizeCurve:
    """What `curve_object` gave."""
    data = read_json(path)

    def arrays(named: dict[str, Any]) -> dict[str, np.ndarray]:
        return {name: np.array(values, np.float64) for name, values in named.items()}

    return SizeCurve(
        sizes=tuple(data["sizes"]),
        n_blocks=tuple(data["n_blocks"]),
        means=arrays(data["means"]),
        spread=arrays(data["spread"]),
        layers=tuple(data["layers"]),
        languages=tuple(data["languages"]),
    )
