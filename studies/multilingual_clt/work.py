"""All pieces of the study, in the order in which they are best made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from multilingual_clt.analysing import Analysing
from multilingual_clt.making import KINDS, Making
from multilingual_clt.pieces import Piece
from multilingual_clt.plan import MEASURED, Condition, Plan
from multilingual_clt.tuning import BASE, MIXTURES, TUNINGS, Tuning


def all_pieces(plan: Plan, making: Making) -> list[Piece]:
    """Models and transcoders of one seed, what is measured of them, then the next seed."""
    about = {"languages": list(plan.languages), "sizes": asdict(plan.sizes)}
    analysing, tuning = Analysing(making, making.folder), Tuning(making)
    found = [Piece("vocabularies", about, tuning.vocabularies)]
    for seed in plan.seeds:
        for condition, own in plan.models():
            if own == seed:
                found += model_pieces(condition, seed, making, about)
        for condition, own in plan.models():
            if own == seed:
                found += measured_pieces(condition, seed, analysing, about)
        if BASE in plan.conditions:
            found += tuning_pieces(seed, tuning, about)
    return found


def model_pieces(
    condition: Condition, seed: int, making: Making, about: dict[str, Any]
) -> list[Piece]:
    """A model and its transcoders."""
    settings = {**about, "condition": asdict(condition), "seed": seed}
    model = f"model-{condition.name}-{seed}"
    found = [Piece(model, settings, lambda: making.make_model(condition, seed))]
    for kind in KINDS:

        def transcoder(kind: str = kind) -> dict[str, Any]:
            return making.make_transcoder(condition, seed, kind)

        found.append(Piece(f"{kind}-{condition.name}-{seed}", settings, transcoder, (model,)))
    return found


def measured_pieces(
    condition: Condition, seed: int, analysing: Analysing, about: dict[str, Any]
) -> list[Piece]:
    """What is measured of a model and its transcoders."""
    settings = {**about, "condition": asdict(condition), "seed": seed}
    found = []
    for name, conditions in MEASURED.items():
        for kind in (kind for kind, names in conditions.items() if condition.name in names):
            measure: Callable[..., dict[str, Any]] = getattr(analysing, name)

            def made(measure: Any = measure, kind: str = kind) -> dict[str, Any]:
                return dict(measure(condition, seed, kind))

            needs = (f"{kind}-{condition.name}-{seed}",)
            found.append(Piece(f"{name}-{condition.name}-{seed}-{kind}", settings, made, needs))
    return found


def tuning_pieces(seed: int, tuning: Tuning, about: dict[str, Any]) -> list[Piece]:
    """Fine-tunings of the base model, and what they changed."""
    settings = {**about, "seed": seed}
    base = f"clt-{BASE}-{seed}"
    found = []
    for kind in TUNINGS:

        def tuned(kind: str = kind) -> dict[str, Any]:
            return tuning.tune(kind, seed)

        found.append(Piece(f"tuned-{kind}-{seed}", settings, tuned, (base,)))
    for kind in ("full", "lora"):
        for way in ("reused", "refitted", "fresh") if kind == "full" else ("reused", "refitted"):

            def diff(kind: str = kind, way: str = way) -> dict[str, Any]:
                return tuning.diff(kind, seed, way)

            needs = tuple(f"tuned-{name}-{seed}" for name in (kind, *MIXTURES))
            found.append(Piece(f"diff-{kind}-{way}-{seed}", settings, diff, needs))
    return found
