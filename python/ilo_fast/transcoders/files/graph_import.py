"""Graphs that circuit-tracer, Neuronpedia or our exporters wrote as JSON."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import real_number, share, whole_number
from ilo_fast._util.memory import available_memory
from ilo_fast._util.messages import byte_size, listed
from ilo_fast._util.schema import (
    check_schema,
    damage_refused,
    list_of,
    object_of,
    read_result,
    text_of,
)
from ilo_fast.transcoders.attribution.data import KINDS, GraphData, Sources, Target
from ilo_fast.transcoders.features.notes import Supernode
from ilo_fast.transcoders.files.graph_file import SavedGraph, check_graph
from ilo_fast.transcoders.files.graph_json import (
    ERROR,
    EXTENSION,
    EXTENSION_KIND,
    EXTENSION_VERSION,
    FEATURE,
    LOGIT,
    TOKEN,
)

_FIX: Final = "export the graph again"
_NODE_TYPES: Final = {
    FEATURE: "feature",
    "unexplored node": "feature",
    ERROR: "error",
    TOKEN: "token",
}
_ID: Final = re.compile(r"(E|\d+)_(-?\d+)_(\d+)")
_LABEL: Final = re.compile(r'Output "(.*)" \(p=[0-9.e+-]+\)', re.DOTALL)
_MOST: Final = 2**24  # tokens and layers: what no graph has


class _Node(NamedTuple):
    id: str
    kind: str  # one of KINDS, or LOGIT
    layer: int
    position: int
    number: int  # of the feature in its layer, or of the token
    activation: float
    record: Mapping[str, Any]


def import_circuit_tracer_graph(path: str | os.PathLike[str]) -> SavedGraph:
    """Read the JSON of a graph: only what it holds, which is pruned.

    Of files that ours did not write, a feature's value is its activation; that of a logit is not
    in them, and is the sum of its links. Edges that were pruned away, positions and biases are
    missing, so that rows do not sum to their values; `info` says so, under ``"imported"``.

    Returns
    -------
    SavedGraph
        Without notes.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is something else or damaged; two nodes have one id (circuit-tracer named errors like
        features of the first layer); or it has nodes of types that we do not know.
    """

    def build(data: Any) -> SavedGraph:
        with damage_refused("the graph", _FIX):
            return _built(object_of("the file", data))

    return read_result(path, "graph.json", "an attribution graph", build)


def _built(data: Mapping[str, Any]) -> SavedGraph:
    missing = [name for name in ("metadata", "nodes", "links") if name not in data]
    if missing:
        raise ValueError(f"there is no {listed(missing)}: it is no graph of circuit-tracer")
    metadata = object_of("metadata", data["metadata"])
    extension = _extension(metadata)
    tokens = [
        text_of("prompt_tokens", t) for t in list_of("prompt_tokens", metadata["prompt_tokens"])
    ]
    nodes = [_parsed(node, len(tokens)) for node in list_of("nodes", data["nodes"])]
    _check_ids([node.id for node in nodes])
    sources = [node for kind in KINDS for node in nodes if node.kind == kind]
    logits = [node for node in nodes if node.kind == LOGIT]
    rows = [*(node for node in sources if node.kind == "feature"), *logits]
    if not logits:
        raise ValueError("it has no logit: nothing that it explains")
    column_of = {node.id: column for column, node in enumerate(sources)}
    row_of = {node.id: row for row, node in enumerate(rows)}
    adjacency = _adjacency(data["links"], row_of, column_of)
    _check_order(adjacency, rows, sources)
    token_ids = np.full(len(tokens), -1, np.int64)
    for node in sources:
        if node.kind == "token":
            token_ids[node.position] = node.number
    graph = GraphData(
        prompt=text_of("prompt", metadata["prompt"]),
        tokens=tuple(tokens),
        token_ids=token_ids,
        sources=Sources(
            kind=np.array([KINDS.index(node.kind) for node in sources], np.int8),
            layer=np.array([node.layer for node in sources], np.int32),
            position=np.array([node.position for node in sources], np.int32),
            feature=np.array(
                [node.number if node.kind == "feature" else -1 for node in sources], np.int32
            ),
            activation=np.array([node.activation for node in sources], np.float64),
        ),
        targets=tuple(_target(node) for node in logits),
        adjacency=adjacency,
        values=_values(rows, adjacency.sum(axis=1), extension),
        info=_info(metadata, extension, sources, logits),
    )
    check_graph(graph)
    groups = object_of("qParams", data.get("qParams", {})).get("supernodes", [])
    supernodes = tuple(_supernode(group, column_of) for group in list_of("supernodes", groups))
    return SavedGraph(graph, {}, supernodes)


def _check_ids(ids: Sequence[str]) -> None:
    twice = [name for name, times in Counter(ids).items() if times > 1]
    if twice:
        raise ValueError(
            f"node_id {listed(twice)} is that of two nodes, so that links cannot be told apart: "
            "circuit-tracer up to 0.4 named errors like features; export it with a newer one"
        )


def _values(
    rows: Sequence[_Node], sums: NDArray[np.float64], extension: Mapping[str, Any]
) -> NDArray[np.float64]:
    """What we wrote; else of a feature its activation, of a logit the sum of its links."""
    written = object_of("rows", extension.get("rows", {}))
    values = sums.copy()
    for row, node in enumerate(rows):
        if node.id in written:
            values[row] = real_number("value", object_of("rows", written[node.id])["value"])
        elif node.kind == "feature" and math.isfinite(node.activation):
            values[row] = node.activation
    return values


def _info(
    metadata: Mapping[str, Any],
    extension: Mapping[str, Any],
    sources: Sequence[_Node],
    logits: Sequence[_Node],
) -> dict[str, Any]:
    if extension:
        n_layers = whole_number("n_layers", extension["n_layers"], most=_MOST)
        skip = whole_number("skip_positions", extension["skip_positions"], least=0)
    else:  # circuit-tracer puts logits one layer further up than they are
        deepest = max((node.layer for node in sources), default=-1) + 1
        n_layers = max(min(node.layer for node in logits) - 1, deepest, 1)
        skip = 1
    return {
        "model": text_of("scan", metadata["scan"]),
        "n_layers": n_layers,
        "skip_positions": skip,
        "imported": {
            "slug": text_of("slug", metadata["slug"]),
            "pruned": True,
            "values": "of the model" if extension else "activations, and sums of a logit's links",
            "missing": "edges pruned away, positions, biases: rows do not sum to their values",
        },
    }


def _extension(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ours added; empty in the files of others."""
    found = metadata.get(EXTENSION)
    if found is None:
        return {}
    check_schema(found, EXTENSION_KIND, EXTENSION_VERSION, _FIX)
    return object_of(EXTENSION, found)


def _parsed(record: Any, n_tokens: int) -> _Node:
    """What a node is: from its id where that says it, else from its fields."""
    node = object_of("nodes", record)
    name, kind = (text_of(key, node[key]) for key in ("node_id", "feature_type"))
    if kind != LOGIT and kind not in _NODE_TYPES:
        raise ValueError(
            f"node {name!r:.60} is of type {kind!r:.60}, wanted one of "
            f"{', '.join(map(repr, (*_NODE_TYPES, LOGIT)))}"
        )
    found = _NODE_TYPES.get(kind, LOGIT)
    position = whole_number("ctx_idx", node["ctx_idx"], least=0, most=n_tokens - 1)
    layer = -1
    if found != "token":
        layer = whole_number("layer", int(node["layer"]), least=0, most=_MOST)
    match = _ID.fullmatch(name)
    number = int(match[2]) if match else -1
    if found == "feature" and (match is None or match[1] != str(layer)):
        number = _of_number(whole_number("feature", node["feature"], least=0), layer, name)
    if number >= 2**31:
        raise ValueError(f"node {name!r:.60} has a number that is too large")
    activation = node.get("activation")
    return _Node(
        name,
        found,
        layer,
        position,
        number,
        math.nan if activation is None else real_number("activation", activation),
        node,
    )


def _of_number(number: int, layer: int, name: str) -> int:
    """The feature of one number for layer and feature (Cantor's)."""
    both = (math.isqrt(8 * number + 1) - 1) // 2
    feature = number - both * (both + 1) // 2
    if both - feature != layer:
        raise ValueError(f"node {name!r:.60} has feature={number}, which is none of layer {layer}")
    return feature


def _target(node: _Node) -> Target:
    label = text_of("clerp", node.record["clerp"])
    match = _LABEL.fullmatch(label)
    return Target(
        label=match[1] if match else label,
        token_id=None if node.number < 0 else node.number,
        probability=share("token_prob", node.record.get("token_prob", 0.0)),
    )


def _adjacency(
    links: Any, row_of: Mapping[str, int], column_of: Mapping[str, int]
) -> NDArray[np.float64]:
    size, free = len(row_of) * len(column_of) * 8, available_memory()
    if free is not None and size > free:
        raise ValueError(
            f"its {len(row_of)} features and logits take {byte_size(size)}, {byte_size(free)} are "
            "free: export it with lower thresholds"
        )
    found = np.zeros((len(row_of), len(column_of)))
    seen: set[tuple[int, int]] = set()
    for link in list_of("links", links):
        source, target = (text_of(name, link[name]) for name in ("source", "target"))
        if source not in column_of or target not in row_of:
            raise ValueError(
                f"there is a link from {source!r:.60} to {target!r:.60}: wanted one from a "
                "feature, error or token to a feature or logit of the file"
            )
        at = row_of[target], column_of[source]
        if at in seen:
            raise ValueError(f"there are two links from {source!r:.60} to {target!r:.60}")
        seen.add(at)
        found[at] = real_number("weight", link["weight"])
    return found


def _check_order(
    adjacency: NDArray[np.float64], rows: Sequence[_Node], sources: Sequence[_Node]
) -> None:
    """Refuse links that do not go up: influence would go round in circles."""
    layers = np.array([node.layer for node in sources])
    for of, node in zip(adjacency, rows, strict=True):
        if node.kind != "feature":
            continue
        for at in np.flatnonzero((of != 0) & (layers >= node.layer)).tolist():
            raise ValueError(
                f"there is a link from {sources[at].id!r:.60} to {node.id!r:.60}, which is in no "
                "later layer: wanted links that go from earlier layers to later ones"
            )


def _supernode(group: Any, column_of: Mapping[str, int]) -> Supernode:
    """A name, and ids; those of logits are left out, for they are no sources."""
    name, *ids = (text_of("supernodes", entry) for entry in list_of("supernodes", group))
    members: Sequence[int] = [column_of[i] for i in ids if i in column_of]
    return Supernode(name, tuple(members), proposed=False)
