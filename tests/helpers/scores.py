"""Results with random numbers, for tests of what is drawn and written of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ilo_fast.evaluation.result import TransferScores
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
) -> OverlapScores:
    rng = np.random.default_rng(seed)
    shape = (n_layers, len(codes))
    bridge, reach = rng.random(shape), rng.random(shape)
    return OverlapScores(
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
