"""Writing to people: results on stdout, everything else on stderr."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ilo_fast._util.messages import printable


class ReaderGoneError(Exception):
    """Who read our stdout has closed it."""


def emit(text: str) -> None:
    """Write a result to stdout; letters that its encoding lacks become question marks."""
    stream = sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(printable(text).encode(encoding, errors="replace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None


def complain(text: str) -> None:
    """Write what went wrong to stderr."""
    sys.stderr.write(printable(text) + "\n")


@contextmanager
def logging_to_stderr(
    *, verbose: bool, quiet: bool, reword: Callable[[str], str]
) -> Iterator[None]:
    """Show what the library logs on stderr while the command runs: ``warning: ...``.

    ``reword`` puts the library's words into those of the command.
    """
    logger = logging.getLogger("ilo_fast")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain(reword))
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
    def __init__(self, reword: Callable[[str], str]) -> None:
        super().__init__()
        self._reword = reword

    def format(self, record: logging.LogRecord) -> str:
        text = printable(self._reword(super().format(record)))
        return text if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {text}"
