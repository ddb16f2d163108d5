"""When a training run saves, and how long it took so far."""

from __future__ import annotations

import time
from typing import Final

# Left to itself, a run saves about once so many seconds, in at most this share of its time.
_SAVE_SECONDS: Final = 60.0
_SAVE_SHARE: Final = 0.05


class CheckpointPace:
    """Says when a checkpoint is due.

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

    def is_due(self, step: int) -> bool:
        """Whether to save after a step; saving is to begin now."""
        self._asked = time.perf_counter()
        if self._every is not None:
            return step % self._every == 0
        return self._asked - self._last >= max(_SAVE_SECONDS, self._cost / _SAVE_SHARE)

    def saved(self) -> None:
        """The checkpoint is complete."""
        self._last = time.perf_counter()
        self._cost = self._last - self._asked
