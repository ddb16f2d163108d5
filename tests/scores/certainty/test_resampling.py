"""Counts without units against the counts of a graph that is computed anew without them."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import resampling as reference

from ilo_fast import _core
from ilo_fast.graph.arrays import as_stack
from ilo_fast.graph.knn import stacked_graph
from ilo_fast.scores.certainty.resampling import Resampling, draw_halves, sampling_units

K, T = 4, 2


def rows(rng, sizes, *, ties: bool, d: int = 6):
    """Random rows of each language; with ties on a coarse grid, so that many coincide."""
    if ties:
        return [rng.integers(1, 3, (n, 3)).astype("f4") for n in sizes]
    return [(rng.standard_normal((n, d)) + rng.standard_normal(d)).astype("f4") for n in sizes]


def replicated(
    arrays, *, list_length=None, backend="exact", metric="euclidean", threshold=T, **about
):
    """Replicates of one layer, and how they were drawn."""
    settings = {"n_neighbors": K, "threshold": threshold, "metric": metric, "backend": backend}
    resampling = Resampling([len(a) for a in arrays], **settings, **about)
    assert resampling.why_not() == ""
    stacks = [as_stack(a) for a in arrays]
    length = list_length or resampling.list_length
    graph = stacked_graph(
        stacks, length, metric=metric, backend=backend, n_threads=1, progress=False
    )
    resampling.add_layer(graph.indices[0], stacks)
    return resampling.units, resampling.replicates()


def groups_of(rng, n):
    """Documents of one to many sentences, not in order."""
    return [f"d{g}" for g in rng.integers(0, max(2, n // 3), n)]


CASES = ["sentence", "document", "point"]


@pytest.mark.parametrize("list_length", [K, None], ids=["lists of k", "longer lists"])
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties and duplicates"])
@pytest.mark.parametrize("unit", CASES)
def test_replicates_equal_those_of_graphs_computed_anew(unit, ties, list_length):
    seed = np.random.SeedSequence().entropy
    rng = np.random.default_rng(seed)
    sizes = [14] * 5 if unit != "point" else [3, 20, 11, 2, 17]
    arrays = rows(rng, sizes, ties=ties)
    groups = groups_of(rng, 14) if unit == "document" else None
    metric = "cosine" if rng.random() < 0.5 else "euclidean"
    units, found = replicated(
        arrays, list_length=list_length, parallel=unit != "point", groups=groups, metric=metric
    )
    assert found.unit == unit
    X = np.concatenate(arrays)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    sentences = np.tile(np.arange(14), 5) if unit != "point" else None
    kept = draw_halves(units, n_pairs=len(found.subsets.points) // 2, seed=0)

    def check(counts, sample, stays):
        """`sample` indexes the axis of samples: () where there is none."""
        wanted = reference.counts(
            X, labels, sentences, stays,
            n_languages=len(sizes), n_neighbors=K, threshold=T, metric=metric,
        )  # fmt: skip
        message = f"seed {seed}, sample {sample}"
        np.testing.assert_array_equal(counts.points[sample], wanted["points"], message)
        for name in ("bridging", "reached") + ("translations",) * (sentences is not None):
            got = getattr(counts, name)[(*sample, 0)]
            np.testing.assert_array_equal(got, wanted[name], f"{message}, {name}")
        assert (counts.translations is None) == (sentences is None)

    check(found.whole, (), np.ones(len(X), bool))
    for u in rng.permutation(units.n)[:12]:
        check(found.without_one, (u,), units.of_point != u)
    for s in rng.permutation(len(kept))[:8]:
        check(found.subsets, (s,), kept[s][units.of_point])


@pytest.mark.parametrize("n_languages", [2, 64, 65, 130])
def test_any_number_of_languages(n_languages):
    rng = np.random.default_rng(n_languages)
    n = 240 // n_languages + 2
    arrays = rows(rng, [n] * n_languages, ties=False)
    units, found = replicated(arrays, parallel=True, threshold=1 if n_languages == 2 else T)
    X, labels = np.concatenate(arrays), np.repeat(np.arange(n_languages), n)
    kept = draw_halves(units, n_pairs=len(found.subsets.points) // 2, seed=0)
    for counts, sample, stays in (
        (found.without_one, 1, units.of_point != 1),
        (found.subsets, 70, kept[70][units.of_point]),
    ):
        wanted = reference.counts(
            X, labels, np.tile(np.arange(n), n_languages), stays, n_languages=n_languages,
            n_neighbors=K, threshold=1 if n_languages == 2 else T, metric="euclidean",
        )  # fmt: skip
        for name in ("bridging", "reached", "translations"):
            np.testing.assert_array_equal(getattr(counts, name)[sample, 0], wanted[name], name)


def test_points_that_all_coincide_are_counted_by_their_numbers():
    """A query finds many duplicates before itself, or itself not at all."""
    arrays = [np.ones((30, 3), "f4") for _ in range(4)]
    units, found = replicated(arrays, list_length=K, parallel=True, groups=["a", "b", "c"] * 10)
    stays = units.of_point != 0
    wanted = reference.counts(
        np.concatenate(arrays), np.repeat(np.arange(4), 30), np.tile(np.arange(30), 4), stays,
        n_languages=4, n_neighbors=K, threshold=T, metric="euclidean",
    )  # fmt: skip
    assert found.without_one.bridging[0, 0].tolist() == wanted["bridging"]
    assert found.without_one.translations[0, 0].tolist() == wanted["translations"]


def test_replicates_do_not_depend_on_threads_or_the_length_of_lists():
    arrays = rows(np.random.default_rng(3), [20] * 4, ties=True)
    one = replicated(arrays, parallel=True)[1]
    other = replicated(arrays, parallel=True, list_length=7, n_threads=4)[1]
    for name in ("points", "bridging", "reached", "translations"):
        for samples in ("whole", "without_one", "subsets"):
            np.testing.assert_array_equal(
                getattr(getattr(one, samples), name), getattr(getattr(other, samples), name)
            )


def test_approximate_lists_go_on_as_they_began():
    pytest.importorskip("hnswlib")
    arrays = rows(np.random.default_rng(4), [25] * 4, ties=False)
    _, exact = replicated(arrays, parallel=True)
    _, found = replicated(arrays, parallel=True, list_length=K, backend="hnsw")
    # So few points that its search finds nearly all neighbours.
    difference = found.subsets.bridging - exact.subsets.bridging
    assert np.abs(difference).mean() < 0.5


def test_units_are_what_the_corpus_knows():
    sentence = sampling_units([3, 3], parallel=True)
    assert (sentence.kind, sentence.n, sentence.of_point.tolist()) == ("sentence", 3, [0, 1, 2] * 2)
    document = sampling_units([3, 3], parallel=True, groups=["b", "a", "b"])
    assert (document.kind, document.n) == ("document", 2)
    assert document.of_point.tolist() == [0, 1, 0] * 2
    point = sampling_units([1, 3], parallel=False)
    assert (point.kind, point.strata.tolist()) == ("point", [0, 1, 1, 1])
    with pytest.raises(ValueError, match="groups has 2 names, wanted one for each of the 3"):
        sampling_units([3, 3], parallel=True, groups=["a", "b"])
    with pytest.raises(ValueError, match="groups are of parallel text"):
        sampling_units([1, 3], parallel=False, groups=["a"])


def test_halves_of_a_pair_share_no_unit():
    kept = draw_halves(sampling_units([7, 7], parallel=True), n_pairs=20, seed=1)
    assert (kept.sum(axis=1) == 3).all()
    assert not (kept[::2] & kept[1::2]).any()
    assert len(np.unique(kept, axis=0)) > 20
    apart = draw_halves(sampling_units([6, 3], parallel=False), n_pairs=20, seed=1)
    assert (apart[:, :6].sum(axis=1) == 3).all()
    assert (apart[:, 6:].sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("sizes", "groups"), [([3, 3], None), ([20, 20], ["one"] * 20), ([4, 4], list("aabc"))]
)
def test_too_few_points_without_some_units_have_a_reason(sizes, groups):
    resampling = Resampling(sizes, parallel=True, groups=groups, n_neighbors=K, threshold=1)
    assert "too few: without some of them the points have fewer than" in resampling.why_not()


def test_sentences_are_left_out_one_by_one_always():
    with pytest.raises(ValueError, match="jackknife=False is for points alone"):
        Resampling([9, 9], parallel=True, n_neighbors=K, threshold=1, jackknife=False)


def test_lists_that_do_not_suffice_are_told_and_refused():
    lists = {"entries": np.array([1, 2, 0, 2, 0, 1]), "offsets": np.array([0, 2, 4, 6])}
    units = np.array([0, 1, 2], np.int32)
    numbers = {"n_neighbors": 2, "n_units": 3, "n_threads": 1}
    told = _core.overlap_rows_too_short(*lists.values(), units, None, **numbers)
    assert told.tolist() == [0, 1, 2]
    more = {"n_languages": 2, "threshold": 1, **numbers}
    labels = np.array([0, 1, 1], np.int32)
    with pytest.raises(ValueError, match=r"the list of point \d keeps fewer than 2 neighbours"):
        _core.overlap_deletions(*lists.values(), units, labels, None, None, **more)
    with pytest.raises(ValueError, match=r"units.2.=2, wanted numbers in .0, 2"):
        _core.overlap_rows_too_short(*lists.values(), units, None, **{**numbers, "n_units": 2})
    with pytest.raises(ValueError, match="entries holds 3, wanted numbers of points"):
        _core.overlap_rows_too_short(lists["entries"] + 1, lists["offsets"], units, None, **numbers)
    with pytest.raises(ValueError, match="wanted n_neighbors=3 or more"):
        _core.overlap_rows_too_short(*lists.values(), units, None, **{**numbers, "n_neighbors": 3})
    wrapping = np.array([0, 2**63 - 1, -2, 6])  # each rises by subtraction, which overflows
    with pytest.raises(ValueError, match="offsets fall from 9223372036854775807 to -2 at 2"):
        _core.overlap_rows_too_short(lists["entries"], wrapping, units, None, **numbers)
    with pytest.raises(ValueError, match="n_units=-1 must be at least 0"):
        _core.overlap_rows_too_short(*lists.values(), units, None, **{**numbers, "n_units": -1})
    with pytest.raises(ValueError, match=r"wanted \(subsets, 3\)"):
        kept = np.ones((1, 2), np.bool_)
        _core.overlap_rows_too_short(*lists.values(), units, kept, **numbers)
