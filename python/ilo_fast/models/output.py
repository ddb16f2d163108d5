"""What transformers prints on its own, hidden for a while."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def hidden_bars(hidden: bool = True) -> Iterator[None]:
    """No bars of transformers and the Hub where `hidden`; as before afterwards."""
    from transformers.utils import logging as transformers_logging

    output: Any = transformers_logging
    hidden = hidden and output.is_progress_bar_enabled()
    if hidden:
        output.disable_progress_bar()
    try:
        yield
    finally:
        if hidden:
            output.enable_progress_bar()


@contextlib.contextmanager
def without_load_report() -> Iterator[None]:
    """No table of the weights that a checkpoint has or lacks: what matters of it is an error."""
    # By a filter: transformers takes a level that somebody set on this logger for a wish to hear of
    # its plans to share layers between devices, and warns of layers that are not shared.
    logger = logging.getLogger("transformers.modeling_utils")
    logger.addFilter(_is_error)
    try:
        yield
    finally:
        logger.removeFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


@contextlib.contextmanager
def suppress_output() -> Iterator[None]:
    """No remarks of transformers but errors, and no bars of its own; as before afterwards."""
    from transformers.utils import logging as transformers_logging

    output: Any = transformers_logging
    level = output.get_verbosity()
    output.set_verbosity_error()
    try:
        with hidden_bars(), warnings.catch_warnings():
            # transformers, torch and accelerate warn of each other's deprecated names.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        output.set_verbosity(level)
