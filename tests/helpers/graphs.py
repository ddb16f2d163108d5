"""Graphs made by hand, of random numbers that add up."""

from __future__ import annotations

import secrets

import numpy as np

from ilo_fast.transcoders.attribution.data import KINDS, GraphData, Sources, Target
from ilo_fast.transcoders.features.notes import Context, FeatureNote, Supernode


def random_graph(
    n_layers: int = 3,
    n_tokens: int = 5,
    n_features: int = 6,
    *,
    dtype: type = np.float64,
    rest: bool = True,
    seed: int | None = None,
) -> GraphData:
    """Every kind of source; features have numbers below `n_features`; edges go to later layers."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    print(f"graph of seed {seed}")
    random = np.random.default_rng(seed)
    found: list[tuple[int, int, int, int]] = []

    def add(kind: str, layer: int, position: int, feature: int = -1) -> None:
        found.append((KINDS.index(kind), layer, position, feature))  # type: ignore[arg-type]

    cells = [(layer, position) for layer in range(n_layers) for position in range(n_tokens)]
    for layer, position in cells:
        for feature in range(n_features):
            if position and random.random() < 0.5:
                add("feature", layer, position, feature)
    for layer, position in cells:
        if rest and position and random.random() < 0.7:
            add("rest", layer, position)
    for layer, position in cells:
        add("error", layer, position)
    for kind in ("token", "position"):
        for position in range(n_tokens):
            add(kind, -1, position)
    for layer in range(-1, n_layers + 1):
        add("bias", layer, -1)
    kind, layer, position, feature = np.array(found).T
    activation = np.where(kind == KINDS.index("bias"), np.nan, random.random(len(kind)) + 0.1)
    sources = Sources(
        kind.astype(np.int8), layer.astype(np.int32), position.astype(np.int32),
        feature.astype(np.int32), activation,
    )  # fmt: skip
    n = int(sources.of_kind("feature").sum())
    targets = (
        Target("water", 7, 0.5), Target(' "so" (p=1', 3, 0.2), Target("water - rain", None, 1.0),
    )  # fmt: skip
    adjacency = random.standard_normal((n + len(targets), len(kind)))
    layers = np.concatenate([layer[:n], [n_layers + 1] * len(targets)])
    places = np.concatenate([position[:n], [n_tokens] * len(targets)])
    adjacency *= (layer < layers[:, None]) & (position <= places[:, None])
    values = adjacency.sum(axis=1)
    return GraphData(
        prompt="\u202ea <b>prompt</b>",
        tokens=("<s>", "\ud83d", '"</script>', "naïve", *["\n"] * n_tokens)[:n_tokens],
        token_ids=random.integers(0, 60, n_tokens),
        sources=sources,
        targets=targets,
        adjacency=adjacency.astype(dtype),
        values=values,
        info={"model": "some/model", "n_layers": n_layers, "skip_positions": 1, "dtype": "float64"},
    )


def notes_of(graph: GraphData) -> dict[tuple[int, int], FeatureNote]:
    """A note of every other feature."""
    keys = dict.fromkeys(
        (int(graph.sources.layer[i]), int(graph.sources.feature[i]))
        for i in range(graph.n_features)
    )
    return {
        (layer, feature): FeatureNote(
            layer=layer,
            feature=feature,
            contexts=tuple(
                Context(("a", "\udc00", "c"), (0.0, 0.1, number / 3), 2, language)
                for number, language in ((3, "eng_Latn"), (2, "deu_Latn"), (1, "eng_Latn"))
            ),
            top_logits=(("x", 0.1), ("y", 1 / 3)),
            bottom_logits=(("z", -0.1),),
            rates={"eng_Latn": 0.1, "deu_Latn": 1 / 7},
            density=0.12,
            max_activation=2.5,
            description=f"words like a{feature}",
        )
        for layer, feature in list(keys)[::2]
    }


def supernodes_of(graph: GraphData) -> tuple[Supernode, ...]:
    """Groups of any sources: features, errors, and biases, which other formats have not."""
    n = len(graph.sources)
    return (
        Supernode("<first>", tuple(range(graph.n_features)), False),
        Supernode("mixed", (0, graph.n_features, n - 1), True),
        Supernode("", (), True),
    )
