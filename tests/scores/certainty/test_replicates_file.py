"""``replicates.npz``: exact, small, and refused where it is not that of the scores beside it."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
from helpers.replicates import CODES, from_marks, from_vectors

from ilo_fast.scores.certainty.replicates import Counts
from ilo_fast.scores.certainty.replicates_file import (
    REPLICATES_FILE,
    read_replicates,
    replicates_bytes,
    write_replicates,
)

RNG = np.random.default_rng(0)
SCORES = from_vectors(
    {code: RNG.standard_normal((2, 12, 4)) for code in CODES}, n_subsets=7, seed=11
)
COUNTS = ("points", "bridging", "reached", "translations")


def same(one: Counts, other: Counts) -> bool:
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in COUNTS)


def test_replicates_come_back_from_their_file_exactly(tmp_path) -> None:
    path = write_replicates(SCORES, tmp_path)
    assert path == tmp_path / REPLICATES_FILE
    found, wanted = read_replicates(tmp_path, SCORES), SCORES.replicates
    for name in ("whole", "without_one", "subsets"):
        assert same(getattr(found, name), getattr(wanted, name))
    for name in ("n_kept", "seed", "unit", "n_neighbors", "units_sha256"):
        assert getattr(found, name) == getattr(wanted, name)
    assert found.strata is None
    assert found.without_one.bridging.dtype == np.int32
    assert path.read_bytes() == replicates_bytes(SCORES)  # the same counts, the same bytes


def test_points_of_text_that_is_not_parallel_keep_their_languages(tmp_path) -> None:
    n = np.array([7, 8, 9, 6])
    strata = np.repeat(np.arange(4, dtype=np.int32), n)
    counts = Counts(n.astype(np.int32), *(np.array([[1, 2, 3, 0]], np.int32),) * 2, None)
    without = Counts(
        n - np.eye(4, dtype=np.int32)[strata], *(np.tile(counts.bridging, (30, 1, 1)),) * 2, None
    )
    found = counts.scores(5)
    scores = dataclasses.replace(
        SCORES,
        **found,
        layers=(0,),
        n_sentences=tuple(n.tolist()),
        translation_share=None,
        translation_chance=None,
        replicates=dataclasses.replace(
            SCORES.replicates, whole=counts, without_one=without, subsets=without, unit="point",
            strata=strata, n_kept=20,
        ),
    )  # fmt: skip
    write_replicates(scores, tmp_path)
    back = read_replicates(tmp_path, scores)
    assert back.whole.translations is None
    np.testing.assert_array_equal(back.strata, strata)
    np.testing.assert_array_equal(back.without_one.points, without.points)


def test_the_file_is_small_beside_the_scores_of_a_large_corpus() -> None:
    marks = RNG.random((3, 500, 4)) < 0.7
    content = replicates_bytes(from_marks(marks))
    assert len(content) < marks.size * 2


def test_scores_without_replicates_have_no_file_and_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match="carry no replicates"):
        replicates_bytes(dataclasses.replace(SCORES, replicates=None))
    with pytest.raises(FileNotFoundError, match=r"replicates\.npz"):
        read_replicates(tmp_path, SCORES)


def test_a_file_of_other_scores_is_refused(tmp_path) -> None:
    write_replicates(SCORES, tmp_path)
    other = dataclasses.replace(SCORES, metric="cosine")
    with pytest.raises(ValueError, match=r"replicates\.npz is not a file .* belongs to other"):
        read_replicates(tmp_path, other)


def altered(**changes) -> bytes:
    """The file with other arrays, or another head."""
    with np.load(io.BytesIO(replicates_bytes(SCORES))) as stored:
        arrays = dict(stored)
    head = json.loads(str(arrays["head"])) | changes.pop("head", {})
    arrays |= {"head": np.array(json.dumps(head)), **changes}
    stream = io.BytesIO()
    np.savez_compressed(stream, **{k: v for k, v in arrays.items() if v is not None})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (altered(head={"schema_version": 9}), "schema_version=9 cannot be read"),
        (altered(head={"kind": "x"}), "another kind of file"),
        (altered(head={"unit": "word"}), "unit='word' is not known"),
        (altered(head={"n_kept": 12}), "n_kept=12 must be at most 11"),
        (altered(head={"n_units": 11}), r"without_one_points is int8 of shape \(12, 4\)"),
        (altered(head={"seed": "x"}), "damaged: seed must be an int"),
        (altered(whole_reached=np.full((2, 4), 4)), "whole_reached holds a count that no sample"),
        (altered(whole_bridging=np.zeros((2, 4), "i4")), "holds a count that no sample"),
        (altered(whole_translations=np.zeros((2, 4))), "is float64 of shape"),
        (altered(subsets_points=None), "damaged"),
        (replicates_bytes(SCORES)[:-40], "damaged|not a file"),
        (b"no zip at all", "damaged|not a file"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_what_is_wrong(tmp_path, content, message) -> None:
    (tmp_path / REPLICATES_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_replicates(tmp_path, SCORES)


def test_counts_that_are_not_those_of_the_scores_are_refused(tmp_path) -> None:
    whole = SCORES.replicates.whole.bridging
    low = whole.copy()
    low[0, 0] += 1 if low[0, 0] < 12 else -1
    (tmp_path / REPLICATES_FILE).write_bytes(altered(whole_bridging=low))
    with pytest.raises(ValueError, match=r"of the counts is not that of the scores|no sample"):
        read_replicates(tmp_path, SCORES)
