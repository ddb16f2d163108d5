"""All companions in one call: they are those of their own functions, put together."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast import overlap
from ilo_fast.representations.result import Representations
from ilo_fast.scores import similarity
from ilo_fast.scores.companions.companions import Companions, companions
from ilo_fast.scores.companions.entries import COMPANIONS
from ilo_fast.scores.companions.translation_overlap import translation_overlap


def representations(n=24, codes=("deu", "eng", "swa"), seed=0):
    rng = np.random.default_rng(seed)
    meaning = rng.standard_normal((2, n, 12))
    arrays = {
        code: (meaning + rng.standard_normal((2, n, 12)) + rng.standard_normal(12)).astype("f4")
        for code in codes
    }
    return Representations(arrays, (0, 3), parallel=True)


@pytest.fixture(scope="module")
def reps():
    return representations()


@pytest.fixture(scope="module")
def scores(reps):
    return overlap(reps, n_neighbors=4, threshold=2, neighbors=True)


@pytest.fixture(scope="module")
def found(reps, scores):
    return companions(reps, scores)


def of_pairs(table):
    """Mean over the others, both directions."""
    n = table.shape[-1]
    both = (table + np.swapaxes(table, 1, 2)) / 2
    return np.array([[np.delete(layer[c], c).mean() for c in range(n)] for layer in both])


def test_all_are_there_in_the_order_of_the_list(found):
    assert found.names == tuple(COMPANIONS)
    for score in found.scores:
        assert len(score.title) <= 28 and score.about.endswith(".")
        assert np.isfinite(score.means).all(), score.name
        if score.values is not None:
            assert score.values.shape == (2, 3)
            np.testing.assert_allclose(score.means, score.values.mean(axis=1))
            assert score.lowest <= score.values.max() and score.values.min() <= score.highest
        assert score.low is None and score.means_low is None


def test_scores_of_pairs_are_those_of_their_functions(reps, found):
    wanted = {
        "mexa": similarity.mexa(reps),
        "mutual_knn": similarity.mutual_knn(reps),
        "jaccard_knn": similarity.jaccard_knn(reps, n_permutations=0),
        "cknna": similarity.cknna(reps, n_permutations=0),
        "cka": similarity.cka(reps),
        "cka_unbiased": similarity.cka(reps, unbiased=True),
        "svcca": similarity.svcca(reps, n_components=10),
        "information_imbalance": similarity.information_imbalance(reps),
    }
    off = ~np.eye(3, dtype=bool)
    for name, one in wanted.items():
        np.testing.assert_allclose(found.matrices[name][:, off], one.values[:, off], err_msg=name)
        np.testing.assert_allclose(found[name].values, of_pairs(one.values), err_msg=name)
        if one.chance is not None:
            chance = of_pairs(np.broadcast_to(one.chance, one.values.shape))
            np.testing.assert_allclose(found[name].chance, chance, err_msg=name)
        if one.z is not None:
            np.testing.assert_allclose(found[name].z, of_pairs(one.z), err_msg=name)
    tables = similarity.retrieval(reps)
    for name, table in (("retrieval_p5", "cosine_p5"), ("csls_p1", "csls_p1")):
        np.testing.assert_allclose(found[name].values, of_pairs(tables[table]))
        assert np.isnan(found.matrices[name][:, ~off]).all()
        np.testing.assert_allclose(found[name].chance, tables.chance[table])


def test_scores_of_languages_are_those_of_their_functions(reps, scores, found):
    over = translation_overlap(scores.neighbors.indices, 3, threshold=2)
    np.testing.assert_array_equal(found["translation_ilo"].values, over.ilo)
    assert (found["translation_reach"].chance == over.reach_chance).all()
    np.testing.assert_allclose(found["isoscore"].values, similarity.isotropy(reps).isoscore)
    np.testing.assert_allclose(found["mean_cosine"].values, similarity.isotropy(reps).mean_cosine)
    variance = similarity.language_variance(reps)
    np.testing.assert_allclose(found["language_variance"].means, variance.share)
    assert found["language_variance"].values is None
    hubs = similarity.hubness(reps, n_neighbors=4)
    np.testing.assert_allclose(found["hubness_skew"].values, hubs.of_languages["skew"])


def test_scores_without_neighbours_are_measured_again(reps, found):
    assert (
        companions(reps, overlap(reps, n_neighbors=4, threshold=2), directions=False)[
            "translation_reach"
        ]
        == found["translation_reach"]
    )
    alone = companions(reps, directions=False)
    assert alone.info["n_neighbors"] == 5 and alone.removed is None
    assert found.removed.ranks == (-1, 0, 1, 2)


def test_pivots_are_whom_a_language_is_compared_with(reps, scores):
    found = companions(reps, scores, pivots=["eng"], directions=False)
    table = found.matrices["retrieval_p1"]
    np.testing.assert_allclose(found["retrieval_p1"].values[:, 0], table[:, [0, 1], [1, 0]].mean(1))
    assert np.isnan(found["retrieval_p1"].values[:, 1]).all()  # the pivot itself
    others = found["retrieval_p1"].values[:, [0, 2]].mean(axis=1)
    np.testing.assert_allclose(found["retrieval_p1"].means, others)
    with pytest.raises(ValueError, match=r"pivots holds fra"):
        companions(reps, scores, pivots=["fra"])


def test_intervals_hold_the_values_and_change_none(found, reps, scores):
    again = companions(reps, scores, intervals=True, directions=False)
    for score in again.scores:
        if score.values is not None:
            np.testing.assert_array_equal(score.values, found[score.name].values)
            assert (score.low <= score.values + 1e-12).all(), score.name
            assert (score.high >= score.values - 1e-12).all(), score.name
        assert (score.means_low <= score.means + 1e-12).all(), score.name
        assert (score.means_high >= score.means - 1e-12).all(), score.name
    assert again.info["intervals"]["unit"] == "sentence"
    assert Companions.from_json(again.to_json()) == again


def test_few_sentences_have_no_intervals_and_the_reason_is_said():
    found = companions(representations(n=8), intervals=True, directions=False)
    assert np.isnan(found["cka"].low).all() and np.isnan(found["cka"].means_high).all()
    assert "10 sentences" in found.info["intervals"]["reason"]
    assert Companions.from_json(found.to_json()) == found


def test_a_language_of_one_vector_has_no_isoscore():
    reps = {code: np.array(rows) for code, rows in representations().items()}
    reps["swa"][:] = reps["swa"][:, :1]
    found = companions(reps, directions=False)
    np.testing.assert_allclose(found["isoscore"].values, similarity.isotropy(reps).isoscore)
    assert np.isnan(found["isoscore"].values[:, 2]).all()
    assert Companions.from_json(found.to_json()) == found


def test_two_languages_of_four_sentences_are_enough():
    found = companions(representations(n=4, codes=("deu", "eng")))
    assert np.isfinite(found["mexa"].values).all()
    assert found.removed is None and "got 4" in found.info["directions"]


def test_what_does_not_fit_is_refused(reps, scores):
    with pytest.raises(ValueError, match="pass those that the scores were made of"):
        companions(representations(codes=("deu", "eng")), scores)
    with pytest.raises(ValueError, match="pass those that the scores were made of"):
        companions(representations(n=20), scores)
    with pytest.raises(ValueError, match="not parallel"):
        companions(Representations(dict(reps), reps.layers))
    with pytest.raises(TypeError, match="map each language"):
        companions(reps["deu"])
    with pytest.raises(TypeError, match="scores must be OverlapScores, got a list"):
        companions(reps, [1])
    with pytest.raises(TypeError, match="pivots must be codes of languages, got 5"):
        companions(reps, scores, pivots=5)


def test_pivots_may_be_any_iterable(reps, scores):
    found = companions(reps, scores, pivots=(code for code in ("deu", "eng")), directions=False)
    assert found.info["pivots"] == ["deu", "eng"]
