"""Isotropy and the variance of languages against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import companions as oracle

from ilo_fast.representations.result import Representations
from ilo_fast.scores.similarity import isotropy, language_variance
from ilo_fast.scores.similarity.isotropy import partition_ratio


@pytest.mark.parametrize(("n", "d"), [(50, 4), (20, 60), (300, 12)])
def test_isotropy_equals_the_definitions(rng, n, d):
    X = rng.standard_normal((n, d)) * rng.gamma(1, 1, d) + rng.standard_normal(d)
    found = isotropy(X)
    assert float(found.isoscore) == pytest.approx(oracle.isoscore(X), rel=1e-8)
    assert float(found.mean_cosine) == pytest.approx(oracle.mean_cosine(X), rel=1e-8, abs=1e-12)
    assert float(found.partition) == pytest.approx(oracle.partition(X), rel=1e-6)
    assert partition_ratio(X[: n // 3], X[n // 3 :]) == pytest.approx(float(found.partition))


def test_isoscore_at_its_ends(rng):
    even = np.vstack([np.eye(5), -np.eye(5)])
    assert float(isotropy(even).isoscore) == pytest.approx(1)
    assert float(isotropy(even).partition) == pytest.approx(1)
    line = np.outer(rng.standard_normal(20), rng.standard_normal(5))
    assert float(isotropy(line).isoscore) == pytest.approx(0, abs=1e-9)
    assert np.isnan(isotropy(np.ones((5, 3))).isoscore)
    assert float(isotropy(np.ones((5, 3))).mean_cosine) == pytest.approx(1)


def test_isotropy_of_representations_has_layers_and_languages(rng):
    arrays = {c: rng.standard_normal((2, 30, 4)).astype(np.float32) for c in ("deu", "eng")}
    found = isotropy(Representations(arrays, (0, 3), parallel=True))
    assert found.isoscore.shape == (2, 2) and found.layers == (0, 3)
    alone = isotropy(arrays["eng"])
    np.testing.assert_array_equal(found.isoscore[:, 1], alone.isoscore)
    assert alone.isoscore.shape == (2,) and "isoscore=" in repr(found)


def test_turning_scaling_and_reordering_change_no_isotropy(rng):
    X = rng.standard_normal((60, 5)) * [3, 2, 1, 1, 1] + 1
    turn, order = np.linalg.qr(rng.standard_normal((5, 5)))[0], rng.permutation(60)
    wanted = isotropy(X)
    for other in (X @ turn, 1e6 * X, 1e-6 * X, X[order]):
        found = isotropy(other)
        for name in ("isoscore", "mean_cosine", "partition"):
            assert float(getattr(found, name)) == pytest.approx(float(getattr(wanted, name))), name
    assert float(isotropy(X + 9).isoscore) == pytest.approx(float(wanted.isoscore))


def test_isoscore_agrees_with_its_package(rng):
    package = pytest.importorskip("IsoScore.IsoScore", reason="IsoScore is not installed")
    X = rng.standard_normal((80, 6)) * [5, 3, 2, 1, 1, 1]
    wanted = package.IsoScore(X.tolist())
    assert float(isotropy(X).isoscore) == pytest.approx(float(wanted), rel=1e-4)


def languages(rng, n=30, d=4, apart=1.0):
    meaning = rng.standard_normal((n, d))
    return {
        c: meaning + apart * rng.standard_normal(d) + 0.5 * rng.standard_normal((n, d))
        for c in ("a", "b", "c")
    }


def test_language_variance_equals_the_analysis_of_variance(rng):
    X = languages(rng)
    share, language, sentence = oracle.language_share(list(X.values()))
    found = language_variance(X)
    assert found.share[0] == pytest.approx(share)
    assert found.language[0] == pytest.approx(language)
    assert found.sentence[0] == pytest.approx(sentence)
    assert found.residual[0] == pytest.approx(1 - language - sentence)
    scaled = {c: a / np.concatenate(list(X.values())).std(axis=0) for c, a in X.items()}
    wanted, _, _ = oracle.language_share(list(scaled.values()))
    assert language_variance(X, standardize=True).share[0] == pytest.approx(wanted)


def test_language_variance_by_chance_is_that_of_noise(rng):
    shares = []
    for _ in range(100):  # of ten, the mean missed by 5 % now and then
        found = language_variance({f"l{i}": rng.standard_normal((40, 50)) for i in range(6)})
        shares.append(found.share[0])
    assert np.mean(shares) == pytest.approx(found.chance, rel=0.05)
    assert found.chance == 5 / 44


def test_turning_shifting_scaling_and_reordering_change_no_language_variance(rng):
    X = languages(rng)
    turn, order = np.linalg.qr(rng.standard_normal((4, 4)))[0], rng.permutation(30)
    wanted = language_variance(X).share
    for change in (lambda a: a @ turn, lambda a: 1e5 * a + 7, lambda a: a[order]):
        found = language_variance({c: change(a) for c, a in X.items()}).share
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_a_large_common_part_does_not_cost_precision(rng):
    X = {c: a.astype(np.float32) for c, a in languages(rng).items()}
    shifted = {c: (a.astype(float) + 1000).astype(np.float32) for c, a in X.items()}
    wanted, _, _ = oracle.language_share([a.astype(float) for a in shifted.values()])
    np.testing.assert_allclose(language_variance(shifted).share, wanted, rtol=1e-9)


def test_intervals_of_language_variance_hold_it_and_shrink(rng):
    widths = []
    for n in (40, 640):
        found = language_variance(languages(rng, n=n), intervals=True)
        assert 0 <= found.low[0] < found.share[0] < found.high[0] <= 1
        widths.append(found.high[0] - found.low[0])
    assert widths[1] < widths[0] / 2


def test_points_that_are_all_the_same_have_no_share():
    same = {"a": np.full((20, 3), 0.1), "b": np.full((20, 3), 0.1)}
    for standardize in (False, True):
        assert np.isnan(language_variance(same, standardize=standardize).share).all()


def test_what_has_no_languages_is_refused(rng):
    with pytest.raises(TypeError, match="mapping"):
        language_variance(rng.standard_normal((3, 4)))
    with pytest.raises(ValueError, match="2 or more"):
        language_variance({"a": rng.standard_normal((3, 4))})


def test_isotropy_of_the_largest_numbers_is_that_of_their_directions(rng):
    X = np.where(rng.standard_normal((30, 4)) > 0, 1.0, -1.0)
    wanted, found = isotropy(X), isotropy(X * 1.79e308)
    for name in ("isoscore", "mean_cosine", "partition"):
        assert float(getattr(found, name)) == pytest.approx(float(getattr(wanted, name))), name
