"""Whether a checkpoint is what its mark says, and which one a run goes on from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ilo_fast.training.checkpoint_mark import MARK, damage, is_marked, mark_complete, seconds_of
from ilo_fast.training.run_folder import RunFolder

FILES = ("model.safetensors", "optimizer.pt", "deeper/rng_state.pth")


def checkpoint(path: Path) -> Path:
    for name in FILES:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(f"{name} of {path.name}".encode() * 40)
    mark_complete(path, seconds=float(path.name.rpartition("-")[2]))
    return path


def flipped(path: Path) -> None:
    data = bytearray((path / FILES[0]).read_bytes())
    data[100] ^= 4
    (path / FILES[0]).write_bytes(data)


def removed(path: Path) -> None:
    (path / FILES[1]).unlink()


def truncated(path: Path) -> None:
    (path / FILES[2]).write_bytes((path / FILES[2]).read_bytes()[:-1])


def added(path: Path) -> None:
    (path / "pytorch_model.bin").write_bytes(b"whose?")


def other_seconds(path: Path) -> None:
    mark = json.loads((path / MARK).read_text())
    (path / MARK).write_text(json.dumps(mark | {"seconds": 1e9}))


def unreadable(path: Path) -> None:
    (path / MARK).write_text("{")


def of_an_earlier_version(path: Path) -> None:
    (path / MARK).write_text('{"seconds": 3.0}')


SPOILERS = (flipped, removed, truncated, added, other_seconds, unreadable, of_an_earlier_version)


def test_sound_checkpoint_is_what_its_mark_says(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "checkpoint-3")
    assert is_marked(path) and damage(path) is None and seconds_of(path) == 3.0


@pytest.mark.parametrize("spoil", SPOILERS)
def test_damaged_checkpoint_gives_way_to_the_one_before_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    with RunFolder(tmp_path / "run", {"seed": 1}).held(overwrite=False):
        RunFolder(tmp_path / "run", {"seed": 1}).begin({})
    for step in (3, 12):
        checkpoint(tmp_path / "run" / f"checkpoint-{step}")
    spoil(tmp_path / "run" / "checkpoint-12")
    run = RunFolder(tmp_path / "run", {"seed": 1})
    with run.held(overwrite=False):
        assert run.checkpoint == tmp_path / "run" / "checkpoint-3"
        assert (
            "checkpoint-12 is damaged" in caplog.text and "the checkpoint before it" in caplog.text
        )
        assert run.seconds_spent() == 3.0
        run.begin({})
    assert not (tmp_path / "run" / "checkpoint-12").exists()
    shutil.rmtree(tmp_path / "run" / "checkpoint-3" / "deeper")
    with run.held(overwrite=False):
        assert run.checkpoint is None  # none is sound: from the start
