"""Which two measurements may be compared."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.scores import CODES, overlap_scores

from ilo_fast import overlap
from ilo_fast.scores.comparison.comparable import check_alike, check_comparable

SCORES = overlap_scores()


def test_scores_of_the_same_settings_and_languages_may_be_compared() -> None:
    check_comparable(SCORES, overlap_scores(codes=CODES[::-1], seed=8), CODES[:2])


@pytest.mark.parametrize(
    ("after", "languages", "message"),
    [
        (overlap_scores(2), CODES, r"differ in layers \(\(0, 1, 2\) and \(0, 1\)\)"),
        (dataclasses.replace(SCORES, n_neighbors=9), CODES, r"n_neighbors \(5 and 9\)"),
        (overlap_scores(codes=CODES[:3]), CODES, r"different languages \(ceb_Latn only in one\)"),
        (SCORES, ("tha_Thai",), "before and after lack tha_Thai"),
    ],
)
def test_scores_that_differ_in_more_than_the_model_are_refused(after, languages, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_comparable(SCORES, after, languages)


@pytest.mark.parametrize(
    ("scores", "error", "said"),
    [
        ([SCORES, SCORES], TypeError, "must map a name"),
        ({"one": SCORES, "other": None}, (TypeError, ValueError), "scores\\["),
        ({"one": None, "other": SCORES}, TypeError, "must be OverlapScores, got NoneType"),
        ({"one": SCORES, "other": SCORES}, ValueError, "again with intervals=True"),
    ],
)
def test_what_cannot_be_compared_says_what_is_wanted(scores, error, said) -> None:
    with pytest.raises(error, match=said):
        check_alike(scores, paired=True)


def test_scores_without_replicates_say_why_they_have_none() -> None:
    rng = np.random.default_rng(0)
    arrays = {code: rng.normal(size=(12, 8)) for code in CODES}
    scores = overlap(arrays, parallel=True, intervals=True)
    part = scores.select(languages=CODES[:2])
    with pytest.raises(ValueError, match="before selecting languages"):
        check_alike({"one": part, "other": part}, paired=True)
    many = overlap(arrays, parallel=True, intervals=True, n_neighbors=40)
    with pytest.raises(ValueError, match="12 sentences are too few"):
        check_alike({"one": many, "other": many}, paired=True)
