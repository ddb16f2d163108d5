"""What every ``Trainer`` here does differently: checkpoints, a bar, silence, errors that help."""

from __future__ import annotations

import contextlib
import random
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback
from transformers.utils import logging as transformers_logging

from ilo_fast.training.run_folder import mark_complete

# Left to itself, a run saves about once so many seconds, in at most this share of its time.
_SAVE_SECONDS = 60.0
_SAVE_SHARE = 0.05


class Checkpoints(TrainerCallback):
    """Asks for checkpoints and marks those that are complete; asks for a last evaluation.

    Parameters
    ----------
    every
        Steps; None: about once a minute, and never for more than a twentieth of the time.
    spent
        Seconds that the run took before it was resumed.
    """

    def __init__(self, every: int | None, spent: float) -> None:
        self._every = every
        self._spent = spent
        self._began = self._last = self._asked = time.perf_counter()
        self._cost = 0.0

    @property
    def seconds(self) -> float:
        """Of the whole run, this part included."""
        return self._spent + time.perf_counter() - self._began

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> Any:
        if state.global_step >= state.max_steps:
            # What comes next is the result itself; and a Trainer that resumes from its last step
            # in the midst of an epoch would take one more.
            control.should_save = False
            # The result is evaluated whatever the interval: only newer versions see to that.
            control.should_evaluate |= args.eval_strategy == "steps"
        elif self._is_due(state.global_step):
            control.should_save = True
            self._asked = time.perf_counter()
        return control

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        mark_complete(folder, {"step": state.global_step, "seconds": self.seconds})
        self._last = time.perf_counter()
        self._cost = self._last - self._asked  # an evaluation at the same step counts, no harm

    def _is_due(self, step: int) -> bool:
        if self._every is not None:
            return step % self._every == 0
        waited = time.perf_counter() - self._last
        return waited >= max(_SAVE_SECONDS, self._cost / _SAVE_SHARE)


class Bar(ProgressCallback):
    """The Trainer's own bar on standard error; the loss goes into it, nothing to stdout."""

    def __init__(self, description: str) -> None:
        super().__init__()
        self.description = description

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        begin: Any = super().on_train_begin
        begin(args, state, control, **kwargs)
        if self.training_bar is not None:
            self.training_bar.set_description(self.description)
            self.training_bar.update(state.global_step)
            self.current_step = state.global_step

    def on_prediction_step(
        self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **kwargs: Any
    ) -> None:
        pass

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if self.training_bar is not None and logs and "loss" in logs:
            self.training_bar.set_postfix(loss=f"{logs['loss']:.3f}")


def silence(trainer: Trainer) -> None:
    """Take away the Trainer's own voices; both print to standard output."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No remarks of transformers but errors, and no bars of its own; as before afterwards."""
    voice: Any = transformers_logging
    level, bars = voice.get_verbosity(), voice.is_progress_bar_enabled()
    voice.set_verbosity_error()
    voice.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # transformers, torch and accelerate warn of each other's deprecated names.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        voice.set_verbosity(level)
        if bars:
            voice.enable_progress_bar()


@contextlib.contextmanager
def saving_errors(folder: Path) -> Iterator[None]:
    """What safetensors raises where it cannot write (a full disk) becomes an OSError.

    Raises
    ------
    OSError
        Naming the folder.
    """
    try:
        yield
    except SafetensorError as error:
        raise OSError(f"{folder}: weights could not be written or read: {error}") from error


@contextlib.contextmanager
def own_randomness() -> Iterator[None]:
    """The caller's random states come back afterwards: a Trainer seeds the global generators."""
    python, numpy = random.getstate(), np.random.get_state()
    # Where CUDA is not in use yet, there is no state of the caller's.
    gpus = range(torch.cuda.device_count()) if _on_gpu() else ()
    with torch.random.fork_rng(devices=gpus):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _on_gpu() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
