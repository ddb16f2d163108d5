"""The ``ilo-fast`` command: one module per command, each with its flags and what it does.

Nothing heavy is imported until a command runs: ``ilo-fast --help`` knows argparse only.

Exit status: 0 done, 1 error, 2 wrong usage, 3 data or model not accessible, 130 interrupted.
"""

from __future__ import annotations

import argparse
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
from ilo_fast.cli.failures import explained
from ilo_fast.cli.parser import EXIT_USAGE, Parser, with_joined_lists
from ilo_fast.cli.wording import in_flags

EXIT_DONE, EXIT_INTERRUPTED = 0, 130

_COMMANDS = (
    run, extract, score, compare, report, finetune, transfer, pretrain, clt, tokens, languages,
    cache, doctor, completion,
)  # fmt: skip

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
    # A file of settings has keywords, not flags.
    flags = [] if getattr(args, "config", None) else parser.flags()
    args.began = time.time()

    def reword(text: str) -> str:
        return in_flags(text, flags)

    with (
        logging_to_stderr(verbose=args.verbose, quiet=args.quiet, reword=reword),
        lines_for_bars(not sys.stderr.isatty()),
        noting_interrupts() as noted,
    ):
        args.interrupted = noted
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
    text, status = explained(error, reword)
    if status == EXIT_USAGE:
        complain(args.parser.usage_error(text))
    else:
        complain(f"ilo-fast: error: {text}")
    return status


def _discard_stdout() -> None:
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file of the system, as in tests
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
