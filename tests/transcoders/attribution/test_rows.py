"""Rows add up, and say what happens when a source changes, in models of every layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.attribution import random_model, scaled_transcoder
from torch import nn
from transcoders.test_sites import FAMILIES

from ilo_fast.models.forward import callers_hooks
from ilo_fast.transcoders.attribution.attribute import attribution_graph, attribution_graphs
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.attribution.local_model import LocalModel, LocalPass
from ilo_fast.transcoders.interventions.intervene import intervene
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

LEARNED_POSITIONS = ("GPT2", "OPT", "XGLM")


def some_ids(seed: int, tokens: int = 7) -> list[int]:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(3, 64, (tokens,), generator=random).tolist()


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_add_up_and_predict_what_a_change_does(name: str) -> None:
    model = random_model(name, FAMILIES[name][0])
    coder = scaled_transcoder(model)
    ids = some_ids(1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for one in (coder, scaled_transcoder(model, cross_layer=False)):
        graph = attribution_graph(model, one, ids)
        assert graph.n_features > 20
        assert graph.residual <= 1e-9
        assert graph.sources.of_kind("position").any() == (name in LEARNED_POSITIONS)
        _check_changes(model, one, ids, graph)
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert torch.get_default_dtype() == torch.float32
    assert callers_hooks(model) == []


def _check_changes(
    model: nn.Module, coder: CrossLayerTranscoder, ids: list[int], graph: AttributionGraph
) -> None:
    """Doubles and drops sources of every kind, in the model itself, and looks everywhere.

    Every row of the batch is the prompt with one change.
    """
    sources = graph.sources
    features = np.random.default_rng(2).choice(graph.n_features, 16, replace=False)
    changed = [*features.tolist(), *np.flatnonzero(sources.of_kind("error", "token")).tolist()]
    steps = [(at, more) for at in changed for more in (1.0, -1.0)]  # twice as much, and none
    replacement = ReplacementModel(model, coder)
    rows = torch.tensor([ids]).expand(len(steps), -1)
    local = LocalModel(replacement, rows, torch.full((len(steps),), len(ids)))
    errors = local.adds[0] - replacement_outputs(replacement, local)
    tokens, adds = local.tokens.clone(), local.adds.clone()
    for row, (at, more) in enumerate(steps):
        layer, place = int(sources.layer[at]), int(sources.position[at])
        if sources.of_kind("feature")[at]:
            weight = coder.decoder_weights[layer][int(sources.feature[at])]
            end = layer + len(weight)
            written = weight / coder.output_scale[layer:end, None]
            adds[row, place, layer:end] += more * sources.activation[at] * written
        elif sources.of_kind("error")[at]:
            adds[row, place, layer] += more * errors[place, layer]
        else:
            tokens[row, place] *= 1 + more
    base = _values(local.base, local, coder, graph)
    np.testing.assert_allclose(base[0], graph.values, rtol=1e-9)
    moved = _values(local.replay(tokens, adds), local, coder, graph) - base
    wanted = np.stack([more * graph.adjacency[:, at] for at, more in steps])
    size = np.abs(graph.values).max()
    np.testing.assert_allclose(moved, wanted, rtol=1e-9, atol=1e-10 * size)


def replacement_outputs(replacement: ReplacementModel, local: LocalModel) -> torch.Tensor:
    """What the transcoder adds, by its dense formula; nothing at the position that it skips."""
    coder = replacement.transcoder
    x = torch.stack(local.base.reads, dim=2)[0]
    out = torch.zeros_like(x)
    out[1:] = coder(x[1:])
    return out


def _values(
    run: LocalPass, local: LocalModel, coder: CrossLayerTranscoder, graph: AttributionGraph
) -> np.ndarray:
    """Of every row of a pass, pre-activations and demeaned logits, from its vectors."""
    n = graph.n_features
    layer, place, feature = (
        torch.from_numpy(of[:n]).long()
        for of in (graph.sources.layer, graph.sources.position, graph.sources.feature)
    )
    x = torch.stack(run.reads, dim=2)[:, place, layer]
    weight = coder.encoder_weight[layer, feature] * coder.input_scale[layer, None]
    pre = (weight * x).sum(-1) + coder.encoder_bias[layer, feature]
    logits = run.scores[:, 0] * local.factors
    chosen = logits[:, [t.token_id for t in graph.targets]] - logits.mean(1, keepdim=True)
    return torch.cat([pre, chosen], dim=1).numpy()


@pytest.mark.parametrize(
    ("name", "cross_layer"), [(name, at % 2 == 0) for at, name in enumerate(FAMILIES)]
)
def test_float32_adds_up_to_its_digits(name: str, cross_layer: bool) -> None:
    model = random_model(name, FAMILIES[name][0], dtype=torch.float32)
    coder = scaled_transcoder(model, cross_layer=cross_layer)
    graph = attribution_graph(model, coder, some_ids(2), dtype=torch.float32)
    assert graph.adjacency.dtype == np.float32
    assert 1e-9 < graph.residual <= 1e-4
    double = attribution_graph(model, coder, some_ids(2))
    assert double.residual <= 1e-9
    assert double.n_features == graph.n_features
    size = np.abs(double.adjacency).max()
    np.testing.assert_allclose(graph.adjacency, double.adjacency, atol=1e-4 * size)


def test_a_longer_prompt_does_not_turn_the_positions_of_others() -> None:
    rope = {
        "rope_type": "longrope", "rope_theta": 1e4, "factor": 4.0, "short_factor": [1.0] * 4,
        "long_factor": [3.0] * 4, "original_max_position_embeddings": 8,
    }  # fmt: skip
    model = random_model("Llama", FAMILIES["Llama"][0] | {"rope_parameters": rope})
    coder = scaled_transcoder(model)
    prompts = [some_ids(4, 8), some_ids(5, 9)]
    alone = attribution_graph(model, coder, prompts[0])
    together = attribution_graphs(model, coder, prompts)[0]
    np.testing.assert_allclose(together.values, alone.values, rtol=1e-12)
    one = Intervention(0, 1, add=1.0)
    effects = intervene(model, coder, prompts, one).prompts
    by_itself = intervene(model, coder, prompts[0], one).prompts
    np.testing.assert_allclose(effects[0].logits_after, by_itself[0].logits_after, rtol=1e-9)


@pytest.mark.parametrize("name", ["Llama", "GPT2"])
def test_prompts_together_are_prompts_alone(name: str) -> None:
    model = random_model(name, FAMILIES[name][0])
    coder = scaled_transcoder(model)
    prompts = [some_ids(4, 9), some_ids(5, 5), some_ids(6, 9), some_ids(7, 2)]
    together = attribution_graphs(model, coder, prompts)
    for ids, graph in zip(prompts, together, strict=True):
        alone = attribution_graph(model, coder, ids)
        assert graph.token_ids.tolist() == ids
        assert graph.residual <= 1e-9
        for key in ("kind", "layer", "position", "feature"):
            assert np.array_equal(getattr(graph.sources, key), getattr(alone.sources, key))
        size = np.abs(alone.adjacency).max()
        np.testing.assert_allclose(graph.adjacency, alone.adjacency, atol=1e-10 * size)


def test_of_too_many_features_the_rest_is_kept_by_place() -> None:
    model = random_model("Llama", FAMILIES["Llama"][0])
    coder = scaled_transcoder(model)
    whole = attribution_graph(model, coder, some_ids(8), targets=[7])
    part = attribution_graph(
        model, coder, some_ids(8), targets=[7], max_features=whole.n_features // 2
    )
    assert 0 < part.n_features <= whole.n_features // 2
    assert part.residual <= 1e-9
    names = [tuple(x) for x in zip(whole.sources.layer, whole.sources.position,
                                   whole.sources.feature, strict=True)]  # fmt: skip
    chosen = [tuple(x) for x in zip(part.sources.layer, part.sources.position,
                                    part.sources.feature, strict=True)]  # fmt: skip
    at = [names.index(name) for name in chosen[: part.n_features]]
    rows = [*at, *range(whole.n_features, len(whole.values))]
    np.testing.assert_allclose(part.values, whole.values[rows])
    for column in np.flatnonzero(part.sources.of_kind("rest")):
        layer, position = part.sources.layer[column], part.sources.position[column]
        mine = whole.sources.of_kind("feature") & (whole.sources.layer == layer)
        mine &= whole.sources.position == position
        mine[at] = False
        np.testing.assert_allclose(
            part.adjacency[:, column], whole.adjacency[rows][:, mine].sum(1), atol=1e-12
        )
    # The last layer's features have no path but their own edge to the target: the largest stay.
    top = whole.sources.layer[: whole.n_features] == coder.n_layers - 1
    kept = np.isin(np.arange(whole.n_features), at)
    direct = np.abs(whole.adjacency[whole.n_features :]).sum(0)[: whole.n_features]
    assert direct[top & kept].min() >= direct[top & ~kept].max()
