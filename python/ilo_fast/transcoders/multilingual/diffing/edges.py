"""How strong the links between layers are, in graphs of the same prompts before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.multilingual.diffing.brightness import (
    Estimate,
    estimate,
    finite,
    log_ratio,
    percentiles,
)
from ilo_fast.transcoders.multilingual.diffing.paired import Floats


@dataclass(frozen=True, eq=False)
class EdgeChanges:
    """Edges from the features of one layer to those of another, and to what is predicted.

    Rows are the layers of sources, columns those of what they reach, the last column what is
    predicted. Means are over prompts; NaN where no prompt has such an edge.

    Attributes
    ----------
    raw_before, raw_after : (layers, layers + 1)
        Mean absolute edge weight, over all pairs of active features of which the one may reach the
        other.
    share_before, share_after : (layers, layers + 1)
        Of all that enters a feature or a prediction, in absolute numbers, the share that comes from
        the features of a layer: rows of the graph normalised.
    raw_change, raw_low, raw_high, share_change, share_low, share_high : (layers, layers + 1)
        log2 of after over before, with percentile intervals over prompts.
    middle_raw, middle_share : Estimate
        Mean change of the links within the middle half of the layers, less that of all other links
        between features.
    n_prompts : int
    """

    raw_before: Floats
    raw_after: Floats
    raw_change: Floats
    raw_low: Floats
    raw_high: Floats
    share_before: Floats
    share_after: Floats
    share_change: Floats
    share_low: Floats
    share_high: Floats
    middle_raw: Estimate
    middle_share: Estimate
    n_prompts: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        tables = [f"{kind}_{part}" for kind in ("raw", "share")
                  for part in ("before", "after", "change", "low", "high")]  # fmt: skip
        return {
            "prompts": self.n_prompts,
            **{name: finite(getattr(self, name)) for name in tables},
            "middle_raw": self.middle_raw.to_dict(),
            "middle_share": self.middle_share.to_dict(),
        }


def edge_strengths(
    graph: GraphData, weights: Sequence[float] | None = None
) -> tuple[Floats, Floats]:
    """Raw strengths and shares of one graph: 2 x (layers, layers + 1), NaN where there is no edge.

    Targets are weighted; `weights` None: by their probability.
    """
    n, n_layers = graph.n_features, graph.n_layers
    sources = graph.sources
    layer, position = sources.layer[:n], sources.position[:n]
    size = np.abs(np.asarray(graph.adjacency, np.float64))
    whole = size.sum(axis=1, keepdims=True)
    shares = size / np.where(whole > 0, whole, 1)
    of_layer = (layer[:, None] == np.arange(n_layers)).astype(np.float64)  # (n, layers)
    raw, share = (np.full((n_layers, n_layers + 1), np.nan) for _ in range(2))
    earlier = position[None, :] <= position[:, None]
    for to in range(n_layers):
        rows = np.flatnonzero(layer == to)
        if not len(rows):
            continue
        pairs = earlier[rows].astype(np.float64) @ of_layer
        total = size[rows, :n] @ of_layer
        for start in range(to):
            if pairs[:, start].sum():
                raw[start, to] = total[:, start].sum() / pairs[:, start].sum()
                share[start, to] = (shares[rows, :n] @ of_layer[:, start]).mean()
    weight = np.array(weights or [target.probability for target in graph.targets])
    if weight.sum():
        weight = weight / weight.sum()
        count = of_layer.sum(axis=0)
        known = count > 0
        raw[known, -1] = (weight @ (size[n:, :n] @ of_layer))[known] / count[known]
        share[known, -1] = (weight @ (shares[n:, :n] @ of_layer))[known]
    return raw, share


def edge_changes(
    before: Sequence[GraphData],
    after: Sequence[GraphData],
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> EdgeChanges:
    """Compare graphs of the same prompts.

    Parameters
    ----------
    before, after
        As `attribution_graphs` gives them, prompt by prompt, with the same targets; those are
        weighted by their probability before.
    n_boot, seed
        Of the bootstrap over prompts, the same ones before and after.

    Raises
    ------
    ValueError
        They are not of the same prompts.
    """
    if not before or len(before) != len(after):
        raise ValueError(f"{len(before)} graphs before, {len(after)} after: wanted as many of both")
    for at, (first, other) in enumerate(zip(before, after, strict=True)):
        if first.n_layers != other.n_layers or first.token_ids.tolist() != other.token_ids.tolist():
            raise ValueError(f"graph {at} before and after are of different prompts or models")
        if [t.label for t in first.targets] != [t.label for t in other.targets]:
            raise ValueError(f"graph {at} before and after have different targets")
    random = np.random.default_rng(seed)
    n = len(before)
    drawn = random.multinomial(n, np.full(n, 1 / n), size=n_boot).astype(np.float64)
    weights = [[target.probability for target in graph.targets] for graph in before]
    tables = [
        np.array([edge_strengths(g, w) for g, w in zip(graphs, weights, strict=True)])
        for graphs in (before, after)
    ]
    parts: dict[str, Any] = {}
    for at, kind in enumerate(("raw", "share")):
        # A cell counts in the prompts that have the edge both before and after.
        known = np.isfinite(tables[0][:, at]) & np.isfinite(tables[1][:, at])
        one = np.ones((1, n))
        mean_b, mean_a = (_means(table[:, at], known, one)[0] for table in tables)
        draws = log_ratio(*(_means(table[:, at], known, drawn) for table in tables[::-1]))
        change = log_ratio(mean_a, mean_b)
        parts |= {f"{kind}_before": mean_b, f"{kind}_after": mean_a, f"{kind}_change": change}
        parts[f"{kind}_low"], parts[f"{kind}_high"] = percentiles(draws, n)
        parts[f"middle_{kind}"] = estimate(_middle(change[None])[0], _middle(draws), n)
    return EdgeChanges(**parts, n_prompts=n)


def middle(n_layers: int) -> slice:
    """The layers of the middle half."""
    edge = max(1, n_layers // 4)
    return slice(edge, n_layers - edge)


def _means(values: Floats, known: Any, weights: Floats) -> Floats:
    """Weighted means over prompts of what is known: (draws, layers, layers + 1)."""
    shape = values.shape[1:]
    flat = np.where(known, values, 0).reshape(len(values), -1)
    count = weights @ known.reshape(len(values), -1).astype(np.float64)
    total = weights @ flat
    found = np.where(count > 0, total / np.where(count > 0, count, 1), np.nan)
    return found.reshape(-1, *shape)


def _middle(changes: Floats) -> Floats:
    """Of each draw, the mean over middle links less that over the others; NaN where one lacks."""
    n_layers = changes.shape[1]
    inner = np.zeros((n_layers, n_layers + 1), bool)
    part = middle(n_layers)
    inner[part, part] = True
    links = np.zeros_like(inner)
    links[:, :n_layers] = np.triu(np.ones((n_layers, n_layers), bool), 1)
    out = np.full(len(changes), np.nan)
    for at, change in enumerate(changes):
        known = np.isfinite(change) & links
        if (known & inner).any() and (known & ~inner).any():
            out[at] = change[known & inner].mean() - change[known & ~inner].mean()
    return out
