"""Forward passes in which attention, or all that is not linear, is as without interventions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import WeakSet

import torch
from torch import nn

from ilo_fast.models.forward import evaluating, inference, trial_ids
from ilo_fast.transcoders.attribution.freezing import Freezer, Held
from ilo_fast.transcoders.attribution.local_model import LocalModel, logit_factors
from ilo_fast.transcoders.block_trial import first_of, with_first
from ilo_fast.transcoders.interventions.places import TokenPlaces
from ilo_fast.transcoders.interventions.writing import Writing
from ilo_fast.transcoders.reading import watched
from ilo_fast.transcoders.replacement import ReplacementModel

_affine: Final[WeakSet[ReplacementModel]] = WeakSet()  # of which `LocalModel` said so


class Holding:
    """Runs a model twice: unchanged, which is noted, and changed, with what was noted held.

    Parameters
    ----------
    it, writing, places
        The model, what is added, and where tokens stand.
    everything
        Norms, MLPs and activations are held, too.

    Raises
    ------
    ValueError
        The model is of 16 bits; or, with `everything`, it is not affine even then.
    """

    def __init__(
        self, it: ReplacementModel, writing: Writing, places: TokenPlaces, *, everything: bool
    ) -> None:
        self._it, self._writing, self._places = it, writing, places
        self._everything = everything
        self._running = it.parts, it.sites
        self._is_running = False  # within `forward`
        self._is_changed = False
        self._adds: dict[int, torch.Tensor] = {}
        self._scores: torch.Tensor | None = None
        dtype = next(p.dtype for p in it.model.parameters() if p.is_floating_point())
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"model is in {dtype}, of which too few digits are left where something is "
                "frozen: load it with dtype=torch.float32"
            )
        if everything and it not in _affine:
            ids = trial_ids(it.parts.embeddings)[0]
            LocalModel(it, ids, ids.new_tensor([ids.shape[1]]))  # it checks
            _affine.add(it)

    def forward(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """The model's forward, made of its own."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            _check_whole(kwargs)
            model, grad = self._it.model, torch.is_grad_enabled()
            with evaluating(model), inference(model):
                try:
                    held, logits, scores = self._noted(method, args, kwargs)
                    self._is_changed = True
                    freezer = Freezer(held, scale_norms=self._everything)
                    with torch.set_grad_enabled(grad), freezer.running(*self._running):
                        output = method(*args, **kwargs)
                    if scores is None or torch.equal(scores, logits):
                        return output
                    assert self._scores is not None
                    # A scale, or what a soft cap did in the unchanged pass.
                    return _with_logits(output, self._scores * logit_factors(logits, scores))
                finally:
                    self._is_running = self._is_changed = False
                    self._adds.clear()
                    self._scores = None

        return forward

    def _noted(
        self, method: Callable[..., Any], args: Any, kwargs: Any
    ) -> tuple[Held, torch.Tensor, torch.Tensor | None]:
        """The unchanged pass: what is held, the logits, and what the head gives."""
        freezer = Freezer(scale_norms=self._everything)
        self._is_running = True
        with torch.no_grad(), freezer.running(*self._running):
            logits = _logits(method(*args, **kwargs))
        for layer in range(self._it.n_layers):
            if not freezer.held.get(layer):
                raise ValueError(
                    f"attention of layer {layer} makes no probabilities that could be frozen: "
                    "load the model with attn_implementation='eager' or 'sdpa'"
                )
        return freezer.held, logits, self._scores

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block, `forward` sees and changes what MLPs add."""
        it = self._it

        def read(layer: int, x: torch.Tensor) -> None:
            if self._is_changed != self._everything:  # activations are the unchanged pass's
                self._writing.read(layer, x, self._places.now)

        def written(layer: int, y: torch.Tensor) -> torch.Tensor | None:
            if not self._is_changed:
                if self._everything:
                    self._adds[layer] = y.clone()  # some models write in place
                return None
            return self._writing.added(layer, self._adds[layer] if self._everything else y)

        def entering(_: nn.Module, args: Any) -> None:
            if not self._is_running:
                raise ValueError(
                    "frozen is for passes of the whole model: call it, not a part of it"
                )
            if self._places.past:
                raise ValueError(
                    "frozen is for forward passes of whole prompts, and this one goes on from "
                    f"{self._places.past} tokens in a cache: leave past_key_values out"
                )

        def heading(_: nn.Module, args: Any, output: Any) -> None:
            if self._everything:
                self._scores = first_of(output).clone()

        assert it.parts.head is not None  # ReplacementModel has seen to it
        handles = [it.parts.head.register_forward_hook(heading)]
        handles += [entry.register_forward_pre_hook(entering) for entry in it.parts.entries]
        try:
            with watched(it.sites, read, written):
                yield
        finally:
            for handle in handles:
                handle.remove()


def _check_whole(kwargs: dict[str, Any]) -> None:
    for name in ("past_key_values", "labels"):
        if kwargs.get(name) is not None:
            raise ValueError(
                f"{name} was passed, and frozen is for forward passes of whole prompts that give "
                f"logits: leave {name} out"
            )


def _logits(output: Any) -> torch.Tensor:
    found = getattr(output, "logits", None)
    logits: torch.Tensor = first_of(output) if found is None else found
    return logits


def _with_logits(output: Any, logits: torch.Tensor) -> Any:
    if getattr(output, "logits", None) is None:
        return with_first(output, logits)
    output["logits"] = logits
    return output
