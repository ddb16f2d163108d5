"""What somebody pinned and grouped on the page of a graph, from the file that the page saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ilo_fast._util.checks import share
from ilo_fast._util.messages import elide
from ilo_fast._util.schema import (
    check_schema,
    damage_refused,
    list_of,
    object_of,
    read_result,
    text_of,
)
from ilo_fast.transcoders.attribution.data import KINDS, GraphData
from ilo_fast.transcoders.features.notes import Supernode
from ilo_fast.transcoders.viewer.graph_record import shown_label

STATE_FILE: Final = "graph-state.json"
_KIND: Final = "ilo_fast.graph_state"
_VERSION: Final = 1
_FIX: Final = "save it on the page again"


@dataclass(frozen=True)
class PageState:
    """What was pinned, grouped and set on a page.

    Attributes
    ----------
    pinned : tuple of int
        Indices into the graph's sources; of targets, behind the sources.
    supernodes : tuple of Supernode
        Without targets, which are no sources.
    node_threshold, edge_threshold : float
    missing : int
        How many nodes of the file the graph has not.
    """

    pinned: tuple[int, ...]
    supernodes: tuple[Supernode, ...]
    node_threshold: float
    edge_threshold: float
    missing: int


def read_page_state(source: str | os.PathLike[str], graph: GraphData) -> PageState:
    """Read what the page's button Save wrote: a file, or its text.

    Nodes are found by what they are, so that the graph may have been traced anew.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is something else, damaged, of another version, or of other prompts.
    """

    def build(data: Any) -> PageState:
        check_schema(data, _KIND, _VERSION, _FIX)
        with damage_refused("the state of a page", _FIX):
            return _built(data, graph)

    return read_result(source, STATE_FILE, "the state of a graph's page", build)


def _built(data: Mapping[str, Any], graph: GraphData) -> PageState:
    prompt = shown_label(graph.prompt)
    for one in list_of("graphs", data["graphs"]):
        if object_of("graphs", one)["prompt"] == prompt:
            break
    else:
        raise ValueError(f"graphs are of other prompts, wanted {elide(prompt, 60)!r}")
    index = {name: node for node, name in enumerate(node_ids(graph))}
    missing = 0

    def nodes(name: str, ids: Any) -> tuple[int, ...]:
        nonlocal missing
        wanted = [text_of(name, entry) for entry in list_of(name, ids)]
        found = [index[entry] for entry in wanted if entry in index]
        missing += len(wanted) - len(found)
        return tuple(sorted(set(found)))

    pinned = nodes("pins", one["pins"])
    groups = []
    for group in list_of("supernodes", one["supernodes"]):
        members = nodes("members", object_of("supernodes", group)["members"])
        sources = tuple(node for node in members if node < len(graph.sources))
        name = text_of("name", group["name"])
        if sources:
            groups.append(Supernode(name, sources, group["proposed"] is True))
    thresholds = object_of("thresholds", data["thresholds"])
    return PageState(
        pinned,
        tuple(groups),
        share("nodes", thresholds["nodes"]),
        share("edges", thresholds["edges"]),
        missing,
    )


def node_ids(graph: GraphData) -> list[str]:
    """Names of sources, then of targets, as `nodeId` in ``templates/graph.js`` makes them."""
    sources = graph.sources
    columns = zip(sources.kind, sources.layer, sources.position, sources.feature, strict=True)
    found = [f"{KINDS[kind]}:{layer}:{at}:{number}" for kind, layer, at, number in columns]
    targets = (shown_label(target.label) for target in graph.targets)
    return found + [f"target:{at}:{label}" for at, label in enumerate(targets)]
