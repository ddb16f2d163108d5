"""The folder of a training run, and its metadata, ``run_card.json``: how a model came to be.

The card says "running" until everything else is in place, so a card that says "finished" (or
"diverged", where the loss has exploded) stands beside a complete result. A checkpoint counts once
it holds a mark, and is what the mark says; else training goes on from the one before it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.checks import path_of
from ilo_fast._util.files import finite_json, is_leftover, read_json, write_json
from ilo_fast._util.folders import made_folder, refuse_other
from ilo_fast._util.locks import locked
from ilo_fast._util.messages import listed
from ilo_fast.training.checkpoint_mark import (
    damage,
    damage_to,
    flushed_contents,
    is_marked,
    seconds_of,
)

logger = logging.getLogger(__name__)

CARD_FILE: Final = "run_card.json"
OVERLAP_FILE: Final = "overlap.jsonl"
LOG_FILE: Final = "training.jsonl"  # of a transcoder's training
MODEL_FOLDER: Final = "model"
ADAPTER_FOLDER: Final = "adapter"
TOKENIZER_FOLDER: Final = "tokenizer"  # while pretraining is under way
# What the command line draws.
_DRAWN: Final = ("trajectory.png", "trajectory.svg", "trajectory.pdf", "report.html")
_FOLDERS: Final = (MODEL_FOLDER, ADAPTER_FOLDER, TOKENIZER_FOLDER)
_LOCK: Final = ".lock"
_CHECKPOINT: Final = "checkpoint-"
_KIND: Final = "ilo_fast.training_run"
_FORMAT: Final = 2
_ENDED: Final = ("finished", "diverged")
_TRAININGS: Final = {"pretraining": "pretraining", "transcoder": "of a transcoder"}
_KINDS: Final = (_KIND, "ilo_fast.finetune")  # of all formats there have been


class RunFolder:
    """The folder of one training run.

    Parameters
    ----------
    path
        The folder; made when the run begins.
    settings
        All that the result depends on, JSON-able. A folder with other settings is another run's.
    result
        The folder inside it that holds what was trained.

    Attributes
    ----------
    card : dict
        What ``run_card.json`` holds.
    checkpoint : Path or None
        The one that training goes on from; None where it begins anew.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: Mapping[str, Any],
        *,
        result: str = MODEL_FOLDER,
    ) -> None:
        self.path = path_of("output_dir", path)
        self.result = self.path / result
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.card: dict[str, Any] = {}
        self.checkpoint: Path | None = None

    @contextlib.contextmanager
    def held(self, *, overwrite: bool) -> Iterator[bool]:
        """Keep other processes out, and tell whether the folder holds this very run, finished.

        Nothing is changed before `begin`. A folder that the block leaves empty is removed.

        Raises
        ------
        ValueError
            Another run (naming the settings that differ), files that are not a run's, or another
            process at work.
        """
        busy = f"{self.path}: another process trains in it: wait for it, or choose another folder"
        with made_folder(self.path, "output_dir"), locked(self.path / _LOCK, busy):
            try:
                yield self._examine(overwrite)
            finally:
                with contextlib.suppress(OSError):  # a lock file that stays locks nobody out
                    (self.path / _LOCK).unlink()

    def _examine(self, overwrite: bool) -> bool:
        card = read_card(self.path, overwrite=overwrite)
        if card is None:
            self._refuse_foreign()
            return False
        before = card.get("settings", {})
        if not overwrite and self._has_work(card):
            refuse_other(
                self.path, before, self.settings, holds="a run",
                remedy="choose another output_dir, or replace it with overwrite=True (command "
                "line: --overwrite)",
            )  # fmt: skip
        if overwrite or before != self.settings:
            return False
        self.card = card
        ended = card.get("status") in _ENDED and self.result.is_dir()
        if ended:
            self._check_model(card)
            logger.info("%s holds this run, %s %s", self.path, card["status"], card.get("finished"))
        else:
            self.checkpoint = self.last_checkpoint()
        return ended

    def _check_model(self, card: Mapping[str, Any]) -> None:
        """Refuse a model that is not the one which was trained."""
        files = card.get("files")
        problem = damage_to(self.result, files) if isinstance(files, dict) else None
        if problem is not None:
            raise ValueError(
                f"{self.result} is damaged ({problem}): put a copy back, choose "
                "another folder, or train anew with overwrite=True (command line: --overwrite)"
            )

    def begin(self, entries: Mapping[str, Any]) -> None:
        """Remove what another run left, and write the card, its status "running"."""
        if not self.card:
            self._clear()
        elif self.checkpoint is None:
            (self.path / OVERLAP_FILE).unlink(missing_ok=True)
        for path in self._checkpoints():
            # Interrupted while it was written, or damaged: made again.
            if not is_marked(path) or _step(path) > _step(self.checkpoint):
                shutil.rmtree(path, ignore_errors=True)
        self._write(
            {
                "kind": _KIND,
                "format": _FORMAT,
                "started": self.card.get("started", _now()),
                "training": _TRAININGS.get(self.settings.get("task", ""), "fine-tuning"),
                "settings": self.settings,
                "status": "running",
                **entries,
            }
        )

    def finish(
        self, results: Mapping[str, Any], *, keep_checkpoints: bool, diverged: bool = False
    ) -> None:
        """Add the results, say how the run ended, and remove what only it needed."""
        status = "diverged" if diverged else "finished"
        files = flushed_contents(self.result)
        ending = {"files": files, "status": status, "finished": _now()}
        self._write({**self.card, **results, **ending})
        shutil.rmtree(self.path / TOKENIZER_FOLDER, ignore_errors=True)
        if not keep_checkpoints:
            self._drop_checkpoints()

    def drop_old_checkpoints(self, keep: int = 2) -> None:
        """Remove all checkpoints but the last so many."""
        for path in sorted(self._checkpoints(), key=_step)[:-keep]:
            shutil.rmtree(path, ignore_errors=True)

    def seconds_spent(self) -> float:
        """What the run took up to its checkpoint."""
        return 0.0 if self.checkpoint is None else seconds_of(self.checkpoint)

    def _write(self, card: dict[str, Any]) -> None:
        self.card = card
        write_json(self.path / CARD_FILE, finite_json(card))

    def _has_work(self, card: Mapping[str, Any]) -> bool:
        """Whether the run of a card has anything that took time to make."""
        return card.get("status") in _ENDED or any(map(is_marked, self._checkpoints()))

    def _clear(self) -> None:
        """Remove what an earlier run left; the card goes first, and nothing foreign is touched."""
        for name in (CARD_FILE, OVERLAP_FILE, LOG_FILE, *_DRAWN):
            (self.path / name).unlink(missing_ok=True)
        for folder in (self.result, *map(self.path.joinpath, _FOLDERS)):
            shutil.rmtree(folder, ignore_errors=True)
        self._drop_checkpoints()

    def last_checkpoint(self) -> Path | None:
        """The last that is sound; a warning names those that are not."""
        for path in sorted(filter(is_marked, self._checkpoints()), key=_step, reverse=True):
            problem = damage(path)
            if problem is None:
                return path
            logger.warning(
                "%s is damaged (%s): training goes on from the checkpoint before it, or else from "
                "the start",
                path, problem,
            )  # fmt: skip
        return None

    def _drop_checkpoints(self) -> None:
        for path in self._checkpoints():
            shutil.rmtree(path, ignore_errors=True)

    def _checkpoints(self) -> list[Path]:
        found = self.path.glob(f"{_CHECKPOINT}*")
        return [p for p in found if p.is_dir() and p.name.removeprefix(_CHECKPOINT).isdigit()]

    def _refuse_foreign(self) -> None:
        # What a run leaves that was killed while it wrote its first file is nobody else's.
        held = sorted(
            entry.name
            for entry in self.path.iterdir()
            if entry.name != _LOCK and not is_leftover(entry)
        )
        if held:
            raise ValueError(
                f"{self.path} holds something else ({listed(held)}) and no {CARD_FILE}: choose an "
                "empty or new folder"
            )


def read_card(folder: str | os.PathLike[str], *, overwrite: bool = False) -> dict[str, Any] | None:
    """The run metadata in a folder, or None; to `overwrite` it, of an earlier format, too.

    Raises
    ------
    ValueError
        There is a file of that name of another format, or of something else.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        return None
    card = read_json(path)
    if card is None:
        if overwrite:
            return {}  # whose it was cannot be told: what a run is made of gives way
        raise ValueError(
            f"{path} is damaged: put a copy back, choose another folder, or replace the run with "
            "overwrite=True (command line: --overwrite)"
        )
    kind, found = card.get("kind"), card.get("format")
    if kind not in _KINDS:
        raise ValueError(f"{path} is no metadata of a training run: choose another folder")
    if not overwrite and not (
        isinstance(card.get("settings"), dict) and isinstance(card.get("status"), str)
    ):
        raise ValueError(
            f"{path} lacks settings or status: choose another folder, or replace the run with "
            "overwrite=True (command line: --overwrite)"
        )
    if not overwrite and (kind, found) != (_KIND, _FORMAT):
        raise ValueError(
            f"{path} has format {found} of {kind}, and this version of ilo_fast goes on with "
            f"format {_FORMAT} of {_KIND}: choose another folder, or replace the run with "
            "overwrite=True (command line: --overwrite)"
        )
    return card


def _step(checkpoint: Path | None) -> int:
    return 0 if checkpoint is None else int(checkpoint.name.removeprefix(_CHECKPOINT))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
