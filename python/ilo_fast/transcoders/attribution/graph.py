"""`AttributionGraph`: a graph, and what can be done with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import path_of
from ilo_fast._util.files import write_text
from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.attribution.scores import (
    GraphScores,
    Pruned,
    graph_scores,
    influence,
    pruned,
)
from ilo_fast.transcoders.features.notes import FeatureNote, Supernode
from ilo_fast.transcoders.files.graph_file import load_graph, save_graph
from ilo_fast.transcoders.viewer.page import ShownGraph, graph_page


@dataclass(frozen=True)
class AttributionGraph(GraphData):
    """As `GraphData`, with its scores, its files and its page."""

    @cached_property
    def influence(self) -> NDArray[np.float64]:
        """Of every source, what reaches it of the targets' weights: (sources,)."""
        return influence(self)

    @cached_property
    def scores(self) -> GraphScores:
        """How much of the graph its features explain."""
        return graph_scores(self)

    def pruned(self, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
        """Which nodes and edges matter: see `ilo_fast.transcoders.attribution.scores.pruned`."""
        return pruned(self, node_threshold, edge_threshold)

    def features(self) -> list[tuple[int, int]]:
        """The (layer, feature) that are nodes, each once, in order."""
        own = self.sources.of_kind("feature")
        return sorted(
            set(
                zip(
                    self.sources.layer[own].tolist(),
                    self.sources.feature[own].tolist(),
                    strict=True,
                )
            )
        )

    def summary(self) -> dict[str, Any]:
        """JSON-able: prompt, targets, scores, residual, settings."""
        return {
            "prompt": self.prompt,
            "tokens": list(self.tokens),
            "targets": [
                asdict(target) | {"value": float(value)}
                for target, value in zip(self.targets, self.values[self.n_features :], strict=True)
            ],
            "scores": asdict(self.scores),
            "residual": self.residual,
            "n_sources": len(self.sources),
            **self.info,
        }

    def to_file(
        self,
        path: str | os.PathLike[str],
        *,
        notes: Mapping[tuple[int, int], FeatureNote] | None = None,
        supernodes: Sequence[Supernode] = (),
    ) -> None:
        """Write one file: see `ilo_fast.transcoders.files.graph_file.save_graph`."""
        save_graph(path, self, notes, supernodes)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> AttributionGraph:
        """The reverse of `to_file`; its notes and supernodes are read by `load_graph`."""
        graph = load_graph(path).graph
        return cls(**{field.name: getattr(graph, field.name) for field in fields(graph)})

    def to_html(
        self,
        path: str | os.PathLike[str],
        *,
        notes: Mapping[tuple[int, int], FeatureNote] | None = None,
        supernodes: Sequence[Supernode] = (),
        other: ShownGraph | None = None,
        title: str | None = None,
    ) -> None:
        """Write one page that needs no network: see `ilo_fast.transcoders.viewer.page`."""
        page = graph_page(self, notes=notes, supernodes=supernodes, other=other, title=title)
        write_text(path_of("path", path), page)
