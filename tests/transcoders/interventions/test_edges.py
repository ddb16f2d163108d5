"""What a graph's edges say of a feature is what happens when it is changed, everything held."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
import torch
from helpers.clt_models import random_transcoder
from transcoders.test_sites import FAMILIES, model_of

from ilo_fast.transcoders.attribution.attribute import attribution_graph
from ilo_fast.transcoders.interventions.intervene import intervene
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.replacement import ReplacementModel


@pytest.mark.parametrize("name", ["GPT2", "Gemma2"])
def test_zeroing_and_doubling_do_what_the_edges_say(name: str) -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    model = model_of(name, FAMILIES[name][0]).double()
    coder = random_transcoder(seed, n_layers=2, hidden_size=32)
    it = ReplacementModel(model, coder)
    ids = torch.randint(3, 64, (6,), generator=torch.Generator().manual_seed(seed)).tolist()
    graph = attribution_graph(model, coder, ids)
    sources, n = graph.sources, graph.n_features
    assert n > 10
    nodes = list(zip(sources.layer[:n], sources.feature[:n], sources.position[:n], strict=True))
    named = sorted({(int(layer), int(feature)) for layer, feature, _ in nodes})
    felt = np.abs(graph.adjacency[:, :n]).max(axis=0).argsort()[-10:]  # the last layer's may not be
    for at in np.random.default_rng(seed).choice(felt, 3, replace=False):
        layer, feature, position = (int(x) for x in nodes[at])
        for times in (0.0, 2.0):
            one = Intervention(layer, feature, scale=times, positions=position)
            (effect,) = intervene(it, None, ids, one, frozen="all", features=named).prompts
            of = {(f.layer, f.feature): f for f in effect.features}
            step = [
                of[int(k), int(f)].pre_after[p] - of[int(k), int(f)].pre_before[p]
                for k, f, p in nodes
            ]
            moved = effect.logits_after - effect.logits_before
            step += [moved[t.token_id] - moved.mean() for t in graph.targets]
            edges = (times - 1) * graph.adjacency[:, at]
            scale = np.abs(graph.values).max()
            np.testing.assert_allclose(step, edges, rtol=0, atol=1e-9 * scale)
            assert np.abs(edges).max() > 1e-6
