"""What went wrong, in one line for people, and the exit status that says so."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

from ilo_fast._util.optional import missing_package
from ilo_fast.cli.parser import EXIT_USAGE, UsageError
from ilo_fast.errors import AccessError

EXIT_ERROR, EXIT_ACCESS = 1, 3

# What the library raises on purpose, and the system for reasons of its own.
_EXPECTED = (ValueError, TypeError, OSError, RuntimeError, ArithmeticError, ImportError, EOFError)
# What readers of files raise that know no better name for damage.
_DAMAGED = ("BadZipFile", "SafetensorError", "error", "RecursionError")


def explained(error: Exception, reword: Callable[[str], str]) -> tuple[str, int]:
    """What an error says, with a remedy where one is known, and its exit status.

    ``reword`` puts the library's words into those of the command.
    """
    text = reword(" ".join(_words(error).split()) or type(error).__name__)
    if isinstance(error, UsageError):
        return text, EXIT_USAGE
    status = EXIT_ACCESS if isinstance(error, AccessError) else EXIT_ERROR
    if isinstance(error, MemoryError):
        text = f"out of memory ({text}); fewer --layers or --languages need less"
    elif type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        text += " (a smaller --batch-tokens needs less)"
    elif (package := missing_package(error)) is not None:
        text = f"this needs {package}: pip install {package}"
    elif type(error).__name__ == "UnpicklingError":
        # torch's own words advise to run whatever the file holds.
        text = (
            "the weights are a pickle that is damaged or holds more than tensors, which is never "
            "run: save them as safetensors where you trust them"
        )
    elif type(error).__name__ in _DAMAGED:
        text = f"a file is damaged or not what its name says ({type(error).__name__}: {text})"
    # Libraries written in Rust raise plain Exceptions.
    elif not isinstance(error, _EXPECTED) and type(error) is not Exception:
        text = (
            f"unexpected {type(error).__name__}: {text}. This is a bug in ilo_fast; -v shows where."
        )
    if sys.flags.optimize > 1 and "docstring" in text:
        text += " (transformers reads docstrings, which PYTHONOPTIMIZE=2 removes: unset it)"
    return text, status


def _words(error: Exception) -> str:
    """What an error says; of the system's without its number."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        # Libraries that write models and logs know no path, and no remedy.
        return "the disk is full: free some space, or write to another disk"
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        where = f": {error.filename}" if error.filename is not None else ""
        return f"{error.strerror}{where}"
    return str(error)
