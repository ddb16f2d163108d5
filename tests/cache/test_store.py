"""Results are keyed by all that they depend on; what is lost or damaged is computed again."""

from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as hf
from helpers.tiny_models import SENTENCES, build, tokenizer
from transformers.models.llama.modeling_llama import LlamaMLP

from ilo_fast._util import locks
from ilo_fast.cache import default_cache_dir, store
from ilo_fast.models import source
from ilo_fast.representations import job, preparation, shards
from ilo_fast.representations.extraction import extract


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    build("llama").save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def run(model, cache, corpus=SENTENCES, **options):
    options = {"device": None, "progress": False, "cache": cache} | options
    return extract(model, corpus, **options)


def entries(cache, suffix=".npy"):
    return sorted(path for path in Path(cache).rglob(f"*{suffix}"))


class Counter:
    """Counts the sentences that go through a model, and can make one of its passes fail."""

    def __init__(self, monkeypatch, fail_at=None, error=None):
        self.sentences = 0
        self.passes = 0
        inner = job.PooledForward.__call__

        def counted(forward, ids, special=None):
            self.passes += 1
            if self.passes == fail_at:
                raise error
            self.sentences += len(ids)
            return inner(forward, ids, special)

        monkeypatch.setattr(job.PooledForward, "__call__", counted)
        # The trial of padding passes a few sentences of its own.
        monkeypatch.setattr(preparation, "find_padding", lambda *arguments: "right")


def test_second_call_loads_no_weights(folder, cache, monkeypatch):
    first = run(folder, cache)
    assert first.info["cache_hits"] == [] and len(entries(cache)) == 3
    monkeypatch.setattr(source, "load_weights", lambda *a, **k: pytest.fail("weights were loaded"))
    second = run(folder, cache)
    assert second.info["cache_hits"] == list(SENTENCES)
    for code in SENTENCES:
        assert isinstance(second[code], np.memmap) and not second[code].flags.writeable
        np.testing.assert_array_equal(second[code], first[code])
    for name in ("model", "dtype", "n_blocks", "weights_sha256", "attention", "n_tokens"):
        assert second.info[name] == first.info[name]


def test_cached_values_equal_uncached_ones(folder, cache):
    plain, cached = run(folder, None), run(folder, cache)
    for code in SENTENCES:
        np.testing.assert_array_equal(plain[code], cached[code])
    assert plain.info["cache"] is None


def test_only_the_changed_language_is_computed(folder, cache, monkeypatch):
    run(folder, cache)
    counter = Counter(monkeypatch)
    changed = {**SENTENCES, "deu_Latn": (*SENTENCES["deu_Latn"][:4], "es schneit")}
    got = run(folder, cache, changed, verify=False)
    assert got.info["cache_hits"] == ["eng_Latn", "fra_Latn"] and counter.sentences == 5
    assert run(folder, cache, {"fra_Latn": SENTENCES["fra_Latn"]}).info["cache_hits"]


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [0, 1]},
        {"special_tokens": "exclude"},
        {"max_length": 8},
        {"dtype": "bfloat16"},
        {"tokenizer": "other"},
        {"weights": "other"},
        {"config": "other"},
        {"versions": "other"},
        {"format": 2},
        {"matmul": "medium"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_change_of_any_part_of_the_key_misses(folder, cache, monkeypatch, change):
    run(folder, cache)
    options = dict(change)
    if "tokenizer" in options:
        options["tokenizer"] = tokenizer(offset=7)
    if options.pop("weights", None):
        build("llama", seed=1).save_pretrained(folder)
    if options.pop("config", None):
        config = json.loads((folder / "config.json").read_text())
        config["rms_norm_eps"] = 1e-2
        (folder / "config.json").write_text(json.dumps(config))
    if options.pop("versions", None):
        newer = {**source.versions("torch"), "transformers": "99.0"}
        monkeypatch.setattr(source, "versions", lambda *packages: newer)
    if options.pop("format", None):
        monkeypatch.setattr(source, "FORMAT", 2)
    if options.pop("matmul", None):
        monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    assert run(folder, cache, **options).info["cache_hits"] == []


def test_moved_model_and_other_batches_still_hit(folder, cache):
    run(folder, cache)
    config = json.loads((folder / "config.json").read_text())
    config["transformers_version"] = "4.0"
    (folder / "config.json").write_text(json.dumps(config))
    moved = folder.with_name("moved")
    folder.rename(moved)
    assert run(moved, cache, batch_tokens=50).info["cache_hits"] == list(SENTENCES)
    assert run(moved, cache, layers=range(4)).info["cache_hits"] == list(SENTENCES)


def test_hash_of_a_file_follows_a_replacement_of_equal_size_and_time(tmp_path, monkeypatch):
    path, other = tmp_path / "weights", tmp_path / "other"
    opened = store.Store(tmp_path / "cache")
    for tick in (store._TICK_NS, 0):  # just written, and long ago
        monkeypatch.setattr(store, "_TICK_NS", tick)
        path.write_bytes(b"1111")
        first, stat = opened.file_hash(path), path.stat()
        assert opened.file_hash(path) == first
        path.write_bytes(b"2222")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        second = opened.file_hash(path)
        other.write_bytes(b"3333")
        os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        os.replace(other, path)
        assert len({first, second, opened.file_hash(path)}) == 3
    assert len(json.loads((tmp_path / "cache" / "file_hashes.json").read_text())) == 1


def test_hash_of_a_file_on_shared_storage_is_known_to_all_machines(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    path.write_bytes(b"1111")
    os.utime(path, ns=(0, 0))
    monkeypatch.setattr(store, "_TICK_NS", -1)  # as if it had lain there for long
    first = store.Store(tmp_path / "cache").file_hash(path)
    here = Path.stat

    def mounted_elsewhere(self, **options):
        found = here(self, **options)
        names = ("st_mode", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
        return SimpleNamespace(
            st_dev=found.st_dev + 1, **{name: getattr(found, name) for name in names}
        )

    monkeypatch.setattr(Path, "stat", mounted_elsewhere)
    monkeypatch.setattr(store, "hash_file", None)
    assert store.Store(tmp_path / "cache").file_hash(path) == first


@pytest.mark.parametrize(
    ("cache", "error", "message"),
    [
        ("", ValueError, "names no folder"),
        ("a\0b", ValueError, "names no folder"),
        (b"b", TypeError, "is no folder"),
        ([], TypeError, "is no folder"),
        ("F", OSError, "a file"),
    ],
)
def test_cache_argument_that_is_no_folder_is_refused(tmp_path, monkeypatch, cache, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "F").touch()
    with pytest.raises(error, match=f"cache=.*{message}"):
        store.Store.open(cache)


def test_loaded_module_is_keyed_by_content(cache):
    model, tok = build("bert"), tokenizer()
    run(model, cache, tokenizer=tok)
    assert run(build("bert"), cache, tokenizer=tok).info["cache_hits"] == list(SENTENCES)
    with torch.no_grad():
        model.encoder.layer[1].output.dense.bias[0] += 1e-3
    assert run(model, cache, tokenizer=tok).info["cache_hits"] == []


def test_model_with_hooks_of_the_caller_is_not_cached(cache, caplog):
    model = build("bert")
    model(torch.tensor([[5, 6]]), output_hidden_states=True)  # leaves transformers' own hooks
    run(model, cache, tokenizer=tokenizer())
    model.encoder.layer[0].register_forward_hook(lambda *_: None)
    for _ in range(2):
        got = run(model, cache, tokenizer=tokenizer())
        assert got.info["cache_hits"] == [] and got.info["cache"] is None
    assert "a hook of yours on encoder.layer.0" in caplog.text


def test_replaced_library_code_is_not_cached(folder, cache, monkeypatch):
    run(folder, cache)
    monkeypatch.setattr(LlamaMLP, "forward", lambda self, x: x * 0)
    got = run(folder, cache, verify=False)
    assert got.info["cache_hits"] == [] and got.info["cache"] is None
    monkeypatch.undo()
    assert run(folder, cache).info["cache_hits"] == list(SENTENCES)


def test_unverified_results_do_not_serve_other_calls(cache):
    model, tok = build("bert"), tokenizer()
    first = run(model, cache, tokenizer=tok, verify=False)
    assert not first.info["verified"]
    again = run(model, cache, tokenizer=tok, verify=False)
    assert again.info["cache_hits"] == list(SENTENCES) and not again.info["verified"]
    alone = run(model, cache, tokenizer=tok, verify=False, batch_tokens=1)
    verified = run(model, cache, tokenizer=tok)
    assert alone.info["cache_hits"] == verified.info["cache_hits"] == []
    hit = run(model, cache, tokenizer=tok, batch_tokens=1)
    assert hit.info["cache_hits"] == list(SENTENCES) and hit.info["verified"]


def test_default_folder_follows_the_environment(monkeypatch, tmp_path):
    for name in ("ILO_FAST_CACHE", "HF_ASSETS_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert default_cache_dir() == Path("~/.cache/huggingface/assets/ilo_fast").expanduser()
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path))
    assert default_cache_dir() == tmp_path / "ilo_fast"
    monkeypatch.setenv("ILO_FAST_CACHE", str(tmp_path / "own"))
    assert default_cache_dir() == tmp_path / "own"
    assert run(build("bert"), True, tokenizer=tokenizer()).info["cache"] == str(tmp_path / "own")


@pytest.fixture
def one_worker(monkeypatch):
    """Batches one after the other, so that it is known what was finished before an interruption."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


@pytest.mark.parametrize("error", [RuntimeError("power cut"), KeyboardInterrupt()])
def test_interrupted_run_continues_with_what_is_left(folder, cache, monkeypatch, one_worker, error):
    whole = run(folder, None, verify=False, batch_tokens=64)
    with monkeypatch.context() as patch:
        first = Counter(patch, fail_at=4, error=error)
        with pytest.raises(type(error)):
            run(folder, cache, verify=False, batch_tokens=64)
    assert first.passes == 4 and 0 < first.sentences < 15
    assert entries(cache) == [] and len(entries(cache, ".partial")) == 3
    second = Counter(monkeypatch)
    got = run(folder, cache, verify=False, batch_tokens=64)
    assert second.sentences == 15 - first.sentences
    for code in SENTENCES:
        np.testing.assert_allclose(got[code], whole[code], rtol=0, atol=1e-5)
    assert entries(cache, ".partial") == [] and entries(cache, ".tmp") == []


def test_finished_languages_stay_after_an_interruption(folder, cache, monkeypatch, one_worker):
    monkeypatch.setattr(shards, "SENTENCES", 5)
    with monkeypatch.context() as patch:
        counter = Counter(patch, fail_at=2, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(folder, cache, verify=False)
    assert counter.passes == 2 and len(entries(cache)) == 1
    assert run(folder, cache, verify=False).info["cache_hits"] == ["eng_Latn"]


@pytest.mark.parametrize(("damage", "lost"), [("cut", 3), ("flip", 3), ("head", 9), ("short", 9)])
def test_damaged_log_loses_only_what_follows(folder, cache, monkeypatch, one_worker, damage, lost):
    expected = run(folder, None)
    with monkeypatch.context() as patch:
        first = Counter(patch, fail_at=10, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(folder, cache, verify=False, batch_tokens=1)
    assert first.sentences == 9 and len(entries(cache, ".partial")) == 3
    for log in entries(cache, ".partial"):
        data = bytearray(log.read_bytes())
        if damage == "cut":
            data = data[:-5]
        elif damage == "flip":
            data[-100] ^= 1
        elif damage == "head":
            data[0] ^= 1
        else:
            data = data[:7]
        log.write_bytes(data)
    second = Counter(monkeypatch)
    got = run(folder, cache, verify=False, batch_tokens=1)
    assert second.sentences == 15 - 9 + lost
    for code in SENTENCES:
        np.testing.assert_allclose(got[code], expected[code], rtol=0, atol=1e-5)


def _damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "flipped":
        data[-9] ^= 4
        path.write_bytes(data)
    elif how == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty", "gone"])
def test_damaged_entry_is_noticed_and_computed_again(folder, cache, how, caplog):
    first = {code: np.array(a) for code, a in run(folder, cache).items()}
    victim = next(p for p in entries(cache) if p.name.startswith("deu"))
    _damage(victim, how)
    again = run(folder, cache)
    assert again.info["cache_hits"] == ["eng_Latn", "fra_Latn"]
    assert victim.name in caplog.text and "computed again" in caplog.text
    np.testing.assert_array_equal(again["deu_Latn"], first["deu_Latn"])
    assert run(folder, cache).info["cache_hits"] == list(SENTENCES)


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty"])
@pytest.mark.parametrize("which", ["deu_Latn-*.json", "model.json", "file_hashes.json"])
def test_damaged_records_are_written_again(folder, cache, monkeypatch, which, how):
    monkeypatch.setattr(store, "_TICK_NS", 0)
    first = {code: np.array(a) for code, a in run(folder, cache).items()}
    _damage(next(Path(cache).rglob(which)), how)
    again = run(folder, cache)
    for code in SENTENCES:
        np.testing.assert_array_equal(again[code], first[code])
    assert run(folder, cache).info["cache_hits"] == list(SENTENCES)


def test_full_disk_is_noticed_before_the_work(folder, cache, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    counter = Counter(monkeypatch)
    with pytest.raises(OSError, match=r"disk is full: 7,680 bytes.*cache=PATH") as caught:
        run(folder, cache, verify=False)
    assert str(cache) in str(caught.value) and caught.value.errno == errno.ENOSPC
    assert counter.passes == 0


def test_disk_that_fills_up_keeps_what_was_finished(folder, cache, monkeypatch):
    expected = run(folder, None)
    run(folder, cache, {"eng_Latn": SENTENCES["eng_Latn"]})
    refused = []

    def full(handle):
        refused.append(handle)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="disk is full"):
            run(folder, cache)
    assert refused
    assert [path.name[:3] for path in entries(cache)] == ["eng"] and entries(cache, ".tmp") == []
    got = run(folder, cache)
    assert got.info["cache_hits"] == ["eng_Latn"]
    np.testing.assert_allclose(got["fra_Latn"], expected["fra_Latn"], rtol=0, atol=1e-5)


def _worker(folder, cache, start, results):
    torch.set_num_threads(1)
    start.wait()
    got = extract(folder, SENTENCES, cache=cache, progress=False, batch_tokens=30)
    results.put({code: np.array(array) for code, array in got.items()})


def test_two_processes_share_one_cache(folder, cache):
    expected = run(folder, None)
    context = multiprocessing.get_context("spawn")
    start, results = context.Event(), context.Queue()
    processes = [
        context.Process(target=_worker, args=(folder, cache, start, results)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    start.set()
    for got in [results.get(timeout=120) for _ in processes]:
        for code in SENTENCES:
            np.testing.assert_allclose(got[code], expected[code], rtol=0, atol=1e-5)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(entries(cache)) == 3 and entries(cache, ".partial") == []
    assert run(folder, cache).info["cache_hits"] == list(SENTENCES)


def test_language_that_another_process_holds_is_waited_for_last(folder, cache, monkeypatch):
    expected = run(folder, cache)
    lock = next(path for path in entries(cache, ".lock") if path.name.startswith("eng"))
    for path in [*entries(cache), *entries(cache, ".json")]:
        path.unlink()
    monkeypatch.setattr(shards, "SENTENCES", 1)
    held = locks.acquire(lock)
    seen = []

    class ReleaseWhenWaitedFor(logging.Handler):
        def emit(self, record):
            if "waiting for it" in record.getMessage():
                seen.append([path.name[:3] for path in entries(cache)])
                held.release()

    logger = logging.getLogger("ilo_fast.cache")
    handler = ReleaseWhenWaitedFor()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        got = run(folder, cache)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert seen == [["deu", "fra"]]
    np.testing.assert_allclose(got["eng_Latn"], expected["eng_Latn"], rtol=0, atol=1e-5)


def test_cache_holds_arrays_json_and_locks_only(folder, cache):
    run(folder, cache)
    for path in entries(cache):
        np.load(path, allow_pickle=False)
    assert {path.suffix for path in Path(cache).rglob("*") if path.is_file()} <= {
        ".npy", ".json", ".lock",
    }  # fmt: skip


def test_hub_name_is_cached_like_a_folder(folder, cache, monkeypatch):
    # A Hub name resolves to a snapshot folder; here the folder stands in for it.
    monkeypatch.setattr("ilo_fast.models.loading.local_folder", lambda model: None)
    monkeypatch.setattr("ilo_fast.models.loading._snapshot_folder", lambda name, revision: folder)
    for factory in (hf.AutoConfig, hf.AutoModel, hf.AutoTokenizer):
        real = factory.from_pretrained
        monkeypatch.setattr(
            factory, "from_pretrained", lambda name, *a, real=real, **k: real(folder, *a, **k)
        )
    assert run("owner/model", cache).info["cache_hits"] == []
    assert run("owner/model", cache).info["cache_hits"] == list(SENTENCES)
    assert run("owner/model", cache).info["model"] == "owner/model"
