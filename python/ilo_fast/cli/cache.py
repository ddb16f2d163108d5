"""``ilo-fast cache``: what is kept of extractions, and how to be rid of it."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast._util.messages import byte_size, counted, elide, listed, plain
from ilo_fast.cli import flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.parser import Commands, UsageError
from ilo_fast.report.columns import pad

if TYPE_CHECKING:
    from ilo_fast.cache import CacheEntry

logger = logging.getLogger(__name__)

_DAY_S = 86400.0


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "cache",
        "list or clear the representations that are kept",
        run,
        description="List what is kept of extractions, model by model, or clear it. Clearing costs "
        "time to compute it again, and nothing else.",
        examples=(
            "ilo-fast cache list",
            "ilo-fast cache clear --model my-model --older-than-days 30",
            "ilo-fast cache clear",
        ),
        when_interrupted=lambda args: "Run the same command again to clear the rest.",
    )
    parser.add_argument("what", choices=("list", "clear"), metavar="list|clear")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="the cache (default: $ILO_FAST_CACHE, else with "
        "the caches of Hugging Face)",
    )  # fmt: skip
    parser.add_argument("--model", metavar="MODEL", help="clear: only of this model")
    parser.add_argument(
        "--older-than-days", type=float, metavar="N", help="clear: only what was not used since"
    )


def run(args: argparse.Namespace) -> int:
    from ilo_fast.cache import clear, default_cache_dir, list_entries

    folder = args.cache or default_cache_dir()
    if args.what == "clear":
        known = {plain(entry.model) for entry in list_entries(folder)}
        freed = clear(folder, model=args.model, older_than_days=args.older_than_days)
        if args.model is not None and not freed and known:
            logger.warning(
                "nothing of --model %s to clear; the cache holds %s",
                args.model, listed(sorted(known)),
            )  # fmt: skip
        emit(f"{byte_size(freed)} cleared from {folder}\n")
        return 0
    if args.model is not None or args.older_than_days is not None:
        raise UsageError("--model and --older-than-days choose what `cache clear` removes")
    emit(table(list_entries(folder), folder, now=time.time()))
    return 0


def table(entries: list[CacheEntry], folder: Path, *, now: float) -> str:
    """One line for each model and set of options, last used first."""
    total = byte_size(sum(entry.n_bytes for entry in entries))
    if not entries:
        return f"{folder} holds nothing\n"
    rows = [("model", "size", "languages", "sentences", "layers", "pooling", "last used")]
    rows += [
        (
            elide(plain(entry.model), 40),
            byte_size(entry.n_bytes),
            str(len(entry.languages)),
            f"{entry.n_sentences:,}",
            str(len(entry.layers)) if entry.complete else "unfinished",
            entry.pooling,
            _ago(now - entry.last_used),
        )
        for entry in entries
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(map(pad, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, "", f"{total} in {folder}"]) + "\n"


def _ago(seconds: float) -> str:
    if seconds < _DAY_S:
        return "today" if seconds < _DAY_S / 2 else "a day ago"
    return f"{counted(round(seconds / _DAY_S), 'day')} ago"
