"""Results with random numbers, for tests of what is drawn and written of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ilo_fast.evaluation.result import TransferScores
from ilo_fast.scores.certainty.intervals import Intervals
from ilo_fast.scores.certainty.limits import Limits
from ilo_fast.scores.certainty.permutations import MixingTest
from ilo_fast.scores.result import OverlapScores
from ilo_fast.training.records import OverlapRecord

CODES = ("eng_Latn", "fra_Latn", "zho_Hans", "ceb_Latn")
HOSTILE = "<script>alert('x')</script><img src=http://example.org/x>\x1b[31m"


def overlap_scores(
    n_layers: int = 3,
    codes: Sequence[str] = CODES,
    *,
    parallel: bool = True,
    info: dict[str, Any] | None = None,
    seed: int = 7,
    certain: bool = False,
) -> OverlapScores:
    """Random scores; `certain` puts intervals, tests and all else beside them."""
    rng = np.random.default_rng(seed)
    shape = (n_layers, len(codes))
    bridge, reach = rng.random(shape), rng.random(shape)
    scores = OverlapScores(
        bridge=bridge,
        reach=reach,
        ilo=2 * bridge * reach / (bridge + reach),
        layers=tuple(range(n_layers)),
        languages=tuple(codes),
        n_sentences=(10,) * len(codes),
        n_neighbors=5,
        threshold=3,
        metric="cosine",
        translation_share=rng.random(shape) * 0.5 if parallel else None,
        translation_chance=np.full(len(codes), 0.05) if parallel else None,
        info={"run": {"model_name": "org/model", "corpus_name": "text"}} if info is None else info,
    )
    return _with_certainty(scores, rng) if certain else scores


def _with_certainty(scores: OverlapScores, rng: np.random.Generator) -> OverlapScores:
    """Random intervals around the scores, random p-values, and the limits that they have."""
    shape = scores.bridge.shape
    names = ["bridge", "reach", "ilo"]
    names += [] if scores.translation_share is None else ["translation_share"]
    values = {name: getattr(scores, name) for name in names}
    low = {name: value * rng.random(shape) for name, value in values.items()}
    high = {name: value + (1 - value) * rng.random(shape) for name, value in values.items()}
    parallel = scores.translation_share is not None
    return dataclasses.replace(
        scores,
        limits=Limits.of(scores.n_sentences, scores.n_neighbors, scores.threshold),
        translation_chance_given_graph=rng.random(shape) * 0.1 if parallel else None,
        intervals=Intervals(
            level=0.95,
            low=low,
            high=high,
            mean_low={name: value.mean(axis=1) for name, value in low.items()},
            mean_high={name: value.mean(axis=1) for name, value in high.items()},
            reason="",
            reasons={},
            unit="sentence" if parallel else "point",
            n_units=10,
        ),
        mixing_test=MixingTest(
            p_mixing=rng.random(shape),
            p_mixing_mean=rng.random(shape[0]),
            p_translation=rng.random(shape) if parallel else None,
            p_translation_mean=rng.random(shape[0]) if parallel else None,
            ilo_mean=rng.random(shape),
            ilo_sd=rng.random(shape),
            n_permutations=99,
            seed=0,
            shuffled_within="sentence" if parallel else "corpus",
        ),
    )


def overlap_records(
    n_layers: int = 3,
    steps: Sequence[int] = (0, 10, 25),
    *,
    failed: Sequence[int] = (),
    parallel: bool = True,
) -> list[OverlapRecord]:
    """One measurement for each step; those of the steps `failed` hold no scores."""
    return [
        OverlapRecord(step, step / 10, "step", 1.0, None, failed="out of memory")
        if step in failed
        else OverlapRecord(
            step, step / 10, "step", 1.0, overlap_scores(n_layers, parallel=parallel, seed=step)
        )
        for step in steps
    ]


def transfer_scores(accuracy: dict[str, float], *, n: int = 50) -> TransferScores:
    """A classifier that is right so often: accuracies must be whole numbers of `n` texts."""
    targets = {code: np.arange(n) % 3 for code in accuracy}
    predictions = {
        code: np.where(np.arange(n) < round(share * n), targets[code], (targets[code] + 1) % 3)
        for code, share in accuracy.items()
    }
    labels = ("alpha", "beta", "gamma")
    return TransferScores.from_predictions(targets, predictions, labels, source="eng_Latn")
