"""A graph as nodes and links, pruned, as circuit-tracer and Neuronpedia have them.

Their viewers know features, errors, tokens and logits, and nothing else. What else a graph of ours
has is carried so that they take no harm:

- `rest` of a layer and position is added to the error there: both are what no node explains;
- `position` and `bias` are no nodes and have no links. What they add to every row in all is in
  ``metadata.ilo_fast.rows``, beside the row's value, so that a reader can still add up.

The id of an error is ``{layer}_-1_{position}``. The older ``0_{layer}_{position}`` is also that of
a feature, if it has a small number. ``influence`` is as there: the share of the influence that this
node and those of more of it have, which sliders compare with a threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.versions import __version__
from ilo_fast.transcoders.attribution.data import KINDS, GraphData
from ilo_fast.transcoders.attribution.scores import graph_scores, influence, pruned
from ilo_fast.transcoders.features.notes import FeatureNote, Supernode
from ilo_fast.transcoders.files.graph_file import Notes, check_graph, check_supernodes

FEATURE: Final = "cross layer transcoder"
ERROR: Final = "mlp reconstruction error"
TOKEN: Final = "embedding"
LOGIT: Final = "logit"
EXTENSION: Final = "ilo_fast"  # the key in the metadata
EXTENSION_KIND: Final = "ilo_fast.graph_extension"
EXTENSION_VERSION: Final = 1


def feature_number(layer: int, feature: int) -> int:
    """One number for both, as these files have it (Cantor's)."""
    both = layer + feature
    return both * (both + 1) // 2 + feature


def feature_record(note: FeatureNote, scan: str) -> dict[str, Any]:
    """A feature's file: its contexts by language, and its logits."""
    languages = dict.fromkeys(context.language for context in note.contexts)
    return {
        "transcoder_id": scan,
        "index": feature_number(note.layer, note.feature),
        "examples_quantiles": [
            {
                "quantile_name": language,
                "examples": [
                    {
                        "tokens": list(context.tokens),
                        "tokens_acts_list": list(map(float, context.activations)),
                        "train_token_ind": int(context.peak),
                        "is_repeated_datapoint": False,
                    }
                    for context in note.contexts
                    if context.language == language
                ],
            }
            for language in languages
        ],
        "top_logits": [token for token, _ in note.top_logits],
        "bottom_logits": [token for token, _ in note.bottom_logits],
        "act_min": 0.0,
        "act_max": float(note.max_activation),
        "quantile_values": [],
        "histogram": [],
        "activation_frequency": float(note.density),
    }


@dataclass(frozen=True)
class DrawnGraph:
    """What both formats share, and the notes of the features that are kept."""

    metadata: dict[str, Any]
    record: dict[str, Any]
    notes: list[FeatureNote]


def drawn_graph(
    graph: GraphData,
    node_threshold: float,
    edge_threshold: float,
    notes: Notes,
    supernodes: Sequence[Supernode],
    pinned: Sequence[int],
) -> DrawnGraph:
    """The nodes and links that `pruned` keeps."""
    check_graph(graph)
    check_supernodes([*supernodes, Supernode("pinned", tuple(pinned), False)], len(graph.sources))
    nodes = _Nodes(graph)
    kept = pruned(graph, node_threshold, edge_threshold)
    weights = nodes.summed(graph.adjacency)
    linked = nodes.summed(kept.edges) > 0
    shown = nodes.summed(kept.sources[None])[0] > 0
    cumulative = _cumulative(nodes.summed(influence(graph)[None])[0])
    rows = [*nodes.ids[: graph.n_features], *_target_ids(graph)]
    alive = np.concatenate([shown[: graph.n_features], np.ones(len(graph.targets), bool)])
    at, by = np.nonzero(linked & alive[:, None] & shown)
    links = [
        {"source": nodes.ids[source], "target": rows[row], "weight": float(weights[row, source])}
        for row, source in zip(at.tolist(), by.tolist(), strict=True)
    ]
    records = [
        _node_record(graph, nodes, node, float(cumulative[node]), notes)
        for node in np.flatnonzero(shown).tolist()
    ]
    groups = [
        (s.name, list(dict.fromkeys(i for i in map(nodes.id_of, s.members) if i is not None)))
        for s in supernodes
    ]
    present = {record["node_id"] for record in records}
    groups = [(name, [i for i in ids if i in present]) for name, ids in groups]
    pins = [i for _, ids in groups for i in ids]
    pins += [i for i in map(nodes.id_of, pinned) if i is not None and i in present]
    return DrawnGraph(
        metadata={
            "prompt_tokens": list(graph.tokens),
            "prompt": graph.prompt,
            "node_threshold": node_threshold,
            EXTENSION: _extension(graph, rows, alive),
        },
        record={
            "qParams": {
                "pinnedIds": list(dict.fromkeys(pins)),
                "supernodes": [[name, *ids] for name, ids in groups if ids],
                "linkType": "both",
                "clickedId": "",
                "sg_pos": "",
            },
            "nodes": [*records, *_target_records(graph)],
            "links": links,
        },
        notes=[
            notes[key]
            for key in dict.fromkeys(
                (int(graph.sources.layer[i]), int(graph.sources.feature[i]))
                for i in np.flatnonzero(shown[: graph.n_features])
            )
            if key in notes
        ],
    )


class _Nodes:
    """Features, errors (with `rest`) and tokens of a graph, in this order.

    Attributes
    ----------
    ids : of every node
    sources : of every node, one of its sources
    """

    def __init__(self, graph: GraphData) -> None:
        sources = graph.sources
        found: dict[str, int] = {}
        self._node = np.full(len(sources), -1)
        self.sources: list[int] = []
        for i in range(len(sources)):
            layer, position = int(sources.layer[i]), int(sources.position[i])
            kind = KINDS[sources.kind[i]]
            if kind == "feature":
                name = f"{layer}_{int(sources.feature[i])}_{position}"
            elif kind in ("error", "rest"):
                name = f"{layer}_-1_{position}"
            elif kind == "token":
                name = f"E_{int(graph.token_ids[position])}_{position}"
            else:
                continue
            if name not in found:
                found[name] = len(found)
                self.sources.append(i)
            elif kind not in ("error", "rest"):
                raise ValueError(f"graph: two sources are {name} (layer, feature, position)")
            self._node[i] = found[name]
        self.ids = list(found)

    def summed(self, values: NDArray[Any]) -> NDArray[Any]:
        """(rows, sources) as (rows, nodes): sums of the sources of each."""
        values = values.astype(np.int8) if values.dtype == bool else values
        found = np.zeros((len(values), len(self.ids)), values.dtype)
        there = self._node >= 0
        first = np.zeros(len(there), bool)
        first[self.sources] = True
        found[:, self._node[first]] = values[:, first]
        for i in np.flatnonzero(there & ~first):  # few: only `rest` has company
            found[:, self._node[i]] += values[:, i]
        return found

    def id_of(self, source: int) -> str | None:
        node = int(self._node[source])
        return None if node < 0 else self.ids[node]


def _node_record(
    graph: GraphData, nodes: _Nodes, node: int, cumulative: float, notes: Notes
) -> dict[str, Any]:
    name, source = nodes.ids[node], nodes.sources[node]
    sources = graph.sources
    layer, position = int(sources.layer[source]), int(sources.position[source])
    feature = int(sources.feature[source])
    kind = KINDS[sources.kind[source]]
    record: dict[str, Any] = {"feature": -1, "layer": str(layer), "feature_type": ERROR}
    clerp, activation = "", None
    if kind == "feature":
        record |= {"feature": feature_number(layer, feature), "feature_type": FEATURE}
        activation = float(sources.activation[source])
        if (layer, feature) in notes:
            clerp = notes[layer, feature].description
    elif kind == "token":
        record |= {"feature": position, "layer": "E", "feature_type": TOKEN}
    return _completed(
        name, position, record, clerp=clerp, influence=cumulative, activation=activation
    )


def _completed(name: str, position: int, record: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "node_id": name,
        **record,
        "ctx_idx": position,
        "token_prob": 0.0,
        "is_target_logit": False,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "jsNodeId": name,
        **more,
    }


def _target_ids(graph: GraphData) -> list[str]:
    """A target that is no token has a number below zero, which no token has."""
    last = len(graph.tokens) - 1
    numbers = [-1 - at if t.token_id is None else t.token_id for at, t in enumerate(graph.targets)]
    if len(set(numbers)) < len(numbers):
        raise ValueError("graph: two targets are the same token")
    return [f"{graph.n_layers + 1}_{number}_{last}" for number in numbers]


def _target_records(graph: GraphData) -> list[dict[str, Any]]:
    return [
        _completed(
            name,
            len(graph.tokens) - 1,
            {
                "feature": int(name.split("_")[1]),
                "layer": str(graph.n_layers + 1),
                "feature_type": LOGIT,
            },
            # The form is what viewers take token and probability from.
            clerp=f'Output "{target.label}" (p={target.probability:.3f})',
            influence=None,
            activation=None,
        )
        | {"token_prob": float(target.probability), "is_target_logit": at == 0}
        for at, (name, target) in enumerate(zip(_target_ids(graph), graph.targets, strict=True))
    ]


def _extension(graph: GraphData, rows: Sequence[str], alive: NDArray[np.bool_]) -> dict[str, Any]:
    """What the format has no place for."""
    scores = graph_scores(graph)
    sums = {
        kind: graph.adjacency[:, graph.sources.of_kind(kind)].sum(axis=1, dtype=np.float64)
        for kind in ("position", "bias")
    }
    return {
        "kind": EXTENSION_KIND,
        "schema_version": EXTENSION_VERSION,
        "version": __version__,
        "n_layers": graph.n_layers,
        "skip_positions": int(graph.info.get("skip_positions", 1)),
        "residual": float(graph.residual),
        "replacement": scores.replacement,
        "completeness": scores.completeness,
        "rows": {
            rows[i]: {
                "value": float(graph.values[i]),
                **{kind: float(of[i]) for kind, of in sums.items()},
            }
            for i in np.flatnonzero(alive).tolist()
        },
    }


def _cumulative(reached: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.argsort(-reached, kind="stable")
    found = np.ones(len(reached))
    total = reached.sum()
    if total > 0:
        found[order] = np.minimum(np.cumsum(reached[order]) / total, 1.0)
    return found
