"""What X may be: the right neighbours, or an error that says what to do."""

from __future__ import annotations

import ctypes
import platform

import numpy as np
import pytest
from oracles import knn as reference

from ilo_fast import knn_graph, overlap
from ilo_fast.graph.arrays import as_stack, of_one_layout

torch = pytest.importorskip("torch")

X = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)


def masked(row=7):
    array = np.ma.array(X.copy(), mask=False)
    array[row] = np.ma.masked
    return array


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (masked(), ValueError, "X is a masked array, and row 7 is masked"),
        (np.ma.stack([masked(3), masked(9)]), ValueError, "row 3 of layer 0 is masked"),
        (np.zeros(30, [("a", "f4"), ("b", "f4")]), TypeError, "X has dtype void"),
        (X.astype(object), TypeError, "is no array of numbers"),
        (X.astype(np.complex64), TypeError, "X has dtype complex64, wanted one of"),
        (X.astype(np.int32), TypeError, "X has dtype int32"),
        (X.astype(np.longdouble), TypeError, "X has dtype (float128|longdouble|float96)"),
        (np.zeros((30, 4), "datetime64[s]"), TypeError, "X has dtype datetime64"),
        (np.float32(3), ValueError, r"X has shape \(\)"),
        ([[1.0, 2.0], [3.0]], TypeError, "X, a list, does not make an array"),
        (None, TypeError, "X, a NoneType, is no array of numbers"),
        ("text", FileNotFoundError, "X='text' is no file here: pass an array, or the path of a"),
        (torch.eye(30).to_sparse(), TypeError, r"X is sparse: pass X.to_dense\(\)"),
        (torch.empty(30, 4, device="meta"), TypeError, "holds no values"),
        (torch.zeros(30, 4, dtype=torch.complex64), TypeError, "X has dtype complex64"),
        (torch.zeros(30, 4).to(torch.float8_e4m3fn), TypeError, r"X.to\(torch.float32\)"),
    ],
)
def test_what_is_no_matrix_of_floats_is_refused(given, error, match):
    with pytest.raises(error, match=match):
        knn_graph(given, 3)


def test_sparse_matrix_of_scipy_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"X is a sparse csr_matrix: pass X.toarray\(\)"):
        knn_graph(sparse.csr_matrix(X), 3)


@pytest.mark.parametrize(
    "given",
    [
        np.ma.array(X, mask=False),
        X.view(np.matrix),
        X.tolist(),  # of float64
        np.broadcast_to(X, (1, *X.shape))[0],  # read-only
        X[::-1][::-1],
        np.ascontiguousarray(X[:, ::-1])[:, ::-1],
        X.astype(">f4"),
        torch.tensor(X, requires_grad=True),
        torch.nn.Parameter(torch.tensor(X)),
    ],
)
def test_unusual_layouts_give_the_neighbours_of_their_values(given):
    wanted, _ = reference.knn(X, 3, "cosine")
    np.testing.assert_array_equal(knn_graph(given, 3).indices, wanted)


def test_masked_sentences_are_refused_by_their_language():
    with pytest.raises(ValueError, match=r"representations\['b'\] is a masked array, and row 7"):
        overlap({"a": X, "b": masked()}, threshold=1)


@pytest.mark.parametrize("number", [2**63, 10**20, pytest.param(10**5000, id="huge"), -(10**30)])
@pytest.mark.parametrize("name", ["n_neighbors", "n_threads", "max_memory"])
def test_numbers_that_the_core_cannot_count_are_refused(name, number):
    with pytest.raises(ValueError, match=rf"{name}=.* must be at (most|least)"):
        knn_graph(X, **{"n_neighbors": 3, name: number})


@pytest.mark.parametrize("name", ["n_neighbors", "threshold"])
def test_overlap_refuses_numbers_that_the_core_cannot_count(name):
    with pytest.raises(ValueError, match=f"{name}=.* must be at most"):
        overlap({"a": X, "b": X}, **{name: 10**20})


# ---- the caller's floating-point mode


@pytest.fixture
def flushing():
    """Subnormal numbers are zero for the caller, as torch.set_flush_denormal has it."""
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    yield
    torch.set_flush_denormal(False)


def subnormal():
    rng = np.random.default_rng(3)
    return (rng.standard_normal((40, 5)) * 1e-40).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["float32", "queries of float64", "float16 beside bfloat16"])
def test_flushing_caller_gets_the_same_neighbours(flushing, metric, kind):
    torch.set_flush_denormal(False)
    rows, queries = subnormal(), None
    if kind == "queries of float64":
        queries = rows.astype(np.float64) + 1e-300
    elif kind == "float16 beside bfloat16":  # both become float32, where float16's are subnormal
        rows = (rows * 1e34).astype(np.float16)
        queries = torch.tensor(rows.astype(np.float32)).to(torch.bfloat16)
    wanted = knn_graph(rows, 3, metric=metric, queries=queries)
    torch.set_flush_denormal(True)
    got = knn_graph(rows, 3, metric=metric, queries=queries)
    torch.set_flush_denormal(False)
    np.testing.assert_array_equal(got.indices, wanted.indices)
    np.testing.assert_array_equal(got.distances, wanted.distances)


def test_conversion_leaves_the_mode_of_the_caller_as_it_was(flushing):
    tiny = np.float32(1e-40)
    of_one_layout([as_stack(subnormal()), as_stack(X.astype(np.float64))])
    assert np.add(np.array([tiny]), np.array([tiny]))[0] == 0


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64", reason="numbers of x86-64 Linux"
)
@pytest.mark.parametrize("mode", [0x400, 0x800, 0xC00])  # down, up, towards zero
def test_rounding_mode_of_the_caller_changes_nothing(mode):
    c = ctypes.CDLL("libm.so.6")
    rows, queries = X.astype(np.float64) / 3, X
    wanted = knn_graph(rows, 3, queries=queries)
    c.fesetround(mode)
    try:
        got = knn_graph(rows, 3, queries=queries)
    finally:
        c.fesetround(0)
    np.testing.assert_array_equal(got.indices, wanted.indices)
    np.testing.assert_array_equal(got.distances, wanted.distances)
