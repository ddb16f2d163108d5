"""Verdicts: by the rule, on numbers that are planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from multilingual_clt.findings import (
    HOLDS,
    NOT,
    UNKNOWN,
    Finding,
    Number,
    disagreements,
    findings,
    thirds,
)
from multilingual_clt.plan import Plan
from planted import languages, loss, space, steered

PLAN = Plan(conditions=("equal", "english90", "no-english", "english-tokens", "random"))


def test_what_is_planted_is_what_the_verdicts_say() -> None:
    random = np.random.default_rng()
    hump, dip, flat = [0.0, 0.0, 0.1, 0.1, 0.0, 0.0], [0.2, 0.2, 0.1, 0.1, 0.2, 0.2], [0.1] * 6
    pieces: dict[str, Any] = {}
    for seed in PLAN.seeds:
        pieces[f"space-equal-{seed}-clt"] = space(random, hump)
        pieces[f"space-equal-{seed}-plt"] = space(random, dip)
        pieces[f"space-no-english-{seed}-clt"] = space(random, hump)
        pieces[f"space-no-english-{seed}-plt"] = space(random, flat)
        pieces[f"space-random-{seed}-clt"] = space(random, [0.0] * 6)
        pieces[f"languages-equal-{seed}-clt"] = languages(
            [0.1, 0.1, 0.1, 0.1, 0.5, 0.5], [0.9, 0.8, 0.95]
        )
        pieces[f"steering-equal-{seed}-clt"] = steered(random, 0.5)
        pieces[f"steering-random-{seed}-clt"] = steered(random, 0.0)
        pieces[f"loss-equal-{seed}-model"] = loss(random, 2.0)
        pieces[f"loss-english90-{seed}-model"] = loss(random, 2.5)
        pieces[f"loss-english-tokens-{seed}-model"] = loss(random, 1.9)
    found = findings(PLAN, pieces.get)
    by = {(one.claim, one.condition, one.kind): one.verdict for one in found}
    middle = "middle layers share more than first and last ones"
    assert by[middle, "equal", "clt"] == HOLDS and by[middle, "equal", "plt"] == NOT
    assert by["training makes the middle shared", "equal", "clt"] == HOLDS
    assert by["late layers have more features of single languages", "equal", "clt"] == HOLDS
    assert by["a few frequent features are most of it", "equal", "clt"] == HOLDS
    assert by["much English in the text costs other languages", "english90", "model"] == HOLDS
    assert by["an English tokenizer costs other languages", "english-tokens", "model"] == NOT
    steering = "substitution by language features beats the best baseline"
    assert by[steering, "equal", "clt"] == HOLDS and by[steering, "random", "clt"] == UNKNOWN
    same = "the structure is the same without English"
    assert by[same, "no-english", "clt"] == HOLDS and by[same, "no-english", "plt"] == NOT
    claims = {one.claim for one, _ in disagreements(found) if one.condition == "equal"}
    assert claims == {middle}
    pieces["space-equal-0-plt"] = space(random, flat)
    again = {(o.claim, o.condition, o.kind): o.verdict for o in findings(PLAN, pieces.get)}
    assert again[middle, "equal", "plt"] != HOLDS  # one seed of two says little


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((Number(1, 0.5, 1.5), Number(1, 0.1, 2)), HOLDS),
        ((Number(-1, -2, -0.1), Number(-1, -2, -0.1)), NOT),
        ((Number(1, 0.5, 1.5), Number(-1, -2, -0.1)), UNKNOWN),
        ((Number(1, -0.5, 1.5),), UNKNOWN),
        ((Number(1),), UNKNOWN),
        ((), UNKNOWN),
    ],
)
def test_a_verdict_needs_every_seed_and_its_whole_interval(
    numbers: tuple[Number, ...], verdict: str
) -> None:
    assert Finding("c", "m", "equal", "clt", numbers).verdict == verdict


def test_thirds_leave_the_rest_to_the_middle() -> None:
    assert thirds(6) == ([0, 1], [2, 3], [4, 5])
    assert thirds(7) == ([0, 1], [2, 3, 4], [5, 6])
    assert thirds(3) == ([0], [1], [2])
