"""What overlap() puts beside the scores, and that it leaves the scores as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ilo_fast import OverlapScores, compare, overlap

BACKENDS = ("exact", "hnsw")


def corpus(n: int = 30, n_languages: int = 5, *, seed: int = 0) -> dict[str, Any]:
    """Sentences of one meaning lie together, at two layers."""
    rng = np.random.default_rng(seed)
    meanings = rng.standard_normal((2, n, 16))
    return {
        f"language {c}": (meanings + rng.standard_normal((2, n, 16))).astype(np.float32)
        for c in range(n_languages)
    }


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("parallel", [True, False])
def test_scores_are_the_same_with_and_without_all_that_stands_beside(
    parallel: bool, backend: str
) -> None:
    if backend == "hnsw":
        pytest.importorskip("hnswlib")
    data = corpus()
    bare = overlap(data, parallel=parallel, backend=backend, n_threads=1)
    full = overlap(
        data, parallel=parallel, backend=backend, n_threads=1, intervals=True, n_permutations=19
    )
    if backend == "exact":
        for name in ("bridge", "reach", "ilo", "translation_share"):
            np.testing.assert_array_equal(getattr(bare, name), getattr(full, name))
    assert bare.intervals is None and bare.mixing_test is None and bare.replicates is None
    assert full.intervals is not None and full.mixing_test is not None
    assert full.intervals.unit == ("sentence" if parallel else "point")
    for name in full.intervals.low:
        low, high = full.intervals.ends(name)
        value = full.values(name)
        assert ((low <= value) & (value <= high)).all() and (low < high).all()
    assert (full.mixing_test.p_translation is None) is not parallel


def test_everything_beside_the_scores_is_the_same_by_seed_whatever_the_threads() -> None:
    data = corpus()
    one = overlap(data, parallel=True, intervals=True, n_permutations=9, n_threads=1)
    same = overlap(data, parallel=True, intervals=True, n_permutations=9, n_threads=2)
    other = overlap(data, parallel=True, intervals=True, n_permutations=9, seed=1)
    assert one == same and one != other


def test_sentences_of_a_document_come_and_go_together() -> None:
    data = corpus(40)
    groups = [f"document {i // 4}" for i in range(40)]
    scores = overlap(data, parallel=True, intervals=True, groups=groups)
    assert scores.intervals is not None
    assert (scores.intervals.unit, scores.intervals.n_units) == ("document", 10)
    alone = overlap(data, parallel=True, intervals=True, groups=False)
    assert alone.intervals is not None and alone.intervals.n_units == 40


@pytest.mark.parametrize(
    ("n", "groups", "reason"),
    [
        (3, None, "3 sentences"),
        (2, None, "2 sentences"),
        (12, ["one"] * 12, "1 document"),
        (12, ["a"] * 6 + ["b"] * 6, "2 documents"),
    ],
)
def test_where_there_can_be_no_interval_there_is_a_reason_and_no_number(
    n: int, groups: list[str] | None, reason: str
) -> None:
    scores = overlap(corpus(n), parallel=True, intervals=True, groups=groups, n_permutations=9)
    assert scores.intervals is not None and reason in scores.intervals.reason
    assert all(np.isnan(values).all() for values in scores.intervals.low.values())
    assert all(np.isnan(values).all() for values in scores.intervals.mean_high.values())
    assert all(row["ilo_low"] is None for row in scores.rows())
    scores.to_json()


def test_a_language_of_one_sentence_has_a_reason_and_the_others_intervals() -> None:
    data = corpus(20)
    data["short"] = data["language 0"][:, :1]
    scores = overlap(data, intervals=True)
    assert scores.intervals is not None
    assert "at least 10 points per language" in scores.intervals.reasons[5]
    assert np.isnan(scores.intervals.low["ilo"][:, 5]).all()
    assert np.isfinite(scores.intervals.low["ilo"][:, :5]).all()


def test_constant_and_duplicated_rows_have_intervals_too() -> None:
    same = {f"language {c}": np.ones((12, 4), np.float32) for c in range(4)}
    scores = overlap(same, parallel=True, intervals=True, n_permutations=9)
    assert scores.intervals is not None and np.isfinite(scores.intervals.low["ilo"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["a"] * 30}, "parallel"),
        ({"parallel": True, "groups": ["a"]}, "groups"),
        ({"level": 0.2}, "level=0.2 is not between 0.5 and 1"),
        ({"n_permutations": -1}, "n_permutations=-1 must be at least 0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        overlap(corpus(), **options)


def test_marks_beside_the_scores_are_those_of_their_numbers() -> None:
    scores = overlap(corpus(), parallel=True)
    assert scores.limits is not None and scores.translation_chance_given_graph is not None
    assert scores.limits.reach_max.tolist() == [1.0] * 5
    assert scores.limits.translation_share_max.tolist() == [0.8] * 5
    assert (scores.translation_chance_given_graph > 0.02).all()
    assert (scores.translation_chance_given_graph <= 1 / 30).all()


def test_groups_of_languages_have_intervals_of_their_own() -> None:
    data = {code: array for code, array in zip(
        ("eng_Latn", "deu_Latn", "rus_Cyrl", "ukr_Cyrl", "jpn_Jpan"), corpus().values(), strict=True
    )}  # fmt: skip
    scores = overlap(data, parallel=True, intervals=True)
    for group in scores.groups("script"):
        low, high = group.intervals["ilo"]
        assert ((low <= group.ilo) & (group.ilo <= high)).all()
    assert all(not group.intervals for group in overlap(data, parallel=True).groups("script"))


def test_a_group_of_too_few_points_has_neither_interval_nor_comparison() -> None:
    def scores(seed: int) -> OverlapScores:
        english, german, russian = corpus(30, 3, seed=seed).values()
        data = {"eng_Latn": english, "deu_Latn": german, "rus_Cyrl": russian[:, :6]}
        return overlap(data, threshold=2, intervals=True)

    one, other = scores(0), scores(1)
    known = {group.name: bool(group.intervals) for group in one.groups("script")}
    assert known == {"Latn": True, "Cyrl": False}
    comparison = compare({"a": one, "b": other}, n_draws=99)
    for by, few in (("language", "rus_Cyrl"), ("script", "Cyrl")):
        for d in comparison.select(by=by):
            assert (d.group == few) <= (d.se is d.low is d.p is d.p_corrected is None)
    assert all(d.se for d in comparison.select(score="ilo", by="mean"))


def test_scores_without_intervals_are_not_compared_and_say_why() -> None:
    one = overlap(corpus(), parallel=True, intervals=True, groups=["a"] * 30)
    with pytest.raises(
        ValueError, match=r"scores\['a'\] has no intervals, .* 1 document is too few"
    ):
        compare({"a": one, "b": one})
