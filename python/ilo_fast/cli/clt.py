"""``ilo-fast clt``: transcoders, one subcommand per module."""

from __future__ import annotations

import argparse
from typing import Final

from ilo_fast.cli import (
    clt_diff,
    clt_eval,
    clt_graph,
    clt_intervene,
    clt_languages,
    clt_steer,
    clt_train,
    clt_view,
)
from ilo_fast.cli.parser import Commands

_SUBCOMMANDS: Final = (
    clt_train, clt_eval, clt_graph, clt_intervene, clt_view, clt_languages, clt_steer, clt_diff,
)  # fmt: skip


def add_parser(commands: Commands) -> None:
    text = "transcoders: sparse features in place of a model's MLPs"
    parser = commands.add_parser(
        "clt",
        help=text,
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subcommands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for module in _SUBCOMMANDS:
        module.add_parser(subcommands)
