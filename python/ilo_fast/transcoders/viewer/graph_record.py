"""What the page's script knows of a graph: its nodes, and its edges as shares of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.report.packing import packed, packed_codes, packed_texts, shown_text
from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.features.notes import Supernode

EDGE_BYTES: Final = 4.2
"""The most that an edge takes on the page: two bytes of its share, one of its source, in base64."""

_SHARES: Final = (
    0.9999,
    0.9995,
    0.999,
    0.998,
    0.995,
    0.99,
    0.98,
    0.95,
    0.9,
    0.8,
    0.6,
    0.4,
    0.2,
    0.0,
)
_LEAST: Final = (1 / 65_534) ** 2  # a share whose root is rounded to zero
_MARKS: Final = {"\n": "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}", "\t": "\N{RIGHTWARDS ARROW}"}


def graph_record(
    graph: GraphData,
    supernodes: Sequence[Supernode],
    pinned: Sequence[int] = (),
    *,
    edge_bytes: float,
) -> dict[str, Any]:
    """All of a graph for the script.

    Of every row, the largest edges that together hold a share of the row's absolute sum are kept:
    all of them where they fit into `edge_bytes`, else as large a share as does.
    """
    sources, n = graph.sources, len(graph.sources)
    if n > 65_535:
        raise ValueError(
            f"graph has {n} sources, a page shows at most 65535: trace it with fewer max_features"
        )
    for group in supernodes:
        if not all(0 <= member < n for member in group.members):
            raise ValueError(
                f"supernodes: members of {group.name!r} must be indices of the graph's {n} sources"
            )
    if not all(0 <= node < n + len(graph.targets) for node in pinned):
        raise ValueError(f"pinned must be indices of the graph's {n} sources, then of its targets")
    return {
        "prompt": packed_texts([visible_token(graph.prompt)]),
        "tokens": packed_texts([visible_token(token) for token in graph.tokens]),
        "targets": packed_texts([visible_token(target.label) for target in graph.targets]),
        "probabilities": [float(target.probability) for target in graph.targets],
        "is_token": [target.token_id is not None for target in graph.targets],
        "layers": int(graph.n_layers),
        "residual": _short(graph.residual),
        "kind": packed_codes(sources.kind),
        "layer": packed_codes(sources.layer + 1),
        "position": packed_codes(sources.position + 1),
        "feature": [int(feature) for feature in sources.feature],
        "activation": [_short(activation) for activation in sources.activation],
        "values": [_short(value) for value in graph.values],
        "supernodes": [
            {"name": group.name, "members": [int(m) for m in group.members],
             "proposed": group.proposed}
            for group in supernodes
        ],
        "pinned": [int(node) for node in pinned],
        "edges": _edges(graph, int(edge_bytes / EDGE_BYTES)),
    }  # fmt: skip


def visible_token(token: str) -> str:
    """A token whose line breaks can be seen."""
    for character, mark in _MARKS.items():
        token = token.replace(character, mark)
    return token


def shown_label(text: str) -> str:
    """The same as the page has it."""
    return shown_text(visible_token(text))


def _largest(share: NDArray[np.float64], most: int) -> NDArray[np.bool_]:
    """Of every row the fewest that hold a share of it: the largest share that is not too many."""
    order = np.argsort(-share, axis=1)
    ranked = np.take_along_axis(share, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    for held in _SHARES:
        wanted = before < held
        if np.count_nonzero(wanted) <= most:
            break
    kept = np.zeros_like(wanted)
    np.put_along_axis(kept, order, wanted, axis=1)
    return kept


def _edges(graph: GraphData, most: int) -> dict[str, Any]:
    """The largest edges of every row, by the order of their sources.

    A share is packed as its root with its sign, so that small ones keep their digits; sources are
    packed as distances from the one before, which deflate well.
    """
    size = np.abs(graph.adjacency.astype(np.float64, copy=False))
    totals = size.sum(axis=1)
    share = size / np.where(totals > 0, totals, 1.0)[:, None]
    kept = share > _LEAST
    if np.count_nonzero(kept) > most:
        kept &= _largest(share, most)
    rows, columns = np.nonzero(kept)
    first = np.diff(rows, prepend=-1) > 0
    steps = np.where(first, columns, np.diff(columns, prepend=0))
    signed = np.sign(graph.adjacency[rows, columns]) * np.sqrt(share[rows, columns])
    return {
        "counts": packed_codes(kept.sum(axis=1)),
        "steps": packed_codes(steps),
        # Between fixed ends, so that the codes mean the same in every graph.
        "roots": packed(np.concatenate([signed, [-1.0, 1.0]])),
        "totals": [_short(total) for total in totals],
        # Of each row's absolute sum, what the page has.
        "held": [_short(held) for held in np.where(kept, share, 0.0).sum(axis=1)],
        "n_all": int(np.count_nonzero(size)),
    }


def _short(value: float) -> float | None:
    """Seven digits; None of what is no number."""
    return float(f"{value:.7g}") if np.isfinite(value) else None
