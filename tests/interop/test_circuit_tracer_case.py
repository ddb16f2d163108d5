"""Our graph of a small model, beside the one that circuit-tracer made of it: see README.md."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from ilo_fast.transcoders.attribution.attribute import attribution_graph
from ilo_fast.transcoders.attribution.data import KINDS
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.files.circuit_tracer import import_circuit_tracer
from ilo_fast.transcoders.files.graph_import import import_circuit_tracer_graph

CASE = Path(__file__).parent / "case"
IDS = json.loads((CASE / "prompt.json").read_text())


def model() -> LlamaForCausalLM:
    config = LlamaConfig(**json.loads((CASE / "llama/config.json").read_text()))
    made = LlamaForCausalLM(config).eval()
    made.load_state_dict(load_file(CASE / "llama/model.safetensors"))
    return made


@cache
def ours(dtype: torch.dtype = torch.float64) -> AttributionGraph:
    transcoder = import_circuit_tracer(CASE / "clt")
    return attribution_graph(model(), transcoder, IDS, skip_positions=1, dtype=dtype)


@cache
def theirs() -> dict[str, NDArray[Any]]:
    found = load_file(CASE / "theirs.safetensors")
    return {name: tensor.numpy() for name, tensor in found.items()}


def places(graph: AttributionGraph) -> tuple[list[int], list[int], list[int]]:
    """Of our rows and of our sources, which are theirs; and which sources they have not."""
    found, sources, n = theirs(), graph.sources, graph.n_features
    features = {tuple(key): at for at, key in enumerate(found["active_features"].tolist())}
    keys = list(
        zip(
            sources.layer.tolist(), sources.position.tolist(), sources.feature.tolist(), strict=True
        )
    )
    columns = []
    for at, (layer, position, _) in enumerate(keys):
        kind = KINDS[sources.kind[at]]
        if kind == "feature":
            columns.append(features[keys[at]])
        elif kind == "error" and position > 0:
            columns.append(len(features) + layer * len(IDS) + position)
        elif kind == "token":
            columns.append(len(features) + graph.n_layers * len(IDS) + position)
        else:
            columns.append(-1)
    targets = [found["target_ids"].tolist().index(t.token_id) for t in graph.targets]
    rows = [features[key] for key in keys[:n]] + [len(features) + at for at in targets]
    return rows, columns, [at for at, column in enumerate(columns) if column < 0]


def test_reconstruction_is_the_same() -> None:
    transcoder = import_circuit_tracer(CASE / "clt").double()
    exact, reads = model().double(), []
    for block in exact.model.layers:
        block.mlp.register_forward_pre_hook(lambda _, args: reads.append(args[0][0]))
    with torch.no_grad():
        exact(torch.tensor([IDS]))
        y = transcoder(torch.stack(reads, dim=1)).numpy().transpose(1, 0, 2)
    wanted = theirs()["reconstruction"]
    assert np.abs(y[:, 1:] - wanted).max() < 1e-6 * np.abs(wanted).max()


def test_features_and_targets_are_the_same() -> None:
    graph, found = ours(), theirs()
    rows, columns, _ = places(graph)
    n = graph.n_features
    assert sorted(rows) == list(range(len(rows)))
    assert n == len(found["active_features"]) > 50
    activations = found["activations"][columns[:n]]
    np.testing.assert_allclose(graph.sources.activation[:n], activations, rtol=1e-6)
    at = [row - n for row in rows[n:]]
    probabilities = [target.probability for target in graph.targets]
    np.testing.assert_allclose(probabilities, found["target_probabilities"][at], rtol=1e-6)
    logits = found["last_logits"] - found["last_logits"].mean()
    np.testing.assert_allclose(graph.values[n:], logits[found["target_ids"][at]], rtol=1e-6)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_adjacency_is_the_same(dtype: torch.dtype, most: float) -> None:
    graph, found = ours(dtype), theirs()
    rows, columns, left = places(graph)
    shared = [at for at, column in enumerate(columns) if column >= 0]
    wanted = found["adjacency"][np.ix_(rows, [columns[at] for at in shared])]
    assert np.abs(graph.adjacency[:, shared] - wanted).max() < most * np.abs(wanted).max()
    # They have nothing else: errors of position 0 are zero there. Ours are not, and rows add up.
    rest = np.delete(found["adjacency"], [columns[at] for at in shared], axis=1)
    assert rest.shape[1] == graph.n_layers
    assert not rest.any()
    assert {KINDS[graph.sources.kind[at]] for at in left} == {"error", "bias"}
    assert np.abs(graph.adjacency[:, left]).max() > 0.01
    assert graph.residual < (1e-9 if dtype == torch.float64 else 1e-4)
    off = wanted.sum(axis=1) - graph.values
    assert np.abs(off).max() > 0.01  # what the published tool leaves out


def test_scores_are_those_that_it_publishes() -> None:
    scores = ours().scores
    about = json.loads((CASE / "theirs.json").read_text())
    assert scores.replacement_published == pytest.approx(about["replacement"], abs=1e-5)
    assert scores.completeness_published == pytest.approx(about["completeness"], abs=1e-5)
    assert abs(scores.completeness - about["completeness"]) > 0.01


def test_influence_and_what_it_keeps() -> None:
    graph, found = ours(), theirs()
    _, columns, _ = places(graph)
    shared = [at for at, column in enumerate(columns) if column >= 0]
    n, n_targets = graph.n_features, len(graph.targets)
    # By its definition, from our edges: targets and sources as one square of shares N, with
    # w (N + N² + ...) = w (1 - N)^-1 - w.
    size = len(shared) + n_targets
    square = np.zeros((size, size))
    square[[*range(n), *range(len(shared), size)], : len(shared)] = np.abs(
        graph.adjacency[:, shared]
    )
    square /= np.maximum(square.sum(axis=1, keepdims=True), 1e-10)
    weights = np.zeros(size)
    weights[len(shared) :] = [target.probability for target in graph.targets]
    influence = np.linalg.solve((np.eye(size) - square).T, weights) - weights
    there = [columns[at] for at in shared]
    wanted = found["influence"][there]
    assert np.abs(influence[: len(shared)] - wanted).max() < 1e-5 * wanted.max()
    assert np.corrcoef(graph.influence[shared], wanted)[0, 1] > 0.99  # ours has biases, too
    # It takes tokens into its threshold, which are kept anyway, so that it keeps fewer nodes.
    kept = found["kept_sources"][there]
    assert 0 < kept.sum() < graph.pruned().sources[shared].sum()
    assert not (kept & ~graph.pruned().sources[shared]).any()


def test_a_graph_that_it_wrote_is_read(tmp_path: Path) -> None:
    text = (CASE / "case.json").read_text()
    data = json.loads(text)
    ids = [node["node_id"] for node in data["nodes"]]
    twice = {name for name in ids if ids.count(name) > 1}
    assert len(twice) == 1  # an error of layer 1 and feature 1 of layer 0
    with pytest.raises(ValueError, match="two nodes"):
        import_circuit_tracer_graph(CASE / "case.json")

    data["nodes"] = [node for node in data["nodes"] if node["node_id"] not in twice]
    data["links"] = [link for link in data["links"] if not twice & {link["source"], link["target"]}]
    (tmp_path / "case.json").write_text(json.dumps(data))
    graph, whole = import_circuit_tracer_graph(tmp_path / "case.json").graph, ours()
    assert graph.token_ids.tolist() == IDS
    assert [t.token_id for t in graph.targets] == [
        t.token_id for t in whole.targets if t.token_id in {t.token_id for t in graph.targets}
    ]
    assert graph.n_layers == 3
    assert np.count_nonzero(graph.adjacency) == len(data["links"]) > 100
    n, compared = graph.n_features, 0

    def key(of: Any, at: int) -> tuple[int, ...]:
        s = of.sources
        return tuple(int(a[at]) for a in (s.kind, s.layer, s.position, s.feature))

    column_of = {key(whole, at): at for at in range(len(whole.sources))}
    columns = [column_of[key(graph, at)] for at in range(len(graph.sources))]
    by_token = {t.token_id: whole.n_features + at for at, t in enumerate(whole.targets)}
    rows = columns[:n] + [by_token[t.token_id] for t in graph.targets]
    for row, at in enumerate(rows):
        if row < n:
            assert graph.values[row] == pytest.approx(whole.values[at], rel=1e-5)
        for column, source in enumerate(columns):
            if graph.adjacency[row, column]:
                compared += 1
                wanted = whole.adjacency[at, source]
                assert graph.adjacency[row, column] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    assert compared == len(data["links"])
    assert "rows do not sum" in graph.info["imported"]["missing"]
