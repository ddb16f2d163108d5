"""Graphs as circuit-tracer and Neuronpedia have them: written so that they take them, and read."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.graph_json import check_circuit_tracer, check_connected, check_neuronpedia
from helpers.graphs import notes_of, random_graph, supernodes_of

from ilo_fast.transcoders.attribution.data import KINDS, GraphData
from ilo_fast.transcoders.attribution.scores import influence, pruned
from ilo_fast.transcoders.files import graph_import
from ilo_fast.transcoders.files.graph_export import (
    export_circuit_tracer_graph,
    export_neuronpedia_graph,
)
from ilo_fast.transcoders.files.graph_import import import_circuit_tracer_graph


def exported(folder: Path, graph: GraphData, **options: Any) -> dict[str, Any]:
    file = export_circuit_tracer_graph(graph, folder, slug="a-graph", **options)
    assert file == folder / "a-graph.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def id_of(graph: GraphData, source: int) -> str | None:
    """By the description of the formats."""
    s = graph.sources
    layer, position, feature = s.layer[source], s.position[source], s.feature[source]
    kind = KINDS[s.kind[source]]
    if kind == "feature":
        return f"{layer}_{feature}_{position}"
    if kind in ("error", "rest"):
        return f"{layer}_-1_{position}"
    return f"E_{graph.token_ids[position]}_{position}" if kind == "token" else None


def shown(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Half a character cannot be written."""
    return tuple(token.replace("\ud83d", "\ufffd") for token in tokens)


def row_ids(graph: GraphData) -> list[str]:
    last = len(graph.tokens) - 1
    numbers = [7, 3, -3]  # of the targets; a difference is no token
    ids = [id_of(graph, i) for i in range(graph.n_features)]
    return [*map(str, ids), *(f"{graph.n_layers + 1}_{number}_{last}" for number in numbers)]


@pytest.mark.parametrize("thresholds", [(0.8, 0.98), (1.0, 1.0), (0.3, 0.6)])
def test_links_are_the_edges_that_are_kept(tmp_path: Path, thresholds: tuple[float, float]) -> None:
    graph = random_graph()
    data = exported(tmp_path, graph, node_threshold=thresholds[0], edge_threshold=thresholds[1])
    check_circuit_tracer(data)
    kept = pruned(graph, *thresholds)
    wanted: dict[tuple[str, str], float] = {}
    rows = row_ids(graph)
    shown = {id_of(graph, i) for i in np.flatnonzero(kept.sources)} | set(rows[graph.n_features :])
    cells: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row, name in enumerate(rows):
        for source in range(len(graph.sources)):
            of = id_of(graph, source)
            if of is not None:
                cells.setdefault((of, name), []).append((row, source))
    for ends, places in cells.items():
        if any(kept.edges[place] for place in places) and set(ends) <= shown:
            wanted[ends] = sum(float(graph.adjacency[place]) for place in places)
    found = {(link["source"], link["target"]): link["weight"] for link in data["links"]}
    assert found.keys() == wanted.keys()
    assert len(found) > 3
    np.testing.assert_allclose([found[e] for e in wanted], list(wanted.values()), rtol=1e-12)
    assert {node["node_id"] for node in data["nodes"]} == shown - {None}


def test_influence_is_the_share_down_to_the_node(tmp_path: Path) -> None:
    graph = random_graph(rest=False)
    data = exported(tmp_path, graph, node_threshold=1.0, edge_threshold=1.0)
    reached = {id_of(graph, i): value for i, value in enumerate(influence(graph))}
    reached.pop(None)
    total = sum(reached.values())
    for node in data["nodes"]:
        if node["feature_type"] != "logit":
            mine = reached[node["node_id"]]
            above = sum(value for value in reached.values() if value >= mine) / total
            assert node["influence"] == pytest.approx(min(above, 1.0), rel=1e-9)


def test_ids_are_unique_where_the_old_scheme_is_not(tmp_path: Path) -> None:
    graph = random_graph(n_features=3)  # numbers of features as small as those of layers
    data = exported(tmp_path, graph, node_threshold=1.0, edge_threshold=1.0)
    check_connected(data)
    old = [
        f"0_{n['layer']}_{n['ctx_idx']}" if n["feature"] == -1 else n["node_id"]
        for n in data["nodes"]
    ]
    assert len(set(old)) < len(old)


def test_what_others_do_not_know_is_in_the_metadata(tmp_path: Path) -> None:
    graph = random_graph()
    data = exported(tmp_path, graph, node_threshold=1.0, edge_threshold=1.0)
    assert {n["feature_type"] for n in data["nodes"]} == {
        "cross layer transcoder", "mlp reconstruction error", "embedding", "logit",
    }  # fmt: skip
    rows = data["metadata"]["ilo_fast"]["rows"]
    alive = {node["node_id"] for node in data["nodes"]}
    sums = dict.fromkeys(rows, 0.0)
    for link in data["links"]:
        sums[link["target"]] += link["weight"]
    assert sum(name in alive for name in rows) == len(rows) > 3
    for name, row in rows.items():
        at = row_ids(graph).index(name)
        biases = graph.adjacency[at, graph.sources.of_kind("bias")].sum()
        assert row["bias"] == pytest.approx(biases)
        assert row["value"] == graph.values[at]
        # Nothing was pruned but what has next to no influence: rows add up.
        total = sums[name] + row["bias"] + row["position"]
        assert total == pytest.approx(row["value"], abs=1e-6)


def test_notes_are_labels_and_files(tmp_path: Path) -> None:
    graph = random_graph()
    notes = notes_of(graph)
    data = exported(tmp_path, graph, notes=notes, node_threshold=1.0, edge_threshold=1.0)
    assert data["metadata"]["scan"] == "./graph_data/features"
    written = {file.stem for file in (tmp_path / "features").iterdir()}
    labelled = 0
    for node in data["nodes"]:
        if node["feature_type"] != "cross layer transcoder":
            continue
        layer, feature, _ = map(int, node["node_id"].split("_"))
        both = layer + feature
        assert node["feature"] == both * (both + 1) // 2 + feature
        note = notes.get((layer, feature))
        assert (str(node["feature"]) in written) == (note is not None)
        assert node["clerp"] == ("" if note is None else note.description)
        if note is None:
            continue
        labelled += 1
        of = json.loads((tmp_path / "features" / f"{node['feature']}.json").read_text())
        assert of["index"] == node["feature"]
        assert [q["quantile_name"] for q in of["examples_quantiles"]] == ["eng_Latn", "deu_Latn"]
        example = of["examples_quantiles"][0]["examples"][1]
        assert example["tokens"] == ["a", "\ufffd", "c"]
        assert example["tokens_acts_list"] == [0.0, 0.1, 1 / 3]
        assert (of["top_logits"], of["bottom_logits"]) == (["x", "y"], ["z"])
    assert labelled > 3


def test_a_folder_lists_its_graphs(tmp_path: Path) -> None:
    graph = random_graph()
    for slug in ("one", "two", "one"):
        export_circuit_tracer_graph(graph, tmp_path, slug=slug)
    listed = json.loads((tmp_path / "graph-metadata.json").read_text())
    assert [entry["slug"] for entry in listed["graphs"]] == ["two", "one"]
    assert "ilo_fast" not in listed["graphs"][0]
    assert not (tmp_path / "features").exists()
    (tmp_path / "graph-metadata.json").write_text("[1]")
    with pytest.raises(ValueError, match="no list of graphs"):
        export_circuit_tracer_graph(graph, tmp_path, slug="three")
    assert not (tmp_path / "three.json").exists()


def test_neuronpedia_takes_it(tmp_path: Path) -> None:
    graph = random_graph()
    file = tmp_path / "g.json"
    export_neuronpedia_graph(
        graph, file, slug="a.graph", scan="some-model", source_set="clt", creator="me",
        description="\u202e<b>", notes=notes_of(graph), supernodes=supernodes_of(graph),
    )  # fmt: skip
    data = json.loads(file.read_text(encoding="utf-8"))
    check_neuronpedia(data)
    check_connected(data)
    assert data["metadata"]["feature_details"] == {"neuronpedia_source_set": "clt"}
    assert data["metadata"]["pruning_settings"] == {"node_threshold": 0.8, "edge_threshold": 0.98}
    back = import_circuit_tracer_graph(file)
    assert back.graph.tokens == shown(graph.tokens)
    assert back.graph.info["model"] == "some-model"
    check_neuronpedia(exported(tmp_path, graph))  # the other one fits as well, without notes


def test_the_check_of_neuronpedias_schema_finds_what_is_wrong(tmp_path: Path) -> None:
    data = exported(tmp_path, random_graph())
    check_neuronpedia(data)
    for path, value in [
        (("metadata", "slug"), None), (("metadata", "scan"), "a/b"), (("nodes", 0, "clerp"), 3),
        (("nodes", 0, "feature"), "3"), (("links", 0, "weight"), "1"), (("qParams",), []),
        (("metadata", "node_threshold"), "x"), (("nodes", 0, "ctx_idx"), True),
    ]:  # fmt: skip
        broken = copy.deepcopy(data)
        at: Any = broken
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        with pytest.raises(AssertionError):
            check_neuronpedia(broken)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    graph = random_graph(rest=False)
    data = exported(
        tmp_path, graph, node_threshold=1.0, edge_threshold=1.0, supernodes=supernodes_of(graph),
        pinned=[0, len(graph.sources) - 1],
    )  # fmt: skip
    back = import_circuit_tracer_graph(tmp_path / "a-graph.json")
    found = back.graph
    assert (found.prompt, found.tokens) == (graph.prompt, shown(graph.tokens))
    assert found.token_ids.tolist() == graph.token_ids.tolist()
    assert [(t.label, t.token_id, t.probability) for t in found.targets] == [
        (t.label, t.token_id, t.probability) for t in graph.targets
    ]
    assert (found.n_layers, found.info["skip_positions"]) == (3, 1)
    assert found.info["imported"]["pruned"] is True
    # Cell by cell, by ids.
    rows, before = row_ids(found), row_ids(graph)
    for row, name in enumerate(rows):
        at = before.index(name)
        assert found.values[row] == graph.values[at]
        for column in range(len(found.sources)):
            (source,) = [
                i for i in range(len(graph.sources)) if id_of(graph, i) == id_of(found, column)
            ]
            weight = graph.adjacency[at, source]
            assert found.adjacency[row, column] in (weight, 0.0)
    assert np.count_nonzero(found.adjacency) == len(data["links"])
    of_features = found.sources.of_kind("feature")
    assert np.isfinite(found.sources.activation[of_features]).all()
    names = [s.name for s in back.supernodes]
    assert names == ["<first>", "mixed"]  # nothing is left of the empty one
    ids = [[id_of(found, m) for m in s.members] for s in back.supernodes]
    assert ids == [members for _, *members in data["qParams"]["supernodes"]]
    # All that is in a group, and what was pinned and is kept: the first feature, not the bias.
    pins = {i for members in ids for i in members}
    pins |= {id_of(graph, 0)} & {node["node_id"] for node in data["nodes"]}
    assert set(data["qParams"]["pinnedIds"]) == pins


def test_activations_of_zero_are_no_infinite_residual(tmp_path: Path) -> None:
    data = exported(tmp_path, random_graph())
    del data["metadata"]["ilo_fast"]
    for node in data["nodes"]:
        node["activation"] = None if node["activation"] is None else 0.0
    for link in data["links"]:
        link["weight"] *= 1e3
    (tmp_path / "zero.json").write_text(json.dumps(data))
    found = import_circuit_tracer_graph(tmp_path / "zero.json").graph
    assert found.residual <= 1.0
    export_circuit_tracer_graph(found, tmp_path, slug="again")  # numbers that JSON has


def test_links_in_circles_are_refused(tmp_path: Path) -> None:
    data = exported(tmp_path, random_graph())
    feature = next(n["node_id"] for n in data["nodes"] if n["activation"] is not None)
    data["links"].append({"source": feature, "target": feature, "weight": 1.0})
    (tmp_path / "circle.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f"a link from '{feature}' to '{feature}', which is in no"):
        import_circuit_tracer_graph(tmp_path / "circle.json")


def test_ids_that_say_nothing_are_read_by_their_fields(tmp_path: Path) -> None:
    data = exported(tmp_path, random_graph(), node_threshold=1.0, edge_threshold=1.0)
    wanted = import_circuit_tracer_graph(tmp_path / "a-graph.json").graph
    other = {node["node_id"]: f"n{at}" for at, node in enumerate(data["nodes"])}
    for node in data["nodes"]:
        if node["feature_type"] in ("cross layer transcoder", "mlp reconstruction error"):
            node["node_id"] = other[node["node_id"]]
            node["layer"] = int(node["layer"])
            if node["feature_type"] == "cross layer transcoder":
                node["feature_type"] = "unexplored node"
    kept = {node["node_id"] for node in data["nodes"]}
    for link in data["links"]:
        for end in ("source", "target"):
            link[end] = link[end] if link[end] in kept else other[link[end]]
    data["qParams"] = {}
    del data["metadata"]["ilo_fast"]
    (tmp_path / "other.json").write_text(json.dumps(data))
    found = import_circuit_tracer_graph(tmp_path / "other.json").graph
    for name in ("kind", "layer", "position", "feature"):
        assert getattr(found.sources, name).tolist() == getattr(wanted.sources, name).tolist()
    assert found.adjacency.tolist() == wanted.adjacency.tolist()
    assert found.n_layers == wanted.n_layers == 3
    n = found.n_features
    assert found.values[:n].tolist() == found.sources.activation[:n].tolist()
    assert found.values[n:].tolist() == pytest.approx(found.adjacency[n:].sum(axis=1).tolist())


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("metadata",), None, "metadata"),
        (("nodes",), 3, "list"),
        (("nodes", 0, "feature_type"), "lorsa", "lorsa"),
        (("nodes", 0, "ctx_idx"), 99, "ctx_idx"),
        (("nodes", 0, "layer"), "x", "layer|invalid"),
        (("nodes", 0, "activation"), "x", "activation"),
        (("nodes", 1), 3, "nodes"),
        (("links", 0, "source"), "9_9_9", "9_9_9"),
        (("links", 0, "weight"), None, "weight"),
        (("metadata", "ilo_fast", "schema_version"), 2, "schema_version"),
        (("metadata", "prompt_tokens"), ["x"], "ctx_idx"),
        (("qParams", "supernodes"), [[]], "damaged|supernodes|unpack"),
    ],
    ids=lambda value: "" if not isinstance(value, tuple) else str(value[-1]),
)
def test_something_else_is_refused(
    tmp_path: Path, path: tuple[Any, ...], value: Any, says: str
) -> None:
    data = exported(tmp_path, random_graph(), node_threshold=1.0, edge_threshold=1.0)
    at: Any = data
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    (tmp_path / "x.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match=says) as refused:
        import_circuit_tracer_graph(tmp_path / "x.json")
    assert "x.json" in str(refused.value)


def test_a_graph_larger_than_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(tmp_path, random_graph())
    monkeypatch.setattr(graph_import, "available_memory", lambda: 1000)
    with pytest.raises(ValueError, match="lower thresholds"):
        import_circuit_tracer_graph(tmp_path / "a-graph.json")


def test_names_and_thresholds_are_checked(tmp_path: Path) -> None:
    graph = random_graph()
    for slug in ("", "..", "a/b", "ü", "graph-metadata"):
        with pytest.raises(ValueError, match="slug"):
            export_circuit_tracer_graph(graph, tmp_path / "new", slug=slug)
    with pytest.raises(ValueError, match="scan"):
        export_neuronpedia_graph(graph, tmp_path / "g.json", slug="a", scan="org/model")
    with pytest.raises(ValueError, match="node_threshold"):
        exported(tmp_path, graph, node_threshold=2.0)
    with pytest.raises(ValueError, match="pinned"):
        exported(tmp_path, graph, pinned=[10**6])
    twice = dataclasses.replace(graph, targets=(graph.targets[0],) * 3)
    with pytest.raises(ValueError, match="same token"):
        exported(tmp_path, twice)
    assert list(tmp_path.iterdir()) == []
