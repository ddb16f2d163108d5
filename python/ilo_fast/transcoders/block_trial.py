"""One block of a model, run alone in float64 with some of its modules held, dropped or moved."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from transformers import Cache

from ilo_fast.models.forward import inference

EXACT: Final = 1e-9  # relative, in float64

Call = tuple[tuple[Any, ...], dict[str, Any]]
Instead = Callable[[Call], torch.Tensor]  # what a module gives, of what it took
Change = Callable[[torch.Tensor], torch.Tensor]


def _in_float64(value: Any) -> Any:
    if isinstance(value, Cache):  # it would hold the tokens of every run before
        return None
    if isinstance(value, torch.Tensor):
        return value.detach().double() if value.is_floating_point() else value
    if isinstance(value, (tuple, list)):
        return type(value)(map(_in_float64, value))
    return {k: _in_float64(v) for k, v in value.items()} if isinstance(value, dict) else value


def first_of(value: Any) -> Any:
    """The tensor of an output, which may stand first in a tuple."""
    return value[0] if isinstance(value, (tuple, list)) and value else value


def with_first(output: Any, tensor: torch.Tensor) -> Any:
    """The output with another tensor in the place of `first_of` it."""
    if not isinstance(output, (tuple, list)):
        return tensor
    make = getattr(type(output), "_make", type(output))  # a named tuple
    return make((tensor, *output[1:]))


@dataclass
class BlockRun:
    """What the modules of a block took and gave, as it was then: some models write in place."""

    output: torch.Tensor
    taken: dict[nn.Module, Call]
    given: dict[nn.Module, torch.Tensor]
    follows: dict[nn.Module, set[nn.Module]]  # whose outputs a module took


class BlockTrial:
    """A copy of a block in float64, and what it was called with."""

    def __init__(self, block: nn.Module, call: Call) -> None:
        self.module = copy.deepcopy(block).double().eval()
        self.original = dict(zip(self.module.modules(), block.modules(), strict=True))
        self.args, self.kwargs = _in_float64(call[0]), _in_float64(call[1])
        self.hidden: torch.Tensor = self.args[0] if self.args else self.kwargs["hidden_states"]
        self.base = self.run()

    def run(
        self,
        instead: Mapping[nn.Module, Instead] | None = None,
        hidden: torch.Tensor | None = None,
    ) -> BlockRun:
        """The block's output, where some modules give something else, or on another input."""
        run = BlockRun(torch.empty(0), {}, {}, {})
        makers: dict[int, nn.Module] = {}
        alive: list[Any] = []  # so that no other tensor gets the id of one that was seen
        twice: set[nn.Module] = set()

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if module in run.taken:
                twice.add(module)
            run.taken[module] = _copied(args), _copied(kwargs)
            given = (makers.get(id(value)) for value in (*args, *kwargs.values()))
            run.follows[module] = {maker for maker in given if maker is not None}

        def after(module: nn.Module, _: Any, output: Any) -> Any:
            if instead and module in instead:
                output = with_first(output, instead[module](run.taken[module]))
            first = first_of(output)
            alive.append(first)
            makers[id(first)] = module
            if isinstance(first, torch.Tensor):
                run.given[module] = first.clone()
            return output

        handles = []
        for module in self.module.modules():
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after))
        args, kwargs = _copied(self.args), _copied(self.kwargs)
        if hidden is not None:
            args = (hidden, *args[1:]) if args else args
            kwargs = kwargs if args else {**kwargs, "hidden_states": hidden}
        try:
            with inference(self.module):
                run.output = first_of(self.module(*args, **kwargs))
        finally:
            for handle in handles:
                handle.remove()
        for module in twice:
            run.given.pop(module, None)
        return run

    def alone(self, module: nn.Module, change: Change) -> Any:
        """A module's output where every tensor of numbers that it takes by tokens is changed."""

        def changed(value: Any) -> Any:
            return change(value) if self.by_token(value) else value

        args, kwargs = self.base.taken[module]
        with inference(self.module):
            output = module(*map(changed, args), **{k: changed(v) for k, v in kwargs.items()})
        return first_of(output)

    def by_token(self, value: Any) -> bool:
        """Whether it has numbers for every token; some models lay sentences end to end."""
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return False
        rows, tokens, _ = self.hidden.shape
        return value.shape[:2] == (rows, tokens) or (
            value.dim() == 2 and value.shape[0] == rows * tokens
        )

    def tokens(self, value: torch.Tensor) -> torch.Tensor:
        """The same numbers as (sentences, tokens, ...)."""
        return value.reshape(*self.hidden.shape[:2], -1)

    def passed_on(self, module: nn.Module) -> int | str | None:
        """The argument, beside the first, that the module's output contains as it is."""
        for at, value in named_tensors(self.base.taken[module])[1:]:
            if value.shape != self.base.given[module].shape or not self.by_token(value):
                continue
            moved = self.alone(module, _one_more(value))
            if same(moved - self.base.given[module], torch.ones_like(value)):
                return at
        return None

    def adding(self, module: nn.Module, times: float) -> Instead:
        """The module adds what it added in the base run, so many times, whatever it takes."""
        at, given = self.passed_on(module), self.base.given[module]
        if at is None:
            return lambda _: times * given
        added = times * (given - dict(named_tensors(self.base.taken[module]))[at])
        return lambda call: added + dict(named_tensors(call))[at]


def _one_more(value: torch.Tensor) -> Change:
    return lambda x: x + 1 if x is value else x


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, (tuple, list)):
        return type(value)(map(_copied, value))
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def named_tensors(call: Call) -> list[tuple[int | str, torch.Tensor]]:
    """The tensors among arguments, and where they stand."""
    named: list[tuple[int | str, Any]] = [*enumerate(call[0]), *call[1].items()]
    return [(at, value) for at, value in named if isinstance(value, torch.Tensor)]


def same(a: torch.Tensor, b: torch.Tensor, relative: float = EXACT) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= relative * b.abs().max())
