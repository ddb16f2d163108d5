"""Brightness of layers and strength of links: against loops; planted changes are the numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from helpers.clt_models import clt_model, random_transcoder
from helpers.diffing import table_of
from helpers.seeds import fresh_seed

from ilo_fast.transcoders.attribution.attribute import attribution_graphs
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.multilingual.diffing.brightness import brightness, estimate
from ilo_fast.transcoders.multilingual.diffing.edges import edge_changes, edge_strengths
from ilo_fast.transcoders.multilingual.document_bootstrap import DocumentBootstrap

PROMPTS = [[1, 5, 9, 12], [1, 7, 7, 30, 8], [1, 60, 2, 3], [1, 4, 40, 41]]


@pytest.fixture(scope="module")
def graphs() -> list[AttributionGraph]:
    coder = random_transcoder(3, n_layers=5, n_features=12)
    return attribution_graphs(clt_model(coder), coder, PROMPTS)


def test_brightness_is_the_mean_of_what_is_written() -> None:
    seed = fresh_seed()
    rng = np.random.default_rng(seed)
    tokens = rng.integers(20, 60, (2, 30))
    before = rng.poisson(3, (2, 30, 24))
    norms = rng.uniform(1, 2, 24)
    tables = [
        table_of(before, tokens, n_layers=6),
        table_of(before, tokens, n_layers=6, strength=np.repeat([1, 1, 1, 1, 2, 2], 4)),
    ]
    found = brightness(tables[0], tables[1], (norms, norms), n_boot=200)
    for language in range(2):
        for layer in range(6):
            part = slice(4 * layer, 4 * layer + 4)
            total = (before[language, :, part] * norms[part]).sum() / tokens[language].sum()
            assert found.before[language, layer] == pytest.approx(total, rel=1e-5)
    assert found.change == pytest.approx(np.tile([0, 0, 0, 0, 1, 1], (2, 1)), abs=1e-6)
    assert found.late.value == pytest.approx(1)
    assert found.late.low == pytest.approx(1) and found.late.high == pytest.approx(1)
    none = brightness(tables[0], tables[0], (norms, norms), n_boot=50)
    assert none.late.value == none.late.low == none.late.high == 0
    double = table_of(before, tokens, n_layers=6, strength=np.full(24, 2.0))
    both = brightness(tables[0], double, (norms, norms), n_boot=50)
    assert both.late.value == pytest.approx(0, abs=1e-6)  # early layers as much as late ones


def test_intervals_of_late_brightness_cover() -> None:
    """Counts before and after are drawn anew for each document: nothing differs in truth."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        tokens = rng.integers(20, 60, (2, 40))
        topics = rng.gamma(3, 1, (40, 9))
        tables = [table_of(rng.poisson(topics, (2, 40, 9)), tokens, n_layers=3) for _ in range(2)]
        late = brightness(*tables, (np.ones(9), np.ones(9)), n_boot=200, seed=seed).late
        assert late.low is not None and late.high is not None
        covered.append(late.low < 0 < late.high)
    assert np.mean(covered) > 0.85


def test_intervals_of_few_units_are_as_wide_as_students() -> None:
    """Means of 6 normal values; percentiles of 2.5 % would hold the truth in 86 of 100."""
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(400):
        values = rng.normal(size=6)
        bootstrap = DocumentBootstrap(np.ones(6), n_draws=400, seed=seed)
        found = estimate(values.mean(), bootstrap.drawn(values) / 6, bootstrap)
        assert found.low is not None and found.high is not None
        held += found.low < 0 < found.high
    assert held >= 0.92 * 400
    alone = DocumentBootstrap(np.ones(1), n_draws=9, seed=0)
    assert estimate(1.0, np.ones(9), alone).low is None  # of one there is no interval


def test_edges_of_a_graph_equal_loops(graphs: list[AttributionGraph]) -> None:
    for graph in graphs:
        raw, share = edge_strengths(graph)
        n, of = graph.n_features, graph.sources
        for start in range(5):
            for to in range(6):
                sizes, shares, rows = [], [], set()
                for t in range(len(graph.values)):
                    if (of.layer[t] if t < n else 5) != to:
                        continue
                    weight = graph.targets[t - n].probability if t >= n else 1.0
                    whole = np.abs(graph.adjacency[t]).sum()
                    for s in np.flatnonzero(of.layer[:n] == start):
                        if t < n and of.position[s] > of.position[t]:
                            continue
                        size = abs(graph.adjacency[t, s])
                        sizes.append(size * weight)
                        shares.append(size / whole * weight)
                    rows.add(t)
                if not sizes or start >= to:
                    assert np.isnan(raw[start, to])
                    continue
                weights = sum(target.probability for target in graph.targets)
                if to == 5:
                    count = (of.layer[:n] == start).sum() * weights
                    assert raw[start, to] == pytest.approx(sum(sizes) / count)
                    assert share[start, to] == pytest.approx(sum(shares) / weights)
                else:
                    assert raw[start, to] == pytest.approx(np.mean(sizes))
                    assert share[start, to] == pytest.approx(
                        sum(shares) / (of.layer[:n] == to).sum()
                    )


def scaled(graph: AttributionGraph, factor: float, layers: tuple[int, int]) -> AttributionGraph:
    """Edges of which both ends are within some layers, times a factor."""
    n = graph.n_features
    inner = (graph.sources.layer[:n] >= layers[0]) & (graph.sources.layer[:n] <= layers[1])
    adjacency = np.array(graph.adjacency)
    adjacency[:n, :n][np.ix_(inner, inner)] *= factor
    return dataclasses.replace(graph, adjacency=adjacency)


def test_links_that_were_made_stronger_in_the_middle_are_the_number(
    graphs: list[AttributionGraph],
) -> None:
    same = edge_changes(graphs, graphs, n_boot=100)
    assert same.middle_raw.value == 0 and same.middle_share.value == 0
    assert np.nanmax(np.abs(same.raw_change)) == 0 and same.n_prompts == 4
    found = edge_changes(graphs, [scaled(g, 4.0, (1, 3)) for g in graphs], n_boot=100)
    assert found.middle_raw.value == pytest.approx(2)
    assert found.middle_raw.low == pytest.approx(2) and found.middle_raw.high == pytest.approx(2)
    assert found.middle_share.value is not None and found.middle_share.value > 0.2
    known = np.isfinite(found.raw_change)
    assert known[1, 2] and known[0, 4] and known[4, 5] and not known[2, 1]
    assert found.raw_change[1, 2] == pytest.approx(2) and found.raw_change[0, 4] == 0


def test_graphs_of_other_prompts_are_refused(graphs: list[Any]) -> None:
    with pytest.raises(ValueError, match="graph 0 before and after"):
        edge_changes(graphs, graphs[::-1])
    with pytest.raises(ValueError, match="4 graphs before, 3 after"):
        edge_changes(graphs, graphs[:3])
