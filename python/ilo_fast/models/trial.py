"""A trial forward pass: which modules ran, in which order, and which hidden states they took.

A module's input is compared with the model's own ``hidden_states`` by a few of its numbers; keeping
all of it for every layer of a large model would take gigabytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ilo_fast.models.forward import (
    by_sentence,
    evaluating,
    find_axes,
    first_tensor,
    inference,
    last_state,
    own_states,
    trial_output,
)

_MARK_DIMENSIONS = 16


@dataclass(frozen=True)
class State:
    """What a module took as its first argument, where that was hidden states.

    Attributes
    ----------
    axes
        Those of the sentences and of the tokens.
    dim
        Length of a hidden vector.
    mark
        The first numbers of each token, (sentences, tokens, a few).
    """

    axes: tuple[int, int]
    dim: int
    mark: torch.Tensor

    @classmethod
    def of(cls, hidden: torch.Tensor | None, ids: torch.Tensor) -> State | None:
        """None where `hidden` is no hidden states of the trial's tokens."""
        rows, tokens = (int(n) for n in ids.shape)
        axes = None if hidden is None else find_axes(hidden, rows, tokens)
        if hidden is None or axes is None:
            return None
        plain = by_sentence(hidden.detach()[..., :_MARK_DIMENSIONS], axes)[:, :tokens]
        return cls(axes, int(hidden.shape[-1]), plain.float().cpu().clone())

    def same(self, other: State) -> bool:
        """Whether both are the same hidden states, up to rounding; also after a divergence."""
        if self.mark.shape != other.mark.shape or self.dim != other.dim:
            return False
        # Weights that are not numbers are named where values are checked, with line and layer.
        if not torch.equal(self.mark.isfinite(), other.mark.isfinite()):
            return False
        ours, theirs = (torch.nan_to_num(s.mark, 0.0, 0.0, 0.0) for s in (self, other))
        scale = float(theirs.abs().max().clamp(min=1e-12))
        return float((ours - theirs).abs().max()) <= 1e-5 * scale


@dataclass
class Trial:
    """What ran in a trial forward pass, in order.

    Attributes
    ----------
    started
        Modules in the order in which they started.
    taken
        What each of `started` took.
    ended
        Modules in the order in which they ended, each with the number started by then.
    looked_up
        The rows of the embeddings, where the token ids themselves were looked up there.
    states
        The model's own hidden states; None where it returns none.
    dim
        Length of the last hidden state's vectors; None where logits are returned instead.
    """

    started: list[nn.Module] = field(default_factory=list)
    taken: list[State | None] = field(default_factory=list)
    ended: list[tuple[int, nn.Module]] = field(default_factory=list)
    looked_up: int | None = None
    states: Sequence[State] | None = None
    dim: int | None = None


def run_trial(backbone: nn.Module, embeddings: nn.Module, ids: torch.Tensor) -> Trial:
    """Run the backbone on `ids` (2, tokens) with a hook on every submodule.

    Raises
    ------
    ValueError
        It returns neither a last hidden state nor any other of these tokens. Whatever the model
        itself raises passes through.
    """
    trial = Trial()
    handles = []

    def starts(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        taken = first_tensor(args, kwargs)
        trial.started.append(module)
        trial.taken.append(State.of(taken, ids))
        if module is embeddings and taken is not None and torch.equal(taken.to(ids), ids):
            trial.looked_up = int(next(embeddings.parameters()).shape[0])

    def ends(module: nn.Module, args: Any, output: Any) -> None:
        trial.ended.append((len(trial.started), module))

    try:
        for module in backbone.modules():
            handles.append(module.register_forward_pre_hook(starts, with_kwargs=True))
            handles.append(module.register_forward_hook(ends))
        with evaluating(backbone), inference(backbone):
            output = trial_output(backbone, ids, output_hidden_states=True)
    finally:
        for handle in handles:
            handle.remove()
    own = own_states(output)
    if own is not None:
        # One that is not a state of every token (Funnel pools them) is like no other.
        trial.states = [State.of(state, ids) or _OTHER for state in own]
    try:
        last = last_state(output)
    except ValueError:
        if trial.states is None:
            raise
        return trial  # logits: its hidden states still tell what the module inside must give
    if State.of(last, ids) is None:
        raise ValueError(
            f"it returns a tensor of shape {tuple(last.shape)} for {tuple(ids.shape)} tokens, "
            "which are no hidden states of them"
        )
    trial.dim = int(last.shape[-1])
    return trial


_OTHER = State((0, 1), 0, torch.empty(0))
