"""What a transcoder's training says on its way: a file of JSON lines, and the usual loggers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ilo_fast._util.files import write_text


class TrainingLog:
    """One JSON object per line, in the order of the steps.

    Parameters
    ----------
    path
        The file; what is in it up to step `done` is kept, and what was logged after it goes.
    """

    def __init__(self, path: Path, done: int) -> None:
        self._path = path
        self.entries = [entry for entry in read_log(path) if entry["step"] <= done]
        write_text(path, "".join(_line(entry) for entry in self.entries))

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append an entry; it has a `step`."""
        self.entries.append(dict(entry))
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(_line(entry))


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log; a last line that was not finished is left out."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
            break
        found.append(entry)
    return found


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"


def reporting_callbacks(names: Sequence[str]) -> list[Any]:
    """What transformers logs with under these names; [] for none, and then it is not asked.

    Raises
    ------
    ValueError
        A name that is not known, or whose package is not installed.
    """
    if not names:
        return []
    from transformers.integrations import (  # type: ignore[attr-defined]
        get_reporting_integration_callbacks,
    )

    known: Any = get_reporting_integration_callbacks
    try:
        found: list[Any] = known(list(names))
    except (ValueError, ImportError) as error:
        raise ValueError(f"report_to={list(names)!r}: {error}") from error
    return found


class Reporters:
    """TensorBoard, Weights & Biases and others, by the callbacks that transformers has for them.

    Parameters
    ----------
    names
        ``"tensorboard"``, ``"wandb"``, ...; as for `reporting_callbacks`.
    folder
        Of the run.
    """

    def __init__(self, names: Sequence[str], folder: Path, steps: int) -> None:
        self._handler: Any = None
        if not names:
            return
        from transformers import TrainerControl, TrainerState, TrainingArguments
        from transformers.trainer_callback import CallbackHandler

        self._arguments = TrainingArguments(
            output_dir=str(folder), max_steps=steps, report_to=list(names), use_cpu=True
        )
        self._state = TrainerState(max_steps=steps)
        self._control = TrainerControl()
        self._handler = CallbackHandler(reporting_callbacks(names), None, None, None, None)  # type: ignore[no-untyped-call]
        self._handler.on_train_begin(self._arguments, self._state, self._control)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Report some numbers at a step."""
        if self._handler is None:
            return
        self._state.global_step = step
        self._handler.on_log(self._arguments, self._state, self._control, dict(numbers))

    def close(self) -> None:
        """Flush and close what the loggers hold open."""
        if self._handler is not None:
            self._handler.on_train_end(self._arguments, self._state, self._control)
