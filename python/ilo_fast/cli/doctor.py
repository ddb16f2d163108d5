"""``ilo-fast doctor``: what this machine and this installation can do."""

from __future__ import annotations

import argparse
import json

from ilo_fast.cli import flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.parser import Commands


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "doctor",
        "tell what this machine and this installation can do",
        run,
        description="Tell instruction sets, threads, GPUs, versions of libraries, the embedded "
        "model and corpus, the cache, and access to the Hugging Face Hub. Uses no network unless "
        "asked to. Ends with status 1 where something that `run` needs is broken.",
        examples=(
            "ilo-fast doctor",
            "ilo-fast doctor --json",
            "ilo-fast doctor --online",
        ),
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--online", action="store_true", help="also ask the Hub whether it answers, and who you are"
    )


def run(args: argparse.Namespace) -> int:
    from ilo_fast.doctor import diagnose, text

    findings = diagnose(online=args.online)
    if args.json:
        emit(json.dumps([f.to_dict() for f in findings], indent=2, ensure_ascii=False) + "\n")
    else:
        emit(text(findings))
    return 1 if any(finding.status == "broken" for finding in findings) else 0
