"""`TokenPlaces`: which token of which prompt stands where, in every pass of a model that runs."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from ilo_fast.models.forward import first_tensor
from ilo_fast.models.structure import ModelParts

_MASK: Final = "attention_mask"
_CACHE: Final = "past_key_values"


@dataclass(frozen=True)
class Places:
    """Of one pass.

    Attributes
    ----------
    positions : (rows, tokens)
        In the prompt and what follows it; -1 for padding.
    lengths : (rows,)
        Tokens of the row's prompt.
    prompts : (rows,)
        The number of the prompt: of a beam search several rows are of one.
    """

    positions: torch.Tensor
    lengths: torch.Tensor
    prompts: torch.Tensor


class TokenPlaces:
    """Watches a model's passes.

    A pass without earlier tokens begins new prompts, a later one goes on with them; within
    `generating` there is one set of prompts, also where no cache is kept.

    Parameters
    ----------
    model, parts
        What runs, and its parts.
    on_prompts
        Called with new prompts: of each, the first position that is computed, and the length.

    Attributes
    ----------
    now : Places
        Of the pass that runs.
    past : int
        Columns before it.
    """

    now: Places
    past: int

    def __init__(
        self,
        model: nn.Module,
        parts: ModelParts,
        on_prompts: Callable[[list[int], list[int]], None],
    ) -> None:
        self._entry, self._on_prompts = parts.entries[0], on_prompts
        self._around = _around(model, self._entry)
        self._given: dict[int, dict[str, Any]] = {}  # the arguments of those of them that run
        self._lengths: torch.Tensor | None = None  # of the prompts
        self._n_generated: int | None = None  # prompts of the generation that runs

    @property
    def is_generating(self) -> bool:
        return self._n_generated is not None

    @contextlib.contextmanager
    def generating(self, n_prompts: int) -> Iterator[None]:
        """All passes within the block go on with the prompts of the first."""
        self._n_generated, self._lengths = n_prompts, None
        try:
            yield
        finally:
            self._n_generated = self._lengths = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block, `now` is of the pass that runs."""

        def called(depth: int, names: list[str]) -> Any:
            def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                # A pass that broke off may have left some.
                self._given = {k: v for k, v in self._given.items() if k < depth}
                self._given[depth] = {**dict(zip(names, args, strict=False)), **kwargs}

            return hook

        def entered(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden = first_tensor(args, kwargs)
            assert hidden is not None  # find_sites has seen it
            # What whoever called the model passed; inside, masks get other shapes.
            given = self._given[min(self._given)] if self._given else {}
            self._given = {}
            cache = given.get(_CACHE)
            cached = 0 if cache is None else int(cache.get_seq_length())
            self._locate(_checked_mask(given.get(_MASK)), cached, hidden)

        handles = [self._entry.register_forward_pre_hook(entered, with_kwargs=True)]
        for depth, module in enumerate(self._around):
            names = list(inspect.signature(module.forward).parameters)
            hook = called(depth, names)
            handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _locate(self, given: torch.Tensor | None, cached: int, hidden: torch.Tensor) -> None:
        (rows, tokens), device = hidden.shape[:2], hidden.device
        if given is None:
            self.past = cached
            one = torch.arange(self.past, self.past + tokens, device=device)
            positions, ends = one.expand(rows, -1), one.new_full((rows,), self.past + tokens)
        else:
            mask = given.to(device) != 0
            self.past = mask.shape[1] - tokens
            if mask.shape[0] != rows or self.past != cached:
                raise ValueError(
                    f"{_MASK} has shape {tuple(mask.shape)}, wanted {(rows, cached + tokens)}"
                    f": one column for each of the {cached} tokens in the cache and the "
                    f"{tokens} of this pass"
                )
            positions = torch.where(mask, mask.cumsum(1) - 1, -1)[:, self.past :]
            ends = mask.sum(1)
        n = self._n_generated or rows
        if rows % n:
            raise ValueError(f"a pass of {rows} rows, of {n} prompts: they cannot be told apart")
        each = rows // n
        goes_on = self.is_generating or self.past > 0
        if self._lengths is None or not goes_on or len(self._lengths) != n:
            self._lengths = ends[::each]
            here = torch.where(positions < 0, ends[:, None], positions)
            self._on_prompts(here.amin(1)[::each].tolist(), self._lengths.tolist())
        prompts = torch.arange(n, device=device).repeat_interleave(each)
        self.now = Places(positions, self._lengths.to(device)[prompts], prompts)


def _around(model: nn.Module, inside: nn.Module) -> list[nn.Module]:
    """The modules that hold another, the outermost first. Not all of them need run."""
    names = [name for name, module in model.named_modules() if module is inside]
    parts = names[0].split(".")
    return [model.get_submodule(".".join(parts[:n])) for n in range(len(parts))]


def _checked_mask(mask: Any) -> torch.Tensor | None:
    if mask is None or (isinstance(mask, torch.Tensor) and mask.dim() == 2):
        return mask
    came = f"shape {tuple(mask.shape)}" if isinstance(mask, torch.Tensor) else type(mask).__name__
    raise ValueError(
        f"{_MASK} is of {came}, wanted (rows, tokens), which says where the prompts begin: leave "
        "out cache_implementation, or pass a mask of two dimensions"
    )
