"""A folder's revision follows its content, a Hub model's is its commit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ilo_fast.models.loading import ModelFiles
from ilo_fast.models.revision import model_revision


def folder(path: Path) -> ModelFiles:
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "tokenizer.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"weights")
    return ModelFiles("name", path, None, None, False)


def test_content_tells_and_place_does_not(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one"), folder(tmp_path / "other")
    first = model_revision(one)
    assert len(first) == 40 and first == model_revision(other)
    (other.folder / "README.md").write_text("words")
    assert model_revision(other) == first
    for name in ("config.json", "tokenizer.json", "bpe.codes", "model.safetensors"):
        before = model_revision(other)
        (other.folder / name).write_bytes(b"changed")
        assert model_revision(other) != before


def test_a_commit_is_the_revision_unless_an_adapter_is_on_top(tmp_path: Path) -> None:
    hub = dataclasses.replace(folder(tmp_path / "hub"), revision="abc")
    assert model_revision(hub) == "abc"
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    assert model_revision(dataclasses.replace(hub, adapter=adapter)) not in ("abc", "")
