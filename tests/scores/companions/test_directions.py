"""Language directions: planted ones are found, shared ones stay, and halves are kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast.representations.result import Representations
from ilo_fast.scores.companions.directions import directions_removed, language_directions, without


def planted(rng, n_languages=6, d=12, rank=2, common=3.0):
    """Means that share a part and differ along `rank` directions orthogonal to it."""
    basis = np.linalg.qr(rng.standard_normal((d, rank + 1)))[0]
    means = common * basis[:, 0] + rng.standard_normal((n_languages, rank)) @ basis[:, 1:].T
    return means, basis[:, 1:]


def test_planted_directions_are_found_and_the_common_part_stays(rng):
    means, wanted = planted(rng)
    found = language_directions(means, 2)
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-9)
    left = means - means @ found @ found.T
    np.testing.assert_allclose(left, np.broadcast_to(left[0], left.shape), atol=1e-9)
    assert np.linalg.norm(left[0]) == pytest.approx(3)


def test_equals_the_program_of_the_paper(rng):
    """LSAR step by step, with the full matrices of its code."""
    M = rng.standard_normal((5, 9)).T
    for rank in (1, 2, 4):
        w = M.mean(axis=1)
        u, s, vt = np.linalg.svd(M - np.outer(w, np.ones(5)))
        fit = np.outer(w, np.ones(5)) + u[:, :rank] @ np.diag(s[:rank]) @ vt[:rank]
        v = np.linalg.pinv(fit).T @ np.ones(5)
        w = v / np.linalg.norm(v) ** 2
        u = np.linalg.svd(fit - np.outer(w, np.ones(5)))[0][:, :rank]
        found = language_directions(M.T, rank)
        np.testing.assert_allclose(found @ found.T, u @ u.T, atol=1e-9)


def test_directions_are_orthogonal_to_the_common_part(rng):
    """With the squared norm alone, whatever the scale of the means."""
    for scale in (0.01, 1, 100):
        means = scale * (rng.standard_normal((7, 15)) + 2)
        directions = language_directions(means, 6)
        assert directions.shape == (15, 6)
        left = means - means @ directions @ directions.T
        np.testing.assert_allclose(left, np.broadcast_to(left[0], left.shape), atol=1e-7 * scale)
        assert np.linalg.norm(left[0]) > 0.1 * scale


def test_means_of_few_directions_give_few(rng):
    means, wanted = planted(rng, rank=1)
    found = language_directions(means, 4)
    assert found.shape == (12, 1)
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-9)
    assert language_directions(np.ones((3, 4)), 2).shape == (4, 0)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_directions_have_no_scale(rng, scale):
    means, wanted = planted(rng)
    found = language_directions(means * scale, 2)
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-9)


def test_means_without_a_common_part_give_their_own_directions(rng):
    """Of rows that were centred together: what is common is zero, or what rounding left of it."""
    means, wanted = planted(rng)
    means -= means.mean(axis=0)
    for rest in (0.0, 1e-14):
        found = language_directions(means + rest, 2)
        np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-9)
    assert language_directions(np.zeros((3, 4)), 2).shape == (4, 0)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.float64, 2.0**1018), (np.float64, 2.0**-1000), (np.float32, 2.0**122)]
)
def test_huge_and_tiny_numbers_are_scored_as_others(rng, dtype, scale):
    options = {"n_neighbors": 3, "threshold": 2}
    reps = {code: one.astype(dtype) for code, one in languages_apart(rng).items()}
    wanted = directions_removed(reps, **options)
    assert (
        directions_removed({c: one * dtype(scale) for c, one in reps.items()}, **options) == wanted
    )


def test_without_takes_what_it_says(rng):
    rows = [rng.standard_normal((8, 5)).astype(np.float32) for _ in range(3)]
    means = np.stack([one.mean(axis=0) for one in rows]).astype(float)
    for one, other in zip(rows, without(rows, means, -1), strict=True):
        assert one is other
    for one in without(rows, means, 0):
        assert one.dtype == np.float32 and np.abs(one.mean(axis=0)).max() < 1e-6
    directions = language_directions(means, 2)
    for one in without(rows, means, 2):
        assert np.abs(one @ directions).max() < 1e-5


def languages_apart(rng, n=60, d=10, codes=("deu", "eng", "swa", "zho"), groups=None):
    meaning = rng.standard_normal((2, n, d))
    places = [(30, 0), (0, 30), (-30, 15), (10, -35)]  # two directions keep languages apart
    arrays = {}
    for code, place in zip(codes, places, strict=True):
        away = np.zeros((2, 1, d))
        away[..., :2] = place
        noise = 0.05 * rng.standard_normal((2, n, d))
        arrays[code] = (meaning + away + noise).astype(np.float32)
    return Representations(arrays, (0, 5), parallel=True, groups=groups)


def test_removing_the_directions_that_keep_languages_apart_lets_them_meet(rng):
    found = directions_removed(languages_apart(rng), n_neighbors=3, threshold=2)
    assert found.ranks == (-1, 0, 1, 2, 3) and found.layers == (0, 5)
    assert found.ilo.shape == found.translation_share.shape == (5, 2)
    assert found.n_fitted == found.n_scored == 30
    at = {rank: r for r, rank in enumerate(found.ranks)}
    assert (found.translation_share[at[-1]] < 0.2).all()
    assert (found.translation_share[at[0]] > 0.8).all()
    assert (found.translation_share[at[2]] > found.translation_share[at[-1]] + 0.4).all()


def test_a_layer_where_all_sentences_of_a_language_are_the_same_has_no_score_without_its_mean(rng):
    """First tokens before the first layer: without the mean nothing is left but rounding."""
    reps = languages_apart(rng)
    for one in reps.values():
        one[0] = rng.standard_normal(10)
    found = directions_removed(reps, n_neighbors=3, threshold=2)
    for scores in (found.ilo, found.translation_share):
        assert np.argwhere(np.isnan(scores)).tolist() == [[1, 0]]
    euclidean = directions_removed(reps, n_neighbors=3, threshold=2, metric="euclidean")
    assert not np.isnan(euclidean.ilo).any()


def test_halves_keep_documents_whole_and_a_limit_is_kept(rng):
    groups = [f"d{i // 6}" for i in range(60)]
    reps = languages_apart(rng, groups=groups)
    options = {"n_neighbors": 3, "threshold": 2, "ranks": (0, 2)}
    found = directions_removed(reps, max_scored=12, seed=3, **options)
    assert (found.n_fitted, found.n_scored, found.ranks) == (30, 12, (0, 2))
    assert found == directions_removed(reps, max_scored=12, seed=3, **options)


def test_what_was_fitted_on_is_not_scored(rng, monkeypatch):
    reps, seen = languages_apart(rng), {}
    from ilo_fast.scores.companions import directions

    def keep(rows, means, rank):
        seen["rows"], seen["means"] = rows, means
        return list(rows)

    monkeypatch.setattr(directions, "without", keep)
    directions_removed(reps, ranks=(1,), n_neighbors=3, threshold=2)
    first = reps["deu"][1]
    scored = {tuple(row) for row in seen["rows"][0]}
    fitted = np.array([row for row in first if tuple(row) not in scored])
    assert len(fitted) == 30
    np.testing.assert_allclose(fitted.mean(axis=0, dtype=float), seen["means"][0], rtol=1e-6)


@pytest.mark.parametrize("ranks", [(), (1, 1), (4,), (-2,)])
def test_ranks_that_make_no_sense_are_refused(rng, ranks):
    with pytest.raises(ValueError, match="ranks"):
        directions_removed(languages_apart(rng, n=8), ranks=ranks)
