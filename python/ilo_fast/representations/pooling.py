"""Hooks that pool every layer inside the forward pass.

Of each layer only one vector per sentence is kept: (sentences, dim), in float32 whatever
the model's dtype. A tensor (layers, sentences, tokens, dim) never exists, and the backbone is
called without its head, so vocabulary logits never exist either. Where only early layers are
wanted, the forward pass ends after the last of them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.hooks import RemovableHandle

from ilo_fast.models.forward import (
    accepted,
    by_sentence,
    evaluating,
    first_tensor,
    inference,
    last_state,
    own_states,
)
from ilo_fast.models.structure import ModelParts, input_device
from ilo_fast.representations.poolings import pool_tokens


class _EnoughError(Exception):
    """Ends a forward pass after the last layer that was asked for."""


@dataclass
class _Pass:
    """The state of one forward pass."""

    excluded: torch.Tensor | None
    shape: tuple[int, int]
    step: int = 0
    pooled: list[torch.Tensor] = field(default_factory=list)


class PooledForward:
    """A model as a function from token ids to pooled layers; a context that owns the hooks.

    Several threads may call it at once.

    Parameters
    ----------
    parts
        The model.
    layers
        Hidden states to pool, ascending; 0 is the input of the first block, ``parts.n_blocks`` the
        last hidden state.
    pad_id
        Any valid token id. Padding is masked everywhere, so which one does not matter, except that
        RoBERTa counts positions by it; see :func:`choose_pad_id`.
    pooling
        One of `POOLINGS`.
    """

    def __init__(
        self, parts: ModelParts, layers: Sequence[int], pad_id: int, pooling: str = "mean"
    ) -> None:
        self.parts = parts
        self.pooling = pooling
        self.layers = tuple(layers)
        self.pad_id = pad_id
        self._wanted = set(layers)
        self._handles: list[RemovableHandle] = []
        self._mode = evaluating(parts.backbone)
        self._local = threading.local()

    def __enter__(self) -> PooledForward:
        self._mode.__enter__()
        try:
            for entry in self.parts.entries:
                # After any hook of the caller's, so that ours sees what those change.
                self._handles.append(entry.register_forward_pre_hook(self._seen, with_kwargs=True))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._mode.__exit__(None, None, None)

    def __call__(
        self, ids: Sequence[Sequence[int]], special: Sequence[Sequence[int]] | None = None
    ) -> NDArray[np.float32]:
        """Pool one batch.

        Parameters
        ----------
        ids
            Token ids, one sequence per sentence.
        special
            1 for each token that stays out of the pooling; None: all tokens count.

        Returns
        -------
        ndarray of shape (layers, sentences, dim)
        """
        early = max(self.layers) if max(self.layers) < self.parts.n_blocks else None
        return self._run(ids, special, early)[0]

    def with_states(self, ids: Sequence[int]) -> tuple[NDArray[np.float32], Any]:
        """Pool one sentence, and return the model's own ``hidden_states`` of the same pass."""
        pooled, output = self._run([ids], None, None, output_hidden_states=True)
        return pooled, own_states(output)

    def _run(
        self,
        ids: Sequence[Sequence[int]],
        special: Sequence[Sequence[int]] | None,
        stop_at: int | None,
        **options: Any,
    ) -> tuple[NDArray[np.float32], Any]:
        backbone = self.parts.backbone
        output: Any = None
        with inference(backbone):
            tokens, mask, excluded = self._pad(ids, special)
            now = _Pass(
                excluded=excluded if bool(excluded.any()) else None,
                shape=(int(tokens.shape[0]), int(tokens.shape[1])),
            )
            self._local.now, self._local.stop_at = now, stop_at
            try:
                plain = accepted(backbone, use_cache=False, attention_mask=mask)
                output = backbone(input_ids=tokens, **plain, **options)
                if self.parts.n_blocks in self._wanted:
                    self._pool(now, last_state(output), self.parts.n_blocks, (0, 1))
            except _EnoughError:
                pass
            finally:
                self._local.now = None
            if len(now.pooled) != len(self.layers):
                raise ValueError(
                    f"the forward pass ran {now.step} layers where its trial ran "
                    f"{self.parts.n_blocks}: this model chooses its layers by the input, which "
                    "hidden_states[h] cannot describe"
                )
            device = now.pooled[0].device
            stacked = torch.stack([tensor.to(device) for tensor in now.pooled])
            return stacked.cpu().numpy(), output

    def _pad(
        self, ids: Sequence[Sequence[int]], special: Sequence[Sequence[int]] | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Token ids, attention mask, and True where a token is not pooled; padded on the right.

        Always on the right, whichever side the tokenizer prefers. Generation needs the left side,
        pooling does not; and on the right every model (learned, offset, rotary, ALiBi or relative
        positions) counts positions as it does for one sentence alone.
        """
        longest = max(len(row) for row in ids)
        tokens = np.full((len(ids), longest), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(ids), longest), dtype=np.int64)
        excluded = np.ones((len(ids), longest), dtype=bool)
        for i, row in enumerate(ids):
            tokens[i, : len(row)] = row
            mask[i, : len(row)] = 1
            excluded[i, : len(row)] = False if special is None else np.asarray(special[i]) != 0
        device = input_device(self.parts)
        return (
            torch.from_numpy(tokens).to(device),
            torch.from_numpy(mask).to(device),
            torch.from_numpy(excluded).to(device),
        )

    def _seen(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        now: _Pass | None = getattr(self._local, "now", None)
        if now is None:  # a forward pass of the caller's, in another thread
            return
        layer = now.step
        now.step += 1
        if layer in self._wanted:
            hidden = first_tensor(args, kwargs)
            if hidden is None:
                raise ValueError(
                    f"layer {layer} ({type(module).__name__}) takes no hidden states as its first "
                    "argument: this architecture is not supported"
                )
            self._pool(now, hidden, layer, self.parts.axes)
        if layer == self._local.stop_at:
            raise _EnoughError

    def _pool(self, now: _Pass, hidden: torch.Tensor, layer: int, axes: tuple[int, int]) -> None:
        rows, longest = now.shape
        shape = tuple(hidden.shape)
        if hidden.dim() > max(axes) + 1:
            hidden = by_sentence(hidden, axes)
        if hidden.dim() != 3 or hidden.shape[0] != rows or hidden.shape[1] < longest:
            raise ValueError(
                f"layer {layer} holds hidden states of shape {shape}, expected "
                f"({rows}, {longest}, dim): this architecture is not supported"
            )
        # Longformer pads its input to a multiple of its window, on the right.
        hidden = hidden[:, :longest]
        if now.pooled and hidden.shape[2] != now.pooled[0].shape[1]:
            raise ValueError(
                f"layer {layer} has {hidden.shape[2]} dimensions, layer {self.layers[0]} has "
                f"{now.pooled[0].shape[1]}: extract them in calls of their own, "
                f"layers=range({self.layers[0]}, {layer}) and layers=[{layer}]"
            )
        excluded = None if now.excluded is None else now.excluded.to(hidden.device)
        now.pooled.append(pool_tokens(hidden, excluded, self.pooling))


def choose_pad_id(parts: ModelParts, tokenizer: Any) -> int:
    """A token id to pad with; the tokenizer and the model stay as they are.

    The model's own padding index where its embeddings have one (RoBERTa derives positions from it),
    else the tokenizer's, else end of sentence, else 0.
    """
    candidates = [
        getattr(parts.embeddings, "padding_idx", None),
        getattr(tokenizer, "pad_token_id", None),
        getattr(tokenizer, "eos_token_id", None),
    ]
    weight = next(parts.embeddings.parameters(), None)
    rows = int(weight.shape[0]) if weight is not None else 1 << 62
    for candidate in candidates:
        # A pad token that was added to the tokenizer only lies outside of the table.
        if isinstance(candidate, int) and 0 <= candidate < rows:
            return candidate
    return 0
