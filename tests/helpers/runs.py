"""Runs with all that a page can show of them: real scores of random vectors, made-up companions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ilo_fast.report.run_data import RunData
from ilo_fast.scores.companions.result import Companion, Companions, DirectionsRemoved
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.result import OverlapScores
from ilo_fast.scores.structure.structure import structure

CODES = ("eng_Latn", "fra_Latn", "rus_Cyrl", "zho_Hans", "ind_Latn")


def measured(
    n_layers: int = 3,
    codes: Sequence[str] = CODES,
    n_sentences: int = 24,
    *,
    seed: int = 1,
    **options: Any,
) -> OverlapScores:
    """Sentences that meet more from layer to layer, with the graph that was scored."""
    rng = np.random.default_rng(seed)
    meaning = rng.normal(size=(n_sentences, 12))
    depth = np.linspace(0.2, 1, n_layers)[:, None, None]
    found = {
        code: (depth * meaning + rng.normal(size=(n_layers, n_sentences, 12)) / 2).astype("f4")
        for code in codes
    }
    return overlap(found, neighbors=True, parallel=True, n_threads=1, **options)


def companions_of(scores: OverlapScores, seed: int = 1) -> Companions:
    """Random numbers under the names of companions; the last one is of all languages together."""
    rng = np.random.default_rng(seed)
    shape = scores.ilo.shape
    found = [
        _companion(name, rng.random(shape)) for name in ("retrieval_p1", "mutual_knn", "cka_score")
    ]
    together = rng.random(shape[0]) * 30
    found.append(
        Companion(
            name="isoscore",
            title="IsoScore",
            about="Of all languages together.",
            lowest=0.0,
            highest=30.0,
            values=None,
            means=together,
        )
    )
    matrix = rng.random((*shape, shape[1]))
    matrix[:, range(shape[1]), range(shape[1])] = np.nan
    return Companions(
        layers=scores.layers,
        languages=scores.languages,
        scores=tuple(found),
        matrices={"retrieval_p1": matrix},
        removed=DirectionsRemoved(
            layers=scores.layers,
            ranks=(-1, 0, 1, 2),
            ilo=rng.random((4, shape[0])),
            translation_share=rng.random((4, shape[0])),
            n_fitted=5,
            n_scored=5,
        ),
    )


def _companion(name: str, values: Any) -> Companion:
    return Companion(
        name=name,
        title=name.replace("_", " "),
        about=f"What {name} says.",
        lowest=0.0,
        highest=1.0,
        values=values,
        chance=np.full_like(values, 0.1),
        low=values - 0.02,
        high=values + 0.02,
        z=10 * values,
        means=values.mean(axis=1),
        means_low=values.mean(axis=1) - 0.01,
        means_high=values.mean(axis=1) + 0.01,
        means_chance=np.full(len(values), 0.1),
    )


def texts_of(scores: OverlapScores) -> dict[str, list[str]]:
    return {
        code: [f"{code} says {i}" for i in range(n)]
        for code, n in zip(scores.languages, scores.n_sentences, strict=True)
    }


def full_run(name: str = "model", scores: OverlapScores | None = None, **options: Any) -> RunData:
    """Everything that there can be."""
    scores = measured(**options) if scores is None else scores
    rng = np.random.default_rng(5)
    positions = rng.normal(size=(len(scores.layers), sum(scores.n_sentences), 2)).astype("f4")
    return RunData(
        name, scores, companions_of(scores), structure(scores), positions, texts_of(scores)
    )
