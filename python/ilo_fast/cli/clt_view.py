"""``ilo-fast clt view``: the page of a graph, or of two side by side, from their files."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ilo_fast._util.messages import counted
from ilo_fast.cli import flags
from ilo_fast.cli.console import emit
from ilo_fast.cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from ilo_fast.transcoders.viewer.page import ShownGraph

logger = logging.getLogger(__name__)


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "view",
        "the page of a graph, or of two side by side, from their files",
        run,
        description="Write the page that shows an attribution graph: one HTML file that needs no "
        "network. Of two graphs (a sentence and its translation, say) features that are active in "
        "both are marked.",
        examples=(
            "ilo-fast clt view english.npz",
            "ilo-fast clt view english.npz german.npz -o both.html",
            'ilo-fast clt view english.npz --title "What comes after Sunday"',
        ),
    )
    parser.add_argument(
        "graph", type=Path, metavar="GRAPH",
        help="file of a graph (.npz), or a graph of circuit-tracer (.json)",
    )  # fmt: skip
    parser.add_argument(
        "other", type=Path, nargs="?", metavar="OTHER", help="another, to stand beside it"
    )
    parser.add_argument(
        "--state", type=Path, metavar="FILE",
        help="pins and supernodes that the button Save of a page wrote, in place of the graph's",
    )  # fmt: skip
    parser.add_argument("--title", metavar="TEXT", help="of the page (default: the prompts)")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PAGE",
        help="the page (default: GRAPH with .html for its ending); it is replaced",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from ilo_fast._util.files import write_text
    from ilo_fast._util.folders import made_folder
    from ilo_fast.transcoders.viewer.page import graph_page

    output = args.output or args.graph.with_suffix(".html")
    for path in filter(None, (args.graph, args.other, args.state)):
        if output.exists() and path.exists() and output.samefile(path):
            raise UsageError(f"-o {output} is {path}, which would be lost: name another page")
    paths = [path for path in (args.graph, args.other) if path is not None]
    first, *rest = (_shown(path, args.state) for path in paths)
    page = graph_page(
        first.graph,
        notes=first.notes,
        supernodes=first.supernodes,
        pinned=first.pinned,
        other=rest[0] if rest else None,
        title=args.title,
    )
    with made_folder(output.parent, "-o"):
        write_text(output, page)
    emit(f"{output}\n")
    return 0


def _shown(path: Path, state: Path | None) -> ShownGraph:
    from ilo_fast.transcoders.files.graph_file import load_graph
    from ilo_fast.transcoders.files.graph_import import import_circuit_tracer_graph
    from ilo_fast.transcoders.viewer.page import ShownGraph
    from ilo_fast.transcoders.viewer.page_state import read_page_state

    saved = (import_circuit_tracer_graph if path.suffix == ".json" else load_graph)(path)
    notes = saved.notes or None
    if state is None:
        return ShownGraph(saved.graph, notes, saved.supernodes)
    found = read_page_state(state, saved.graph)
    if found.missing:
        logger.warning("--state %s: the graph has not %s", state, counted(found.missing, "node"))
    return ShownGraph(saved.graph, notes, found.supernodes, found.pinned)
