"""A graph for the terminal: what is predicted, how much is explained, the strongest features."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Final

import numpy as np

from ilo_fast._util.messages import elide
from ilo_fast.report.columns import columns, pad
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.features.description import statements
from ilo_fast.transcoders.features.notes import FeatureNote
from ilo_fast.transcoders.prompts import prompt_lines, shown_token

_WIDTH: Final = 96

LEGEND: Final = textwrap.dedent("""\
    replacement: share of the influence on the prediction that starts in tokens, positions or biases
      and not in errors, which are what the transcoder leaves unexplained; 1: no errors
    completeness: share of what enters features and predictions, by influence, that is no error
    published: as other tools compute them, which count tokens and errors themselves as explained
    add up to within: the largest difference of a row's sum and what the model computes, relative
    influence: share of what is predicted that reaches a feature, along all paths; a path may pass
      through many, so that shares add up to more than one""")


def text_report(
    graph: AttributionGraph,
    title: str,
    notes: Mapping[tuple[int, int], FeatureNote] | None = None,
    *,
    features: int = 12,
) -> str:
    """What ``ilo-fast clt graph`` prints of one graph."""
    kept = graph.pruned()
    scores, left = graph.scores, kept.scores
    head = [
        title,
        f"{graph.n_features:,} active features, {len(graph.sources):,} sources; rows add up to "
        f"within {graph.residual:.0e}",
    ]
    nodes = int(kept.sources.sum()) + len(graph.targets)
    table = [
        "            replacement   completeness",
        f"  whole           {scores.replacement:.3f}          {scores.completeness:.3f}",
        f"  pruned          {left.replacement:.3f}          {left.completeness:.3f}   "
        f"({nodes:,} nodes, {int(kept.edges.sum()):,} edges)",
        f"  published       {scores.replacement_published:.3f}          "
        f"{scores.completeness_published:.3f}",
    ]
    targets = ["Predicted"]
    for target in graph.targets:
        chance = "" if target.token_id is None else f"  {target.probability:7.2%}"
        targets.append(f"  {pad(shown_token(target.label), 16)}{chance}")
    blocks = ["\n".join(part) for part in (head, targets, table)]
    return "\n\n".join([blocks[0], prompt_lines(graph.tokens), *blocks[1:],
                        _strongest(graph, notes, features)]) + "\n"  # fmt: skip


def _strongest(
    graph: AttributionGraph, notes: Mapping[tuple[int, int], FeatureNote] | None, n: int
) -> str:
    sources = graph.sources
    order = np.argsort(-graph.influence[: graph.n_features], kind="stable")[:n]
    if not len(order):
        return "No feature is active in this prompt."
    whole = sum(target.probability for target in graph.targets)
    lines = ["Strongest features", "  influence  feature   at"]
    for at in order.tolist():
        key = int(sources.layer[at]), int(sources.feature[at])
        place = int(sources.position[at])
        where = f"{place} {shown_token(graph.tokens[place])}"
        name = pad(f"{key[0]}/{key[1]}", 8)
        text = f"  {graph.influence[at] / whole:9.2%}  {name}  {pad(where, 14)}"
        note = None if notes is None else notes.get(key)
        if note is not None and note.description:
            text += "  " + _short(note.description, max(20, _WIDTH - columns(text) - 2))
        lines.append(text.rstrip())
    if notes is not None:
        lines.append("  Descriptions are proposals, made by rule from where a feature is active.")
    return "\n".join(lines)


def _short(description: str, room: int) -> str:
    """Whole statements, without their support where that has no room."""
    if columns(description) <= room:
        return description
    return elide("; ".join(statements(description)), room)
