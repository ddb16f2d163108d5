"""What Python makes of arrays and options on their way to a GPU: needs none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.utils.dlpack

from ilo_fast import _core, _core_testing, knn_graph, overlap
from ilo_fast.graph import arrays, cuda
from ilo_fast.graph.arrays import as_stack, of_one_layout, strides
from ilo_fast.scores import cuda as scores_cuda

GPU = {"name": "a GPU", "capability": (9, 0), "memory": 1 << 36, "l2": 1 << 25}


def status(**changes):
    found = {
        "built": True,
        "architectures": "80-real, 90",
        "problem": "",
        "runtime": 13000,
        "driver": 13000,
        "devices": [GPU, GPU],
    }
    return {**found, **changes}


class OnGPU:
    """An array that says it lies on a GPU; it lies here, as far as the emulator is concerned."""

    def __init__(self, array, device=0):
        self.tensor = array if isinstance(array, torch.Tensor) else torch.from_numpy(array)
        self.shape = tuple(self.tensor.shape)
        self.device = device


@pytest.fixture
def gpu_arrays(monkeypatch):
    real = arrays._on_gpu
    monkeypatch.setattr(
        arrays,
        "_on_gpu",
        lambda X, name: (X.tensor, X.device) if isinstance(X, OnGPU) else real(X, name),
    )


@pytest.fixture
def emulated(monkeypatch, gpu_arrays):
    """backend="cuda" on the CUDA emulator."""

    def on_emulator(engine):
        # A stream that torch has on a real GPU is none of the emulator's.
        return lambda *args, **options: engine(
            *args, machine="emulated", **{**options, "stream": 0}
        )

    core = SimpleNamespace(
        cuda_knn_graph=on_emulator(_core_testing.cuda_knn_graph),
        cuda_overlap=on_emulator(_core_testing.cuda_overlap),
    )
    monkeypatch.setattr(cuda, "_core", core)
    monkeypatch.setattr(scores_cuda, "_core", core)
    emulator = {**GPU, "name": "CUDA emulator"}
    monkeypatch.setattr(cuda, "status", lambda: status(devices=[emulator]))


@pytest.fixture
def calls(monkeypatch, gpu_arrays):
    """What the core is asked for, with a device that there is not."""
    made = []

    def graph(segments, dtype, k, **options):
        made.append({"segments": segments, "dtype": dtype, "k": k, **options})
        n = sum(s[1][1] if isinstance(s, tuple) else s.shape[1] for s in segments)
        n = n - options["n_base"] or n
        return np.zeros((1, n, k), int), np.zeros((1, n, k), np.float32), [{}]

    core = SimpleNamespace(cuda_status=status, cuda_knn_graph=graph)
    monkeypatch.setattr(cuda, "_core", core)
    monkeypatch.setattr(scores_cuda, "_core", core)
    monkeypatch.setattr(cuda, "status", status)
    return made


def rows(n=40, d=7, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def same(graph, other):
    np.testing.assert_array_equal(graph.indices, other.indices)
    np.testing.assert_array_equal(graph.distances, other.distances)


# ---- the whole way, on the emulator


@pytest.mark.parametrize("place", [np.asarray, torch.from_numpy, OnGPU])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_graph_is_that_of_the_cpu(metric, place, emulated):
    X, queries = rows(), rows(9, seed=1)
    found = knn_graph(place(X), 3, metric=metric, backend="cuda")
    same(found, knn_graph(X, 3, metric=metric))
    assert found.info["backend"] == "cuda"
    assert found.info["device"] == "CUDA emulator"
    assert found.info["layers"][0]["rows"] == 40
    of_queries = knn_graph(place(X), 3, queries=place(queries), metric=metric, backend="cuda")
    same(of_queries, knn_graph(X, 3, queries=queries, metric=metric))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_any_dtype_and_stride(dtype, emulated):
    X = torch.from_numpy(rows(60, 12)).to(dtype)
    for tensor in (X, X[::2], X[:, 1::3], X.T.contiguous().T, X.view(3, 20, 12).transpose(0, 1)):
        same(knn_graph(OnGPU(tensor), 2, backend="cuda"), knn_graph(tensor, 2))


def test_queries_of_another_dtype_and_layout(emulated):
    X, queries = torch.from_numpy(rows()).half(), torch.from_numpy(rows(7, 9, seed=2).T)
    found = knn_graph(OnGPU(X), 3, queries=OnGPU(queries), backend="cuda")
    same(found, knn_graph(X, 3, queries=queries))


@pytest.mark.parametrize("place", [np.asarray, OnGPU])
@pytest.mark.parametrize("parallel", [True, False])
def test_overlap_is_that_of_the_cpu(parallel, place, emulated):
    X = {
        code: np.stack([rows(20, 6, seed=s), rows(20, 6, seed=s + 9)])
        for s, code in enumerate("abcde")
    }
    X["c"] = np.asfortranarray(X["c"])  # the core wants one layout
    found = overlap({c: place(x) for c, x in X.items()}, backend="cuda", parallel=parallel)
    wanted = overlap(X, parallel=parallel)
    for name in ("bridge", "reach", "ilo", "translation_share", "translation_chance"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert found.info["backend"] == "cuda"
    assert [layer["layer"] for layer in found.info["layers"]] == [0, 1]
    assert found.info["versions"] == wanted.info["versions"]


def test_progress_reaches_the_end(emulated):
    shares = []
    knn_graph(OnGPU(rows(400)), 3, backend="cuda", progress=shares.append)
    assert shares == sorted(shares)
    assert shares[0] >= 0 and shares[-1] == 1


def test_bad_rows_are_named_as_the_caller_knows_them(emulated):
    X, queries = rows(), rows(9)
    queries[3, 2] = np.nan
    with pytest.raises(ValueError, match="row 3 of queries holds NaN"):
        knn_graph(OnGPU(X), 3, queries=OnGPU(queries), backend="cuda")
    stacks = {code: np.stack([rows(20, 6), rows(20, 6, seed=5)]) for code in ("ab", "cd", "ef")}
    stacks["cd"][1, 4] = 0
    with pytest.raises(ValueError, match=r"representations\['cd'\], sentence 4, layer 1 is a zero"):
        overlap(stacks, backend="cuda", threshold=2)
    with pytest.raises(ValueError, match=r"representations\['cd'\], sentence 4, layer 0 is a zero"):
        overlap({c: x[1] for c, x in stacks.items()}, backend="cuda", threshold=2)


# ---- which backend


def test_auto_stays_on_the_cpu_wherever_the_rows_lie(calls):
    X = rows()
    same(knn_graph(OnGPU(X, device=1), 3), knn_graph(X, 3))
    same(knn_graph(OnGPU(X), 3, queries=X[:9]), knn_graph(X, 3, queries=X[:9]))
    assert not calls


def test_cuda_works_on_the_device_of_the_rows(calls):
    assert knn_graph(OnGPU(rows(), device=1), 3, backend="cuda").info["backend"] == "cuda"
    assert calls[-1]["device"] == 1


@pytest.mark.parametrize("backend", ["exact", "hnsw"])
def test_the_cpu_backends_copy_from_the_gpu(backend, calls):
    if backend == "hnsw":
        pytest.importorskip("hnswlib")
    assert knn_graph(OnGPU(rows()), 3, backend=backend).info["backend"] == backend
    assert not calls


def test_where_the_engine_cannot_run_the_reason_is_told(gpu_arrays, monkeypatch):
    for changes, message in (
        ({"problem": "this build has no engine"}, "backend='cuda': this build has no engine"),
        ({"devices": [GPU]}, r"there is no cuda:1, only 1 device\(s\)"),
        ({"devices": [GPU, {**GPU, "capability": (7, 5)}]}, "compute capability 7.5"),
    ):
        monkeypatch.setattr(cuda, "status", lambda changes=changes: status(**changes))
        with pytest.raises(ValueError, match=message):
            knn_graph(OnGPU(rows(), device=1), 3, backend="cuda")
        with pytest.raises(ValueError, match=message):
            overlap({c: OnGPU(rows(), device=1) for c in "abcd"}, backend="cuda")


def test_what_this_build_says():
    found = _core.cuda_status()
    assert found["built"] == bool(found["architectures"])
    assert bool(found["problem"]) == (not found["devices"])
    if found["problem"]:
        assert "backend='exact'" in found["problem"]
        with pytest.raises(ValueError, match="backend='cuda': "):
            knn_graph(rows(), 3, backend="cuda")
        with pytest.raises(ValueError, match="backend='exact'"):
            _core.cuda_knn_graph([rows()[None]], "float32", 3, cosine=True)


# ---- arguments


def test_everything_in_one_place(calls):
    X = rows()
    with pytest.raises(ValueError, match="X lies on cuda:0, queries in the host's memory"):
        knn_graph(OnGPU(X), 3, queries=X, backend="cuda")
    with pytest.raises(ValueError, match="X lies in the host's memory, queries on cuda:0"):
        knn_graph(X, 3, queries=OnGPU(X), backend="cuda")
    with pytest.raises(ValueError, match="X lies on cuda:0, queries on cuda:1"):
        knn_graph(OnGPU(X), 3, queries=OnGPU(X, device=1), backend="cuda")
    with pytest.raises(ValueError, match=r"\['a'\] lies on cuda:0, representations\['b'\] in the"):
        overlap({"a": OnGPU(X), "b": X}, threshold=1, backend="cuda")
    assert not calls


def test_options_reach_the_core(calls, monkeypatch):
    monkeypatch.setattr(cuda, "library", lambda: "/lib/libcublasLt.so")
    knn_graph(OnGPU(rows()), 3, backend="cuda", max_memory="1GiB", metric="euclidean")
    call = calls[-1]
    assert (call["max_memory"], call["cosine"], call["n_base"]) == (1 << 30, False, 40)
    assert call["library"] == "/lib/libcublasLt.so"
    knn_graph(rows(), 3, backend="cuda", queries=rows(5))
    assert calls[-1]["max_memory"] == 0
    assert calls[-1]["n_base"] == 40
    assert calls[-1]["stream"] == 0


def test_no_checkpoint(calls, tmp_path):
    with pytest.raises(ValueError, match="checkpoint is for backend='exact'"):
        knn_graph(rows(), 3, backend="cuda", checkpoint=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_tensor_is_used_in_place(gpu_arrays):
    tensor = torch.arange(2 * 5 * 8, dtype=torch.float16).view(2, 5, 8)[:, ::2, 1::2]
    stack = as_stack(OnGPU(tensor, device=3))
    assert (stack.device, stack.dtype, stack.was_matrix) == (3, "float16", False)
    assert stack.place == "on cuda:3"
    assert cuda.segment(stack) == (tensor.data_ptr(), (2, 3, 4), (80, 32, 4))
    assert strides(stack) == strides(stack.in_host_memory()) == (80, 32, 4)
    assert stack.layer(1).values.data_ptr() == tensor[1].data_ptr()


def test_one_layout_on_a_gpu(gpu_arrays):
    half, wide = torch.ones(4, 6, dtype=torch.float16), torch.ones(4, 6, dtype=torch.bfloat16).T.T
    turned = torch.ones(6, 4).T
    stacks = of_one_layout([as_stack(OnGPU(t)) for t in (half, wide, turned)])
    assert {s.dtype for s in stacks} == {"float32"}
    assert {strides(s)[2] for s in stacks} == {4}
    assert {s.device for s in stacks} == {0}


@pytest.mark.parametrize(
    ("tensor", "error", "message"),
    [
        (torch.ones(3, 2, dtype=torch.int32), TypeError, r"dtype int32.*\.to\(torch.float32\)"),
        (torch.ones(3), ValueError, r"shape \(3,\), wanted \(n, d\)"),
        (torch.ones(0, 3), ValueError, "holds no values"),
    ],
)
def test_tensors_that_are_no_rows(tensor, error, message, gpu_arrays):
    with pytest.raises(error, match=message):
        knn_graph(OnGPU(tensor), 1)


# ---- what others call an array on a GPU


class Foreign:
    def __init__(self, tensor, device_type):
        self.tensor, self.device_type = tensor, device_type
        self.shape = tuple(tensor.shape)

    def __dlpack_device__(self):
        return self.device_type, 0

    def __array__(self, dtype=None, copy=None):
        return self.tensor.numpy()


def test_dlpack(monkeypatch):
    X = torch.from_numpy(rows())
    monkeypatch.setattr(torch.utils.dlpack, "from_dlpack", lambda x: x.tensor)
    assert as_stack(Foreign(X, 2)).values.data_ptr() == X.data_ptr()
    assert as_stack(Foreign(X, 1)).device is None  # on the CPU: as ever


def test_what_torch_cannot_take_is_said_to_be_so():
    class Interface:
        __cuda_array_interface__ = {"shape": (3, 2), "typestr": "<f4", "data": (4096, False)}  # noqa: RUF012

    if torch.cuda.is_available():
        pytest.skip("with a GPU torch takes any address for its memory")
    with pytest.raises(ValueError, match="X, a Interface in a GPU's memory, cannot be used"):
        knn_graph(Interface(), 1)


# ---- cuBLASLt


def test_cublaslt_is_found_among_the_packages(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(cuda, "status", status)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: spec)
    assert cuda.library() == ""
    old = tmp_path / "cublas/lib/libcublasLt.so.12"
    new = tmp_path / "cu13/lib/libcublasLt.so.13"
    for file in (old, new):
        file.parent.mkdir(parents=True)
        file.touch()
        assert cuda.library() == str(file)
    monkeypatch.setattr(cuda, "status", lambda: status(runtime=12080))
    assert cuda.library() == str(old)  # a driver of 12 may be too old for 13
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: None)
    assert cuda.library() == ""


# ---- the core's own checks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"machine": "tpu"}, "machine='tpu' is not known: use 'gpu' or 'emulated'"),
        ({"dtype": "int8"}, "dtype='int8' is not known: use float16"),
        ({"segments": []}, "X holds no rows"),
        ({"segments": ["rows"]}, "a segment is a str, wanted an array"),
        ({"segments": [rows()]}, r"shape \(40, 7\), wanted \(layers, n, d\)"),
        ({"segments": [rows()[None].astype("f8")]}, "8 bytes per value, wanted the 4 of its dtype"),
        ({"segments": [rows()[None], rows(4, 3)[None]]}, r"\(1, 40, 7\) and \(1, 4, 3\)"),
        ({"n_base": 41}, "n_base=41 is more than all 40 rows"),
        ({"n_neighbors": 0}, "n_neighbors=0 must be at least 1"),
        ({"n_neighbors": 40}, "n_neighbors=40 needs at least 41 rows, got 40"),
        ({"n_neighbors": 21, "n_base": 20}, "n_neighbors=21 needs at least 21 rows, got 20"),
        ({"product": "slide rule"}, "product='slide rule' is not known: use 'library'"),
    ],
)
def test_wrong_arguments(change, message):
    given = {
        "segments": [rows()[None]],
        "dtype": "float32",
        "n_neighbors": 3,
        "machine": "emulated",
    }
    with pytest.raises(ValueError, match=message):
        _core_testing.cuda_knn_graph(cosine=True, **{**given, **change})


def test_unknown_option():
    with pytest.raises(TypeError, match="unexpected keyword argument 'tiles'"):
        _core_testing.cuda_knn_graph(
            [rows()[None]], "float32", 3, cosine=True, machine="emulated", tiles=3
        )


def test_the_product_has_no_test_switches():
    for switch in ("machine", "tile_rows", "panel_rows", "capacity", "force_fallback"):
        with pytest.raises(TypeError, match="incompatible function arguments"):
            _core.cuda_knn_graph([rows()[None]], "float32", 3, cosine=True, **{switch: 1})
