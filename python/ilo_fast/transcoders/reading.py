"""What a model's MLPs read and add, for every token of some text, from one forward pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ilo_fast.models.forward import evaluating, inference, trial_output
from ilo_fast.models.structure import ModelParts
from ilo_fast.transcoders.block_trial import Call, first_of, named_tensors, with_first
from ilo_fast.transcoders.sites import Site, find_sites

Read = Callable[[int, torch.Tensor], None]  # layer, what its MLP reads
Written = Callable[[int, torch.Tensor], torch.Tensor | None]  # layer, what it adds; None: as it is


@contextlib.contextmanager
def watched(sites: tuple[Site, ...], read: Read, written: Written) -> Iterator[None]:
    """Within the block, every MLP's input is shown to `read`, and what it adds to `written`.

    What `written` returns is added in its place. Both see tensors as the model lays them,
    (sentences, tokens, d) or tokens end to end, and return the same shape.
    """
    handles = []
    for layer, site in enumerate(sites):

        def before(
            _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], layer: int = layer
        ) -> None:
            read(layer, named_tensors((args, kwargs))[0][1])

        def after(
            _: nn.Module,
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
            output: Any,
            layer: int = layer,
            site: Site = site,
        ) -> Any:
            call: Call = (args, kwargs)
            instead = written(layer, site.added(first_of(output), call))
            if instead is None:
                return None
            return with_first(output, site.output(instead, call))

        handles.append(site.reads.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(site.writes.register_forward_hook(after, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class MLPReader:
    """Reads a model's MLPs.

    Parameters
    ----------
    model
        A causal language model, its weights loaded. It is not changed.
    found
        What `find_sites` says of it, where that is known.

    Attributes
    ----------
    parts, sites
        As of `find_sites`.

    Raises
    ------
    ValueError
        As `find_sites`.
    """

    def __init__(
        self, model: nn.Module, found: tuple[ModelParts, tuple[Site, ...]] | None = None
    ) -> None:
        self.parts: ModelParts
        self.sites: tuple[Site, ...]
        self.parts, self.sites = find_sites(model) if found is None else found

    def read(
        self, ids: torch.Tensor, autocast: torch.dtype | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the MLPs read, and what they add: each (rows, tokens, layers, d), float32.

        ids: (rows, tokens), nothing padded, on the model's device. `autocast`: the type in which
        the model's products are computed; None: that of its weights.
        """
        shape = (*ids.shape, len(self.sites), self.parts.dim)
        x = torch.empty(shape, dtype=torch.float32, device=ids.device)
        y = torch.empty_like(x)

        def read(layer: int, value: torch.Tensor) -> None:
            x[:, :, layer] = value.view(*ids.shape, -1)

        def written(layer: int, value: torch.Tensor) -> None:
            y[:, :, layer] = value.view(*ids.shape, -1)

        backbone = self.parts.backbone
        mixed = torch.autocast(ids.device.type, autocast, enabled=autocast is not None)
        hooks = watched(self.sites, read, written)
        with evaluating(backbone), inference(backbone), mixed, hooks:
            trial_output(backbone, ids)
        return x, y
