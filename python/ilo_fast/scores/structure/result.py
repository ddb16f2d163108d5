"""What `structure` returns: who neighbours whom, the shared core, the fragments around it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import choice, path_of
from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.equality import same_fields
from ilo_fast._util.files import write_text
from ilo_fast._util.messages import counted, plain
from ilo_fast._util.optional import require, xarray_dataset
from ilo_fast._util.schema import read_result
from ilo_fast.corpora.grouping import group_languages
from ilo_fast.corpora.languages import language_coordinates
from ilo_fast.scores.certainty.graph_overlap_moments import LinkSums
from ilo_fast.scores.structure.dendrogram import average_linkage, language_distance, leaf_order
from ilo_fast.scores.structure.file import (
    STRUCTURE_FILE,
    read_fields,
    read_labels,
    structure_object,
    write_labels,
)
from ilo_fast.scores.structure.language_shares import (
    expected_shares,
    groups_of,
    modularity,
    modularity_chance,
    z_scores,
)
from ilo_fast.scores.structure.parts import LayerComponents, short_name
from ilo_fast.scores.table import positions as places

PARTITIONS: Final = ("language", "family", "script", "region")


@dataclass(frozen=True, eq=False)
class Structure:
    """Which language neighbours which, what all share, and what stays apart, layer by layer.

    Only counts are kept; shares, z, dendrogram and modularity follow from them when asked for.

    Attributes
    ----------
    layers : tuple of int
    languages : tuple of str
    n_points : tuple of int
        Of each language.
    n_neighbors : int
    counts : int64, shape (layers, languages, languages)
        Links from the points of a language (row) to those of another (column).
    link_sums : tuple of LinkSums
        Of each layer's graph: what the spread of the counts by chance depends on.
    components : tuple of LayerComponents
    names : dict of int to str
        What each label stands for: 0 ``"core"``, -1 ``"rest"``, and the main languages of each
        fragment over all layers.
    flows : tuple of tuple of (int, int, int)
        Between each layer and the next: a label in the one, a label in the other, and how many
        points have both.
    labels : int32, shape (layers, N), or None
        The component of each point: 0 the core, -1 neither core nor fragment. None after reading
        a text, or a file without its ``structure.npz``.
    settings : dict
    info : dict
    """

    layers: tuple[int, ...]
    languages: tuple[str, ...]
    n_points: tuple[int, ...]
    n_neighbors: int
    counts: NDArray[np.int64]
    link_sums: tuple[LinkSums, ...]
    components: tuple[LayerComponents, ...]
    names: Mapping[int, str]
    flows: tuple[tuple[tuple[int, int, int], ...], ...]
    labels: NDArray[np.int32] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        names = [f.name for f in dataclasses.fields(self) if f.name != "info"]
        return isinstance(other, Structure) and same_fields(self, other, names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        best = int(np.argmax([layer.core.size for layer in self.components]))
        return (
            f"Structure({counted(len(self.layers), 'layer')}, "
            f"{counted(len(self.languages), 'language')}, "
            f"k={self.n_neighbors}; the core is largest at layer {self.layers[best]}: "
            f"{self.core_share[best]:.0%} of the points, at least half of those of "
            f"{counted(len(self.components[best].core.languages), 'language')})"
        )

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """(layers, languages, languages): of the neighbours of row c, the share in column c'."""
        shares: NDArray[np.float64] = self.counts / self.counts.sum(axis=2, keepdims=True)
        return shares

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """(languages, languages): the same where neighbours are drawn at random."""
        return expected_shares(self.n_points)

    @cached_property
    def log_ratio(self) -> NDArray[np.float64]:
        """(layers, languages, languages): log2 of `share` over `expected`, each with half a link.

        0 is chance, 1 twice as many links as by chance, -1 half as many. The half link keeps pairs
        without links finite, and those of few points near 0. NaN for a language of one point and
        itself, which can have no link.
        """
        by_chance = self.expected * self.counts.sum(axis=2, keepdims=True)
        ratios: NDArray[np.float64] = np.log2((self.counts + 0.5) / (by_chance + 0.5))
        ratios[:, self.expected == 0] = np.nan
        return ratios

    @cached_property
    def z(self) -> NDArray[np.float64]:
        """(layers, languages, languages): `counts` in exact standard deviations above chance.

        Chance: labels given to the points at random, the graph kept. NaN where there is no spread.
        """
        pairs = zip(self.counts, self.link_sums, strict=True)
        return np.stack([z_scores(counts, links, self.n_points) for counts, links in pairs])

    @cached_property
    def distance(self) -> NDArray[np.float64]:
        """(layers, languages, languages): 0 always neighbours, 1/2 as by chance, 1 never."""
        by_layer = (language_distance(c, self.n_points, self.expected) for c in self.counts)
        return np.stack(list(by_layer))

    @cached_property
    def linkage(self) -> NDArray[np.float64]:
        """(layers, languages - 1, 4): average linkage of `distance`, as SciPy writes it."""
        return np.stack([average_linkage(d) for d in self.distance])

    @cached_property
    def orders(self) -> NDArray[np.int64]:
        """(layers, languages): the leaves of each layer's dendrogram from end to end."""
        pairs = zip(self.linkage, self.distance, strict=True)
        return np.stack([leaf_order(tree, distance) for tree, distance in pairs])

    @cached_property
    def modularity(self) -> dict[str, NDArray[np.float64]]:
        """Of the partition by language, family, script and region: (layers,) each."""
        return {
            by: np.array([modularity(counts, self._partition(by)) for counts in self.counts])
            for by in PARTITIONS
        }

    @cached_property
    def modularity_chance(self) -> dict[str, float]:
        """The exact mean of `modularity` where neighbours are drawn at random."""
        return {by: modularity_chance(self.n_points, self._partition(by)) for by in PARTITIONS}

    @property
    def core_share(self) -> NDArray[np.float64]:
        """(layers,): the share of all points that the core holds."""
        return np.array([c.core.size for c in self.components]) / sum(self.n_points)

    @property
    def core_share_under_mixing(self) -> NDArray[np.float64]:
        """(layers,): the same where languages are exchanged at random."""
        return np.array([c.core_under_mixing for c in self.components]) / sum(self.n_points)

    @property
    def language_core_share(self) -> NDArray[np.float64]:
        """(layers, languages): the share of the points of each language inside the core."""
        inside = np.array([c.core.counts for c in self.components])
        shares: NDArray[np.float64] = inside / np.array(self.n_points)
        return shares

    def to_xarray(self) -> Any:
        """The numbers above as an xarray Dataset over layer, language, neighbor (needs xarray)."""
        inside, pairs = ("layer", "language"), ("layer", "language", "neighbor")
        axes: dict[str, tuple[str, ...]] = {"language_core_share": inside, "expected": pairs[1:]}
        axes |= dict.fromkeys(("counts", "share", "log_ratio", "z", "distance"), pairs)
        axes |= dict.fromkeys(("core_share", "core_share_under_mixing"), ("layer",))
        variables = {name: (dims, getattr(self, name)) for name, dims in axes.items()}
        known = language_coordinates(self.languages) | {"neighbor": list(self.languages)}
        return xarray_dataset(
            variables, {"layer": list(self.layers), **known}, {"n_neighbors": self.n_neighbors}
        )

    def _partition(self, by: str) -> list[list[int]]:
        if by == "language":
            return [[c] for c in range(len(self.languages))]
        return groups_of(group_languages(self.languages, by), self.languages)

    def plot(
        self, kind: str = "components", *, layer: int | None = None, width: float = 6.3
    ) -> Any:
        """Draw the parts of all layers, or who neighbours whom in one.

        Parameters
        ----------
        kind
            ``"components"``: core, fragments and the rest layer by layer, and where their points
            go. ``"languages"``: links between languages over chance, with their dendrogram.
        layer
            As in `layers`, for ``"languages"``; None for the last.
        width
            In inches: 3.3 is one column of a paper, without a title; 6.3 two.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        require("matplotlib", "report")
        choice("kind", kind, ("components", "languages"))
        if kind == "languages":
            from ilo_fast.plots.dendrogram_matrix import DendrogramMatrix, dendrogram_matrix_figure

            h = self._layer(layer)
            matrix = DendrogramMatrix(
                log_ratio=self.log_ratio[h],
                linkage=self.linkage[h],
                order=self.orders[h],
                labels=tuple(short_name(code, self.languages) for code in self.languages),
                title=f"Neighbours across languages, layer {self.layers[h]}",
                subtitle=f"links to the {self.n_neighbors} nearest neighbours, over chance",
            )
            return dendrogram_matrix_figure(matrix, width=width)
        from ilo_fast.plots.components import ComponentFlows, components_figure

        flows = ComponentFlows(
            layers=self.layers,
            sizes=tuple(
                {-1: c.rest, 0: c.core.size, **{one.label: one.size for one in c.fragments}}
                for c in self.components
            ),
            flows=self.flows,
            names={label: plain(name) for label, name in self.names.items()},
            under_mixing=tuple(c.core_under_mixing for c in self.components),
            title="The shared core and the fragments around it",
            subtitle=f"{len(self.languages)} languages, {self.n_neighbors} nearest neighbours",
        )
        return components_figure(flows, width=width)

    def plot_map(
        self,
        positions: NDArray[np.float32],
        *,
        layers: Sequence[int] | None = None,
        by: str = "family",
        width: float = 6.3,
    ) -> Any:
        """Draw what `layout` gave, a panel per layer.

        Parameters
        ----------
        positions : (layers, N, 2)
            Rows in the order of `languages`, as scores have them.
        layers
            As in `layers`; None for all.
        by
            What gives the colour: ``"family"``, ``"script"``, ``"region"`` or another grouping.
        width
            In inches: 3.3 is one column of a paper, without a title; 6.3 two.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            Positions of another shape, a layer that is not there.
        """
        require("matplotlib", "report")
        from ilo_fast.plots.layer_maps import LayerMaps, layer_maps_figure

        shape = (len(self.layers), sum(self.n_points), 2)
        if positions.shape != shape:
            raise ValueError(f"positions has shape {positions.shape}, wanted {shape}")
        rows = [self._layer(layer) for layer in (self.layers if layers is None else layers)]
        group = {
            code: name for name, codes in group_languages(self.languages, by).items()
            for code in codes
        }  # fmt: skip
        maps = LayerMaps(
            positions=positions[rows],
            layers=tuple(self.layers[h] for h in rows),
            language_of_point=np.repeat(np.arange(len(self.languages)), self.n_points),
            languages=tuple(plain(code.split("_")[0]) for code in self.languages),
            group_of_language=tuple(group[code] for code in self.languages),
            title=f"Map of neighbours, by {by}",
            subtitle=f"{len(self.languages)} languages, {self.n_neighbors} nearest neighbours",
        )
        return layer_maps_figure(maps, width=width)

    def _layer(self, layer: int | None) -> int:
        return places("layer", self.layers, None if layer is None else [layer])[-1]

    def rows(self) -> list[dict[str, Any]]:
        """One row per layer and part: the core, its fragments, and what is in neither.

        ``languages`` are those that the part holds, ``main`` those that make up a fragment.
        """
        n = sum(self.n_points)
        found = []
        for layer, parts in zip(self.layers, self.components, strict=True):
            for one in (parts.core, *parts.fragments):
                row = {
                    "layer": layer,
                    "label": one.label,
                    "name": one.name,
                    "points": one.size,
                    "share": one.size / n,
                    "share_under_mixing": None if one.label else parts.core_under_mixing / n,
                    "parts": one.n_parts,
                    "languages": " ".join(one.languages),
                    "main": " ".join(one.main),
                    "purity": one.purity,
                }
                found.append(row)
            rest = dict.fromkeys(found[-1]) | {"layer": layer, "label": -1, "name": "rest"}
            found.append(rest | {"points": parts.rest, "share": parts.rest / n})
        return found

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """`rows` as CSV, floats in full precision; with ``path``, also written there."""
        text = csv_text(self.rows())
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    def to_dict(self) -> dict[str, Any]:
        """Everything but the labels of points, as JSON can hold it."""
        return structure_object(self)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON text; with ``path``, also written there, labels beside it.

        Labels of points go into ``structure.npz`` in the folder of ``path``.
        """
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            target = path_of("path", path)
            if self.labels is not None:
                write_labels(self.labels, target.parent)
            write_text(target, text)
        return text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Structure:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            Something else, another schema version, or what contradicts itself.
        """
        return cls(**read_fields(data))

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> Structure:
        """Read what `to_json` gave: the text, the file, or its folder.

        Of a file or a folder, also the labels beside it, where there are any.

        Raises
        ------
        ValueError
            As `from_dict`, or labels that are damaged or belong to another structure.
        """
        found = read_result(source, STRUCTURE_FILE, "structure", cls.from_dict)
        if isinstance(source, str) and source.lstrip().startswith("{"):
            return found
        path = Path(source).expanduser()
        labels = read_labels(path if path.is_dir() else path.parent, found)
        return dataclasses.replace(found, labels=labels)
