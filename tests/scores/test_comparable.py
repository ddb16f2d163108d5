"""Which two measurements may be compared."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.scores import CODES, overlap_scores

from ilo_fast.scores.comparable import check_comparable

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
