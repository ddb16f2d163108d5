"""The ``ilo-fast`` command: one module per command, each with its flags and what it does.

Nothing heavy is imported until a command runs: ``ilo-fast --help`` knows argparse only.

Exit status: 0 done, 1 error, 2 wrong usage, 3 data or model not accessible, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from ilo_fast._util.versions import __version__
from ilo_fast.cli import (
    doctor,
    extract,
    finetune,
    languages,
    pretrain,
    report,
    run,
    score,
    transfer,
)  # fmt: skip
from ilo_fast.cli.console import ReaderGoneError, logging_to_stderr, noting_interrupts
from ilo_fast.errors import AccessError

EXIT_DONE, EXIT_ERROR, EXIT_USAGE, EXIT_ACCESS, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

# What the library raises on purpose, and the system for reasons of its own.
_EXPECTED = (ValueError, TypeError, OSError, RuntimeError, ArithmeticError, ImportError)

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


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="ilo-fast",
        description="Interlingual Local Overlap of a multilingual language model:\n"
        "how much its layers mix languages, measured exactly.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ilo-fast {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (run, extract, score, report, finetune, transfer, pretrain, languages, doctor):
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (the process's own where None) and return its exit status.

    Wrong usage leaves through :class:`SystemExit` with status 2, as argparse has it.
    """
    args = build_parser().parse_args(argv)
    with logging_to_stderr(verbose=args.verbose, quiet=args.quiet), noting_interrupts() as noted:
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
            return _interrupted(args) if noted() else _failed(error, args)


def _interrupted(args: argparse.Namespace) -> int:
    sys.stderr.write(f"\nilo-fast: interrupted. {args.when_interrupted(args)}\n")
    return EXIT_INTERRUPTED


def _failed(error: Exception, args: argparse.Namespace) -> int:
    """Say in one line what went wrong, and return its exit status."""
    if args.verbose:
        traceback.print_exception(error, file=sys.stderr)
    text = " ".join(str(error).split()) or type(error).__name__
    status = EXIT_ERROR
    if isinstance(error, AccessError):
        status = EXIT_ACCESS
    elif isinstance(error, MemoryError):
        text = f"out of memory ({text}); fewer --layers or --languages need less"
    elif type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported here
        text += " (a smaller --batch-tokens needs less)"
    elif not isinstance(error, _EXPECTED):
        text = (
            f"unexpected {type(error).__name__}: {text}. This is a bug in ilo_fast; -v shows where."
        )
    sys.stderr.write(f"ilo-fast: error: {text}\n")
    return status


def _discard_stdout() -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file of the system, as in tests
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
