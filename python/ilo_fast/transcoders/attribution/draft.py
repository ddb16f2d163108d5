"""One prompt's graph, put together from rows that come layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast.transcoders.attribution.data import KINDS, Sources
from ilo_fast.transcoders.attribution.edges import Rows, Tracer
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.attribution.targets import Explained
from ilo_fast.transcoders.features.token_texts import TokenTexts
from ilo_fast.transcoders.replacement import ReplacementModel


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
        n_layers = replacement.n_layers
        position = self.features.position.cpu().numpy()
        feature = self.features.feature.cpu().numpy()
        chosen = np.array(sorted(self._rows), np.int64)
        # By layer, then position: the order in which a reader looks.
        chosen = chosen[np.lexsort((feature[chosen], position[chosen], self._layer[chosen]))]
        of_features = np.stack([self._rows[at][0] for at in chosen.tolist()] + [*self._targets[0]])
        of_others = np.stack([self._rows[at][1] for at in chosen.tolist()] + [*self._targets[1]])
        left = np.setdiff1d(np.arange(len(position)), chosen)
        cells = np.unique(np.stack([self._layer[left], position[left]]), axis=1)
        rest = np.zeros((len(of_features), cells.shape[1]), of_features.dtype)
        for at, (layer, place) in enumerate(cells.T):
            mine = left[(self._layer[left] == layer) & (position[left] == place)]
            rest[:, at] = of_features[:, mine].sum(axis=1)
        parts = _parts(of_others, self.length, n_layers, self._before_alike())
        adjacency = np.concatenate(
            [of_features[:, chosen], rest, *(part for part, *_ in parts)], axis=1
        )
        local = self.tracer.local
        lengths = {
            "error": self.tracer.errors[self.row, : self.length].norm(dim=-1).flatten(),
            "token": local.tokens[self.row, : self.length].norm(dim=-1),
        }
        kinds: list[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]] = [
            ("feature", self._layer[chosen], position[chosen], feature[chosen],
             self.features.activation.detach().cpu().numpy()[chosen]),
            ("rest", cells[0], cells[1], np.full(cells.shape[1], -1),
             np.full(cells.shape[1], np.nan)),
        ]  # fmt: skip
        for _, kind, layers, places in parts:
            size = lengths.get(kind)
            kinds.append(
                (kind, layers, places, np.full(len(layers), -1),
                 np.full(len(layers), np.nan) if size is None else size.cpu().numpy())
            )  # fmt: skip
        values = np.concatenate(
            [self.features.pre_activation.cpu().numpy()[chosen], self.of.values.cpu().numpy()]
        )
        return AttributionGraph(
            prompt=str(list(ids)) if tokenizer is None else str(tokenizer.decode(ids)),
            tokens=_shown(ids, tokenizer),
            token_ids=np.asarray(ids, np.int64),
            sources=_sources(kinds),
            targets=self.of.targets,
            adjacency=adjacency,
            values=values,
            info=_info(replacement, len(position)),
        )

    def _before_alike(self) -> bool:
        """Whether what is added before the first block is the same at all positions."""
        before = self.tracer.before[self.row, : self.length]
        return bool((before == before[:1]).all())


def _shown(ids: Sequence[int], tokenizer: Any) -> tuple[str, ...]:
    if tokenizer is None:
        return tuple(map(str, ids))
    return tuple(TokenTexts(tokenizer).along(np.asarray(ids, np.int64)))


def _flat(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of every row what features add, and what all else adds."""
    rest = torch.cat([rows.errors.flatten(1), rows.tokens, rows.positions, rows.biases], dim=1)
    return rows.features.detach().cpu().numpy(), rest.detach().cpu().numpy()


def _parts(
    others: NDArray[Any], length: int, n_layers: int, alike: bool
) -> list[tuple[NDArray[Any], str, NDArray[Any], NDArray[Any]]]:
    """What all but features add, by kind: columns, kind, layers, positions."""
    cuts = np.cumsum([length * n_layers, length, length])
    errors, tokens, positions, biases = np.split(others, cuts, axis=1)
    places = np.arange(length)
    none = np.full(length, -1)
    found = [
        (errors, "error", np.tile(np.arange(n_layers), length), np.repeat(places, n_layers)),
        (tokens, "token", none, places),
    ]
    if alike:  # a bias, if anything
        biases = biases.copy()
        biases[:, 0] += positions.sum(axis=1)
    else:
        found.append((positions, "position", none, places))
    starts = np.arange(-1, n_layers + 1)
    kept = np.ones(len(starts), bool)
    kept[0] = bool(biases[:, 0].any())
    found.append((biases[:, kept], "bias", starts[kept], np.full(int(kept.sum()), -1)))
    return found


def _sources(
    kinds: Sequence[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]],
) -> Sources:
    names = [list(KINDS).index(kind) for kind, *_ in kinds]  # type: ignore[arg-type]
    code = np.concatenate(
        [
            np.full(len(rest[0]), name, np.int8)
            for name, (_, *rest) in zip(names, kinds, strict=True)
        ]
    )
    layer, position, feature = (
        np.concatenate([kind[at] for kind in kinds]).astype(np.int32) for at in (1, 2, 3)
    )
    activation = np.concatenate([kind[4] for kind in kinds]).astype(np.float64)
    return Sources(code, layer, position, feature, activation)


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
