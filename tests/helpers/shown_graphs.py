"""Attribution graphs of random numbers, and notes on their features, for what shows them."""

from __future__ import annotations

import numpy as np

from ilo_fast.transcoders.attribution.data import KINDS, GraphData, Sources, Target
from ilo_fast.transcoders.features.notes import Context, FeatureNote, Supernode

LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn", "rus_Cyrl", "arb_Arab", "zho_Hans")
_WORDS = {
    "eng_Latn": "the|day|before|Sunday|is|Saturday|and|Monday",
    "deu_Latn": "der|Tag|vor|Sonntag|ist|Samstag|und|Montag",
    "fra_Latn": "le|jour|avant|dimanche|est|samedi|et|lundi",
    "rus_Cyrl": "день|перед|воскресеньем|это|суббота|затем|потом|вторник",
    "arb_Arab": "اليوم|قبل|الأحد|هو|السبت|وبعده|يأتي|الاثنين",
    "zho_Hans": "星|期|日|的|前|一|天|是",
}


def random_graph(
    seed: int = 0,
    *,
    n_layers: int = 6,
    tokens: tuple[str, ...] = ("The", " day", " before", " Sun", "day", " is", " called"),
    n_features: int = 80,
    vocabulary: int = 300,
    targets: tuple[str, ...] = (" Saturday", " Friday", " Sunday"),
    rest: bool = False,
    prompt: str | None = None,
) -> GraphData:
    """Heavy-tailed edges from earlier layers and positions; every row sums to its value."""
    rng = np.random.default_rng(seed)
    n_tokens = len(tokens)
    first = 1 if n_tokens > 1 else 0
    cells = sorted(
        (int(layer), int(position), int(feature))
        for layer, position, feature in {
            (rng.integers(n_layers), rng.integers(first, n_tokens), rng.integers(vocabulary))
            for _ in range(n_features)
        }
    )
    at = [(layer, p) for layer in range(n_layers) for p in range(n_tokens)]
    entries = [(0, *cell) for cell in cells]
    entries += [(1, *cell, -1) for cell in at] if rest else []
    entries += [(2, *cell, -1) for cell in at]
    entries += [(kind, -1, p, -1) for kind in (3, 4) for p in range(n_tokens)]
    entries += [(5, layer, -1, -1) for layer in range(-1, n_layers + 1)]
    kind, layer, position, feature = np.asarray(entries).T
    activation = np.where(kind == 5, np.nan, rng.gamma(2.0, 1.0, len(kind)))
    sources = Sources(
        kind.astype(np.int8),
        layer.astype(np.int32),
        position.astype(np.int32),
        feature.astype(np.int32),
        activation,
    )
    n = len(cells)
    row_layer = np.append(layer[:n], np.full(len(targets), n_layers))
    row_position = np.append(position[:n], np.full(len(targets), n_tokens - 1))
    reaches = (layer[None] < row_layer[:, None]) & (position[None] <= row_position[:, None])
    size = rng.standard_normal((len(row_layer), len(kind))) ** 3 * rng.pareto(1.4, (1, len(kind)))
    scale = np.asarray([1.0, 0.5, 0.4, 2.0, 0.3, 0.5])[kind]
    near = np.exp(-0.3 * (row_position[:, None] - position[None]))
    adjacency = np.where(reaches, size * scale * near, 0.0)
    probabilities = np.sort(rng.dirichlet(np.ones(len(targets) + 1)))[::-1]
    return GraphData(
        prompt="".join(tokens) if prompt is None else prompt,
        tokens=tokens,
        token_ids=rng.integers(0, 1000, n_tokens),
        sources=sources,
        targets=tuple(
            Target(label, i, float(p))
            for i, (label, p) in enumerate(zip(targets, probabilities, strict=False))
        ),
        adjacency=adjacency,
        values=adjacency.sum(axis=1),
        info={
            "n_layers": n_layers,
            "skip_positions": 1,
            "model": "random",
            "transcoder": {"kind": "cross-layer"},
        },
    )


def random_notes(
    graph: GraphData, seed: int = 0, *, n_contexts: int = 6, length: int = 14, n_logits: int = 6
) -> dict[tuple[int, int], FeatureNote]:
    """Of every feature of a graph, contexts of random words."""
    rng = np.random.default_rng(seed)
    layers, numbers = graph.sources.layer[: graph.n_features], graph.sources.feature
    found = {}
    for layer, number in zip(layers, numbers, strict=False):
        key = (int(layer), int(number))
        rates = rng.pareto(1.0, len(LANGUAGES)) * 0.01
        rates = np.minimum(np.where(rng.random(len(rates)) < 0.3, 0.0, rates), 1.0)
        contexts = tuple(
            _context(rng, LANGUAGES[rng.choice(len(rates), p=_shares(rates))], length)
            for _ in range(n_contexts)
        )
        words = [_WORDS[language].split("|")[rng.integers(8)] for language in LANGUAGES]
        logits = [(f" {words[i % 6]}", float(rng.gamma(2) / (1 + i))) for i in range(n_logits)]
        found[key] = FeatureNote(
            layer=key[0],
            feature=key[1],
            contexts=contexts,
            top_logits=tuple(logits),
            bottom_logits=tuple((token, -value) for token, value in logits),
            rates=dict(zip(LANGUAGES, map(float, rates), strict=True)),
            density=float(rates.mean()),
            max_activation=max((max(c.activations) for c in contexts), default=1.0),
            description=f"after “{words[0].strip()}”" if rng.random() < 0.8 else "",
        )
    return found


def _shares(rates: np.ndarray) -> np.ndarray:
    return (rates + 1e-6) / (rates + 1e-6).sum()


def _context(rng: np.random.Generator, language: str, length: int) -> Context:
    words = _WORDS[language].split("|")
    space = "" if language == "zho_Hans" else " "
    tokens = tuple(space + words[rng.integers(len(words))] for _ in range(length))
    active = np.where(rng.random(length) < 0.2, rng.gamma(2.0, 1.0, length), 0.0)
    peak = int(rng.integers(length))
    active[peak] = active.max() + 1.0
    return Context(tokens, tuple(map(float, active)), peak, language)


def random_supernodes(graph: GraphData, seed: int = 0, *, n: int = 3) -> list[Supernode]:
    """Some features each, all of them proposed."""
    rng = np.random.default_rng(seed)
    members = rng.permutation(graph.n_features)[: 3 * n].reshape(n, 3)
    return [
        Supernode(f"group {i}", tuple(sorted(map(int, row))), True) for i, row in enumerate(members)
    ]


assert KINDS == ("feature", "rest", "error", "token", "position", "bias")
