"""`attribution_graph`: trace prompts through a model and its transcoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import share, whole_number
from ilo_fast._util.memory import available_memory
from ilo_fast._util.progress import cost_bar
from ilo_fast.models.forward import as_written, working_device
from ilo_fast.models.limits import depends_on_longest
from ilo_fast.transcoders.attribution.data import KINDS, Sources
from ilo_fast.transcoders.attribution.edges import Rows, Tracer
from ilo_fast.transcoders.attribution.graph import AttributionGraph
from ilo_fast.transcoders.attribution.local_model import LocalModel
from ilo_fast.transcoders.attribution.preparing import check_traceable, prepared
from ilo_fast.transcoders.attribution.targets import Explained, Wanted, explained
from ilo_fast.transcoders.features.token_texts import TokenTexts
from ilo_fast.transcoders.prompts import Prompt, prompt_ids
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

# More at once would not be faster: a shorter prompt is computed with as if it were the longest.
_BATCH_TOKENS: Final = 256
_LONGER: Final = 1.2


def attribution_graph(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    prompt: Prompt,
    *,
    tokenizer: Any = None,
    targets: Wanted = None,
    probability: float = 0.95,
    max_features: int = 8192,
    skip_positions: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> AttributionGraph:
    """The graph of one prompt: see `attribution_graphs`."""
    (graph,) = attribution_graphs(
        model, transcoder, [prompt],
        tokenizer=tokenizer, targets=targets, probability=probability, max_features=max_features,
        skip_positions=skip_positions, dtype=dtype,
    )  # fmt: skip
    return graph


def attribution_graphs(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    prompts: Sequence[Prompt],
    *,
    tokenizer: Any = None,
    targets: Wanted = None,
    probability: float = 0.95,
    max_features: int = 8192,
    skip_positions: int | None = None,
    dtype: torch.dtype = torch.float64,
    progress: bool = False,
) -> list[AttributionGraph]:
    """What made each active feature of each prompt, and what is predicted after it.

    Attention, norms and MLPs are held as they are on the prompt; what is left is linear, so that
    the contributions to every feature's pre-activation and to every target add up to it exactly
    (`AttributionGraph.residual`). Prompts of like lengths go together.

    Parameters
    ----------
    model
        A causal language model with its head. It is neither moved nor changed.
    transcoder
        Of this model.
    prompts
        Texts, or token ids. A text begins with the tokenizer's BOS token, where it has one and puts
        it there.
    tokenizer
        Needed for texts; names tokens.
    targets
        Tokens that may come next (ids or texts), a `Difference`, or a `Direction`; None: the most
        probable tokens that together have `probability`, at most ten.
    max_features
        Of more active features, those of the largest influence are nodes; what the others write is
        kept as sources of their layer and position (`rest`).
    skip_positions
        So many positions at the beginning have no features. None: as in the transcoder's training.
    dtype
        To compute in; the model is copied where it is in another. torch.float32 takes half the
        memory and time, and rows add up to some 1e-4 instead of 1e-9.
    progress
        A bar on stderr.

    Raises
    ------
    ValueError
        A prompt is empty, too long or has an unknown token; a target is unknown; the transcoder is
        of another model; or the model is not affine with attention, norms and MLPs held.
    """
    share("probability", probability)
    whole_number("max_features", max_features)
    if isinstance(prompts, str):
        raise TypeError("prompts is one text: pass a list, or call attribution_graph()")
    prompts = list(prompts)
    if any(isinstance(prompt, (int, np.integer)) for prompt in prompts):
        raise TypeError(
            "prompts is one prompt's token ids: pass a list of it, or call attribution_graph()"
        )
    check_traceable(model, transcoder)
    # Whatever the caller is in: gradients are wanted.
    with torch.inference_mode(False), as_written(model):
        return _graphs(
            *prepared(dtype, model, transcoder), prompts,
            tokenizer, targets, probability, max_features, skip_positions, progress,
        )  # fmt: skip


def _graphs(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    prompts: Sequence[Prompt],
    tokenizer: Any,
    targets: Wanted,
    probability: float,
    max_features: int,
    skip_positions: int | None,
    progress: bool,
) -> list[AttributionGraph]:
    """As `attribution_graphs`, of a model in the type to compute in."""
    replacement = ReplacementModel(model, transcoder, skip_positions=skip_positions)
    ids = [
        prompt_ids(f"prompts[{at}]", prompt, tokenizer, replacement)
        for at, prompt in enumerate(prompts)
    ]
    order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
    graphs: dict[int, AttributionGraph] = {}
    alike = depends_on_longest(getattr(model, "config", None))
    cost = sum(len(row) ** 2 for row in ids)  # rows times what one costs
    with cost_bar(progress, "graphs", cost=cost, items=len(ids), unit="prompt") as bar:
        for batch in _batches(order, ids, alike):
            found = _traced(
                replacement,
                [ids[at] for at in batch],
                tokenizer,
                targets,
                probability,
                max_features,
            )
            for at, graph in zip(batch, found, strict=True):
                graphs[at] = graph
            bar.advance(sum(len(ids[at]) ** 2 for at in batch), len(batch))
    return [graphs[at] for at in range(len(ids))]


def _batches(order: Sequence[int], ids: Sequence[Sequence[int]], alike: bool) -> list[list[int]]:
    """Prompts of like lengths, or of one; the longest of each is last."""
    batches: list[list[int]] = []
    for at in order:
        length = len(ids[at])
        shortest = len(ids[batches[-1][0]]) if batches else 0
        if (
            not batches
            or (len(batches[-1]) + 1) * length > _BATCH_TOKENS
            or length > (shortest if alike else _LONGER * shortest + 1)
        ):
            batches.append([])
        batches[-1].append(at)
    return batches


def _traced(
    replacement: ReplacementModel,
    ids: Sequence[Sequence[int]],
    tokenizer: Any,
    targets: Wanted,
    probability: float,
    max_features: int,
) -> list[AttributionGraph]:
    """The graphs of some prompts that go together."""
    lengths = [len(row) for row in ids]
    device = working_device(replacement.model)
    filled = torch.zeros(len(ids), max(lengths), dtype=torch.int64, device=device)
    for row, tokens in enumerate(ids):
        filled[row, : len(tokens)] = torch.tensor(tokens)
    local = LocalModel(replacement, filled, torch.tensor(lengths))
    coder = replacement.transcoder
    tracer = Tracer(local, coder, lengths, replacement.skip_positions)
    if not bool(tracer.errors.isfinite().all()):
        raise ValueError(
            "transcoder gives numbers that are not finite on this prompt: a weight, bias or scale "
            "of it is NaN, infinite or zero; load or train it again"
        )
    wanted = [explained(local, row, targets, probability, tokenizer) for row in range(len(ids))]
    _check_memory(tracer, max_features)
    found = tracer.target_rows([w.scores for w in wanted], [w.final for w in wanted])
    drafts = [
        _Draft(tracer, row, rows, of, max_features)
        for row, (rows, of) in enumerate(zip(found, wanted, strict=True))
    ]
    for layer in range(coder.n_layers - 1, -1, -1):
        chosen = [draft.choose(layer) for draft in drafts]
        step = tracer.rows_at_once()
        for start in range(0, max(map(len, chosen)), step):
            part = [index[start : start + step] for index in chosen]
            for draft, index, rows in zip(
                drafts, part, tracer.feature_rows(layer, part), strict=True
            ):
                draft.add(index, rows)
    return [
        draft.graph(row, tokenizer, replacement) for draft, row in zip(drafts, ids, strict=True)
    ]


def _check_memory(tracer: Tracer, max_features: int) -> None:
    size = tracer.local.adds.element_size()
    need = sum(min(len(f), max_features) * len(f) * size * 3 for f in tracer.features)
    free = available_memory()
    if free is not None and need > free:
        raise ValueError(
            f"the graph takes {need / 1e9:.1f} GB, {free / 1e9:.1f} are free: lower max_features="
            f"{max_features}, shorten the prompt, or trace fewer at once"
        )


class _Draft:
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
