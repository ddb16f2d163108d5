"""The run card, ``run_card.json``: how a model came to be; and the folder that it stands in.

The card says "running" until everything else is in place, so a card that says "finished" stands
beside a complete result. A checkpoint counts once it holds a mark, written after all its files.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock, Timeout

from ilo_fast._util.files import read_json, write_json
from ilo_fast.errors import AccessError

CARD_FILE: Final = "run_card.json"
OVERLAP_FILE: Final = "overlap.jsonl"
MODEL_FOLDER: Final = "model"
ADAPTER_FOLDER: Final = "adapter"
FORMAT: Final = 1
_DRAWN: Final = ("trajectory.png", "trajectory.svg")  # what the command line draws
_KIND: Final = "ilo_fast.finetune"
_LOCK: Final = ".lock"
_MARK: Final = "complete.json"
_CHECKPOINT: Final = "checkpoint-"
_RUNNING: Final = "running"
_FINISHED: Final = "finished"

State = Literal["new", "interrupted", "finished"]


class RunFolder:
    """The folder of one training run, checked before the work begins.

    Parameters
    ----------
    path
        The folder; made when the run begins.
    settings
        All that the result depends on, JSON-able. A folder with other settings is another run's.

    Raises
    ------
    AccessError
        `path` is a file, or cannot be read.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        if path.exists() and not path.is_dir():
            raise AccessError(f"output_dir {str(path)!r} is a file; give a folder")
        self.path = path
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.card: dict[str, Any] = {}

    def examine(self, *, resume: bool, overwrite: bool) -> State:
        """What is in the folder; ``finished`` fills `card`. Nothing is changed.

        Raises
        ------
        ValueError
            Another run, naming the settings that differ, or files that are not a run's.
        """
        card = read_card(self.path)
        if card is None:
            self._refuse_foreign()
            return "new"
        differing = _differences(card.get("settings", {}), self.settings)
        if differing and not overwrite and self._has_work(card):
            raise ValueError(
                f"output_dir {str(self.path)!r} holds a run of other settings "
                f"({'; '.join(differing)}): choose another output_dir, or replace it with "
                "overwrite=True (command line: --overwrite-strategy always)"
            )
        if differing or not resume:
            return "new"
        if card.get("status") == _FINISHED and (self.path / MODEL_FOLDER).is_dir():
            self.card = card
            return "finished"
        self.card = card
        return "interrupted"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """No other process works in the folder meanwhile.

        Raises
        ------
        ValueError
            One does already.
        """
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"output_dir {str(self.path)!r}: another process trains in it: wait for it, or "
                "choose another output_dir"
            ) from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                (self.path / _LOCK).unlink()
            lock.release()
            with contextlib.suppress(OSError):
                for folder in made:  # empty where the run was refused before it began
                    folder.rmdir()

    def _has_work(self, card: Mapping[str, Any]) -> bool:
        """Whether the run of a card has anything that took time to make."""
        marked = (read_json(path / _MARK) is not None for path in self._checkpoints())
        return card.get("status") == _FINISHED or any(marked)

    def begin(self, card: Mapping[str, Any]) -> None:
        """Make the folder ready and write the card, its status "running"."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.card = {
            "format": FORMAT,
            "kind": _KIND,
            "status": _RUNNING,
            "started": self.card.get("started", _now()),
            "settings": self.settings,
            **card,
        }
        write_card(self.path, self.card)

    def finish(self, results: Mapping[str, Any]) -> None:
        """Add the results, and say that the run is finished."""
        self.card |= {**results, "status": _FINISHED, "finished": _now()}
        write_card(self.path, self.card)

    def clear(self) -> None:
        """Remove what an earlier run left; the card goes first, and nothing foreign is touched."""
        (self.path / CARD_FILE).unlink(missing_ok=True)
        for name in (OVERLAP_FILE, *_DRAWN):
            (self.path / name).unlink(missing_ok=True)
        for folder in (MODEL_FOLDER, ADAPTER_FOLDER):
            shutil.rmtree(self.path / folder, ignore_errors=True)
            shutil.rmtree(_partial(self.path / folder), ignore_errors=True)
        self.drop_checkpoints()
        self.card = {}

    def last_checkpoint(self) -> Path | None:
        """The last complete checkpoint; those that were interrupted while written are removed."""
        found = {}
        for path in self._checkpoints():
            if read_json(path / _MARK) is None:
                shutil.rmtree(path, ignore_errors=True)
            else:
                found[_step(path)] = path
        return found[max(found)] if found else None

    def drop_checkpoints(self) -> None:
        """Remove all checkpoints."""
        for path in self._checkpoints():
            shutil.rmtree(path, ignore_errors=True)

    def _checkpoints(self) -> list[Path]:
        folders = self.path.glob(f"{_CHECKPOINT}*") if self.path.is_dir() else ()
        return [p for p in folders if p.is_dir() and p.name.removeprefix(_CHECKPOINT).isdigit()]

    def _refuse_foreign(self) -> None:
        if not self.path.is_dir():
            return
        held = sorted(e.name for e in self.path.iterdir() if e.name != _LOCK)
        if held:
            more = ", ..." if len(held) > 3 else ""
            raise ValueError(
                f"output_dir {str(self.path)!r} holds something else ({', '.join(held[:3])}{more}) "
                f"and no {CARD_FILE}: choose an empty or new folder"
            )


def mark_complete(checkpoint: Path, facts: Mapping[str, Any]) -> None:
    """Say that all files of a checkpoint are there."""
    write_json(checkpoint / _MARK, dict(facts))


def checkpoint_facts(checkpoint: Path) -> dict[str, Any]:
    """What `mark_complete` wrote."""
    return read_json(checkpoint / _MARK) or {}


def read_card(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The run card in a folder, or None.

    Raises
    ------
    ValueError
        There is a file of that name which is no card of this kind or format.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        return None
    card = read_json(path)
    if card is None or card.get("kind") != _KIND:
        raise ValueError(f"{path} is no card of a training run: choose another output_dir")
    if card.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {card.get('format')!r}, this ilo_fast knows {FORMAT}: choose "
            "another output_dir, or update ilo_fast"
        )
    return card


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write a card, whole or not at all."""
    write_json(folder / CARD_FILE, _finite(dict(card)))


def replaced(folder: Path) -> Path:
    """An empty folder beside `folder`, to be filled and then put in place by `put_in_place`."""
    partial = _partial(folder)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def put_in_place(folder: Path) -> None:
    """Rename the folder of `replaced` to what it is to be called."""
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(_partial(folder), folder)


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.partial")


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(_CHECKPOINT))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    keys = [*now, *(key for key in before if key not in now)]
    return [
        f"{key} was {_shown(before.get(key))}, now {_shown(now.get(key))}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:16]}…"


def _finite(value: Any) -> Any:
    """The same with numbers that JSON has no word for (a loss that diverged) as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return value
