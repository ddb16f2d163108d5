"""Pieces of the study as they would be, with what is planted in them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
from multilingual_clt.tables import TOKENS

from ilo_fast.transcoders.multilingual.steering.language_id import IdentifierAccuracy
from ilo_fast.transcoders.multilingual.steering.measures import Measures, Share
from ilo_fast.transcoders.multilingual.steering.result import (
    Contrast,
    ModeResult,
    PairResult,
    SteeringResult,
)

CODES = ("eng_Latn", "deu_Latn", "rus_Cyrl")


def space(random: Any, by_layer: list[float]) -> dict[str, Any]:
    """Sixty chapters of ten verses, whose translations share so much more than others."""
    sums = 10 * (np.array(by_layer) + random.normal(0, 0.01, (60, 3, len(by_layer))))
    means = sums.mean(axis=1).sum(axis=0) / 600
    ends = {"values": means.tolist(), "low": means.tolist(), "high": means.tolist()}
    known = {key: [0.1] * len(by_layer) for key in ("values", "low", "high", "chance")}
    names = ("ilo", "translation_share", "mutual_knn")
    scores = {source: dict.fromkeys(names, known) for source in ("hidden", "features")}
    correlations = [
        {"over": over, "source": source, "score": "mutual_knn", "layer": None,
         "rho": 0.5, "low": -0.25, "high": 1.0}
        for over in ("layers", "pairs") for source in ("hidden", "features")
    ]  # fmt: skip
    return {
        "pairs": [["eng_Latn", "deu_Latn"], ["eng_Latn", "rus_Cyrl"], ["deu_Latn", "rus_Cyrl"]],
        "excess_by_document": sums.tolist(),
        "lines_by_document": [10] * 60,
        "space": {
            "sharing": {"measures": {"jaccard": {"mean_excess": ends}}},
            "scores": scores,
            "correlations": correlations,
        },
    }


def languages(specific: list[float], ten: list[float]) -> dict[str, Any]:
    rates = [
        {
            "tested": 1000,
            "specific": share,
            "effective_languages": 2.0,
            "specific_to": {"eng_Latn": share},
        }
        for share in specific
    ]  # fmt: skip
    return {"rates": rates, "mass": [{"ten_of_specific": ten}], "late": {"layers": []}}


def loss(random: Any, bits: float) -> dict[str, Any]:
    own = (1000 * (bits + random.normal(0, 0.01, 60))).tolist()
    codes = CODES[:2]
    return {"bits": dict.fromkeys(codes, own), "characters": dict.fromkeys(codes, [1000] * 60)}


def steered(random: Any, by: float) -> dict[str, Any]:
    """Six pairs, ten documents, four prompts of each: substitution succeeds so much more often."""
    document = np.arange(40) // 4
    pairs = []
    for source, target in itertools.permutations(CODES, 2):
        base = (random.random(40) < 0.2).astype(float)
        own = np.maximum(base, random.random(40) < by)
        modes = {}
        for name, values in (("substitution", own), ("random", base)):
            shares = [Share.of(part, document) for part in (values, 1 - values, 0 * values)]
            measures = Measures(
                *shares, said={}, reference=-3.0, shuffled=-4.0, content=1.0, content_low=0.5,
                content_high=1.5, chrf=None, loss=3.0, loss_alone=4.0, distinct=0.5,
            )  # fmt: skip
            curve = ((1.0, measures), (2.0, measures))
            modes[name] = ModeResult(name, 2.0, None, 1, (0.0, 0.1), curve, tuple(values.tolist()))
        contrast = Contrast.of("random", own - base, document, 0)
        pairs.append(
            PairResult(source, target, 3, 3, modes["random"].measures, modes,
                       {"substitution": contrast}, tuple(document.tolist()), ())
        )  # fmt: skip
    accuracy = IdentifierAccuracy(("eng_Latn",), (4,), np.ones((1, 1, 1), np.int64))
    info = {"strengths": [1.0, 2.0], "test_prompts": 40, "seed": 0}
    result = SteeringResult(CODES, tuple(pairs), {}, accuracy, {}, info)
    return dict(json.loads(json.dumps(result.to_dict())))


def script() -> dict[str, Any]:
    row = {"features": 10, "language": 2, "script": 7, "undecided": 1}
    return {"control": [{"layer": 0, **row, "share": 0.2, "low": 0.1, "high": 0.4}]}


def ablation() -> dict[str, Any]:
    cells = [
        {"set": own, "language": code, "n_features": 3, "change": 0.5 * (own == code),
         "low": 0.1, "high": 0.9, "random_mean": 0.01, "p_adjusted": 0.02 if own == code else 1.0}
        for own in CODES for code in CODES
    ]  # fmt: skip
    specificity = [{"set": own, "specificity": 0.5, "p_holm": 0.03} for own in CODES]
    return {
        "sets": {code: [1] for code in CODES}, "languages": list(CODES), "cells": cells,
        "specificity": specificity,
    }  # fmt: skip


def probes() -> dict[str, Any]:
    rows = [
        {"kind": "x", "accuracy": 0.9, "over_unigram": 0.2, "over_unigram_low": 0.1,
         "over_unigram_high": 0.3}
        for _ in range(6)
    ]  # fmt: skip
    return {
        "probes": rows,
        "baselines": {"unigram": {"accuracy": 0.7}, "line_so_far": {"accuracy": 0.8}},
    }


def diff() -> dict[str, Any]:
    def number(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    claim = {
        "name": "late features brighter", "meaning": "log2 change", "tuned": number(1.0),
        "controls": [number(0.0), number(0.1)], "verdict": "yes",
    }  # fmt: skip
    event = {
        "kind": "died", "found": 3, "of": 90, "share": 0.03, "control_share": 0.01,
        "excess": 0.02, "low": 0.01, "high": 0.03,
    }  # fmt: skip
    return {"claims": [claim], "events": [event]}


def vocabularies() -> dict[str, Any]:
    one = {
        "languages": list(CODES), "statistics": list(TOKENS),
        "values": [[1.0] * len(TOKENS)] * len(CODES),
    }  # fmt: skip
    return {"statistics": {"equal 8192": one, "english90 8192": one}}
