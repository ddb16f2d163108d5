"""Retrieval and MEXA against all cosines, sorted."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import numpy as np
import pytest
from oracles import companions as oracle

from ilo_fast import _core
from ilo_fast.representations.result import Representations
from ilo_fast.scores.similarity import mexa, retrieval, translations


def parallel(
    rng, n=40, d=6, n_layers=2, codes=("deu", "eng", "swa"), common=5.0, noise=1.0, apart=1.0
):
    """Sentences with a meaning, a language and a large direction that all share."""
    meaning = rng.standard_normal((n_layers, n, d))
    arrays = {
        code: meaning
        + noise * rng.standard_normal((n_layers, n, d))
        + common * np.ones(d)
        + apart * rng.standard_normal(d)
        for code in codes
    }
    return Representations(
        {code: a.astype(np.float32) for code, a in arrays.items()}, range(n_layers), parallel=True
    )


def wanted_tables(reps, h, csls_neighbors=10, margin_neighbors=4, near=1e-5):
    """Pair of languages -> name -> least and most, where what is near a tie is one or is none."""
    for source in reps:
        for target in reps:
            if source == target:
                continue
            S = oracle.cosines(reps[source][h].astype(float), reps[target][h].astype(float))
            at = h, reps.languages.index(source), reps.languages.index(target)
            methods = {
                "cosine": S,
                "csls": oracle.csls(S, csls_neighbors),
                "margin": oracle.margin(S, margin_neighbors),
            }
            bounds = {"mexa": (oracle.mexa(S, near), oracle.mexa(S, -near))}
            for method, scores in methods.items():
                least, most = oracle.retrieval(scores, near), oracle.retrieval(scores, -near)
                bounds |= {f"{method}_{name}": (least[name], most[name]) for name in least}
            yield at, bounds


def check_tables(reps, tables, **options):
    """All within their bounds, which are one number nearly everywhere.

    (By CSLS of one neighbour all sentences that are each other's nearest score the same, 0.)
    """
    exact = total = 0
    for h in range(len(reps.layers)):
        for at, bounds in wanted_tables(reps, h, **options):
            for name, (least, most) in bounds.items():
                assert least - 1e-12 <= tables[name][at] <= most + 1e-12, (name, at)
                exact += least == most
                total += 1
    assert exact > 0.7 * total


@pytest.mark.parametrize(("csls_neighbors", "margin_neighbors"), [(10, 4), (3, 7), (1, 1)])
def test_equals_the_definition_for_every_pair_and_ranking(rng, csls_neighbors, margin_neighbors):
    reps = parallel(rng)
    options = {"csls_neighbors": csls_neighbors, "margin_neighbors": margin_neighbors}
    found = retrieval(reps, n_threads=2, **options)
    check_tables(reps, {**found.values, "mexa": mexa(reps).values}, **options)
    assert np.isnan(found["cosine_p1"][:, [0, 1, 2], [0, 1, 2]]).all()
    assert found.languages == reps.languages and "chance 0.025" in repr(found)


def test_blocks_of_a_large_matrix_equal_a_small_one(rng, monkeypatch):
    reps = parallel(rng, n=50)
    wanted = retrieval(reps)
    monkeypatch.setattr(translations, "_ROWS_AT_A_TIME", 7)
    assert retrieval(reps) == wanted
    monkeypatch.setattr(translations, "_KEPT_BYTES", 0)  # made twice
    assert retrieval(reps) == wanted


def test_copies_of_a_translation_are_ties_and_ties_are_misses(rng):
    X = rng.standard_normal((30, 5)).astype(np.float32)
    Y = X.copy()
    Y[11] = Y[4]  # two sentences with one translation
    found = retrieval({"a": X, "b": Y})
    assert found["cosine_p1"][0, 0, 1] == pytest.approx(28 / 30)
    for method in (
        "csls",
        "margin",
    ):  # an equal row may lose, too, where its surroundings are dense
        assert found[f"{method}_p1"][0, 0, 1] <= 28 / 30 + 1e-9
    for method in ("cosine", "csls", "margin"):
        assert found[f"{method}_p5"][0, 0, 1] >= 27 / 30
    assert float(mexa(X, Y)) == pytest.approx(28 / 30)
    same = np.ones((30, 5), np.float32)
    assert retrieval({"a": same, "b": same})["cosine_mrr"][0, 0, 1] == pytest.approx(1 / 30)


def test_a_common_direction_does_not_cost_precision(rng):
    """Cosines between 0.9999 and 1: what float32 alone would order wrongly."""
    reps = parallel(rng, n=60, common=300.0, n_layers=1)
    tables = retrieval(reps).values | {"mexa": mexa(reps).values}
    check_tables(reps, tables, near=1e-9)


def test_chance_is_what_random_directions_give(rng):
    arrays = {f"l{i}": rng.standard_normal((30, 40)) for i in range(20)}
    found = retrieval(arrays)  # 380 tables of 30 queries
    for name in ("cosine_p1", "cosine_p5", "cosine_mrr", "csls_p1"):
        assert np.nanmean(found[name]) == pytest.approx(found.chance[name], rel=0.3)
    of_mexa = mexa(arrays)
    pairs = of_mexa.values[0][np.triu_indices(20, 1)]
    assert pairs.mean() == pytest.approx(1 / 59, rel=0.6)
    assert (of_mexa.chance == 1 / 59).all()


def test_turning_scaling_rows_and_reordering_change_nothing(rng):
    X, Y = rng.standard_normal((2, 40, 6))
    Y += X
    turn, order = np.linalg.qr(rng.standard_normal((6, 6)))[0], rng.permutation(40)
    lengths = rng.gamma(1, 5, (40, 1)) + 0.1
    wanted = retrieval(X, Y)
    for a, b in ((X @ turn, Y @ turn), (X * lengths, 1e-3 * Y), (X[order], Y[order])):
        again = retrieval(a, b)
        for name, table in wanted.values.items():
            np.testing.assert_allclose(again[name], table, err_msg=name)
        assert float(mexa(a, b)) == float(mexa(X, Y)) == float(mexa(Y, X))


def test_intervals_hold_the_values_and_have_a_length_at_1(rng):
    reps = parallel(rng, n=40, n_layers=1, noise=0.01, apart=0.0)
    found = retrieval(reps, intervals=True)
    off = ~np.eye(3, dtype=bool)
    for name, table in found.values.items():
        low, high = found.low[name][0][off], found.high[name][0][off]
        assert (low <= table[0][off]).all() and (table[0][off] <= high).all()
    assert found["cosine_p1"][0, 0, 1] == 1 and 0.8 < found.low["cosine_p1"][0, 0, 1] < 0.95
    assert mexa(reps, intervals=True).low[0, 0, 1] < 1


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.ones((4, 2)), None, "there is no Y"),
        (np.ones((4, 2)), np.ones((4, 3)), "in one space"),
        ({"a": np.ones((4, 2))}, None, "1 languages"),
        ({"a": np.ones((4, 2)), "b": np.zeros((4, 2))}, None, r"X\['b'\], row 0 is a zero"),
    ],
)
def test_what_cannot_be_searched_is_refused(X, Y, message):
    with pytest.raises(ValueError, match=message):
        retrieval(X, Y)
    with pytest.raises(ValueError, match=r"dimensions|no Y|languages|zero"):
        mexa(X, Y)


def test_progress_counts_every_pair_of_every_layer(rng, monkeypatch):
    shares = []
    module = sys.modules[retrieval.__module__]
    monkeypatch.setattr(module, "share_bar", lambda *_: nullcontext(shares.append))
    for n_languages, pairs in ((2, 1), (3, 3)):
        shares.clear()
        X = {f"l{c}": rng.standard_normal((2, 6, 4)) for c in range(n_languages)}
        retrieval(X, n_threads=1)
        np.testing.assert_allclose(shares, np.arange(1, 2 * pairs + 1) / (2 * pairs))


@pytest.mark.parametrize("start", [-1, 1, 2**63 - 1])
def test_the_core_takes_no_block_that_ends_beyond_the_sentences(start):
    ranks = _core.TranslationRanks(
        np.zeros(3, np.float32), shift=0.0, tolerance=0.0, csls_neighbors=1, margin_neighbors=1
    )
    for take in (ranks.first, ranks.second):
        with pytest.raises(ValueError, match="cosines do not fit: wanted some rows of 3 x 3"):
            take(np.zeros((3, 3), np.float32), start)
