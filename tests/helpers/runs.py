"""Runs with all that a page can show of them, made up."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import dataclasses

import numpy as np

from ilo_fast.corpora.languages import LANGUAGES
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.report.run_data import RunData
from helpers.scores import overlap_scores

CODES = tuple(LANGUAGES)


def fake_companion(name: str, shape: tuple[int, int], rng: np.random.Generator) -> Any:
    values = rng.random(shape)
    width = 0.05 * rng.random(shape)
    return SimpleNamespace(
        name=name,
        title=name.replace("_", " ").capitalize()[:28],
        about=f"What {name} says. By chance it is 0.1.",
        lowest=0.0,
        highest=1.0,
        values=values,
        chance=np.full(shape, 0.1),
        low=values - width,
        high=values + width,
        z=rng.normal(size=shape),
        means=values.mean(axis=1),
        means_low=values.mean(axis=1) - 0.02,
        means_high=values.mean(axis=1) + 0.02,
        means_chance=np.full(shape[0], 0.1),
    )


def fake_companions(layers: Sequence[int], codes: Sequence[str], seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    shape = (len(layers), len(codes))
    names = ("translation_bridge", "retrieval_p1", "mutual_knn", "cka", "hubness_skew")
    scores = tuple(fake_companion(name, shape, rng) for name in names)
    matrices = {name: rng.random((*shape, len(codes))) for name in ("retrieval_p1", "mutual_knn")}
    return SimpleNamespace(
        layers=tuple(layers), languages=tuple(codes), scores=scores, matrices=matrices, level=0.95
    )
