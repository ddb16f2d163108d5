"""Writing to people: results on stdout, everything else on stderr."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class ReaderGoneError(Exception):
    """Who read our stdout has closed it."""


def emit(text: str) -> None:
    """Write a result to stdout; letters that its encoding lacks become question marks."""
    stream = sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, errors="replace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None


@contextmanager
def logging_to_stderr(*, verbose: bool, quiet: bool) -> Iterator[None]:
    """Show what the library logs on stderr while the command runs: ``warning: ...``."""
    logger = logging.getLogger("ilo_fast")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain())
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


@contextmanager
def noting_interrupts() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether Ctrl-C came, even if no KeyboardInterrupt got through."""
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.default_int_handler(number, frame)

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {text}"
