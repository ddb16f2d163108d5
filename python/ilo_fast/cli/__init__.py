"""The ``ilo-fast`` command: one module per command, each with its flags and what it does.

Nothing heavy is imported until a command runs: ``ilo-fast --help`` knows argparse only.

Exit status: 0 done, 1 error, 2 wrong usage, 3 data or model not accessible, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence

from ilo_fast._util.progress import lines_for_bars
from ilo_fast._util.versions import __version__
from ilo_fast.cli import (
    cache,
    clt,
    compare,
    completion,
    doctor,
    extract,
    finetune,
    languages,
    pretrain,
    report,
    run,
    score,
    tokens,
    transfer,
)  # fmt: skip
from ilo_fast.cli.console import ReaderGoneError, complain, logging_to_stderr, noting_interrupts
from ilo_fast.cli.parser import EXIT_USAGE, Parser, UsageError, with_joined_lists
from ilo_fast.cli.wording import in_flags
from ilo_fast.errors import AccessError

EXIT_DONE, EXIT_ERROR, EXIT_ACCESS, EXIT_INTERRUPTED = 0, 1, 3, 130

_COMMANDS = (
    run, extract, score, compare, report, finetune, transfer, pretrain, clt, tokens, languages,
    cache, doctor, completion,
)  # fmt: skip

# What the library raises on purpose, and the system for reasons of its own.
_EXPECTED = (ValueError, TypeError, OSError, RuntimeError, ArithmeticError, ImportError, EOFError)
# What readers of files raise that know no better name for damage.
_DAMAGED = ("BadZipFile", "SafetensorError", "error", "RecursionError")

_EPILOG = """\
first steps:
  ilo-fast run                         the demo that ships with the package, offline
  ilo-fast run -m FacebookAI/xlm-roberta-base --corpus flores200 -l paper31
  ilo-fast run -m ./my-model --corpus ./my-texts
                                       one <code>.txt per language; same line, same meaning
  ilo-fast finetune --freeze 0-2       the demo model, fine-tuned on English, watched
  ilo-fast doctor                      what this machine can do

`ilo-fast COMMAND --help` ends with examples.
exit status: 0 done, 1 error, 2 wrong usage, 3 data or model not accessible, 130 interrupted
"""


def build_parser() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="ilo-fast",
        description="Interlingual Local Overlap of a multilingual language model:\n"
        "how much its layers mix languages, measured exactly.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ilo-fast {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (the process's own where None) and return its exit status.

    Wrong usage leaves through :class:`SystemExit` with status 2, as argparse has it.
    """
    words = with_joined_lists(sys.argv[1:] if argv is None else argv)
    args, unknown = build_parser().parse_known_args(words)
    parser: Parser = args.parser
    if unknown:
        parser.refuse_unknown(unknown)
    flags = parser.flags()
    args.began = time.time()

    def reword(text: str) -> str:
        return in_flags(text, flags)

    with (
        logging_to_stderr(verbose=args.verbose, quiet=args.quiet, reword=reword),
        lines_for_bars(not sys.stderr.isatty()),
        noting_interrupts() as noted,
    ):
        try:
            status: int = args.action(args)
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            return _interrupted(args)
        except (ReaderGoneError, BrokenPipeError):
            # `ilo-fast languages | head`: whoever read has what it wanted. Python would complain
            # when it flushes at exit; there is nobody left to complain to.
            _discard_stdout()
            return EXIT_DONE
        except Exception as error:
            # An import that Ctrl-C breaks off may end in any error, as libraries wrap it.
            return _interrupted(args) if noted() else _failed(error, args, reword)


def _interrupted(args: argparse.Namespace) -> int:
    complain(f"\nilo-fast: interrupted. {args.when_interrupted(args)}")
    return EXIT_INTERRUPTED


def _failed(error: Exception, args: argparse.Namespace, reword: Callable[[str], str]) -> int:
    """Say in one line what went wrong, and return its exit status."""
    if args.verbose:
        complain("".join(traceback.format_exception(error)).rstrip())
    text = reword(" ".join(_words(error).split()) or type(error).__name__)
    status = EXIT_ERROR
    if isinstance(error, UsageError):
        complain(args.parser.usage_error(text))
        return EXIT_USAGE
    if isinstance(error, AccessError):
        status = EXIT_ACCESS
    elif isinstance(error, MemoryError):
        text = f"out of memory ({text}); fewer --layers or --languages need less"
    elif type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        text += " (a smaller --batch-tokens needs less)"
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
    complain(f"ilo-fast: error: {text}")
    return status


def _words(error: Exception) -> str:
    """What an error says; of the system's without its number."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        # Libraries that write models and logs know no path, and no remedy.
        return "the disk is full: free some space, or write to another disk"
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        where = f": {error.filename}" if error.filename is not None else ""
        return f"{error.strerror}{where}"
    return str(error)


def _discard_stdout() -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file of the system, as in tests
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
