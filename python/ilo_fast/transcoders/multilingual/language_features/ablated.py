"""Losses of a running model with sets of features switched off, line by line.

A feature that is switched off no longer writes: what it would have written, activation times
decoder, is taken from what the MLPs add. Activations are those of the same pass, so that later
features react to earlier ones; it is what `intervened` does with ``value=0`` for each, for many
features at once.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from ilo_fast.models.forward import evaluating, inference, trial_output
from ilo_fast.models.structure import input_device
from ilo_fast.transcoders.interventions.writing import converted
from ilo_fast.transcoders.prompts import prompt_batches
from ilo_fast.transcoders.reading import watched
from ilo_fast.transcoders.replacement import ReplacementModel

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_BATCH_TOKENS: Final = 2048
_LOGITS_BYTES: Final = 200e6
_LONGER: Final = 1.3  # times the shortest line of a batch is the longest
_NOTHING: Final = -100
_KEPT_BYTES: Final = 1e9  # of what blocks give, so that those before the first feature need not run


@dataclass(frozen=True)
class _Batch:
    rows: list[int]
    ids: torch.Tensor  # (rows, tokens), filled up on the right, which no earlier token sees
    wanted: torch.Tensor  # (rows, tokens - 1), what is predicted; -100 where nothing is


class Ablation:
    """Runs a model over lines, with features switched off.

    Parameters
    ----------
    replacement
        The model, its sites, and the transcoder.
    ids
        Tokens of each line; the first is not predicted.

    Attributes
    ----------
    tokens : (lines,) float64
        Predicted tokens of each.
    """

    def __init__(self, replacement: ReplacementModel, ids: Sequence[Sequence[int]]) -> None:
        self._it, self._n = replacement, len(ids)
        vocabulary = replacement.parts.vocabulary or 1
        most = max(1, min(_BATCH_TOKENS, int(_LOGITS_BYTES // (4 * vocabulary))))
        device = input_device(replacement.parts)
        config = getattr(replacement.model, "config", None)
        self._batches = []
        for rows in prompt_batches([len(row) for row in ids], most, config, longer=_LONGER):
            longest = len(ids[rows[-1]])
            filled = [[*ids[row], *([0] * (longest - len(ids[row])))] for row in rows]
            wanted = [[*ids[row][1:], *([_NOTHING] * (longest - len(ids[row])))] for row in rows]
            self._batches.append(
                _Batch(
                    rows, torch.tensor(filled, device=device), torch.tensor(wanted, device=device)
                )
            )
        self.tokens = np.array([len(row) - 1 for row in ids], np.float64)
        self._given: list[list[Any]] = []  # of each batch, what the blocks gave
        self._base = self._run(np.empty(0, np.int64), keep=True)
        if self._given and not self._replays():
            self._given = []

    def losses(self, columns: Integers | Sequence[int] = ()) -> Floats:
        """(lines,): cross-entropy of the next tokens, summed over each line, in nats.

        columns: layer * n_features + feature, those that are switched off.
        """
        off = np.asarray(columns, np.int64)
        return self._run(off) if len(off) else self._base.copy()

    def _replays(self) -> bool:
        """Whether the blocks' kept outputs do in place of their work, on the first batch."""
        rows = self._batches[0].rows
        again = self._run(np.empty(0, np.int64), first=self._it.n_layers - 1, most=1)[rows]
        return bool(np.allclose(again, self._base[rows], rtol=1e-5, atol=1e-5))

    def _run(
        self,
        columns: Integers,
        *,
        keep: bool = False,
        first: int | None = None,
        most: int | None = None,
    ) -> Floats:
        """Losses of the first `most` batches, the others NaN.

        `keep`: what blocks give is kept, if it is not too much. `first`: blocks before are not run
        again; None: those before the first feature.
        """
        coder = self._it.transcoder
        if first is None:
            first = int(columns.min()) // coder.n_features if len(columns) else 0
        first = first if self._given else 0
        off, out = _Off(self._it, columns), np.full(self._n, np.nan)
        room = sum(batch.ids.numel() for batch in self._batches) * self._it.parts.dim * 4
        keep = keep and room * self._it.n_layers <= _KEPT_BYTES
        with evaluating(coder), evaluating(self._it.model), inference(self._it.model):
            for number, batch in enumerate(self._batches[:most]):
                off.begin(batch.ids.shape)
                given: list[Any] = []
                with contextlib.ExitStack() as stack:
                    if keep:
                        stack.enter_context(_kept(self._it.parts.blocks, given))
                    if first:
                        stack.enter_context(
                            _replayed(self._it.parts.blocks[:first], self._given[number])
                        )
                    stack.enter_context(watched(self._it.sites, off.read, off.written))
                    logits: Any = trial_output(self._it.model, batch.ids).logits
                if keep:
                    self._given.append(given)
                flat = logits[:, :-1].float() if logits.dtype != torch.float64 else logits[:, :-1]
                loss = functional.cross_entropy(
                    flat.flatten(0, 1), batch.wanted.flatten().to(flat.device),
                    reduction="none", ignore_index=_NOTHING,
                )  # fmt: skip
                out[batch.rows] = loss.view(len(batch.rows), -1).double().sum(1).cpu().numpy()
        return out


@contextlib.contextmanager
def _kept(blocks: Sequence[nn.Module], given: list[Any]) -> Iterator[None]:
    """Within the block, what each of `blocks` gives is appended."""
    hooks = [b.register_forward_hook(lambda _, __, output: given.append(output)) for b in blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def _replayed(blocks: Sequence[nn.Module], given: Sequence[Any]) -> Iterator[None]:
    """Within the block, `blocks` do nothing but give again what they gave."""
    own = [vars(block).get("forward") for block in blocks]
    for block, output in zip(blocks, given, strict=False):
        block.forward = functools.partial(_always, output)
    try:
        yield
    finally:
        for block, before in zip(blocks, own, strict=True):
            if before is None:
                del block.forward
            else:  # accelerate's
                block.forward = before


def _always(output: Any, *_: Any, **__: Any) -> Any:
    return output


class _Off:
    """What is taken from the MLPs of a pass."""

    _shape: torch.Size

    def __init__(self, it: ReplacementModel, columns: Integers) -> None:
        self._it = it
        coder = it.transcoder
        self._features: dict[int, torch.Tensor] = {}
        self._weights: dict[int, torch.Tensor] = {}
        for layer in np.unique(columns // coder.n_features):
            mine = columns[columns // coder.n_features == layer] % coder.n_features
            weight = coder.decoder_weights[int(layer)]
            chosen = torch.from_numpy(np.unique(mine)).to(weight.device)
            scale = coder.output_scale[int(layer) : int(layer) + weight.shape[1], None]
            place = torch.full((coder.n_features,), -1, device=weight.device)
            place[chosen] = torch.arange(len(chosen), device=weight.device)
            self._features[int(layer)] = place
            self._weights[int(layer)] = (weight[chosen] / scale).detach()
        self._taken: dict[int, torch.Tensor] = {}  # of layers to come, (tokens, d)

    def begin(self, shape: torch.Size) -> None:
        """A pass over so many rows and tokens begins."""
        self._shape, self._taken = shape, {}

    def read(self, layer: int, x: torch.Tensor) -> None:
        """The MLP of `layer` reads x."""
        place = self._features.get(layer)
        if place is None:
            return
        coder, weight = self._it.transcoder, self._weights[layer]
        flat = converted(x.reshape(-1, x.shape[-1]), coder.encoder_weight)
        active = coder.encode_layer(layer, flat)
        at = place[active.features]
        tokens = active.tokens
        kept = (at >= 0) & (tokens % self._shape[1] >= self._it.skip_positions)
        if not bool(kept.any()):
            return
        tokens, values, at = tokens[kept], active.values[kept], at[kept]
        for to in range(weight.shape[1]):
            added = self._taken.get(layer + to)
            if added is None:
                added = torch.zeros_like(flat)
            self._taken[layer + to] = added.index_add(0, tokens, values[:, None] * weight[at, to])

    def written(self, layer: int, y: torch.Tensor) -> torch.Tensor | None:
        """What the MLP of `layer` adds, less what is taken."""
        taken = self._taken.get(layer)
        return None if taken is None else y - converted(taken, y).view(y.shape)
