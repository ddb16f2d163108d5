"""Representations: a mapping that is checked, saved, and loaded only when whole."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from ilo_fast._util.arrays import DamagedFileError
from ilo_fast.representations.result import Representations


@pytest.fixture
def saved(tmp_path):
    """Two languages, and the folder that they are saved in."""
    values = np.arange(48, dtype=np.float32).reshape(2, 6, 4)
    representations = Representations(
        {"eng_Latn": values, "fra_Latn": -values}, [0, 3], parallel=True, info={"model": "toy"}
    )
    folder = tmp_path / "saved"
    representations.save(folder)
    return representations, folder


def test_arrays_that_do_not_fit_are_refused():
    a = np.zeros((2, 3, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="at least one language"):
        Representations({}, [0])
    with pytest.raises(ValueError, match=r"expected shape \(1 layers"):
        Representations({"a": a}, [0])
    with pytest.raises(ValueError, match="b has 5 dimensions"):
        Representations({"a": a, "b": np.zeros((2, 3, 5), np.float32)}, [0, 1])
    with pytest.raises(ValueError, match="parallel=True"):
        Representations({"a": a, "b": a[:, :2]}, [0, 1], parallel=True)


@pytest.mark.parametrize("mmap", [True, False])
def test_saved_representations_are_loaded_as_they_were(saved, mmap):
    first, folder = saved
    again = Representations.load(folder, mmap=mmap)
    assert again.layers == first.layers and again.languages == first.languages
    assert again.info == first.info and again.parallel == first.parallel
    for code in first:
        assert isinstance(again[code], np.memmap) == mmap
        np.testing.assert_array_equal(again[code], first[code])
    again.save(folder)  # onto itself
    np.testing.assert_array_equal(Representations.load(folder)["eng_Latn"], first["eng_Latn"])


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty", "gone"])
def test_damaged_array_is_named(saved, how):
    path = saved[1] / "fra_Latn.npy"
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    else:
        data[-9] ^= 4
        path.write_bytes({"truncated": data[:100], "flipped": data, "empty": b""}[how])
    with pytest.raises(DamagedFileError, match=r"fra_Latn\.npy is (damaged|missing)"):
        Representations.load(saved[1])


def test_damaged_or_missing_manifest_is_refused(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json"):
        Representations.load(tmp_path)
    manifest = saved[1] / "manifest.json"
    content = json.loads(manifest.read_text())
    assert content["kind"] == "ilo_fast.representations"
    manifest.write_text(json.dumps({**content, "schema_version": 99}))
    with pytest.raises(DamagedFileError, match="schema version 99"):
        Representations.load(saved[1])
    del content["layers"]
    for damaged in (json.dumps(content), json.dumps(content)[:50], ""):
        manifest.write_text(damaged)
        with pytest.raises(DamagedFileError, match="damaged"):
            Representations.load(saved[1])


def test_interrupted_save_is_not_taken_for_whole(saved, monkeypatch):
    interrupted = []

    def interrupt(*paths):
        interrupted.append(paths)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        saved[0].save(saved[1])
    assert len(interrupted) == 1
    with pytest.raises(FileNotFoundError, match="interrupted save"):
        Representations.load(saved[1])


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [0, 0]}, {"layers": [-1, 1]}, {"layers": ["a", 1]}, {"layers": 5},
        {"languages": {}}, {"languages": []}, {"languages": {"eng_Latn": 5}},
        {"parallel": "yes"}, {"info": [1]}, {"info": "x"},
        {"groups": "abc"}, {"groups": {"a": 1}}, {"groups": ["a", "b"]}, {"groups": [1, 2, 3]},
        {"groups": ["a", "b", ""]}, {"groups": ["a", "b", None]},
        {"groups": ["a", "a", "b"], "parallel": False},
    ],
    ids=str,
)  # fmt: skip
def test_manifest_without_sense_is_damaged(tmp_path, change):
    values = {"eng_Latn": np.zeros((2, 3, 4), np.float32)}
    Representations(values, [0, 1], parallel=True).save(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | change))
    with pytest.raises(DamagedFileError, match=r"manifest\.json is damaged"):
        Representations.load(tmp_path)


def test_documents_are_kept_and_may_be_absent(saved):
    without, folder = saved
    groups = ["a", "a", "http://b", "c", "c", "c"]
    grouped = Representations(dict(without), [0, 3], parallel=True, groups=groups)
    assert grouped.groups == tuple(groups) and without.groups is None and grouped != without
    grouped.save(folder)
    assert Representations.load(folder) == grouped
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["groups"]  # as written before there were any
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert Representations.load(folder) == without


def test_documents_that_do_not_fit_are_refused(saved):
    values = dict(saved[0])
    with pytest.raises(ValueError, match="groups has 2 ids for 6 sentences"):
        Representations(values, [0, 3], parallel=True, groups=["a", "b"])
    with pytest.raises(ValueError, match="groups are of sentences that all languages share"):
        Representations(values, [0, 3], groups=["a"] * 6)


@pytest.mark.parametrize("code", ["../x", "a/b", "..", "/x", "a\0b", "a\nb", "\x1b[31m", "x" * 200])
def test_language_code_that_leaves_the_folder_is_refused(tmp_path, code):
    with pytest.raises(ValueError, match="cannot name a file"):
        Representations({code: np.zeros((1, 2, 3), np.float32)}, [0])
    Representations({"eng_Latn": np.zeros((1, 2, 3), np.float32)}, [0]).save(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["languages"] = {code: manifest["languages"]["eng_Latn"]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DamagedFileError, match="cannot name a file"):
        Representations.load(tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "", "\ud800", 5, None, b"x"])
def test_path_that_cannot_name_a_folder_is_said(saved, path):
    for call in (saved[0].save, Representations.load):
        with pytest.raises((ValueError, TypeError), match=r"^path(=| must be a path)"):
            call(path)


def test_representations_are_equal_where_values_are(saved):
    representations, folder = saved
    again = Representations.load(folder)
    assert again == representations and hash(again) == hash(representations)
    values = dict(again)
    others = [
        Representations(values, [0, 3]),
        Representations(values, [0, 2], parallel=True),
        Representations(dict(reversed(values.items())), [0, 3], parallel=True),
        Representations(values | {"fra_Latn": values["eng_Latn"]}, [0, 3], parallel=True),
        values,
    ]
    assert not any(representations == other for other in others)
