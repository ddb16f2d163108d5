"""``ilo-fast clt graph``: what in a prompt made the model predict what it predicts."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast.cli import flags
from ilo_fast.cli.clt_flags import add_transcoder_flags, opened
from ilo_fast.cli.common import model_output, set_threads
from ilo_fast.cli.console import emit
from ilo_fast.cli.output import RESULTS_FOLDER, folder_name
from ilo_fast.cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from ilo_fast.transcoders.attribution.graph import AttributionGraph
    from ilo_fast.transcoders.attribution.targets import Wanted
    from ilo_fast.transcoders.features.notes import FeatureNote
    from ilo_fast.transcoders.files.opening import Opened

logger = logging.getLogger(__name__)

Notes = dict[tuple[int, int], "FeatureNote"]


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "graph",
        "trace a prompt: which features made the model predict what it predicts",
        run,
        description="Draw the attribution graph of a prompt: which tokens and features made which "
        "features and predictions, by how much. Rows add up, and the residual is printed. Writes "
        "the graph (graph.npz) and a page that shows it (graph.html), both offline.",
        examples=(
            "ilo-fast clt graph",
            'ilo-fast clt graph "He said to them: Go into the" --target " city" " house"',
            'ilo-fast clt graph "God is love" --beside "Dios es amor" -o love',
            "ilo-fast clt graph --transcoder results/mine --text ./texts",
        ),
    )
    parser.add_argument(
        "prompt", nargs="?", metavar="PROMPT", help="text (default: a built-in English one)"
    )
    group = parser.add_argument_group("graph")
    group.add_argument(
        "--beside", metavar="PROMPT",
        help="another prompt (a translation, say), traced and shown beside it",
    )  # fmt: skip
    group.add_argument(
        "--target", nargs="+", metavar="TOKEN", dest="targets",
        help="tokens to explain, with the space that goes before a word (default: the most "
        "probable ones that together have --probability, at most ten)",
    )  # fmt: skip
    group.add_argument(
        "--minus", metavar="TOKEN", help="explain by how much one --target is preferred to this"
    )
    group.add_argument(
        "--probability", type=float, default=0.95, metavar="P", help="(default: 0.95)"
    )
    group.add_argument(
        "--max-features", type=flags.positive_int, default=8192, metavar="N",
        help="of more active ones those of the largest influence are nodes (default: 8192)",
    )  # fmt: skip
    group = parser.add_argument_group("what features are")
    group.add_argument(
        "--text", type=Path, nargs="+", metavar="DIR|FILE",
        help="where features are looked up, as for `clt train` (default: the text of the training)",
    )  # fmt: skip
    flags.add_language_flags(group, "the text")
    group.add_argument("--language", metavar="CODE", help="that of one plain text file")
    group.add_argument(
        "--windows", type=flags.positive_int, default=155, metavar="N",
        help="of text, at most so many, in equal shares of the languages (default: 155)",
    )  # fmt: skip
    group.add_argument(
        "--no-contexts", action="store_true", help="do not look features up: faster, no text needed"
    )
    add_transcoder_flags(
        parser,
        dtype="that of the training's weights, but for graphs float64: in float32 they take half "
        "the memory and time, and rows add up to some 1e-4, not 1e-9",
    )
    flags.add_thread_flag(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", type=Path, metavar="OUT",
        help="folder (default: ilo_fast_results/graph__TRANSCODER); what it holds of an earlier "
        "graph is replaced",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    if args.minus is not None and (args.targets is None or len(args.targets) != 1):
        raise UsageError("--minus names what one --target is compared with: give one --target")
    from ilo_fast._util.files import write_text
    from ilo_fast._util.folders import made_folder
    from ilo_fast.transcoders.attribution.tables import LEGEND, text_report
    from ilo_fast.transcoders.features.supernodes import propose_supernodes
    from ilo_fast.transcoders.files.opening import transcoder_name
    from ilo_fast.transcoders.viewer.page import ShownGraph, graph_page

    set_threads(args)
    with model_output(args.quiet):
        it = opened(args)
        graphs = _traced(args, it)
        notes = None if args.no_contexts else _notes(args, it, graphs)
    shown = [
        ShownGraph(graph, notes, propose_supernodes(graph, notes, kept=graph.pruned().sources))
        for graph in graphs
    ]
    name = transcoder_name(args.transcoder)
    folder = args.output or RESULTS_FOLDER / folder_name("graph", name)
    files = [folder / f"{stem}.npz" for stem in ("graph", "beside")[: len(graphs)]]
    page = folder / "graph.html"
    first, *rest = shown
    with made_folder(folder, "-o"):
        for graph, file, one in zip(graphs, files, shown, strict=True):
            graph.to_file(file, notes=_own(graph, notes), supernodes=one.supernodes)
        write_text(
            page,
            graph_page(
                first.graph,
                notes=notes,
                supernodes=first.supernodes,
                other=rest[0] if rest else None,
            ),
        )
    kind = "cross-layer" if it.transcoder.cross_layer else "per-layer"
    title = f"{it.name} · {kind} transcoder {name}"
    if args.json:
        found = {"model": it.name, "transcoder": str(it.place.resolve()), "page": str(page)}
        emit(json.dumps(found | {"graphs": [g.summary() for g in graphs]}, indent=1) + "\n")
        return 0
    for graph in graphs:
        emit(text_report(graph, title, notes) + "\n")
    emit(LEGEND + "\n\n")
    emit("".join(f"{path}\n" for path in (*files, page)))
    emit(f"Open {page} in a browser\n{_next_step(args, graphs[0])}")
    return 0


def _traced(args: argparse.Namespace, it: Opened) -> list[AttributionGraph]:
    import torch

    from ilo_fast.transcoders.attribution.attribute import attribution_graphs
    from ilo_fast.transcoders.attribution.targets import Difference
    from ilo_fast.transcoders.prompts import DEMO_PROMPT

    prompt = DEMO_PROMPT if args.prompt is None else args.prompt
    targets: Wanted = args.targets
    if args.minus is not None:
        targets = Difference(args.targets[0], args.minus)
    return attribution_graphs(
        it.model,
        it.transcoder,
        [prompt] if args.beside is None else [prompt, args.beside],
        tokenizer=it.tokenizer,
        targets=targets,
        probability=args.probability,
        max_features=args.max_features,
        dtype=torch.float64 if args.dtype in (None, "float64") else torch.float32,
        progress=not args.quiet,
    )


def _notes(args: argparse.Namespace, it: Opened, graphs: list[AttributionGraph]) -> Notes | None:
    """What is known of the graphs' features, if there is text to look them up in."""
    from ilo_fast.corpora.parallel import ParallelCorpus
    from ilo_fast.transcoders.features.noting import feature_notes
    from ilo_fast.transcoders.files.folder import is_demo
    from ilo_fast.transcoders.files.opening import training_texts

    wanted = {key for graph in graphs for key in graph.features()}
    if not wanted:
        return None
    text: Any = args.text
    languages = args.languages
    if text is None and is_demo(args.transcoder):
        text, languages = ParallelCorpus.demo().sentences, languages or it.setting.info.languages
    elif text is not None and len(text) == 1:
        text = text[0]
    try:
        texts = training_texts(it.setting, text, languages, args.language, args.allow_unknown)
    except ValueError as error:
        if args.text is not None:
            raise
        logger.warning("features are not looked up: %s", error)
        return None
    return feature_notes(
        it.model,
        it.transcoder,
        texts,
        tokenizer=it.tokenizer,
        features=wanted,
        max_windows=max(args.windows, len(texts)),
        progress=not args.quiet,
    )


def _next_step(args: argparse.Namespace, graph: AttributionGraph) -> str:
    """The command that switches the strongest feature off."""
    if not graph.n_features:
        return ""
    at = int(graph.influence[: graph.n_features].argmax())
    words = ["ilo-fast", "clt", "intervene"]
    if args.prompt is not None:
        words.append(args.prompt)
    if str(args.transcoder) != "demo":
        words += ["--transcoder", str(args.transcoder)]
    if args.model is not None:
        words += ["--model", str(args.model)]
    words += ["--feature", f"{graph.sources.layer[at]}/{graph.sources.feature[at]}=0"]
    return f"`{shlex.join(words)}` switches the strongest feature off\n"


def _own(graph: AttributionGraph, notes: Notes | None) -> Notes | None:
    if notes is None:
        return None
    return {key: notes[key] for key in graph.features() if key in notes}
