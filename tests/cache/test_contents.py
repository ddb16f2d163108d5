"""What a cache holds can be listed, and deleted by model and age."""

from __future__ import annotations

import os

import numpy as np
import pytest

from ilo_fast._util import locks
from ilo_fast.cache import Entry, Store, clear, list_entries
from ilo_fast.cache.shards import shard_folder, write_shard

LAYERS, SENTENCES, DIM = 2, 3, 4


def fill(root, model, *codes, finish=True, name=None):
    store = Store(root)
    store.write_model(model, {"name": name or model})
    parts = {"model": model, "layers": [0, 1], "pooling": "mean", "special_tokens": "include"}
    for code in codes:
        entry = Entry(code, {**parts, "tokens": code})
        writer = store.writer(entry, (LAYERS, SENTENCES, DIM), wait=False)
        rows = SENTENCES if finish else 1
        writer.add(np.arange(rows), np.ones((LAYERS, rows, DIM), np.float32))
        if finish:
            writer.finish()
        writer.close()


@pytest.fixture
def root(tmp_path):
    fill(tmp_path / "cache", "aaaaaaaaaa", "eng_Latn", "deu_Latn", name="owner/one")
    fill(tmp_path / "cache", "bbbbbbbbbb", "eng_Latn", finish=False, name="two")
    return tmp_path / "cache"


def test_list_groups_languages_by_model_and_options(root):
    found = {entry.model: entry for entry in list_entries(root)}
    assert found.keys() == {"owner/one", "two"}
    one, two = found["owner/one"], found["two"]
    assert one.languages == ("deu_Latn", "eng_Latn") and one.n_sentences == 2 * SENTENCES
    assert one.complete and one.layers == (0, 1) and one.pooling == "mean"
    assert one.n_bytes > 2 * 4 * LAYERS * SENTENCES * DIM and one.last_used > 0
    assert not two.complete and two.layers == () and two.n_bytes > 0


def test_list_of_an_absent_cache_is_empty_and_makes_no_folder(tmp_path):
    assert list_entries(tmp_path / "none") == [] and clear(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("model", ["owner/one", "one", "aaaaaaaaaa"])
def test_clear_by_model_leaves_the_others(root, model):
    size = {entry.model: entry.n_bytes for entry in list_entries(root)}
    assert clear(root, model=model) == size["owner/one"]
    assert [entry.model for entry in list_entries(root)] == ["two"]
    assert clear(root, model="absent") == 0
    assert clear(root) == size["two"] and list(root.glob("*/*")) == []


def test_clear_by_age_counts_from_the_last_use(root):
    for path in root.rglob("deu*"):
        os.utime(path, (0, 0))
    clear(root, older_than_days=1)
    assert [entry.languages for entry in list_entries(root)] == [("eng_Latn",)] * 2
    with pytest.raises(ValueError, match="older_than_days=-1"):
        clear(root, older_than_days=-1)


def test_reading_counts_as_use(root):
    for path in root.rglob("eng*"):
        os.utime(path, (0, 0))
    parts = {"model": "aaaaaaaaaa", "layers": [0, 1], "pooling": "mean"}
    entry = Entry("eng_Latn", {**parts, "special_tokens": "include", "tokens": "eng_Latn"})
    assert Store(root).read(entry) is not None
    clear(root, older_than_days=1)
    assert [found.model for found in list_entries(root)] == ["owner/one"]


def test_clear_leaves_what_another_process_computes(root):
    held = locks.acquire(next(root.rglob("deu*.lock")))
    try:
        clear(root)
        assert [entry.languages for entry in list_entries(root)] == [("deu_Latn",)]
    finally:
        held.release()


def test_shards_that_go_while_they_are_listed_count_nothing(root):
    """Workers write them under other names first."""
    store = Store(root)
    entry = Entry("fra_Latn", {"model": "bbbbbbbbbb", "layers": [0], "tokens": "fra"})
    folder = shard_folder(store, entry)
    write_shard(folder, entry.key, (0, 3), np.ones((1, 3, DIM), np.float32))
    (folder / ".gone.tmp").symlink_to(folder / "nowhere")
    two = next(found for found in list_entries(root) if found.model == "two")
    assert two.languages == ("eng_Latn", "fra_Latn") and not two.complete
    assert clear(root, model="two") == two.n_bytes > 4 * 3 * DIM
    assert not folder.exists()
