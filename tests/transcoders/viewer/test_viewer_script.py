"""The viewer's script without a page, against slow and obvious NumPy."""

from __future__ import annotations

import dataclasses
import secrets
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("jinja2")

from helpers.javascript import Script
from helpers.shown_graphs import random_graph, random_notes

from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.attribution.scores import graph_scores, influence, pruned
from ilo_fast.transcoders.features.notes import Supernode
from ilo_fast.transcoders.viewer.graph_record import graph_record
from ilo_fast.transcoders.viewer.note_record import note_record
from ilo_fast.transcoders.viewer.page_state import node_ids, read_page_state

OPEN = "const view = { graph: openGraph(record) }; const { graph } = view;"


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


def _as_on_the_page(script: Script, graph: GraphData) -> GraphData:
    """The graph with its numbers rounded as the page has them."""
    return dataclasses.replace(graph, adjacency=_shares(script, graph))


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


def test_influence_is_that_of_the_library(script: Script, graph: GraphData) -> None:
    found = _opened(script, graph, "return [...flow(graph, null).reached];")
    wanted = influence(_as_on_the_page(script, graph))
    assert np.allclose(found, wanted, rtol=1e-6)
    assert np.count_nonzero(wanted[: graph.n_features]) > 10


@pytest.mark.parametrize("thresholds", [(0.8, 0.98), (0.5, 0.7), (0.97, 1.0), (0.3, 0.2), (0, 0)])
def test_pruning_and_scores_are_those_of_the_library(
    script: Script, graph: GraphData, thresholds: tuple[float, float]
) -> None:
    same = _as_on_the_page(script, graph)
    nodes, edges, rows, sources, left, whole = _opened(
        script, graph,
        "const kept = prune(graph, ranking(graph), thresholds[0], thresholds[1]);"
        "return [[...kept.nodes], [...kept.edges], [...graph.row], [...graph.source],"
        " graphScores(graph, kept.nodes), graphScores(graph, null)];",
        thresholds=thresholds,
    )  # fmt: skip
    wanted = pruned(same, *thresholds)
    assert (
        np.flatnonzero(nodes[: len(graph.sources)]).tolist()
        == np.flatnonzero(wanted.sources).tolist()
    )
    found = np.zeros(graph.adjacency.shape, bool)
    found[rows, sources] = np.asarray(edges, bool)
    assert found.sum() == wanted.edges.sum() and (found == wanted.edges).all()
    for told, scores in ((left, wanted.scores), (whole, graph_scores(same))):
        assert told["replacement"] == pytest.approx(scores.replacement, abs=1e-5)
        assert told["completeness"] == pytest.approx(scores.completeness, abs=1e-5)
    # What the page rounds changes little of the graph's own scores.
    assert whole["replacement"] == pytest.approx(graph_scores(graph).replacement, abs=1e-3)


def test_edges_that_the_page_has_not_count_as_unexplained(script: Script) -> None:
    graph = random_graph(5, n_layers=3, n_features=60)
    record = graph_record(graph, (), edge_bytes=4.2 * np.count_nonzero(graph.adjacency) / 4)
    found, left_out = script(
        f"(() => {{ {OPEN} return [graphScores(graph, null), graph.leftOut]; }})()", record=record
    )
    wanted = graph_scores(graph)
    assert 0.001 < left_out < 0.3
    assert wanted.replacement - 4 * left_out < found["replacement"] < wanted.replacement
    assert wanted.completeness - 2 * left_out < found["completeness"] < wanted.completeness


def test_errors_alone_score_nothing_and_tokens_alone_everything(script: Script) -> None:
    for kind, wanted in (("error", 0.0), ("token", 1.0)):
        one = random_graph(3, n_layers=2, n_features=8)
        adjacency = np.where(one.sources.of_kind(kind), one.adjacency + 1.0, 0.0)  # type: ignore[arg-type]
        graph = dataclasses.replace(one, adjacency=adjacency, values=adjacency.sum(axis=1))
        found = _opened(script, graph, "return graphScores(graph, null);")
        assert list(found.values()) == pytest.approx([wanted, wanted], abs=1e-6)


def test_numbers_are_ordered_from_the_largest(script: Script) -> None:
    values = np.random.default_rng(0).pareto(1.0, 2000).astype(np.float32)
    values[::7] = 0
    values[5] = values[6]
    found = script("[...descending(values)]", values=values.tolist())
    assert found == np.argsort(-values, kind="stable").tolist()


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
        "return ['nonsense', '{}', text.replace('\"schema_version\":1', '\"schema_version\":2'),"
        " text.replace('\"prompt\":\"', '\"prompt\":\"x')].map(why);",
    )  # fmt: skip
    for said, wanted in zip(
        refused, ("not JSON", "saved by a page", "version 2", "another prompt"), strict=True
    ):
        assert wanted in said


def test_a_saved_page_is_read_by_the_library(script: Script, graph: GraphData) -> None:
    """Also where labels hold what a page does not show as it is."""
    odd = dataclasses.replace(
        graph,
        prompt="a\nb\u202e",
        targets=tuple(dataclasses.replace(t, label="\x1b\n") for t in graph.targets),
    )
    ids, text = _opened(
        script, odd,
        STATE + "return [Array.from({ length: graph.n }, (_, i) => nodeId(graph, i)), text];",
    )  # fmt: skip
    assert node_ids(odd) == ids and len(set(ids)) == len(ids)
    found = read_page_state(text, odd)
    assert found.pinned == (1, len(graph.sources))
    assert found.supernodes == (Supernode("a <b>", (2, 4), proposed=True),)
    assert (found.node_threshold, found.edge_threshold, found.missing) == (0.6, 0.9, 0)
    assert read_page_state(text.replace(ids[2], "feature:9:9:9"), odd).missing == 1
    with pytest.raises(ValueError, match="other prompts, wanted 'The day"):
        read_page_state(text, graph)
    for broken in (text.replace('"pins":[', '"pins":[7,'), text.replace("supernodes", "x")):
        with pytest.raises(ValueError):
            read_page_state(broken, odd)
    again = graph_record(odd, found.supernodes, found.pinned, edge_bytes=1e6)
    assert again["pinned"] == [1, len(graph.sources)]


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
        "view.influence = ranking(graph).influence;"
        "return [shareBetween(graph, members, late), summaryBoxes(view, String, 2)];",
        members=members, late=late,
    )  # fmt: skip
    wanted = _shares(script, graph)[late][:, members].sum(axis=1).mean()
    assert found == pytest.approx(wanted, rel=1e-5)
    assert [box["name"] for box in boxes if box["group"] == 0] == ["x"]
    assert len(boxes) == 1 + len(graph.targets)
    assert max(box["of"] for box in boxes) <= 2
