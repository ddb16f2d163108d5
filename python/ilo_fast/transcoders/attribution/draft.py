"""One prompt's graph, put together from rows that come layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast.transcoders.attribution.data import KINDS, Kind, Sources
from ilo_fast.transcoders.attribution.edges import Rows, Tracer
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.attribution.targets import Explained
from ilo_fast.transcoders.features.token_texts import TokenTexts
from ilo_fast.transcoders.replacement import ReplacementModel


class _Group(NamedTuple):
    """Sources of one kind: where they are, and how strong; None: as `Sources` says."""

    kind: Kind
    layer: NDArray[Any]
    position: NDArray[Any]
    activation: NDArray[Any] | None = None
    feature: NDArray[Any] | None = None


class Draft:
    """The rows of one prompt's graph as they come, from the last layer to the first."""

    def __init__(
        self, tracer: Tracer, row: int, targets: Rows, of: Explained, max_features: int
    ) -> None:
        self.tracer, self.row, self.of = tracer, row, of
        self.features = tracer.features[row]
        self.length = tracer.lengths[row]
        self._most = max_features
        self._rows: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}
        self._targets = _flat(targets)
        self._layer = self.features.layer.cpu().numpy()
        self._reached = np.zeros(len(self.features))
        weights = np.array([target.probability for target in of.targets])
        self._reach(self._targets, weights)

    def choose(self, layer: int) -> torch.Tensor:
        """The features of a layer that are nodes."""
        here = np.flatnonzero(self._layer == layer)
        n = len(self.features)
        # Each layer its part of `_most`, rounded so that all of them together are `_most`.
        before = int((self._layer < layer).sum())
        most = self._most * (before + len(here)) // max(n, 1) - self._most * before // max(n, 1)
        if n > self._most and len(here) > most:
            order = np.argsort(-self._reached[here], kind="stable")
            here = np.sort(here[order[:most]])
        return torch.from_numpy(here)

    def add(self, index: torch.Tensor, rows: Rows) -> None:
        """Rows of features, and what reaches their sources through them."""
        flat = _flat(rows)
        for at, number in enumerate(index.tolist()):
            self._rows[number] = (flat[0][at], flat[1][at])
        if len(self.features) > self._most:
            self._reach(flat, self._reached[index.numpy()])

    def _reach(self, rows: tuple[NDArray[Any], NDArray[Any]], weights: NDArray[Any]) -> None:
        size = np.abs(rows[0]), np.abs(rows[1])
        sums = sum(part.sum(axis=1, dtype=np.float64) for part in size)
        self._reached += (weights / np.where(sums == 0, 1.0, sums)) @ size[0]

    def graph(
        self, ids: Sequence[int], tokenizer: Any, replacement: ReplacementModel
    ) -> AttributionGraph:
        position = self.features.position.cpu().numpy()
        feature = self.features.feature.cpu().numpy()
        activation = self.features.activation.detach().cpu().numpy()
        chosen = np.array(sorted(self._rows), np.int64)
        # By layer, then position: the order in which a reader looks.
        chosen = chosen[np.lexsort((feature[chosen], position[chosen], self._layer[chosen]))]
        left = np.setdiff1d(np.arange(len(position)), chosen)
        cells, cell = np.unique(
            np.stack([self._layer[left], position[left]]), axis=1, return_inverse=True
        )
        groups = [
            _Group("feature", self._layer[chosen], position[chosen], activation[chosen],
                   feature[chosen]),
            _Group("rest", cells[0], cells[1]),
        ]  # fmt: skip
        rows = [*(self._rows[at] for at in chosen.tolist()), *zip(*self._targets, strict=True)]
        others, more = self._others(np.stack([other for _, other in rows]))
        n, n_cells = len(chosen), cells.shape[1]
        adjacency = np.empty((len(rows), n + n_cells + others.shape[1]), others.dtype)
        for row, (of_features, _) in zip(adjacency, rows, strict=True):
            row[:n] = of_features[chosen]
            row[n : n + n_cells] = np.bincount(cell.ravel(), of_features[left], n_cells)
        adjacency[:, n + n_cells :] = others
        values = self.features.pre_activation.cpu().numpy()[chosen]
        return AttributionGraph(
            prompt=str(list(ids)) if tokenizer is None else str(tokenizer.decode(ids)),
            tokens=_shown(ids, tokenizer),
            token_ids=np.asarray(ids, np.int64),
            sources=_sources([*groups, *more]),
            targets=self.of.targets,
            adjacency=adjacency,
            values=np.concatenate([values, self.of.values.cpu().numpy()]),
            info=_info(replacement, len(position)),
        )

    def _others(self, columns: NDArray[Any]) -> tuple[NDArray[Any], list[_Group]]:
        """The columns of all but features, and what they are."""
        tracer, length = self.tracer, self.length
        n_layers = tracer.n_layers
        cuts = np.cumsum([length * n_layers, length, length])
        errors, tokens, positions, biases = np.split(columns, cuts, axis=1)
        places, none = np.arange(length), np.full(length, -1)
        layers = np.tile(np.arange(n_layers), length)
        found = [
            (errors, _Group("error", layers, np.repeat(places, n_layers),
                            _lengths(tracer.errors[self.row, :length]))),
            (tokens, _Group("token", none, places,
                            _lengths(tracer.local.tokens[self.row, :length]))),
        ]  # fmt: skip
        before = tracer.before[self.row, :length]
        if bool((before == before[:1]).all()):  # it is no position's: a bias, if anything
            biases[:, 0] += positions.sum(axis=1)
        else:
            found.append((positions, _Group("position", none, places, _lengths(before))))
        starts = np.arange(-1, n_layers + 1)
        kept = np.ones(len(starts), bool)
        kept[0] = bool(biases[:, 0].any())
        starts = starts[kept]
        found.append((biases[:, kept], _Group("bias", starts, np.full(len(starts), -1))))
        parts, groups = zip(*found, strict=True)
        return np.concatenate(parts, axis=1), list(groups)


def _shown(ids: Sequence[int], tokenizer: Any) -> tuple[str, ...]:
    if tokenizer is None:
        return tuple(map(str, ids))
    return tuple(TokenTexts(tokenizer).along(np.asarray(ids, np.int64)))


def _flat(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of every row what features add, and what all else adds."""
    rest = torch.cat([rows.errors.flatten(1), rows.tokens, rows.positions, rows.biases], dim=1)
    return rows.features.detach().cpu().numpy(), rest.detach().cpu().numpy()


def _lengths(vectors: torch.Tensor) -> NDArray[Any]:
    found: NDArray[Any] = vectors.detach().norm(dim=-1).flatten().cpu().numpy()
    return found


def _sources(groups: Sequence[_Group]) -> Sources:
    sizes = [len(group.layer) for group in groups]

    def joined(values: Sequence[NDArray[Any] | None], absent: float, dtype: type) -> NDArray[Any]:
        return np.concatenate(
            [
                np.full(size, absent, dtype) if value is None else value.astype(dtype)
                for size, value in zip(sizes, values, strict=True)
            ]
        )

    return Sources(
        kind=np.repeat([KINDS.index(group.kind) for group in groups], sizes).astype(np.int8),
        layer=joined([group.layer for group in groups], -1, np.int32),
        position=joined([group.position for group in groups], -1, np.int32),
        feature=joined([group.feature for group in groups], -1, np.int32),
        activation=joined([group.activation for group in groups], np.nan, np.float64),
    )


def _info(replacement: ReplacementModel, active: int) -> Mapping[str, Any]:
    coder = replacement.transcoder
    config = getattr(replacement.model, "config", None)
    about = coder.info
    return {
        "model": about.model.name
        if about
        else str(getattr(config, "_name_or_path", "") or type(replacement.model).__name__),
        "architecture": type(replacement.model).__name__,
        "weights_sha256": about.model.weights_sha256 if about else None,
        "n_layers": replacement.n_layers,
        "n_features": coder.n_features,
        "cross_layer": coder.cross_layer,
        "skip_positions": replacement.skip_positions,
        "active_features": active,
        "dtype": str(coder.encoder_weight.dtype).removeprefix("torch."),
    }
