"""`ReplacementModel`: a model with some of its MLPs, or all, replaced by what is said of them.

By a transcoder, by vectors that are given, by nothing or by means (ablation). The model's own
modules are not touched: what they add is exchanged on the way, and the model is as it was when the
block ends, also after an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast.models.forward import evaluating, first_tensor, inference, trial_output
from ilo_fast.models.structure import ModelParts
from ilo_fast.transcoders.reading import watched
from ilo_fast.transcoders.sites import Site, find_sites
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Instead = Callable[[int, torch.Tensor], torch.Tensor | None]


@dataclass(frozen=True)
class Reading:
    """What a forward pass of the model as it is shows.

    Attributes
    ----------
    logits : (rows, tokens, vocabulary)
    x, y : (rows, tokens, layers, d)
        What the MLPs read and what they add; float64 where the model is, else float32.
    """

    logits: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor


class ReplacementModel:
    """A causal language model whose MLPs can be replaced.

    Parameters
    ----------
    model
        With its head, its weights loaded. It is neither moved nor changed.
    transcoder
        Of the same layers and hidden size.
    skip_positions
        So many positions at the beginning of each row are left as the model has them. None: as
        many as in the transcoder's training; 1 where it does not say.

    Attributes
    ----------
    parts, sites
        As of `find_sites`.
    skip_positions : int

    Raises
    ------
    ValueError
        As `find_sites`; the model has no head; the transcoder is of another shape.

    Notes
    -----
    Within the blocks below every forward pass is over whole rows: nothing padded on the left, and
    no cache of earlier tokens, for positions are counted from the beginning of what is passed.
    """

    def __init__(
        self,
        model: nn.Module,
        transcoder: CrossLayerTranscoder,
        *,
        skip_positions: int | None = None,
    ) -> None:
        self.parts: ModelParts
        self.sites: tuple[Site, ...]
        if skip_positions is None:
            skip_positions = 1 if transcoder.info is None else transcoder.info.skip_positions
        self.skip_positions = whole_number("skip_positions", skip_positions, least=0)
        self.parts, self.sites = find_sites(model)
        if self.parts.head is None:
            raise ValueError(
                f"model is a {type(model).__name__}, which has no head and gives no logits: load "
                "it with AutoModelForCausalLM"
            )
        found = (transcoder.n_layers, transcoder.hidden_size)
        if found != (len(self.sites), self.parts.dim):
            raise ValueError(
                f"transcoder is of {found[0]} layers of width {found[1]}, model has "
                f"{len(self.sites)} of width {self.parts.dim}: pass the model that it was trained "
                "on"
            )
        self.model = model
        self.transcoder = transcoder

    @property
    def n_layers(self) -> int:
        return len(self.sites)

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """The logits of a forward pass: (rows, tokens, vocabulary).

        ids: (rows, tokens), nothing padded, on the model's device.
        """
        with evaluating(self.model), inference(self.model):
            found: torch.Tensor = trial_output(self.model, ids).logits
        return found

    def read(self, ids: torch.Tensor) -> Reading:
        """A forward pass of the model as it is. ids as in `logits`."""
        held: dict[tuple[str, int], torch.Tensor] = {}

        def keep(name: str, layer: int, value: torch.Tensor) -> None:
            wide = value.to(torch.promote_types(value.dtype, torch.float32), copy=True)
            held[name, layer] = wide.reshape(*ids.shape, -1).to(ids.device)

        with watched(self.sites, lambda at, x: keep("x", at, x), lambda at, y: keep("y", at, y)):
            logits = self.logits(ids)
        x, y = (
            torch.stack([held.pop((name, layer)) for layer in range(self.n_layers)], dim=2)
            for name in "xy"
        )
        return Reading(logits, x, y)

    @contextlib.contextmanager
    def replaced(self, layers: Collection[int] | None = None) -> Iterator[None]:
        """Within the block, the transcoder's output takes the place of MLPs.

        Features are computed from what the MLPs read in the same pass: the true inputs up to the
        first layer that is replaced, those of the changed stream behind it. One layer alone thus
        gets the features of all earlier ones from the model's own inputs; with all layers this is
        the full cascade.

        Parameters
        ----------
        layers
            Whose MLPs are replaced. None: all.
        """
        chosen = self._checked(layers)
        coder = self.transcoder
        written: dict[int, torch.Tensor] = {}

        def read(layer: int, x: torch.Tensor) -> None:
            if layer == 0:  # a new pass
                written.clear()
            span = range(layer, layer + coder.decoder_weights[layer].shape[1])
            if not chosen.intersection(span):
                return
            weight = coder.encoder_weight
            rows = x.reshape(-1, x.shape[-1]).to(weight.device, weight.dtype)
            added = coder.decode_layer(layer, coder.encode_layer(layer, rows))
            for place, output in enumerate(span):
                before = written.get(
                    output, coder.decoder_bias[output] / coder.output_scale[output]
                )
                written[output] = before + added[:, place]

        def instead(layer: int, y: torch.Tensor) -> torch.Tensor | None:
            if layer not in chosen:
                return None
            return written.pop(layer).reshape(*y.shape[:2], -1)[:, self.skip_positions :]

        with evaluating(coder), self._exchanged(read, instead):
            yield

    @contextlib.contextmanager
    def with_outputs(self, outputs: Mapping[int, torch.Tensor]) -> Iterator[None]:
        """Within the block, MLPs add given vectors.

        Parameters
        ----------
        outputs
            Layer -> (rows, tokens - skip_positions, d), or (d,), the same for all tokens. Other
            layers add what they add.
        """
        self._checked(outputs)
        with self._exchanged(lambda layer, x: None, lambda layer, y: outputs.get(layer)):
            yield

    @contextlib.contextmanager
    def ablated(
        self, layers: Collection[int] | None = None, means: torch.Tensor | None = None
    ) -> Iterator[None]:
        """Within the block, MLPs add nothing, or always the same.

        Parameters
        ----------
        layers
            None: all.
        means : (layers of the model, d)
            What is added. None: zeros.
        """
        if means is None:
            means = torch.zeros(self.n_layers, self.parts.dim)
        with self.with_outputs({layer: means[layer] for layer in self._checked(layers)}):
            yield

    @contextlib.contextmanager
    def _exchanged(
        self, read: Callable[[int, torch.Tensor], None], instead: Instead
    ) -> Iterator[None]:
        """What `instead` gives for (rows, tokens, d) is added from `skip_positions` on."""
        shape: list[int] = []

        def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden = first_tensor(args, kwargs)
            assert hidden is not None  # find_sites has seen it
            shape[:] = hidden.shape[:2]

        def written(layer: int, y: torch.Tensor) -> torch.Tensor | None:
            rows = y.reshape(*shape, -1)  # some models lay tokens end to end
            new = instead(layer, rows)
            if new is None:
                return None
            kept, lost = rows[:, : self.skip_positions], rows[:, self.skip_positions :]
            return torch.cat([kept, new.to(y).expand_as(lost)], dim=1).view(y.shape)

        handle = self.parts.entries[0].register_forward_pre_hook(note, with_kwargs=True)
        try:
            with watched(self.sites, read, written):
                yield
        finally:
            handle.remove()

    def _checked(self, layers: Collection[int] | None) -> set[int]:
        chosen = set(range(self.n_layers)) if layers is None else set(layers)
        wrong = sorted(chosen - set(range(self.n_layers)))
        if wrong:
            raise ValueError(f"layers names {wrong[0]}, model has layers 0 to {self.n_layers - 1}")
        return chosen
