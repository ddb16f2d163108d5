"""The viewer's script without a page, against slow and obvious NumPy."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("jinja2")

from helpers.graphs import random_graph, random_notes
from helpers.javascript import Script

from ilo_fast.transcoders.attribution.data import KINDS, GraphData
from ilo_fast.transcoders.features.notes import Supernode
from ilo_fast.transcoders.viewer.graph_record import graph_record
from ilo_fast.transcoders.viewer.note_record import note_record

OPEN = "const view = { graph: openGraph(record) }; const { graph } = view;"
UNEXPLAINED = (KINDS.index("rest"), KINDS.index("error"))


@pytest.fixture(scope="module")
def script() -> Script:
    files = ("graph", "notes", "scores", "layout", "groups", "summary", "saving")
    return Script("bytes", "scales", viewer=files)


@pytest.fixture(scope="module")
def graph() -> GraphData:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return random_graph(seed, n_layers=4, n_features=50, rest=True)


def _opened(script: Script, graph: GraphData, body: str, **values: Any) -> Any:
    record = graph_record(graph, values.pop("supernodes", ()), edge_bytes=1e7)
    return script(f"(() => {{ {OPEN} {body} }})()", record=record, **values)


def _shares(script: Script, graph: GraphData) -> NDArray[np.float64]:
    """What the page has of the graph: (rows, sources), signed."""
    found = _opened(
        script,
        graph,
        "return [[...graph.row], [...graph.source], [...graph.share]];",
    )
    shares = np.zeros(graph.adjacency.shape)
    shares[found[0], found[1]] = found[2]
    return shares


class _Oracle:
    """Sums over all paths, by powers of a square matrix of nodes: sources, then targets."""

    def __init__(self, graph: GraphData, shares: NDArray[np.float64]) -> None:
        self.n_sources, n_targets = len(graph.sources), len(graph.targets)
        n = self.n_sources + n_targets
        nodes = [*range(graph.n_features), *range(self.n_sources, n)]
        self.paths = np.zeros((n, n))
        self.paths[nodes, : self.n_sources] = np.abs(shares)
        self.start = np.zeros(n)
        self.start[self.n_sources :] = [target.probability for target in graph.targets]
        self.kind = np.append(graph.sources.kind, np.full(n_targets, 6))
        self.rows = np.asarray(nodes)

    def reached(self, paths: NDArray[np.float64]) -> NDArray[np.float64]:
        total, step = self.start.copy(), self.start
        for _ in range(40):
            step = step @ paths
            total += step
        return total

    def fewest(self, scores: NDArray[np.float64], threshold: float) -> set[int]:
        order = np.argsort(-scores, kind="stable")
        sums = np.cumsum(scores[order])
        n = int(np.searchsorted(sums, threshold * sums[-1] * (1 - 1e-12))) + 1
        return {int(i) for i in order[:n]}

    def pruned(self, nodes: float, edges: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        reached = self.reached(self.paths)
        kept = np.isin(self.kind, [3, 4, 5, 6])
        kept[list(self.fewest(reached[: self.n_sources], nodes))] = True
        scores = self.paths * reached[:, None] * kept[:, None] * kept
        chosen = np.zeros(scores.size, bool)
        chosen[list(self.fewest(scores.ravel(), edges))] = True
        return kept, chosen.reshape(scores.shape) & (scores > 0)

    def scores(self, paths: NDArray[np.float64]) -> tuple[float, float]:
        """What no path leads on from any more counts as unexplained."""
        reached = self.reached(paths)
        good = ~np.isin(self.kind, UNEXPLAINED)
        ends = good & (self.kind != 0) & (self.kind != 6)
        weight = reached[self.rows] * (self.paths[self.rows].sum(axis=1) > 0)
        replacement = reached[ends].sum() / self.start.sum()
        completeness = (weight @ paths[self.rows][:, good].sum(axis=1)) / weight.sum()
        return float(replacement), float(completeness)


def test_edges_arrive_as_they_were_packed(script: Script, graph: GraphData) -> None:
    size = np.abs(graph.adjacency)
    wanted = graph.adjacency / np.maximum(size.sum(axis=1, keepdims=True), 1e-300)
    found = _shares(script, graph)
    # A root is off by half of 1 / 32 767, a share by twice that of its root; then rows are scaled.
    bound = 1.1 / 32_767 * np.sqrt(np.abs(wanted)) + 5e-4 * np.abs(wanted) + 1e-9
    assert np.all(np.abs(found - wanted) <= bound)
    assert np.allclose(np.abs(found).sum(axis=1), 1.0, atol=1e-6)
    known = _opened(
        script, graph, "return [[...graph.kind], [...graph.layer], [...graph.position],"
        " [...graph.feature], graph.activation, graph.tokens, [...graph.total]];",
    )  # fmt: skip
    sources, n = graph.sources, len(graph.sources)
    for field, values in zip(("kind", "layer", "position", "feature"), known, strict=False):
        assert values[:n] == getattr(sources, field).tolist()
    assert known[0][n:] == [6] * len(graph.targets)
    at = np.isfinite(sources.activation)
    assert np.allclose(np.asarray(known[4], float)[at], sources.activation[at], rtol=1e-6)
    assert known[5] == list(graph.tokens)
    assert np.allclose(known[6], size.sum(axis=1), rtol=1e-6)


def test_influence_is_the_sum_over_all_paths(script: Script, graph: GraphData) -> None:
    oracle = _Oracle(graph, _shares(script, graph))
    found = _opened(script, graph, "return [...flow(graph, null).reached];")
    wanted = oracle.reached(oracle.paths)[: len(graph.sources)]
    assert np.allclose(found, wanted, rtol=1e-9)
    assert np.count_nonzero(wanted[: graph.n_features]) > 10


@pytest.mark.parametrize("thresholds", [(0.8, 0.98), (0.5, 0.7), (1.0, 1.0), (0.0, 0.0)])
def test_pruning_and_scores_follow_their_definition(
    script: Script, graph: GraphData, thresholds: tuple[float, float]
) -> None:
    oracle = _Oracle(graph, _shares(script, graph))
    nodes, edges, rows, sources, scores, whole = _opened(
        script,
        graph,
        "const kept = prune(graph, flow(graph, null).reached, thresholds[0], thresholds[1]);"
        "const s = (k) => { const x = graphScores(graph, k); return [x.replacement, x.completeness]; };"  # noqa: E501
        "return [[...kept.nodes], [...kept.edges], [...graph.row], [...graph.source],"
        " s(kept), s(null)];",
        thresholds=thresholds,
    )
    kept, wanted = oracle.pruned(*thresholds) if thresholds[0] else (None, None)
    if kept is None or wanted is None:  # as little as can be: what is always kept
        kept = np.isin(oracle.kind, [3, 4, 5, 6])
        wanted = np.zeros_like(oracle.paths, bool)
    assert np.asarray(nodes, bool).tolist() == kept.tolist()
    found = np.zeros_like(wanted)
    found[oracle.rows[rows], sources] = np.asarray(edges, bool)
    assert found.tolist() == wanted.tolist()
    allowed = oracle.paths * wanted
    assert np.allclose(scores, oracle.scores(allowed), rtol=1e-6)
    assert np.allclose(whole, oracle.scores(oracle.paths), rtol=1e-3)


def test_errors_alone_score_nothing_and_tokens_alone_everything(script: Script) -> None:
    for kind, wanted in (("error", 0.0), ("token", 1.0)):
        one = random_graph(3, n_layers=2, n_features=8)
        adjacency = np.where(one.sources.of_kind(kind), one.adjacency + 1.0, 0.0)  # type: ignore[arg-type]
        graph = GraphData(**{**vars(one), "adjacency": adjacency, "values": adjacency.sum(axis=1)})
        found = _opened(script, graph, "const s = graphScores(graph, null); return [s.replacement, s.completeness];")  # fmt: skip  # noqa: E501
        assert found == pytest.approx([wanted, wanted], abs=1e-3)


def test_every_node_lies_in_its_cell_apart_from_others_and_keys_reach_it(
    script: Script, graph: GraphData
) -> None:
    x, y, xs, ys, next_of = _opened(
        script, graph,
        "const shown = Array.from({ length: graph.n }, (_, i) => i), at = layOut(graph, shown, 1.6);"  # noqa: E501
        "const ways = [[1, 0], [-1, 0], [0, 1], [0, -1]];"
        "return [[...at.x], [...at.y], at.xs, at.ys,"
        " shown.map((i) => ways.map(([dx, dy]) => nextNode(at, shown, i, dx, dy, 1.6)))];",
    )  # fmt: skip
    layer = np.append(graph.sources.layer, np.full(len(graph.targets), graph.n_layers)) + 1
    position = np.append(graph.sources.position, np.full(3, len(graph.tokens) - 1)) + 1
    for i, (left, up) in enumerate(zip(x, y, strict=True)):
        assert xs[position[i]] < left < xs[position[i] + 1]
        assert ys[layer[i]] < 1 - up < ys[layer[i] + 1]
    assert len({(round(a, 6), round(b, 6)) for a, b in zip(x, y, strict=True)}) == len(x)
    seen, todo = {len(graph.sources)}, [len(graph.sources)]
    while todo:
        for node in next_of[todo.pop()]:
            if node >= 0 and node not in seen:
                seen.add(node)
                todo.append(node)
    assert len(seen) == len(x)


def test_notes_arrive_as_they_were_packed(script: Script, graph: GraphData) -> None:
    notes = random_notes(graph)
    record = note_record(notes, sorted(notes), n_contexts=4)
    for key in list(notes)[:5]:
        note = notes[key]
        found = script(
            "(() => { const all = openNotes(record), one = all.find(layer, feature);"
            " return [one.description, one.contexts.map((c) => [c.tokens, all.languages[c.language].code,"  # noqa: E501
            " c.peak, [...c.strength]]), one.logits, one.rates, one.maxActivation,"
            " all.find(99, 0), all.languages[all.mainLanguage(layer, feature)].code]; })()",
            record=record, layer=key[0], feature=key[1],
        )  # fmt: skip
        assert found[0] == note.description
        for context, (tokens, language, peak, strength) in zip(
            note.contexts[:4], found[1], strict=True
        ):
            assert (tuple(tokens), language, peak) == (
                context.tokens, context.language, context.peak,
            )  # fmt: skip
            wanted = np.asarray(context.activations) / note.max_activation
            assert np.allclose(strength, wanted, atol=1 / 254)
        assert [pair["token"] for pair in found[2]["top"]] == [t for t, _ in note.top_logits]
        wanted_logits = [value for _, value in note.bottom_logits]
        assert np.allclose([p["value"] for p in found[2]["bottom"]], wanted_logits, atol=1e-3)
        assert np.allclose(found[3], [note.rates[code] for code in sorted(note.rates)], atol=1e-4)
        assert found[4] == pytest.approx(note.max_activation, rel=1e-4)
        assert found[5] is None
        assert note.rates[found[6]] == max(note.rates.values())


STATE = (
    "const fresh = () => ({ graph, pins: new Set(), groups: [] });"
    "view.pins = new Set([1, graph.nSources]);"
    "view.groups = [{ name: 'a <b>', members: [2, 4], proposed: true }];"
    "const text = JSON.stringify(stateOf([view], { nodes: 0.6, edges: 0.9 }));"
)


def test_what_was_saved_comes_back_and_other_files_are_refused(
    script: Script, graph: GraphData
) -> None:
    pins, groups, told = _opened(
        script, graph,
        STATE + "const to = fresh(), told = applyState([to], text);"
        "return [[...to.pins], to.groups, told];",
    )  # fmt: skip
    assert pins == [1, len(graph.sources)]
    assert groups == [{"name": "a <b>", "members": [2, 4], "proposed": True}]
    assert told == {"missing": 0, "thresholds": {"nodes": 0.6, "edges": 0.9}}
    refused = _opened(
        script, graph,
        STATE + "const why = (text) => { try { applyState([fresh()], text); return ''; }"
        " catch (error) { return error.message; } };"
        "return ['nonsense', '{}', text.replace('\"version\":1', '\"version\":2'),"
        " text.replace('\"prompt\":\"', '\"prompt\":\"x')].map(why);",
    )  # fmt: skip
    for said, wanted in zip(refused, ("not JSON", "saved by a page", "version 2", "another prompt"), strict=True):  # noqa: E501
        assert wanted in said


def test_nodes_that_a_graph_has_not_are_counted(script: Script, graph: GraphData) -> None:
    missing, pins = _opened(
        script, graph,
        STATE + "const other = text.replace(nodeId(graph, 1), 'feature:9:9:9'), to = fresh();"
        "return [applyState([to], other).missing, [...to.pins]];",
    )  # fmt: skip
    assert (missing, pins) == (1, [len(graph.sources)])


def test_a_node_is_in_one_supernode_at_most(script: Script, graph: GraphData) -> None:
    group = Supernode("old", (1, 2), proposed=True)
    groups, pins = _opened(
        script, graph,
        "view.pins = new Set([3]); view.groups = record.supernodes;"
        "makeGroup(view, 'new', [3, 2]); const after = JSON.parse(JSON.stringify(view.groups));"
        "dissolve(view, view.groups[1]); return [after, [...view.pins]];",
        supernodes=(group,),
    )  # fmt: skip
    assert [(one["name"], one["members"]) for one in groups] == [("old", [1]), ("new", [2, 3])]
    assert sorted(pins) == [2, 3]


def test_boxes_add_up_what_their_members_add(script: Script, graph: GraphData) -> None:
    rng = np.random.default_rng(0)
    early, late = (
        [int(i) for i in np.flatnonzero(graph.sources.of_kind("feature") & mask)]
        for mask in (graph.sources.layer < 2, graph.sources.layer >= 2)
    )
    members = [int(i) for i in rng.choice(early, 4, replace=False)]
    found, boxes = _opened(
        script, graph,
        "view.groups = [{ name: 'x', members: members, proposed: false }]; view.pins = new Set();"
        "return [shareBetween(graph, members, late), summaryBoxes(view, String, 2)];",
        members=members, late=late,
    )  # fmt: skip
    wanted = _shares(script, graph)[late][:, members].sum(axis=1).mean()
    assert found == pytest.approx(wanted, rel=1e-5)
    assert [box["name"] for box in boxes if box["group"] == 0] == ["x"]
    assert len(boxes) == 1 + len(graph.targets)
    assert max(box["of"] for box in boxes) <= 2
