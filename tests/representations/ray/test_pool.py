"""Extraction over workers, without a cluster: who gets what, what is kept, what failures say."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_models import build, run, tokenizer

from ilo_fast import AccessError, RayWorkers, Representations, extract
from ilo_fast.cache import Store
from ilo_fast.cache import shards as cache_shards
from ilo_fast.representations import shards
from ilo_fast.representations.ray import backend, pool
from ilo_fast.representations.ray.worker import Worker


class _Error(Exception):
    pass


class FakeErrors:
    """Names of ``ray.exceptions``."""

    RayError = _Error
    ActorDiedError = type("ActorDiedError", (_Error,), {})

    class RayTaskError(_Error):
        def __init__(self, cause: Exception) -> None:
            super().__init__("ray::Worker.represent() (pid=7, ip=10.0.0.7)")
            self.cause = cause


@dataclass(eq=False)
class Ref:
    actor: Any
    method: str
    args: tuple[Any, ...]


class Actor:
    def __init__(self, fake: FakeRay, spec: Any) -> None:
        self.fake, self.worker = fake, Worker(pickle.loads(pickle.dumps(spec)))

    def __getattr__(self, method: str) -> Any:
        actor = self

        class Method:
            def remote(self, *args: Any) -> Ref:
                actor.fake.sent.append(Ref(actor, method, pickle.loads(pickle.dumps(args))))
                return actor.fake.sent[-1]

        return Method()


@dataclass
class FakeRay:
    """As much of ``ray`` as extraction calls; a call is done when its result is asked for."""

    cpus: tuple[int, ...] = (1, 1)
    gpus: int = 0
    memory: int = 8 << 30
    lost: set[int] = field(default_factory=set)  # workers that never answer
    dies: int | None = None  # the call whose worker is lost for good
    error: Exception | None = None  # of every shard
    exceptions: Any = FakeErrors
    actors: list[Actor] = field(default_factory=list)
    sent: list[Ref] = field(default_factory=list)
    done: list[Ref] = field(default_factory=list)
    ended: list[Actor] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": True, "Resources": {"CPU": n, "memory": self.memory, "GPU": self.gpus}}
            for n in self.cpus
        ]

    def remote(self, kind: type) -> FakeRay:
        assert kind is Worker
        return self

    def options(self, **given: Any) -> Any:
        self.given = given
        fake = self

        class Class:
            def remote(self, spec: Any) -> Actor:
                fake.actors.append(Actor(fake, spec))
                return fake.actors[-1]

        return Class()

    def wait(self, refs: list[Ref], num_returns: int, timeout: float) -> tuple[list[Ref], Any]:
        assert num_returns == 1 and timeout > 0
        able = [ref for ref in refs if self.actors.index(ref.actor) not in self.lost]
        return ([able[len(able) // 2]] if able else []), []

    def get(self, ref: Ref, timeout: float) -> Any:
        self.done.append(ref)
        if self.dies == len(self.done):
            raise FakeErrors.ActorDiedError("gone\nlong")
        if self.error is not None and ref.method == "represent":
            raise FakeErrors.RayTaskError(self.error)
        try:
            return getattr(ref.actor.worker, ref.method)(*ref.args)
        except Exception as error:
            raise FakeErrors.RayTaskError(error) from None

    def kill(self, actor: Actor) -> None:
        self.ended.append(actor)

    def shards_done(self) -> list[Any]:
        return [ref.args[0] for ref in self.done if ref.method == "represent"]


TEXT = {
    "eng_Latn": ["abc", "d", "the longest of all of them", "efg hi"],
    "deu_Latn": [f"{'x' * (i % 7)} zeile {'ab' * (i % 5)}" for i in range(21)],
    "fra_Latn": ["abc", "un deux", "trois"],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    build("xlm_roberta").save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SENTENCES", 6)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    def to(ray: FakeRay) -> FakeRay:
        @contextlib.contextmanager
        def connected() -> Iterator[FakeRay]:
            yield ray

        monkeypatch.setattr(backend, "connected", connected)
        return ray

    return to


def on_ray(model: str, cache: Path, **options: Any) -> Representations:
    options = {"device": "cpu", "batch_tokens": 64, "verify": False, **options}
    return extract(model, TEXT, cache=cache, backend="ray", **options)


def assert_same(found: Representations, wanted: Representations) -> None:
    assert found.languages == wanted.languages and found.layers == wanted.layers
    for code in wanted:
        assert found[code].tobytes() == wanted[code].tobytes()


@pytest.mark.parametrize("special", ["include", "exclude"])
def test_any_number_of_workers_gives_the_bytes_of_one_process(
    model: str, tmp_path: Path, connect: Any, special: str
) -> None:
    wanted = extract(model, TEXT, device="cpu", batch_tokens=64, special_tokens=special)
    for count in (1, 3):
        ray = connect(FakeRay(cpus=(1, 2)))
        found = on_ray(
            model, tmp_path / str(count), special_tokens=special,
            workers=RayWorkers(count=count, n_threads=1), verify=True,
        )  # fmt: skip
        assert_same(found, wanted)
        assert len(ray.actors) == count == found.info["cluster"]["workers"]
        assert set(ray.ended) == set(ray.actors)
        # Each sentence once; the small languages share a shard.
        spans = [[of.piece for of in work.pieces] for work in ray.shards_done()]
        assert sorted(map(len, spans)) == [1, 1, 1, 1, 2]
        assert sum(piece.end - piece.begin for shard in spans for piece in shard) == 28
        assert found.info["cluster"]["most_in_flight"] <= pool.AHEAD * count
        assert ray.given["max_restarts"] == -1 and ray.given["max_task_retries"] > 0
        assert ray.given["num_cpus"] == 1 and ray.given["memory"] > 1 << 30
        assert not list(tmp_path.rglob("*.shards"))


def test_finished_shards_are_not_computed_again_and_damaged_ones_are(
    model: str, tmp_path: Path, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = extract(model, TEXT, device="cpu", batch_tokens=64)
    connect(FakeRay(dies=5))  # identify, prepare, two shards, then this
    with pytest.raises(RuntimeError, match=r"lost 6 times \(ActorDiedError: gone\).*goes on from"):
        on_ray(model, tmp_path)
    assert not list(tmp_path.rglob("*_Latn-*.json"))  # no manifest yet
    files = sorted(tmp_path.rglob("*.npz"))
    assert 2 <= len(files) <= 3
    files[0].write_bytes(files[0].read_bytes()[:-40])
    (files[0].parent / ".000.npz.x.tmp").write_bytes(b"half")
    ray = connect(FakeRay(cpus=(4,)))
    found = on_ray(model, tmp_path, workers=RayWorkers(n_threads=1))
    assert_same(found, wanted)
    assert found.info["cluster"]["resumed_shards"] == 2
    assert len(ray.shards_done()) == 3 + 1  # what was left, and what was damaged
    # One process goes on from there, too, and from nothing that workers left unfinished.
    here = extract(model, TEXT, cache=tmp_path, device="cpu", verify=False, batch_tokens=64)
    assert here.info["cache_hits"] == list(TEXT)
    ray = connect(FakeRay())
    assert on_ray(model, tmp_path).info["cache_hits"] == list(TEXT)
    assert ray.actors == []


def test_what_a_lost_worker_had_is_given_to_another(
    model: str, tmp_path: Path, connect: Any
) -> None:
    ray = connect(FakeRay(lost={1}))
    found = on_ray(model, tmp_path, workers=RayWorkers(n_threads=1))
    assert_same(found, extract(model, TEXT, device="cpu", batch_tokens=64))
    sent = [ref for ref in ray.sent if ref.method == "represent"]
    assert sum(ref.actor is ray.actors[1] for ref in sent) == pool.AHEAD
    assert len(sent) == 5 + pool.AHEAD


def test_the_worker_that_answers_first_prepares(model: str, tmp_path: Path, connect: Any) -> None:
    ray = connect(FakeRay(lost={0}))  # no room for it, as where another call has workers
    found = on_ray(model, tmp_path, workers=RayWorkers(n_threads=1))
    assert_same(found, extract(model, TEXT, device="cpu", batch_tokens=64))
    assert [ref.actor for ref in ray.sent if ref.method == "prepare"] == [ray.actors[1]]


def test_who_waits_for_another_process_leaves_it_the_room(
    model: str, tmp_path: Path, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = connect(FakeRay())
    real, alive = cache_shards.acquire, []

    def acquire(path: Path, *, wait: bool = False) -> Any:
        if path.name.startswith("fra") and not wait:
            alive.append(set(ray.actors) - set(ray.ended))
            return None
        if wait:
            alive.append(set(ray.actors) - set(ray.ended))
        return real(path)

    monkeypatch.setattr(cache_shards, "acquire", acquire)
    found = on_ray(model, tmp_path)
    assert [len(now) for now in alive] == [2, 0]
    assert_same(found, extract(model, TEXT, device="cpu", batch_tokens=64))


def test_workers_multiply_as_the_process_that_asks(
    model: str, tmp_path: Path, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its precision is part of the key of what they write."""
    seen = set()
    real, before = Worker.represent, torch.get_float32_matmul_precision()

    def represent(self: Worker, work: Any) -> Any:
        torch.set_float32_matmul_precision("highest")  # as in a process of its own
        try:
            return real(self, work)
        finally:
            seen.add(torch.get_float32_matmul_precision())

    monkeypatch.setattr(Worker, "represent", represent)
    connect(FakeRay())
    torch.set_float32_matmul_precision("high")
    try:
        on_ray(model, tmp_path)
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == {"high"}


def test_shards_that_are_there_need_no_room_again(
    model: str, tmp_path: Path, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(FakeRay(dies=6))
    with pytest.raises(RuntimeError, match="lost 6 times"):
        on_ray(model, tmp_path)
    assert len(list(tmp_path.rglob("*.npz"))) >= 3
    asked: list[int] = []
    monkeypatch.setattr(Store, "check_space", lambda _, needed: asked.append(needed))
    connect(FakeRay())
    wanted = on_ray(model, tmp_path)
    row = 4 * len(wanted.layers) * wanted["eng_Latn"].shape[2]
    assert asked[0] % row == 0 and asked[0] // row <= 28 - 3 * 5 + 21
    connect(FakeRay())
    on_ray(model, tmp_path / "new")
    assert asked[1] == row * (28 + 21)


def test_nothing_that_moves_ends_in_an_error(
    model: str, tmp_path: Path, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**7, 500))
    monkeypatch.setattr(pool.time, "monotonic", lambda: float(next(clock)))
    connect(FakeRay(lost={0, 1}))
    with pytest.raises(RuntimeError, match="no worker has loaded the model within 3600 s"):
        on_ray(model, tmp_path)
    run_here = FakeRay(cpus=(1,))
    connect(run_here)
    get = run_here.get

    def then_lost(ref: Ref, timeout: float) -> Any:
        if ref.method == "prepare":
            run_here.lost = {0}
        return get(ref, timeout)

    run_here.get = then_lost  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match=r"none of 5 shards finished within .* The same call"):
        on_ray(model, tmp_path)


@pytest.mark.parametrize(
    ("cause", "kind", "message"),
    [
        (FloatingPointError("deu_Latn, line 3"), FloatingPointError, "deu_Latn, line 3"),
        (ModuleNotFoundError("No module 'ilo_fast'"), RuntimeError, "install ilo_fast on every"),
        (
            FileNotFoundError(2, "cannot be seen from here", "CACHE/x"),
            FileNotFoundError,
            r"worker on node 10\.0\.0\.7 cannot see the cache .* mount .*/x",
        ),
        (
            FileNotFoundError(2, "No such file", "/code/x"),
            FileNotFoundError,
            r"^\[Errno 2\] No such",
        ),
        (AccessError("no weights"), AccessError, r"on node 10\.0\.0\.7: no weights: each worker"),
        (MemoryError(), MemoryError, "_Latn, lines .* choose fewer layers"),
        (KeyError("k"), RuntimeError, r"a worker on node 10\.0\.0\.7 failed: KeyError: 'k'"),
    ],
)
def test_failures_of_workers_are_told(
    model: str, tmp_path: Path, connect: Any, cause: Exception, kind: Any, message: str
) -> None:
    if isinstance(cause, FileNotFoundError):
        cause.filename = str(cause.filename).replace("CACHE", str(tmp_path))
    ray = connect(FakeRay(error=cause))
    with pytest.raises(kind, match=message):
        on_ray(model, tmp_path)
    assert set(ray.ended) == set(ray.actors) != set()


def test_workers_with_another_model_are_told(
    model: str, tmp_path: Path, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(FakeRay())
    real = Worker.identify

    def other(self: Worker) -> Any:
        found = real(self)
        self._source.key = "0" * 64  # type: ignore[union-attr]
        return found

    monkeypatch.setattr(Worker, "identify", other)
    with pytest.raises(
        ValueError, match=r"on node 10\.0\.0\.7: the model .* is another here, by its weights"
    ):
        on_ray(model, tmp_path)


def test_what_no_worker_can_take_is_refused(model: str, tmp_path: Path, connect: Any) -> None:
    connect(FakeRay())
    with pytest.raises(ValueError, match="Ray cluster needs cache="):
        extract(model, TEXT, backend="ray")
    with pytest.raises(TypeError, match="each worker loads the model itself"):
        run(build("llama"), TEXT, backend="ray", cache=tmp_path)
    with pytest.raises(ValueError, match="workers is for backend='ray'"):
        extract(model, TEXT, workers=RayWorkers())
    with pytest.raises(ValueError, match=r"backend='dask' is unknown: choose 'local' or 'ray'"):
        extract(model, TEXT, backend="dask")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count=0"):
        RayWorkers(count=0)
    with pytest.raises(ValueError, match="gives each a GPU of its own"):
        on_ray(model, tmp_path, device="cuda:1")
    with pytest.raises(RuntimeError, match=r"hold a worker of 1 thread, .*nodes offer 1 proc"):
        on_ray(model, tmp_path, workers=RayWorkers(memory=1 << 50))
    with pytest.raises(
        RuntimeError, match=r"and a GPU; nodes offer 1 processor and .*device='cpu'"
    ):
        on_ray(model, tmp_path, device="cuda")
    connect(FakeRay(cpus=()))
    with pytest.raises(RuntimeError, match="nodes offer nothing: none is alive"):
        on_ray(model, tmp_path)


def test_a_gpu_is_taken_where_the_cluster_has_one(model: str, tmp_path: Path, connect: Any) -> None:
    ray = connect(FakeRay(gpus=1))
    with pytest.raises(ValueError, match="device='cuda' cannot be used here"):
        on_ray(model, tmp_path, device=None)  # told by the worker: there is none in truth
    assert ray.given["num_gpus"] == 1 and ray.actors[0].worker._spec.device == "cuda"


def test_shards_hold_every_sentence_once() -> None:
    rng = np.random.default_rng()
    for _ in range(200):
        counts = {f"l{i}": int(rng.integers(1, 40)) for i in range(int(rng.integers(1, 9)))}
        found = list(shards.groups(counts))
        assert [code for group in found for code in group.codes] != []
        for code, count in counts.items():
            own = [p for g in found for s in g.shards for p in s if p.code == code]
            assert [i for p in own for i in range(p.begin, p.end)] == list(range(count))
            assert len([g for g in found if code in g.codes]) == 1
            assert len(own) == 1 or all(p.end - p.begin <= shards.SENTENCES for p in own)
        assert all(len(g.codes) == 1 or len(g.shards) == 1 for g in found)
