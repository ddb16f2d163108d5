"""How far work has come: a bar on standard error, or a line in the log now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

logger = logging.getLogger(__name__)

_EVERY_S: Final = 30.0  # between two lines
_FORMAT: Final = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"

_lines = False


@contextmanager
def lines_for_bars(wanted: bool) -> Iterator[None]:
    """Within the block, log lines where a bar was asked for: a bar would fill a log file."""
    global _lines
    before, _lines = _lines, wanted
    try:
        yield
    finally:
        _lines = before


@contextmanager
def share_bar(show: bool, description: str) -> Iterator[Callable[[float], None] | None]:
    """A callable that takes the finished share (0 to 1); None where `show` is False."""
    if not show:
        yield None
        return
    # Short work shows no bar: it would only flicker.
    with _shown(description, 1.0, delay=1.0) as bar:

        def update(share: float) -> None:
            bar.update(share - bar.n)  # may go back: the total is an estimate

        yield update
        update(1.0)


class CostBar:
    """Work of items that cost differently: the time left follows the cost, not their number."""

    def __init__(self, bar: Any, description: str, items: int, unit: str) -> None:
        self._bar = bar
        self._words = description, items, unit
        self._done = 0

    def advance(self, cost: float, items: int, *, free: bool = False) -> None:
        """So much is finished; `free`: it took no time, as it was there already."""
        self._done += items
        if self._bar is None:
            return
        if free:
            self._bar.initial += cost
        description, total, unit = self._words
        self._bar.set_description_str(f"{description} {self._done}/{total} {unit}s", refresh=False)
        self._bar.update(cost)


@contextmanager
def cost_bar(
    show: bool, description: str, *, cost: float, items: int, unit: str
) -> Iterator[CostBar]:
    """A bar for `items` of `cost` together; where `show` is False, one that shows nothing."""
    if not show:
        yield CostBar(None, description, items, unit)
        return
    with _shown(description, cost) as bar:
        yield CostBar(bar, description, items, unit)


@contextmanager
def _shown(description: str, total: float, *, delay: float = 0.0) -> Iterator[Any]:
    # Graphs and scores of arrays do without tqdm.
    if _lines or find_spec("tqdm") is None:
        yield _Lines(description, total)
        return
    from tqdm.auto import tqdm

    # Without smoothing the time left follows the mean speed so far: it does not jump with every
    # batch, and is right where the cost is.
    with tqdm(
        total=total, desc=description, delay=delay, smoothing=0, bar_format=_FORMAT,
        dynamic_ncols=True,
    ) as bar:  # fmt: skip
        yield bar


class _Lines:
    """What is used of a tqdm bar, as lines in the log."""

    def __init__(self, description: str, total: float) -> None:
        self.n = self.initial = 0.0
        self._description = description
        self._total = total
        self._began = self._said = time.monotonic()

    def set_description_str(self, description: str, refresh: bool = True) -> None:
        self._description = description

    def update(self, cost: float) -> None:
        self.n += cost
        now = time.monotonic()
        worked = self.n - self.initial
        if now - self._said < _EVERY_S or worked <= 0 or self.n >= self._total:
            return
        self._said = now
        left = (now - self._began) * (self._total - self.n) / worked
        logger.info(
            "%s: %.0f %%, about %.0f s left", self._description, 100 * self.n / self._total, left
        )
