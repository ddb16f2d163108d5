"""A graph, or two side by side, as one HTML file that loads nothing from outside itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from ilo_fast._util.messages import elide, plain
from ilo_fast.report.page import environment, flat, in_own_scope, read_template, script_json
from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.features.notes import FeatureNote, Supernode
from ilo_fast.transcoders.viewer.graph_record import graph_record
from ilo_fast.transcoders.viewer.note_record import Notes, note_record

PAGE_BYTES: Final = 18_000_000
"""The most that a page takes: edges and contexts give way."""

_ROOM: Final = "ilo_fast.transcoders.viewer"
_SHELL_BYTES: Final = 200_000  # style, script, texts
_NODE_BYTES: Final = 80
_N_CONTEXTS: Final = (12, 8, 5, 3, 1, 0)
_DATA: Final = '<script id="data" type="application/json"></script>'
# In the order in which the later need the earlier: files of the report's page, then of this one.
_SHARED: Final = ("bytes", "scales", "dom")
_SCRIPTS: Final = (
    "graph", "notes", "scores", "layout", "marks", "plane", "edges", "panel", "groups", "summary",
    "saving", "viewer",
)  # fmt: skip


class ShownGraph(NamedTuple):
    """A graph, what is known of its features by (layer, feature), its supernodes and pins."""

    graph: GraphData
    notes: Mapping[tuple[int, int], FeatureNote] | None = None
    supernodes: Sequence[Supernode] = ()
    pinned: Sequence[int] = ()


def graph_page(
    graph: GraphData,
    *,
    notes: Mapping[tuple[int, int], FeatureNote] | None = None,
    supernodes: Sequence[Supernode] = (),
    pinned: Sequence[int] = (),
    other: ShownGraph | None = None,
    title: str | None = None,
) -> str:
    """One HTML document that shows a graph.

    All text is shown as text, whatever it holds; a content security policy in the page refuses
    every request to elsewhere. It takes less than 20 MB.

    Parameters
    ----------
    graph
    notes : (layer, feature) -> what is known of it
        None: the page says how to get them.
    supernodes
        Of `graph`; proposed ones can be accepted or dropped on the page.
    pinned
        Nodes that are drawn whatever the thresholds: indices of sources; of targets, behind them.
    other
        Another graph beside it, of a translation, say. Features that are active in both are marked.
    title
        None: the prompts.

    Raises
    ------
    ValueError
        The graph has more than 65 535 sources, or it has not what is pinned or in a supernode.
    """
    shown = [ShownGraph(graph, notes, supernodes, pinned), *([other] if other else [])]
    found: dict[tuple[int, int], FeatureNote] = {}
    for one in reversed(shown):
        found |= one.notes or {}
    wanted = sorted({key for one in shown for key in _features(one.graph)})
    noted = _fitting(found, wanted)
    nodes = sum(len(one.graph.sources) + len(one.graph.values) for one in shown)
    left = PAGE_BYTES - len(script_json(noted)) - _SHELL_BYTES - _NODE_BYTES * nodes
    data = {
        "notes": noted if any(one.notes is not None for one in shown) else None,
        "graphs": [
            graph_record(one.graph, one.supernodes, one.pinned, edge_bytes=left / len(shown))
            for one in shown
        ],
    }
    template = environment().from_string(read_template("viewer.html.j2", _ROOM))
    page = template.render(
        title=plain(title or " | ".join(elide(one.graph.prompt, 200) for one in shown)),
        graphs=[_described(one.graph) for one in shown],
        style=Markup(read_template("report.css") + read_template("viewer.css", _ROOM)),
        script=Markup(viewer_script()),
    )
    # What came from outside is escaped, so that no text in the page looks like this element.
    return page.replace(_DATA, _DATA.replace("><", f">{script_json(data)}<"), 1)


def viewer_script() -> str:
    """The page's script, in a scope of its own."""
    shared = [read_template(f"explorer/{name}.js") for name in _SHARED]
    return in_own_scope([*shared, *(read_template(f"{name}.js", _ROOM) for name in _SCRIPTS)])


def _features(graph: GraphData) -> list[tuple[int, int]]:
    layer, feature = graph.sources.layer, graph.sources.feature
    return [(int(layer[i]), int(feature[i])) for i in range(graph.n_features)]


def _fitting(notes: Notes, wanted: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """As many contexts of each feature as a third of the page holds."""
    for n_contexts in _N_CONTEXTS:
        record = note_record(notes, wanted, n_contexts=n_contexts)
        if len(script_json(record)) <= PAGE_BYTES // 3:
            break
    return record


def _described(graph: GraphData) -> dict[str, Any]:
    return {
        "prompt": plain(elide(graph.prompt, 300)),
        "residual": f"{graph.residual:.1e}",
        "n_features": graph.n_features,
        "n_tokens": len(graph.tokens),
        "settings": flat(dict(graph.info)),
    }
