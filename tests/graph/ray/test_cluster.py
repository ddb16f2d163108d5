"""The graph on a real cluster of two nodes here: the bytes of one process, whatever is killed.

Drivers are processes of their own, each with a time limit; this process keeps the cluster. Skipped
where ray is not installed.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import drivers
from helpers.drivers import finish, wait_for
from helpers.engine import independent_of_forcing

from ilo_fast import NeighborGraph, knn_graph

pytest.importorskip("ray", reason="pip install 'ilo_fast[ray]': no graph on a cluster is tested")

pytestmark = [
    independent_of_forcing,
    # Of ray itself: it opens what it never closes, and uses what is deprecated.
    pytest.mark.filterwarnings("ignore"),
]

N, D, K = 1200, 24, 5


# What a driver does: argv[1] is a JSON of what is asked for.
DRIVER = """
import json, os, sys, time
from pathlib import Path
asked = json.loads(sys.argv[1])
import numpy as np
import ray
ray.init(address=asked["address"], log_to_driver=False)
from ilo_fast import knn_graph, overlap
from ilo_fast.graph.ray import backend, tasks
from ilo_fast.graph.tiles import plan
from ilo_fast.graph.tiles.work import run
plan.LEAST_ROWS = 120  # 10 blocks, of which 4 or so are made
folder = Path(asked["folder"])

def odd_run(task, *sources):  # goes to the workers by value, being of __main__
    if not task.fingerprint_only:
        here = ray.get_runtime_context().get_node_id()
        if asked.get("kill_a_worker"):
            try:
                os.open(folder / "killed", os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), 9)
        if here == asked.get("stuck_node"):
            (folder / "stuck").write_text(here)
            time.sleep(10000)
        time.sleep(asked.get("pause", 0))
    return run(task, sources)

tasks._run = odd_run
if asked.get("hide"):
    real = backend.in_file
    def hidden(rows):
        from dataclasses import replace
        return replace(real(rows), path="/nosuch/x.npy")
    backend.in_file = hidden
X = asked["file"] if asked.get("by_name") else np.load(asked["file"])
options = dict(backend="ray", n_threads=1, max_memory="1GiB")
if asked.get("overlap"):
    X = np.load(asked["file"], mmap_mode="r")
    groups = {name: X[i * 300 : i * 300 + 300] for i, name in enumerate(("aa", "bb", "cc", "dd"))}
    scores = overlap(groups, backend="ray", n_threads=1, intervals=False, n_permutations=0)
    print("FOUND", json.dumps(scores.ilo.tolist()))
    sys.exit()
if asked.get("too_large"):
    X = np.memmap(folder / "sparse", np.float32, "w+", shape=(3_000_000, 256))
    options["max_memory"] = "1TiB"
try:
    graph = knn_graph(
        X, 5, metric=asked.get("metric", "cosine"), checkpoint=asked.get("checkpoint"), **options
    )
except Exception as error:
    found = [type(error).__name__, str(error), getattr(error, "row", None)]
    print("FOUND", json.dumps(found))
    sys.exit()
graph.save(folder / "graph.npz")
print("FOUND", json.dumps(graph.info))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from helpers.ray_cluster import local_cluster

    with local_cluster() as cluster:
        yield cluster


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng()
    X = rng.standard_normal((N, D)) + 5 * rng.standard_normal(D)
    X[rng.integers(0, N, N // 8)] = X[rng.integers(0, N, N // 8)]
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    return tmp_path / "x.npy"


def start(cluster: Any, file: Path, **asked: Any) -> subprocess.Popen[str]:
    return drivers.start(
        DRIVER, address=cluster.address, folder=str(file.parent), file=str(file), **asked
    )


def assert_same(file: Path, metric: Any = "cosine") -> None:
    found = NeighborGraph.load(file.parent / "graph.npz")
    wanted = knn_graph(np.load(file), K, metric=metric)
    assert found.indices.tobytes() == wanted.indices.tobytes()
    assert found.distances.tobytes() == wanted.distances.tobytes()


def test_one_node_gives_the_bytes_of_one_process(cluster: Any, file: Path) -> None:
    info = finish(start(cluster, file))
    assert (info["backend"], info["nodes"], info["n_threads"]) == ("ray", 1, 1)
    assert info["blocks"] >= 3
    assert_same(file)


def test_a_worker_that_is_killed_changes_nothing(cluster: Any, file: Path) -> None:
    finish(start(cluster, file, kill_a_worker=True, by_name=True, metric="euclidean"))
    assert (file.parent / "killed").exists()
    assert_same(file, "euclidean")


def test_overlap_on_a_cluster_is_that_of_one_process(cluster: Any, file: Path) -> None:
    from ilo_fast import overlap

    X = np.load(file)
    groups = {name: X[i * 300 : i * 300 + 300] for i, name in enumerate(("aa", "bb", "cc", "dd"))}
    wanted = overlap(groups, intervals=False, n_permutations=0).ilo.tolist()
    assert finish(start(cluster, file, overlap=True)) == wanted


def test_a_driver_that_is_killed_goes_on_with_more_nodes(cluster: Any, file: Path) -> None:
    work = file.parent / "work"
    driver = start(cluster, file, checkpoint=str(work), pause=0.2)
    wait_for(lambda: len(list(work.glob("tile-*.npz"))) >= 2, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    node = cluster.add()
    try:
        info = finish(start(cluster, file, checkpoint=str(work), by_name=True))
    finally:
        cluster.remove(node)
    assert info["nodes"] == 2
    assert 0 < info["layers"][0]["resumed_share"] < 1
    assert_same(file)
    other = np.load(file)
    other[7, 7] += 1
    np.save(file, other)
    kind, message, _ = finish(start(cluster, file, checkpoint=str(work)))
    assert kind == "ValueError" and "tiles of a graph of other settings (content" in message


def test_a_node_that_is_removed_changes_nothing(cluster: Any, file: Path) -> None:
    node = cluster.add()
    removed = False
    try:
        driver = start(cluster, file, stuck_node=node.node_id, pause=0.1)
        wait_for((file.parent / "stuck").exists, driver)
        cluster.remove(node)  # while a task is at work on it
        removed = True
        finish(driver)
    finally:
        if not removed:
            cluster.remove(node)
    assert_same(file)


def test_failures_are_told(cluster: Any, file: Path) -> None:
    kind, message, _ = finish(start(cluster, file, hide=True, by_name=True))
    assert kind == "FileNotFoundError" and "all nodes mount" in message
    kind, message, _ = finish(start(cluster, file, too_large=True))
    assert kind == "RuntimeError" and "no node of the cluster can hold a task" in message
    X = np.load(file)
    X[1003, 2] = np.nan
    np.save(file, X)
    kind, message, row = finish(start(cluster, file))
    assert (kind, row) == ("ValueError", 1003) and "row 1003 of X holds NaN" in message


def test_without_a_cluster_it_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def nothing_there(**options: Any) -> None:
        assert options["address"] == "auto"
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", nothing_there)
    with pytest.raises(RuntimeError, match="finds no Ray cluster: run 'ray start --head'"):
        knn_graph(file, K, backend="ray")
