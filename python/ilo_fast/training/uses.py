"""Which parameters each step of a forward pass depends on: the embeddings, every block, the output.

Read off the autograd graph of a trial forward pass, so that a table which several blocks share, a
projection before the first or a convolution between two is seen, whatever the module is called.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import Node

from ilo_fast.models.forward import (
    evaluating,
    first_tensor,
    last_state,
    trial_ids,
    trial_state,
)
from ilo_fast.models.structure import ModelParts

Parameters = set[nn.Parameter]


@dataclass(frozen=True)
class Uses:
    """The parameters that the steps of a forward pass depend on, one set per step.

    Attributes
    ----------
    embeddings
        From the token ids to the input of the first block.
    runs
        From the input of each block to that of the next, or to the output of the last.
    output
        From the output of the last block to the last hidden state.
    """

    embeddings: Parameters
    runs: tuple[Parameters, ...]
    output: Parameters


def trace_uses(parts: ModelParts) -> Uses:
    """Run the model on a few tokens, and read what each step depends on off the autograd graph."""
    entries: list[Node | None] = []
    leaving: list[Node | None] = []
    aside: list[Node] = []
    with torch.inference_mode(False):  # autograd cannot keep ids that a caller's mode marks
        ids = trial_ids(parts.embeddings)[0]

    def enters(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = first_tensor(args, kwargs)
        entries.append(None if hidden is None else hidden.grad_fn)
        aside.extend(_per_token((*args, *kwargs.values()), hidden, ids.shape))

    def leaves(module: nn.Module, args: Any, output: Any) -> None:
        leaving[:] = [last_state(output).grad_fn]

    handles = []
    try:
        for entry in parts.entries:
            handles.append(entry.register_forward_pre_hook(enters, with_kwargs=True))
        for module in _running(parts):
            handles.append(module.register_forward_hook(leaves))
        with evaluating(parts.backbone), _recording(parts.backbone):
            output = trial_state(parts.backbone, ids).grad_fn
    finally:
        for handle in handles:
            handle.remove()
    inside = {p for block in parts.blocks for p in block.parameters()}
    embeddings = _reached(entries[0], [])
    tables: list[Node] = []
    for node in aside:
        read = _reached(node, entries)
        # Made before any block, token by token: the tables that Gemma 3n and 4 have for each layer.
        if not read & inside:
            embeddings |= read
            tables.append(node)
    steps = [*entries, *leaving]
    stops = [*steps, *tables]
    return Uses(
        embeddings=embeddings,
        runs=tuple(_reached(end, stops) for end in steps[1:]),
        output=_reached(output, stops) if output is not steps[-1] else set(),
    )


def _running(parts: ModelParts) -> list[nn.Module]:
    """The modules that run as blocks: the members of one that is kept in parallel lists."""
    running: list[nn.Module] = []
    for block, entry in zip(parts.blocks, parts.entries, strict=True):
        running += [entry] if block is entry else block.children()
    return running


def _per_token(
    values: Iterable[Any], hidden: torch.Tensor | None, shape: torch.Size
) -> Iterator[Node]:
    """Where the graph has the values per sentence and token that a block gets beside its states."""
    for value in values:
        if (
            isinstance(value, torch.Tensor)
            and value is not hidden
            and value.grad_fn is not None
            and value.shape[:2] == shape
        ):
            yield value.grad_fn


@contextlib.contextmanager
def _recording(module: nn.Module) -> Iterator[None]:
    """Every parameter takes part in autograd, frozen ones too; all is as before after."""
    silent = [p for p in module.parameters() if not p.requires_grad and p.is_floating_point()]
    try:
        for parameter in silent:
            parameter.requires_grad_(True)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for parameter in silent:
            parameter.requires_grad_(False)


def _reached(end: Node | None, stops: Iterable[Node | None]) -> Parameters:
    """The parameters on the paths to `end` in the autograd graph that pass none of `stops`."""
    found: Parameters = set()
    seen = {node for node in (*stops, end) if node is not None}
    ahead = [end] if end is not None else []
    while ahead:
        node = ahead.pop()
        parameter = getattr(node, "variable", None)  # only the leaves of the graph have it
        if isinstance(parameter, nn.Parameter):
            found.add(parameter)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                ahead.append(following)
    return found
