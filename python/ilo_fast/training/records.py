"""The file of measurements that a training run leaves behind: one JSON record per line.

A line is written whole, flushed and synced before training goes on, so a run that is killed loses
at most the record that was being written. Such a truncated last line is ignored by the reader and
removed when the run is resumed.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ilo_fast._util.checks import real_number, share, whole_number
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.folders import refuse_other
from ilo_fast._util.schema import check_schema
from ilo_fast.scores.result import OverlapScores

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
_KIND = "ilo_fast.overlap_record"
# Every line starts so, which tells a truncated first line from someone else's file.
_START = f'{{"kind": "{_KIND}"'
# Names that may change between a run and its resumption without changing any number.
_ONLY_NAMES = ("model", "corpus")


@dataclass(frozen=True)
class OverlapRecord:
    """One measurement in the course of a training run.

    Attributes
    ----------
    step
        Optimizer steps done.
    epoch
        Epochs done, with fraction.
    event
        Why it was made: ``"start"``, ``"evaluate"``, ``"step"`` or ``"end"``; what came first,
        where several fall on one step.
    seconds
        What it cost.
    scores
        Every layer and language; None where the measurement failed.
    failed
        What went wrong; None where nothing did.
    share_of_time
        Of the time since training started (or was resumed), the share that all measurements took;
        None at the start.
    settings
        What the scores depend on: k, t, metric, layers, corpus and its fingerprint, languages,
        model.
    """

    step: int
    epoch: float | None
    event: str
    seconds: float
    scores: OverlapScores | None
    failed: str | None = None
    share_of_time: float | None = None
    settings: dict[str, Any] = field(default_factory=dict, hash=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "kind": _KIND,
            "schema_version": SCHEMA_VERSION,
            "step": self.step,
            "epoch": self.epoch,
            "event": self.event,
            "seconds": self.seconds,
            "share_of_time": self.share_of_time,
            "failed": self.failed,
            "settings": self.settings,
            "scores": None if self.scores is None else self.scores.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OverlapRecord:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            No such record, one of another schema, or one that no training writes.
        """
        check_schema(data, _KIND, SCHEMA_VERSION, "measure again")
        _check_sense(data)
        scores = data["scores"]
        return cls(
            step=data["step"],
            epoch=data["epoch"],
            event=data["event"],
            seconds=data["seconds"],
            scores=None if scores is None else OverlapScores.from_dict(scores),
            failed=data["failed"],
            share_of_time=data["share_of_time"],
            settings=dict(data["settings"]),
        )


def _check_sense(data: Mapping[str, Any]) -> None:
    whole_number("step", data["step"], least=0)
    for name in ("epoch", "seconds"):
        value = data[name]
        if (name == "seconds" or value is not None) and real_number(name, value) < 0:
            raise ValueError(f"{name} is {value!r}, below 0")
    if data["share_of_time"] is not None:
        share("share_of_time", data["share_of_time"])
    if (data["scores"] is None) == (data["failed"] is None):
        raise ValueError("a record holds either scores, or what went wrong")
    if data["scores"] is None:
        return
    for name, value in data["scores"].get("settings", {}).items():
        if data["settings"].get(name, value) != value and name in (
            "n_neighbors",
            "threshold",
            "metric",
        ):
            raise ValueError(
                f"{name} is {data['settings'][name]!r} in settings, {value!r} in scores"
            )


def read_overlap_log(path: str | os.PathLike[str]) -> list[OverlapRecord]:
    """Read the file that an `OverlapCallback` writes, also while it is being written.

    Parameters
    ----------
    path
        The file (by default ``overlap.jsonl`` in the output folder of the training).

    Returns
    -------
    list of OverlapRecord
        In the order of training. A half-written last line is left out; a measurement that failed
        is there, with ``scores=None`` and ``failed`` saying why.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A line is no such record; names it.
    """
    return _parse(Path(path))[0]


class RecordFile:
    """The file as the training process writes it; its folder is made when it is first needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, step: int, settings: Mapping[str, Any]) -> list[OverlapRecord]:
        """Make the file ready for training that starts, or goes on, at `step`; what it keeps.

        Resumed training (`step` above 0) keeps the records up to `step` and drops those after it,
        which will be made again. New training finds an empty file: an earlier run's records are
        set aside under another name.

        Raises
        ------
        FileExistsError
            The file is not ours.
        ValueError
            It holds measurements with other settings, which cannot go on in one curve.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            return []
        try:
            records, truncated = _parse(self.path)
        except ValueError as error:
            raise FileExistsError(
                f"{error}. The file is left as it is: move it away, put a copy back, or pass "
                "another output="
            ) from error
        if step == 0:
            self._set_aside(records)
            return []
        kept = [record for record in records if record.step <= step]
        now = {name: value for name, value in settings.items() if name not in _ONLY_NAMES}
        for record in kept:
            before = {name: record.settings.get(name) for name in now}
            refuse_other(
                self.path, before, now, holds=f"measurements (step {record.step})",
                remedy="measure as before, or pass another output=",
            )  # fmt: skip
        if truncated or len(kept) < len(records):
            with replace_atomically(self.path) as file:
                file.writelines(map(_line, kept))
            if truncated:
                logger.info("%s: removed a half-written last line", self.path)
            if len(kept) < len(records):
                logger.info(
                    "%s: training goes on at step %d; later records dropped", self.path, step
                )
        return kept

    def append(self, record: OverlapRecord) -> None:
        """Add one line and wait until it is on disk.

        Raises
        ------
        OSError
            It cannot be written; the file is as it was before.
        """
        line = _line(record)
        with open(self.path, "ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                written = file.write(line)
                if written != len(line):
                    raise OSError(f"{self.path}: only {written} of {len(line)} bytes were written")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise

    def _set_aside(self, records: list[OverlapRecord]) -> None:
        """Make way for new training; measurements of an earlier one are renamed, not lost."""
        if all(record.step == 0 for record in records):  # before any training: made again at once
            self.path.unlink()
            return
        number = 1
        while (aside := self.path.with_name(f"{self.path.stem}.{number}.jsonl")).exists():
            number += 1
        os.replace(self.path, aside)
        logger.warning(
            "%s held the measurements of an earlier training: they are now in %s",
            self.path, aside.name,
        )  # fmt: skip


def _line(record: OverlapRecord) -> bytes:
    return json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _parse(path: Path) -> tuple[list[OverlapRecord], bool]:
    """The records of a file, and whether its last line is truncated."""
    lines = path.read_bytes().split(b"\n")
    tail = lines.pop()  # what follows the last line feed: nothing, unless the write was cut off
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(OverlapRecord.from_dict(json.loads(line)))
            if len(records) > 1 and records[-1].step < records[-2].step:
                raise ValueError(f"step {records[-1].step} after step {records[-2].step}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path}, line {number} is no overlap record ({error or type(error).__name__})"
            ) from error
    start = _START.encode()
    if tail and not records and not (tail.startswith(start) or start.startswith(tail)):
        raise ValueError(f"{path}, line 1 is no overlap record")
    return records, bool(tail)
