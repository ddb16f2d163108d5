"""The viewer's page as text: what it asks for, what it escapes, how large it gets."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

pytest.importorskip("jinja2")

from helpers.html import Page
from helpers.shown_graphs import random_graph, random_notes, random_supernodes

from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.features.notes import Context, FeatureNote, Supernode
from ilo_fast.transcoders.viewer.page import ShownGraph, graph_page, viewer_script

HOSTILE = "</script><img src=http://example.org/x onerror=alert(1)>\u202e\x1b[31m{{ 7*7 }}<!--"


def _record(page: str) -> dict:  # type: ignore[type-arg]
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page)
    assert found is not None
    return dict(json.loads(found[1]))


def test_page_asks_for_nothing_outside_itself_and_ids_are_unique() -> None:
    graph = random_graph(1, rest=True)
    notes = random_notes(graph)
    text = graph_page(
        graph, notes=notes, supernodes=random_supernodes(graph),
        other=ShownGraph(random_graph(2), notes),
    )  # fmt: skip
    page = Page(text)
    assert page.addresses == []
    assert len(page.ids) == len(set(page.ids)) > 20
    assert "default-src 'none'" in text and "connect-src" not in text
    outside = set(re.findall(r"https?://[^\s\"']+", text))
    assert outside == {"http://www.w3.org/2000/svg"}  # a name, not an address
    for reference in re.findall(r'(?:aria-labelledby|for)="([^"]+)"', text):
        assert reference in page.ids


def _hostile(graph: GraphData) -> GraphData:
    return dataclasses.replace(
        graph,
        prompt=HOSTILE,
        tokens=(HOSTILE,) * len(graph.tokens),
        targets=tuple(dataclasses.replace(t, label=HOSTILE) for t in graph.targets),
        info={**graph.info, HOSTILE: HOSTILE, "model": HOSTILE},
    )


def test_hostile_text_is_never_markup() -> None:
    graph = random_graph(1)
    context = Context((HOSTILE, "a"), (1.0, 0.0), 0, HOSTILE)
    notes = {
        key: dataclasses.replace(
            note, contexts=(context,), description=HOSTILE, rates={HOSTILE: 0.5},
            top_logits=((HOSTILE, 1.0),),
        )
        for key, note in random_notes(graph).items()
    }  # fmt: skip
    groups = [Supernode(HOSTILE, (0, 1), True)]
    text = graph_page(_hostile(graph), notes=notes, supernodes=groups, title=HOSTILE)
    page, harmless = Page(text), Page(graph_page(graph, notes=random_notes(graph)))
    assert page.elements.count("script") == harmless.elements.count("script") == 2
    assert "img" not in page.elements
    assert not set(text) & set("\u202e\x1b")
    assert "49<" not in text and "{{ 7*7 }}" in text


def test_page_without_notes_says_how_to_get_them() -> None:
    text = graph_page(random_graph(1))
    assert _record(text)["notes"] is None
    assert "ilo-fast clt graph" in text


def test_residual_and_settings_are_printed() -> None:
    graph = random_graph(1)
    off = dataclasses.replace(graph, values=graph.values * (1 + 1e-3))
    text = graph_page(off)
    assert "1.0e-03" in text and _record(text)["graphs"][0]["residual"] == pytest.approx(1e-3, 1e-2)
    assert "cross-layer" in text


def test_wrong_supernodes_are_refused() -> None:
    graph = random_graph(1)
    with pytest.raises(ValueError, match=r"members of 'x' must be indices of the graph's \d+ sour"):
        graph_page(graph, supernodes=[Supernode("x", (len(graph.sources),), True)])
    with pytest.raises(ValueError, match="pinned must be indices"):
        graph_page(graph, pinned=[len(graph.sources) + len(graph.targets)])


def _many_notes(
    graph: GraphData, n_contexts: int, length: int
) -> dict[tuple[int, int], FeatureNote]:
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (20_000, 6)).astype(np.uint8)
    words = [" " + bytes(row).decode() for row in letters]
    found = {}
    for i in range(graph.n_features):
        at = rng.integers(len(words), size=(n_contexts, length)).tolist()
        strength = rng.random((n_contexts, length)).tolist()
        key = (int(graph.sources.layer[i]), int(graph.sources.feature[i]))
        contexts = tuple(
            Context(tuple(words[w] for w in row), tuple(line), 3, f"l{c % 40:02}")
            for c, (row, line) in enumerate(zip(at, strength, strict=True))
        )
        logits = tuple((words[w], float(w)) for w in at[0][:10])
        rates = {f"l{c:02}": i / 5000 for c in range(40)}
        found[key] = FeatureNote(*key, contexts, logits, logits, rates, 0.1, 1.0, words[at[0][0]])
    return found


def test_two_thousand_features_at_sixty_tokens_take_less_than_20_megabytes() -> None:
    tokens = tuple(f" token{i}" for i in range(60))
    graph = random_graph(1, n_layers=12, tokens=tokens, n_features=2000, vocabulary=5000)
    notes = _many_notes(graph, 12, 24)
    page = graph_page(graph, notes=notes)
    assert 4_000_000 < len(page) < 9_000_000  # two of them take less than 20
    edges = _record(page)["graphs"][0]["edges"]
    assert min(edges["held"]) > 0.999  # nothing is left out
    assert len(_record(page)["notes"]["layer"]) == len(notes) > 1900


def test_edges_and_contexts_give_way_to_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(1, n_features=150, vocabulary=1000)
    size = np.random.default_rng(0).standard_normal(graph.adjacency.shape)  # none is zero
    graph = dataclasses.replace(graph, adjacency=size, values=size.sum(axis=1))
    notes = _many_notes(graph, 12, 24)
    whole = len(graph_page(graph, notes=notes))
    held = []
    for share in (0.95, 0.8, 0.65):
        wanted = 230_000 + int(share * (whole - 110_000))
        monkeypatch.setattr("ilo_fast.transcoders.viewer.page.PAGE_BYTES", wanted)
        page = graph_page(graph, notes=notes)
        assert len(page) < wanted
        record = _record(page)
        held.append(np.mean(record["graphs"][0]["edges"]["held"]))
        assert record["graphs"][0]["edges"]["n_all"] == graph.adjacency.size
        assert record["notes"]["contexts"]["shape"] == [len(notes)]
    assert held == sorted(held, reverse=True)
    assert 0.1 < held[-1] < 0.99, held


def test_script_takes_less_than_100_kilobytes() -> None:
    assert len(viewer_script()) < 100_000
