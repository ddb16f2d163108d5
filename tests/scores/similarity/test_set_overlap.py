"""Overlaps of lists and of sparse sets, against Python sets and lists."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from oracles import near

from ilo_fast import _core
from ilo_fast.graph.knn import knn_graph
from ilo_fast.scores.similarity import SparseSets, set_overlap

MEASURES = {"common": near.common, "lcs": near.lcs, "edit_distance": near.edit_distance}


def random_lists(rng, n_layers, n, k):
    """Different other points in each row."""
    return np.array(
        [
            [rng.permutation(np.delete(np.arange(n), i))[:k] for i in range(n)]
            for _ in range(n_layers)
        ],
        np.int32,
    )


def by_definition(A, B, measure):
    def value(a, b, i):
        if measure == "cycle":
            return any(i in A[a, j] for j in B[b, i])
        return MEASURES[measure](A[a, i].tolist(), B[b, i].tolist())

    return [
        [[value(a, b, i) for i in range(A.shape[1])] for b in range(len(B))] for a in range(len(A))
    ]


@pytest.mark.parametrize("measure", [*MEASURES, "cycle"])
def test_rows_are_those_of_the_definition(measure):
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    for _ in range(12):
        n = int(rng.integers(2, 20))
        k, other_k = (int(x) for x in rng.integers(1, n, 2))
        A = random_lists(rng, int(rng.integers(1, 4)), n, k)
        B = random_lists(rng, 2, n, other_k)
        B[0, : n // 2, : min(k, other_k)] = A[0, : n // 2, : min(k, other_k)]
        B = B if all(len(set(row)) == other_k for row in B[0].tolist()) else B[1:]
        found = _core.compare_rows(A, B, n_points=n, measure=measure, n_threads=2)
        np.testing.assert_array_equal(found, by_definition(A, B, measure), err_msg=str(entropy))


@pytest.mark.parametrize("measure", [*MEASURES, "cycle"])
def test_more_layers_than_a_word_has_bits(measure):
    rng = np.random.default_rng(2)
    A, B = random_lists(rng, 67, 5, 3), random_lists(rng, 2, 5, 2)
    found = _core.compare_rows(A, B, n_points=5, measure=measure, n_threads=1)
    np.testing.assert_array_equal(found, by_definition(A, B, measure))


@pytest.mark.parametrize("k", [63, 64, 65, 128, 300])
def test_long_lists_that_are_nearly_in_order(k):
    rng = np.random.default_rng(k)
    A = rng.permutation(2 * k)[:k].astype(np.int32)[None, None]
    B = A.copy()
    for i, j in rng.integers(0, k, (k // 8, 2)):
        B[..., [i, j]] = B[..., [j, i]]
    B = np.roll(B, 3, axis=-1)
    row = B[0, 0]
    row[rng.integers(0, k, k // 10)] = -1
    spare = np.setdiff1d(np.arange(3 * k), A)
    row[row < 0] = spare[: (row < 0).sum()]
    options = {"n_points": 3 * k, "n_threads": 1}
    distance = _core.compare_rows(A, B, measure="edit_distance", **options)
    assert distance.item() == near.edit_distance(A.ravel().tolist(), row.tolist())
    places = {point: p for p, point in enumerate(A.ravel().tolist())}
    order = [places[point] for point in row.tolist() if point in places]
    longest = []  # of an increasing subsequence that ends here, by the definition
    for i, x in enumerate(order):
        longest.append(1 + max((longest[j] for j in range(i) if order[j] < x), default=0))
    assert _core.compare_rows(A, B, measure="lcs", **options).item() == max(longest)


def test_orders_agree_with_rapidfuzz():
    distance = pytest.importorskip("rapidfuzz.distance", reason="rapidfuzz is not installed")
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    for k in (1, 10, 64, 100, 200):
        A, B = (random_lists(rng, 1, k + 3, k) for _ in "AB")
        B[:, ::2] = A[:, ::2]
        B[:, ::2, : k // 2] = B[:, ::2, : k // 2][..., ::-1]
        rows = list(zip(A[0].tolist(), B[0].tolist(), strict=True))
        for measure, theirs in (
            ("lcs", distance.LCSseq.similarity),
            ("edit_distance", distance.Levenshtein.distance),
        ):
            found = _core.compare_rows(A, B, n_points=k + 3, measure=measure, n_threads=2)
            assert found.ravel().tolist() == [theirs(a, b) for a, b in rows], entropy


@pytest.mark.parametrize("measure", [*MEASURES, "cycle"])
def test_sums_are_of_rows_and_of_renumbered_points(measure):
    rng = np.random.default_rng(4)
    n, k = 30, 4
    A, B = random_lists(rng, 3, n, k), random_lists(rng, 2, n, k)
    orders = np.array([rng.permutation(n) for _ in range(3)], np.int32)
    weights = rng.standard_normal(2 if measure == "cycle" else k + 1)
    options = {"measure": measure, "weights": weights, "permutations": orders}
    sums = _core.sum_rows(A, B, n_threads=1, **options)
    assert sums.shape == (4, 3, 2)
    moved = [B, *(np.array([near.renumbered(b, o) for b in B], np.int32) for o in orders)]
    wanted = [weights[np.array(by_definition(A, C, measure), int)].sum(axis=-1) for C in moved]
    np.testing.assert_allclose(sums, wanted)
    np.testing.assert_array_equal(sums, _core.sum_rows(A, B, n_threads=3, **options))


@pytest.mark.parametrize("n_layers", [3, 66])
def test_kernels_of_a_stack_are_those_of_its_pairs(n_layers):
    rng = np.random.default_rng(7)
    A, B = random_lists(rng, n_layers, 12, 5), random_lists(rng, 2, 12, 4)
    values = [rng.standard_normal(side.shape) for side in (A, B)]
    orders = np.array([rng.permutation(12) for _ in range(5)], np.int32)
    found = _core.masked_hsic(A, values[0], B, values[1], permutations=orders, n_threads=3)
    assert found.shape == (6, n_layers, 2)
    for i in range(0, n_layers, 13):
        one = _core.masked_hsic(
            A[i : i + 1], values[0][i : i + 1], B, values[1], permutations=orders, n_threads=1
        )
        np.testing.assert_array_equal(found[:, i], one[:, 0])
    same = np.arange(12, dtype=np.int32)[None]  # nothing is renumbered: the other way to count
    again = _core.masked_hsic(A, values[0], B, values[1], permutations=same, n_threads=2)
    np.testing.assert_allclose(again[0], again[1], atol=1e-14)


def test_graphs_and_arrays_of_lists_are_compared_row_by_row():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((2, 30, 4))
    graph, other = knn_graph(X, 3), knn_graph(X[:1] + rng.standard_normal((1, 30, 4)), 5)
    counts = set_overlap(graph, other)
    assert counts.shape == (2, 1, 30)
    wanted = near.common(graph.indices[1, 7].tolist(), other.indices[0, 7].tolist())
    assert counts[1, 0, 7] == wanted
    np.testing.assert_array_equal(set_overlap(graph[1], other.indices[0]), counts[1, 0])
    assert (set_overlap(graph[0]) == 3).all()


def test_large_numbers_of_points_take_no_table_of_their_size():
    large = 2**31 - 1
    A, B = np.array([[3, large], [large - 7, 2]]), np.array([[large, 5], [large, 2]])
    assert set_overlap(A, B).tolist() == [1, 1]


WRAPPING = np.array([0, 2**63 - 1, -2, 3])  # rises by subtraction, which overflows


def random_sets(rng, n, n_elements, most):
    return [rng.permutation(n_elements)[: rng.integers(0, most + 1)].tolist() for _ in range(n)]


def best(a, sets, order, top, leave_out=None):
    """By the definition, as (number, count) pairs."""
    met = []
    for j, b in enumerate(sets):
        count = len(set(a) & set(b))
        if count and j != leave_out:
            size = count / len(set(a) | set(b)) if order == "jaccard" else count
            met.append((-size, j, count))
    return [(j, count) for _, j, count in sorted(met)[:top]]


def test_all_pairs_of_sparse_sets():
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    a, b = random_sets(rng, 40, 30, 12), random_sets(rng, 50, 33, 9)
    A, B = SparseSets.of(a, 30), SparseSets.of(b, 33)
    wanted = [[len(set(x) & set(y)) for y in b] for x in a]
    np.testing.assert_array_equal(set_overlap(A, B), wanted, err_msg=str(entropy))
    np.testing.assert_array_equal(set_overlap(A, B, n_threads=1), wanted)
    table = set_overlap(A)
    np.testing.assert_array_equal(table, table.T)
    np.testing.assert_array_equal(np.diagonal(table), A.sizes)


@pytest.mark.parametrize("order", ["count", "jaccard"])
def test_top_overlaps_are_the_largest_ties_by_number(order):
    entropy = np.random.SeedSequence().entropy
    rng = np.random.default_rng(entropy)
    a, b = random_sets(rng, 30, 20, 8), random_sets(rng, 60, 20, 8)
    for top in (1, 5, 70):
        for sets, other in ((a, b), (b, None)):
            B = None if other is None else SparseSets.of(other)
            found = set_overlap(SparseSets.of(sets), B, top=top, order=order)
            for i, one in enumerate(sets):
                wanted = best(one, other or sets, order, top, None if other else i)
                got = [(j, c) for j, c in zip(found.sets[i], found.counts[i], strict=True) if c]
                assert got == wanted, entropy
                for (j, count), share in zip(wanted, found.jaccard[i], strict=False):
                    union = len(set(one) | set((other or sets)[j]))
                    assert share == pytest.approx(count / union)
                assert (found.sets[i, len(wanted) :] == -1).all()
                assert not found.jaccard[i, len(wanted) :].any()


def test_more_sets_than_a_block_holds():
    rng = np.random.default_rng(6)
    elements = rng.integers(0, 5000, 40_000)
    many = SparseSets(np.arange(0, 40_001, 2), elements.astype(np.int32), 5000)
    keep = elements[::2] != elements[1::2]  # a set has an element once
    lists = elements.reshape(-1, 2)
    lists[~keep, 1] = 5000
    many = SparseSets(np.arange(0, 40_001, 2), lists.ravel().astype(np.int32), 5001)
    assert len(many) > 16384
    few = SparseSets.of([lists[0], lists[19_999], [7, 8, 9]])
    counts = set_overlap(few, many)
    for i, one in enumerate([lists[0], lists[19_999], [7, 8, 9]]):
        np.testing.assert_array_equal(counts[i], np.isin(lists, one).sum(axis=1))
    found = set_overlap(few, many, top=4, n_threads=2)
    for i in range(3):
        order = sorted(range(len(many)), key=lambda j: (-counts[i, j], j))[:4]
        assert found.sets[i].tolist() == order


def test_rows_of_a_sparse_matrix_are_sets():
    matrix = scipy.sparse.csr_matrix(np.array([[0, 2.0, 1], [0, 0, 0], [5, 1, 0]]))
    matrix.data[matrix.data == 5] = 0  # stored, but zero
    assert set_overlap(matrix).tolist() == [[2, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert matrix.nnz == 4  # left as it was
    assert set_overlap(SparseSets.of([[1, 1]]), matrix).tolist() == [[1, 0, 1]]
    empty = SparseSets.of([])
    assert set_overlap(empty, matrix).shape == (0, 3)
    assert set_overlap(matrix, empty, top=2).sets.tolist() == [[-1, -1]] * 3


@pytest.mark.parametrize(
    ("A", "B", "options", "message"),
    [
        (np.zeros((2, 3, 1, 1), int), None, {}, r"A has shape \(2, 3, 1, 1\)"),
        (np.zeros((3, 1), int), np.zeros((1, 3, 1), int), {}, "for both"),
        (np.zeros((3, 1), int), np.zeros((4, 1), int), {}, "A has 3 rows and B 4"),
        (np.array([[1, 1]]), None, {}, "A names point 1 twice in row 0"),
        (np.array([[-1]]), None, {}, "from 0 and below"),
        (np.array([[0]]), None, {"top": 2}, "top is for sparse sets"),
        (SparseSets.of([[1]]), None, {"order": "size"}, "order='size' is not known"),
        (SparseSets.of([[1]]), None, {"top": 0}, "top=0 must be at least 1"),
        (SparseSets(np.array([0, 2]), np.array([1, 1], np.int32), 2), None, {}, "1 twice"),
        (SparseSets(np.array([0, 1]), np.array([2], np.int32), 2), None, {}, r"in \[0, 2\)"),
        (SparseSets(np.array([0, 3]), np.array([1], np.int32), 2), None, {}, "from 0 to 3"),
        (SparseSets(np.array([0, 1, 0]), np.zeros(0, np.int32), 2), None, {}, "fall from 1 to 0"),
        (SparseSets(WRAPPING, np.zeros(3, np.int32), 2), None, {}, "offsets of A fall from"),
        (SparseSets(np.array([0, 1]), np.array([0], np.int32), -1), None, {}, "n_elements of A=-1"),
        (SparseSets(np.array([0, 1]), np.array([0], np.int32), 2**62), None, {}, "n_elements of A"),
        (SparseSets(np.array([0, 1]), np.array([2**31 - 1], np.int32), 2), None, {}, r"in \[0, 2"),
        (SparseSets.of([[1]]), None, {"top": 2**62}, "top=.* must be at most"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(A, B, options, message):
    with pytest.raises(ValueError, match=message):
        set_overlap(A, B, **options)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [({"n_elements": -1}, "n_elements=-1 must be"), ({"n_elements": 2**62}, "n_elements=")],
)
def test_the_core_refuses_sizes_that_no_table_has(sizes, said):
    sets = np.array([0, 1]), np.array([0], np.int32)
    with pytest.raises(ValueError, match=said):
        _core.count_overlaps(*sets, *sets, **sizes, n_threads=1)
    more = {"top": 1, "by_jaccard": False, "only_others": False, "n_threads": 1}
    with pytest.raises(ValueError, match=said):
        _core.top_overlaps(*sets, *sets, **sizes, **more)
    lists = np.zeros((1, 1, 1), np.int32)
    with pytest.raises(ValueError, match="n_points="):
        n_points = sizes["n_elements"]
        _core.compare_rows(lists, lists, n_points=n_points, measure="common", n_threads=1)


def test_large_numbers_of_elements_take_no_table_of_their_size():
    large = 2**31 - 1
    assert set_overlap(SparseSets.of([[3, large], [5]]), SparseSets.of([[large]])).tolist() == [
        [1], [0],
    ]  # fmt: skip


def test_other_types_are_refused():
    for offsets in ([0, 0.7, 1], None):
        with pytest.raises(TypeError, match="offsets of A have dtype"):
            set_overlap(SparseSets(offsets, np.array([0], np.int32), 1))
    for n_elements in ("3", 3.0, None):
        with pytest.raises(TypeError, match="n_elements of A must be an int, got"):
            set_overlap(SparseSets(np.array([0, 1]), np.array([0], np.int32), n_elements))
    with pytest.raises(TypeError, match="A has dtype float64, wanted whole numbers"):
        set_overlap(np.array([[0.5]]))
    with pytest.raises(TypeError, match="B is a list: wanted them in both"):
        set_overlap(SparseSets.of([[1]]), [[1]])
