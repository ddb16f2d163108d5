"""Extraction on a real cluster of two nodes here: the bytes of one process, whatever is killed.

Drivers are processes of their own, each with a time limit; this process keeps the cluster. Skipped
where ray is not installed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import drivers
from helpers.drivers import finish, wait_for

from ilo_fast import Representations, extract

pytest.importorskip("ray", reason="pip install 'ilo_fast[ray]': no extraction on it is tested")

# Of ray itself: it opens what it never closes, and uses what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore")

SHARD = 8  # sentences

# What a driver does: argv[1] is a JSON of what is asked for.
DRIVER = """
import json, os, sys, time
from pathlib import Path
asked = json.loads(sys.argv[1])
import ray
ray.init(address=asked["address"], log_to_driver=False)
from ilo_fast import RayWorkers, extract
from ilo_fast.representations import shards
from ilo_fast.representations.ray import pool, worker
shards.SENTENCES = asked["shard"]
folder = Path(asked["folder"])
Real = worker.Worker

class OddWorker(Real):  # goes to the workers by value, being of __main__
    def represent(self, work):
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
        return super().represent(work)

pool.Worker = OddWorker
options = dict(asked.get("options", {}))
try:
    found = extract(
        asked.get("model", str(folder / "model")), json.loads((folder / "text.json").read_text()),
        cache=asked.get("cache", str(folder / "cache")), backend="ray", device="cpu",
        workers=RayWorkers(n_threads=1, memory=asked.get("memory", 1 << 29)), **options,
    )
except Exception as error:
    print("FOUND", json.dumps([type(error).__name__, str(error)]))
    sys.exit()
found.save(folder / "found")
print("FOUND", json.dumps(found.info))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from helpers.ray_cluster import local_cluster

    with local_cluster() as cluster:
        yield cluster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from helpers.tiny_models import build, tokenizer

    build("xlm_roberta").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    rng = np.random.default_rng()
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz '"))

    def text(n: int) -> list[str]:
        return ["a" + "".join(rng.choice(letters, int(rng.integers(1, 40)))) for _ in range(n)]

    # Cut into shards: one of 21, which fills three; the others share two.
    counts = {"eng_Latn": 3, "deu_Latn": 21, "fra_Latn": 6, "spa_Latn": 2}
    (tmp_path / "text.json").write_text(json.dumps({code: text(n) for code, n in counts.items()}))
    return tmp_path


def start(cluster: Any, folder: Path, **asked: Any) -> subprocess.Popen[str]:
    return drivers.start(DRIVER, address=cluster.address, folder=str(folder), shard=SHARD, **asked)


def assert_same(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """The bytes of one process, which has the same shards, and no cache."""
    from ilo_fast.representations import shards

    found = Representations.load(folder / "found")
    text = json.loads((folder / "text.json").read_text())
    monkeypatch.setattr(shards, "SENTENCES", SHARD)
    wanted = extract(str(folder / "model"), text, device="cpu", **options)
    assert found.languages == wanted.languages and found.layers == wanted.layers
    for code in wanted:
        assert found[code].tobytes() == wanted[code].tobytes()


def files(folder: Path, suffix: str) -> list[Path]:
    return [path for path in (folder / "cache").rglob("*") if path.name.endswith(suffix)]


def test_workers_give_the_bytes_of_one_process(
    cluster: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"special_tokens": "exclude", "layers": [0, 2, 3], "batch_tokens": 100}
    info = finish(start(cluster, folder, options=options))
    assert isinstance(info, dict), info
    assert info["cluster"]["shards"] == 5 and info["cluster"]["workers"] == 1
    assert info["cluster"]["resumed_shards"] == 0 and info["verified"]
    assert info["cache_hits"] == [] and info["weights_sha256"]
    assert_same(folder, monkeypatch, **options)
    assert files(folder, ".shards") == [] and files(folder, ".tmp") == []
    # Once more: all is there. In one process, too.
    again = finish(start(cluster, folder, options=options))
    assert again["cache_hits"] == ["eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn"]
    assert "cluster" not in again
    text = json.loads((folder / "text.json").read_text())
    here = extract(str(folder / "model"), text, cache=folder / "cache", device="cpu", **options)
    assert len(here.info["cache_hits"]) == 4


def test_a_worker_that_is_killed_changes_nothing(
    cluster: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(start(cluster, folder, kill_a_worker=True))
    assert (folder / "killed").exists()
    assert_same(folder, monkeypatch)


def test_a_driver_that_is_killed_goes_on_with_more_nodes(
    cluster: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = start(cluster, folder, pause=0.5)
    wait_for(lambda: len(files(folder, ".npz")) >= 2, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert files(folder, ".json") and not files(folder, ".npy")
    # Of a process that is killed while it writes: half a file under another name, and one that is
    # damaged under its own.
    shard = sorted(files(folder, ".npz"))[0]
    shard.with_name(f".{shard.name}.x.1.tmp").write_bytes(b"half")
    shard.write_bytes(shard.read_bytes()[:-100])
    node = cluster.add()
    try:
        info = finish(start(cluster, folder))
    finally:
        cluster.remove(node)
    assert info["cluster"]["workers"] == 2
    assert 0 < info["cluster"]["resumed_shards"] < 5
    assert_same(folder, monkeypatch)


def test_a_node_that_is_removed_changes_nothing(
    cluster: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker has no room to be made anew: the other takes what it had."""
    node = cluster.add()
    removed = False
    try:
        driver = start(cluster, folder, stuck_node=node.node_id, pause=0.1)
        wait_for((folder / "stuck").exists, driver)
        cluster.remove(node)
        removed = True
        finish(driver)
    finally:
        if not removed:
            cluster.remove(node)
    assert_same(folder, monkeypatch)


def test_failures_are_told(cluster: Any, folder: Path) -> None:
    kind, message = finish(start(cluster, folder, memory=1 << 50))
    assert kind == "RuntimeError" and "cluster can hold a worker of 1 thread," in message
    model = folder / "model"
    os.rename(model / "model.safetensors", model / "elsewhere")
    kind, message = finish(start(cluster, folder))
    assert kind == "AccessError" and "each worker loads the model" in message
