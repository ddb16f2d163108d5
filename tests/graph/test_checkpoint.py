"""Checkpoints: killed or interrupted work goes on from its folder, to the same graph."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest
from helpers.engine import LEVELS, independent_of_forcing

from ilo_fast import _core_testing, knn_graph

pytestmark = independent_of_forcing  # they name what is slow, and what is fast
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")

N, D, K = 5000, 384, 5
# Slow arithmetic, many short steps, short intervals: many checkpoints in half a second.
SLOW = {
    "simd": "scalar",
    "n_threads": 1,
    "block_rows": 256,
    "max_memory": 1,
    "checkpoint_seconds": 0.005,
}
FILE = "layer-000.ilo"


@pytest.fixture
def folder():
    """In memory where that can be had: how often is saved depends on how long it takes."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as name:
        yield Path(name)


def data(seed, layers=1):
    return np.random.default_rng(seed).standard_normal((layers, N, D)).astype(np.float32)


def core(X, folder="", k=K, cosine=True, **options):
    """Indices, distances and info of all layers, by many steps."""
    return _core_testing.knn_graph(
        [X], X.dtype.name, k, cosine=cosine, checkpoint=str(folder), **{**SLOW, **options}
    )[:3]


def fast(X, folder="", **options):
    return core(X, folder, **{"simd": "", "block_rows": 0, "max_memory": 0, **options})


def assert_same(got, wanted, seed):
    np.testing.assert_array_equal(got[0], wanted[0], err_msg=f"seed {seed}")
    np.testing.assert_array_equal(got[1], wanted[1], err_msg=f"seed {seed}")


def assert_resumed(got, wanted, seed):
    assert got[2][0]["resumed_share"] > 0, f"seed {seed}"
    assert got[2][0]["problem"] == "", f"seed {seed}"
    assert_same(got, wanted, seed)


def new_seed():
    return np.random.SeedSequence().entropy % 2**32


class StopError(Exception):
    pass


def interrupted(X, folder, at=0.4, file=FILE, error=StopError, **options):
    """Stops once so much is done, and some of it saved."""

    def update(share):
        if share >= at and (folder / file).exists():
            raise error

    with pytest.raises(error):
        core(X, folder, progress=update, **options)


# What a process of its own imports from.
TESTS = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]


def child(code, *args):
    code = textwrap.dedent(code).replace("TESTS", repr(TESTS))
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, timeout=300
    )


CHILD = """
    import os, signal, sys
    from pathlib import Path
    sys.path[:0] = TESTS
    from test_checkpoint import core, data

    seed, layers, at = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    folder, file = sys.argv[4:]

    def update(share):
        if share >= at and (Path(folder) / file).exists():
            os.kill(os.getpid(), signal.SIGKILL)

    core(data(seed, layers), folder, progress=update)
"""


def killed(folder, seed, layers=1, at=0.4, file=FILE):
    done = child(CHILD, seed, layers, at, folder, file)
    assert done.returncode == -signal.SIGKILL, f"it finished unkilled: {done.stderr}"


# ---- stopped, and gone on with


@posix_only
def test_goes_on_after_a_kill(folder):
    seed = new_seed()
    killed(folder, seed)
    X = data(seed)
    got = core(X, folder)
    assert_resumed(got, fast(X), seed)
    assert os.listdir(folder) == [FILE]  # nothing half-written stays behind


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt])
@pytest.mark.parametrize("cosine", [True, False])
def test_goes_on_after_an_interrupt(folder, error, cosine):
    seed = new_seed()
    X = data(seed)
    interrupted(X, folder, error=error, cosine=cosine)
    # Another number of threads is no other graph.
    assert_resumed(core(X, folder, cosine=cosine, n_threads=2), fast(X, cosine=cosine), seed)


def test_goes_on_again_and_again(folder):
    seed = new_seed()
    X = data(seed)
    for at in (0.1, 0.3, 0.5, 0.7):
        interrupted(X, folder, at)
    assert_resumed(core(X, folder), fast(X), seed)


def test_goes_on_in_the_fallback(folder):
    seed = new_seed()
    X = data(seed)[:, :3500]
    # The forced fallback does everything twice: half-way is the end of the filter.
    interrupted(X, folder, 0.6, force_fallback=True)
    assert_resumed(core(X, folder, force_fallback=True), fast(X), seed)


def test_goes_on_in_one_superblock(folder):
    seed = new_seed()
    X = data(seed)
    interrupted(X, folder, max_memory=0)
    assert_resumed(core(X, folder, max_memory=0), fast(X), seed)


def test_goes_on_with_duplicates(folder):
    seed = new_seed()
    X = data(seed)
    X[0, 1000:1400] = X[0, :400]
    interrupted(X, folder)
    assert_resumed(core(X, folder), fast(X), seed)


def test_goes_on_in_near_duplicate_clusters(folder):
    """What lists lost before the interruption is not forgotten after it."""
    seed = new_seed()
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((8, 256))[rng.integers(0, 8, 2000)]
    X = (X + 3e-3 * rng.standard_normal(X.shape)).astype(np.float32)[None]
    options = {"simd": "amx_bf16_emulated", "max_candidates": K}
    interrupted(X, folder, 0.5, **options)
    assert_resumed(core(X, folder, **options), fast(X), seed)


def test_goes_on_with_queries(folder):
    seed = new_seed()
    X = data(seed)
    options = {"n_base": 4000, "queries": list(range(3000, N))}
    interrupted(X, folder, **options)
    assert_resumed(core(X, folder, **options), fast(X, **options), seed)


@posix_only
def test_stack_killed_in_its_second_layer(folder):
    seed = new_seed()
    killed(folder, seed, layers=3, at=0.45, file="layer-001.ilo")
    X = data(seed, 3)
    got = core(X, folder)
    first, second, third = (layer["resumed_share"] for layer in got[2])
    assert first == 1 and 0 < second < 1 and third == 0
    assert_same(got, fast(X), seed)
    assert sorted(os.listdir(folder)) == [f"layer-00{layer}.ilo" for layer in range(3)]


def test_a_finished_graph_comes_back_at_once(folder):
    seed = new_seed()
    X = data(seed, 2)
    wanted = fast(X, folder)
    got = core(X, folder)
    assert_same(got, wanted, seed)
    assert [layer["resumed_share"] for layer in got[2]] == [1, 1]
    assert [layer["seconds_filter"] for layer in got[2]] == [0, 0]


def test_the_public_function(folder):
    seed = new_seed()
    X = data(seed)[0, :500]
    wanted = knn_graph(X, K)
    for resumed_share in (0, 1):
        graph = knn_graph(X, K, checkpoint=folder / "new" / "folder")
        assert_same((graph.indices, graph.distances), (wanted.indices, wanted.distances), seed)
        assert graph.info["layers"][0]["resumed_share"] == resumed_share
    queries = knn_graph(X, K, queries=X[:50], checkpoint=str(folder / "queries"))
    again = knn_graph(X, K, queries=X[:50], checkpoint=str(folder / "queries"))
    assert_same((again.indices, again.distances), (queries.indices, queries.distances), seed)


def test_every_instruction_set_saves(folder):
    seed = new_seed()
    X = data(seed)[:, :700]
    wanted = fast(X)
    for simd in LEVELS:
        (folder / simd).mkdir()
        got = core(X, folder / simd, simd=simd, block_rows=64, checkpoint_seconds=0)
        assert_same(got, wanted, seed)
        assert_same(core(X, folder / simd), wanted, seed)


# ---- a folder of something else


def one_bit_more(X):
    X = X.copy()
    X[0, N // 2, D // 2] = np.nextafter(X[0, N // 2, D // 2], 9)
    return X


@pytest.mark.parametrize("finished", [False, True])
def test_other_data_or_options(folder, finished):
    seed = new_seed()
    X = data(seed)
    if finished:
        fast(X, folder)
    else:
        interrupted(X, folder, 0.2)
    before = (folder / FILE).read_bytes()
    asking = {"n_base": N - 500, "queries": list(range(N - 500, N))}
    for other, options in (
        (one_bit_more(X), {}),
        (X[:, ::-1], {}),
        (X[:, : N - 1], {}),
        (X[:, :, : D - 1], {}),
        (X, {"k": K + 1}),
        (X, {"cosine": False}),
        (X, asking),
        (X, {**asking, "n_base": N - 501}),
    ):
        with pytest.raises(ValueError, match=re.escape(str(folder / FILE))):
            core(other, folder, **options)
        assert (folder / FILE).read_bytes() == before  # what it holds may still be wanted
    assert_resumed(core(X, folder), fast(X), seed)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3)])
def test_goes_on_with_another_number_of_threads(folder, before, after):
    seed = new_seed()
    X = data(seed)
    free = {"block_rows": 0, "max_memory": 64 << 20}  # the engine chooses blocks by itself
    interrupted(X, folder, n_threads=before, **free)
    assert_resumed(core(X, folder, n_threads=after, **free), fast(X), seed)


@pytest.mark.parametrize("other", [{"max_memory": 1}, {"simd": "amx_bf16_emulated"}])
def test_work_that_cannot_go_on_is_kept(folder, other):
    seed = new_seed()
    X = data(seed)
    interrupted(X, folder, block_rows=0, max_memory=64 << 20)
    before = (folder / FILE).read_bytes()
    with pytest.raises(ValueError, match="another instruction set, max_memory or version"):
        core(X, folder, **{"block_rows": 0, "max_memory": 64 << 20, **other})
    assert (folder / FILE).read_bytes() == before
    assert_resumed(core(X, folder, block_rows=0, max_memory=64 << 20), fast(X), seed)


def test_a_foreign_file_is_left_alone(folder):
    X = data(new_seed())[0, :300]
    for text in (b"notes that somebody keeps under an unlucky name\n" * 50, b"short", b"\0" * 999):
        (folder / FILE).write_bytes(text)
        with pytest.raises(ValueError, match=re.escape(str(folder / FILE))):
            knn_graph(X, K, checkpoint=folder)
        assert (folder / FILE).read_bytes() == text


# ---- damage


@pytest.fixture(params=["unfinished", "finished"])
def saved(request, folder):
    """Data, the folder of its graph, the sound file, and the graph."""
    seed = new_seed()
    X = data(seed)[:, :4000]
    if request.param == "finished":
        fast(X, folder)
    else:
        interrupted(X, folder, 0.2)
    return X, folder, (folder / FILE).read_bytes(), fast(X), seed


def test_truncated(saved):
    X, folder, sound, wanted, seed = saved
    for length in (9, 40, len(sound) // 3, len(sound) - 9, len(sound) - 1):
        (folder / FILE).write_bytes(sound[:length])
        got = core(X, folder)
        assert FILE in got[2][0]["problem"] and "damaged" in got[2][0]["problem"]
        assert got[2][0]["resumed_share"] == 0
        assert_same(got, wanted, f"{seed}, {length} of {len(sound)} bytes")
    assert core(X, folder)[2][0]["problem"] == ""  # sound again


def test_flipped_bits(saved):
    X, folder, sound, wanted, seed = saved
    rng = np.random.default_rng(seed)
    for at in rng.integers(200, len(sound), 4):
        damaged = bytearray(sound)
        damaged[at] ^= 1 << int(rng.integers(0, 8))
        (folder / FILE).write_bytes(damaged)
        got = core(X, folder)
        assert FILE in got[2][0]["problem"], f"seed {seed}, byte {at} of {len(sound)}"
        assert got[2][0]["resumed_share"] == 0
        assert_same(got, wanted, f"{seed}, byte {at}")


@posix_only
def test_a_damaged_head_asks_for_no_memory(folder):
    """Numbers of a damaged file say nothing, not even how much there is to read."""
    pytest.importorskip("resource")
    code = """
        import resource, sys
        from pathlib import Path
        sys.path[:0] = TESTS
        from test_checkpoint import FILE, assert_same, core, data, fast

        seed, folder = int(sys.argv[1]), Path(sys.argv[2])
        X = data(seed)[:, :3500]
        wanted = fast(X)
        sound = (folder / FILE).read_bytes()
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2**29, size + 2**29))
        for at in range(33, 72, 2):
            damaged = bytearray(sound)
            damaged[at] ^= 1 << 5
            (folder / FILE).write_bytes(damaged)
            try:
                got = core(X, folder)
            except ValueError:  # it looks like one of other data
                continue
            assert_same(got, wanted, (seed, at))
        print("right")
    """
    seed = new_seed()
    interrupted(data(seed)[:, :3500], folder, 0.2)
    done = child(code, seed, folder)
    assert done.stdout == "right\n", done.stderr


def test_damage_is_a_warning(folder):
    seed = new_seed()
    X = data(seed, 3)[:, :300]
    wanted = knn_graph(X, K, checkpoint=folder)
    for layer in (0, 2):
        file = folder / f"layer-00{layer}.ilo"
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.warns(RuntimeWarning) as caught:
        graph = knn_graph(X, K, checkpoint=folder)
    messages = sorted(str(w.message) for w in caught)
    assert [file in m for file, m in zip((FILE, "layer-002"), messages, strict=True)] == [True] * 2
    assert all(w.filename == __file__ for w in caught)  # it points at the caller
    assert_same((graph.indices, graph.distances), (wanted.indices, wanted.distances), seed)
    assert [layer["resumed_share"] for layer in graph.info["layers"]] == [0, 1, 0]


# ---- folders that cannot be written


@posix_only
@pytest.mark.parametrize("limit", [0, 5000])
def test_full_disk(folder, limit):
    """A graph that is right must not be lost because it cannot be saved."""
    pytest.importorskip("resource")
    code = """
        import resource, signal, sys, warnings
        sys.path[:0] = TESTS
        from test_checkpoint import K, assert_same, core, data, fast, knn_graph
        seed, limit, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        X = data(seed)
        wanted = fast(X)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        got = core(X, folder)
        assert_same(got, wanted, seed)
        assert folder in got[2][0]["problem"]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            graph = knn_graph(X[0], K, checkpoint=folder)
        assert_same((graph.indices[None], graph.distances[None]), wanted, seed)
        assert [w.category for w in caught] == [RuntimeWarning]
        assert folder in str(caught[0].message)
        print("right")
    """
    seed = new_seed()
    done = child(code, seed, limit, folder)
    assert done.stdout == "right\n", done.stderr
    assert set(os.listdir(folder)) <= {".lock"}  # nothing half-written stays behind
    X = data(seed)
    assert_same(fast(X, folder), fast(X), seed)  # and there is room again


def test_no_such_folder(folder):
    """Said before work starts, not after an hour of it."""
    (folder / "file").write_text("not a folder")
    bad = [folder / "file", folder / "file" / "below", folder / "nul\0byte"]
    if os.path.isdir("/proc/self"):
        bad.append("/proc/self/no-such-folder")
    X = data(new_seed())[0]
    X[0, 0] = np.nan  # what work would find first
    for name in bad:
        with pytest.raises((ValueError, OSError)) as caught:
            knn_graph(X, K, checkpoint=name)
        assert "NaN" not in str(caught.value)
        assert "\0" in str(name) or str(name) in str(caught.value)


@posix_only
def test_locked_folder(folder):
    code = """
        import os, sys
        import numpy as np
        from ilo_fast import knn_graph
        knn_graph(np.eye(20, 3, dtype="f4") + 1)  # loads what the other user may not read
        if os.geteuid() == 0:  # who may write anywhere
            os.seteuid(65534)
        try:
            knn_graph(np.full((20, 3), np.nan), checkpoint=sys.argv[1])
        except PermissionError as error:
            print(error)
    """
    folder.chmod(0o555)
    try:
        done = child(code, folder)
    finally:
        folder.chmod(0o755)
    assert str(folder) in done.stdout, done.stderr
