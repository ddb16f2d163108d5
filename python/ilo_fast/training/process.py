"""What training would do to the caller's process, and does not: random states, deadlocks."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from safetensors import SafetensorError

from ilo_fast._util.optional import require


def check_can_train(call: str) -> None:
    """Refuse before any work what cannot end well.

    Raises
    ------
    ImportError
        accelerate is not installed.
    RuntimeError
        torchrun has started several processes, which would wait for each other.
    """
    require("accelerate", "train")
    if os.environ.get("WORLD_SIZE", "1") not in ("", "1"):
        raise RuntimeError(f"{call} runs in one process: start it without torchrun")


@contextlib.contextmanager
def preserve_random_state() -> Iterator[None]:
    """The caller's random states come back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    gpus = range(torch.cuda.device_count()) if cuda_in_use() else ()
    with torch.random.fork_rng(devices=gpus):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            if mps is not None:
                torch.mps.set_rng_state(mps)


def cuda_in_use() -> bool:
    """Whether this process uses a GPU; before, it has no state, and asking would start it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Ctrl-C is noted, so that a step of the work is finished and kept; a second one acts at once.

    Gives a function that tells whether it came; whoever asks raises KeyboardInterrupt.
    """
    came = False
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came and callable(before):
            before(number, frame)
        came = True

    if not callable(before):  # ignored, or not Python's
        yield lambda: False
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)


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
