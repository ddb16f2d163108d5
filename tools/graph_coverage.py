"""Try attribution_graph() on every text model type that the installed transformers can build.

Each type is built small, with random weights and biases, in float64; the transcoder is random, too,
in the units of the model's MLPs. A graph is right where every row adds up to its value, to 1e-9,
and where doubling each of some features, in the model with all else held, changes every other value
as the edges say.

    python tools/graph_coverage.py --output docs/results/graph_coverage.md
    python tools/graph_coverage.py --types gpt2 llama
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import textwrap
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

sys.path.insert(0, str(Path(__file__).parent))

from architectures.build import UnbuildableError, build_model, text_types  # noqa: E402

TIME_LIMIT = 120.0
EXACT = 1e-9
TOKENS = 8


def try_type(name: str) -> tuple[str, str]:
    """A verdict, and what is to be said of it."""
    import torch

    from ilo_fast.transcoders import attribution_graph, find_sites

    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        model = build_model(name)
    except UnbuildableError as error:
        return ("not built" if error.text else "no text"), str(error)
    except ImportError as error:  # a library that it needs is not installed
        return "no text", " ".join(str(error).split())
    try:
        parts, sites = find_sites(model)
    except ValueError as error:
        return "no sites", str(error)
    if parts.head is None:
        return "no head", "it gives no logits"
    try:
        model.double()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        coder = transcoder_of(model, len(sites), parts.dim)
        ids = torch.randint(10, min(60, parts.vocabulary or 60), (TOKENS,)).tolist()
        graph = attribution_graph(model, coder, ids)
        off = of_changes(model, coder, ids, graph)
    except Exception as error:
        return "refused", f"{type(error).__name__}: {error}"
    note = f"{graph.n_features} features, residual {graph.residual:.0e}, of changes {off:.0e}"
    right = graph.n_features > 0 and graph.residual <= EXACT and off <= EXACT
    return ("right" if right else "wrong"), note


def transcoder_of(model: Any, n_layers: int, dim: int) -> Any:
    """Random, in the units of what the model's MLPs read and add."""
    import torch

    from ilo_fast.transcoders import CrossLayerTranscoder, JumpReLU, ReplacementModel

    coder = CrossLayerTranscoder(n_layers, dim, 40, activation=JumpReLU(), seed=1).double()
    ids = torch.randint(10, 60, (2, TOKENS))
    reading = ReplacementModel(model, coder).read(ids)
    with torch.no_grad():
        coder.log_threshold.fill_(-1.0)
        for scale, vectors in ((coder.input_scale, reading.x), (coder.output_scale, reading.y)):
            length = vectors[:, 1:].norm(dim=-1).mean((0, 1))
            scale.copy_(dim**0.5 / length.clamp(min=1e-9))
    return coder.requires_grad_(False)


def of_changes(model: Any, coder: Any, ids: list[int], graph: Any) -> float:
    """The largest difference of what doubling a feature does and its edges, over the values."""
    import numpy as np
    import torch

    from ilo_fast.transcoders import Intervention, ReplacementModel, intervened

    sources, n = graph.sources, graph.n_features
    layer, place = (torch.from_numpy(of[:n]).long() for of in (sources.layer, sources.position))
    weight = coder.encoder_weight[layer, sources.feature[:n]] * coder.input_scale[layer, None]
    it = ReplacementModel(model, coder)
    row = torch.tensor([ids])

    def values(changes: list[Any]) -> Any:
        with intervened(it, None, changes, frozen="all"):
            reading = it.read(row)
        logits = reading.logits[0, -1]
        chosen = [logits[target.token_id] - logits.mean() for target in graph.targets]
        pre = (weight * reading.x[0, place, layer]).sum(1)
        return torch.cat([pre, torch.stack(chosen)]).detach().numpy()

    base, worst = values([]), 0.0
    for at in np.random.default_rng(0).choice(n, min(4, n), replace=False).tolist():
        change = Intervention(
            int(layer[at]), int(sources.feature[at]), scale=2.0, positions=int(place[at])
        )
        moved = values([change]) - base - graph.adjacency[:, at]
        worst = max(worst, float(np.abs(moved).max() / np.abs(graph.values).max()))
    return worst


def page(found: dict[str, tuple[str, str]]) -> str:
    """The page of the documentation."""
    import torch
    import transformers

    names = defaultdict(list)
    for name, (verdict, _) in found.items():
        names[verdict].append(name)
    lines = [
        "# Attribution graphs of every architecture",
        "",
        *textwrap.wrap(
            f"Every text model type of transformers {transformers.__version__} (torch "
            f"{torch.__version__.split('+')[0]}) that can be built small, with random weights and "
            "biases, in float64, with a random cross-layer transcoder. *Right*: every row of the "
            "graph adds up to its value, to 1e-9, and doubling a feature in the model, with all "
            "else held, changes every other value as the edges say, to 1e-9. Refused ones say "
            "why. Encoders, models without MLPs and post-norm blocks have no sites for a "
            "transcoder.",
            118,
        ),
        "",
        "    python tools/graph_coverage.py --output docs/results/graph_coverage.md",
        "",
        "| right | wrong | refused | no sites | no head |",
        "|---:|---:|---:|---:|---:|",
        "| "
        + " | ".join(
            str(len(names[v])) for v in ("right", "wrong", "refused", "no sites", "no head")
        )
        + " |",
    ]
    for verdict in ("wrong", "refused"):
        if names[verdict]:
            lines += ["", f"## {verdict.capitalize()}", ""]
        of_note = defaultdict(list)
        for name in names[verdict]:
            of_note[found[name][1]].append(f"`{name}`")
        for note, same in of_note.items():
            text = " ".join(f"- {', '.join(same)}: {note}".split())
            lines += textwrap.wrap(text, 118, subsequent_indent="  ", break_long_words=False)
    lines += ["", "## Right", ""]
    lines += textwrap.wrap(", ".join(f"`{n}`" for n in names["right"]), 118)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--types", nargs="*", help="model types; all by default")
    parser.add_argument("--output", type=Path, help="the page, in Markdown")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    options = parser.parse_args()
    names = options.types or text_types()
    for known in ("llama", "gpt2"):
        try_type(known)  # what this imports, the forks have; nothing of it is kept
    found: dict[str, tuple[str, str]] = {}
    with multiprocessing.get_context("fork").Pool(options.jobs, maxtasksperchild=1) as pool:
        waiting = [(name, pool.apply_async(try_type, (name,))) for name in names]
        for name, answer in waiting:
            try:
                found[name] = answer.get(TIME_LIMIT)
            except multiprocessing.TimeoutError:
                found[name] = "not built", f"took more than {TIME_LIMIT:.0f} s, or died"
            print(f"{name:32s} {found[name][0]:9s} {found[name][1][:160]}", flush=True)
    if options.output:
        options.output.write_text(page(found))


if __name__ == "__main__":
    main()
