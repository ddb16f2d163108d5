"""`LocalModel`: what a model does near some prompts, with all that is not linear held as it was.

MLPs are cut out: what they add is given. Attention looks where it looked, norms scale as they
scaled. What is left takes token embeddings and what MLPs add to what MLPs read and to logits, and
is affine; that is checked, and a model of which it does not hold is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import torch
from torch import nn

from ilo_fast.models.forward import evaluating, first_tensor, inference, trial_output
from ilo_fast.transcoders.attribution.freezing import Freezer, Held
from ilo_fast.transcoders.block_trial import Call, first_of, named_tensors, with_first
from ilo_fast.transcoders.replacement import ReplacementModel

TOLERANCE: Final = {torch.float64: 1e-9, torch.float32: 1e-4}
"""How far from affine a model may be, relative to the largest number."""


@dataclass(frozen=True)
class LocalPass:
    """One pass of a local model.

    Attributes
    ----------
    reads : of every layer (rows, tokens, d)
        What the MLPs read.
    entered : (rows, tokens, d)
        The hidden states that enter the first block.
    final : (rows, 1, d)
        What the head reads at the last token of each prompt.
    scores : (rows, 1, vocabulary)
        What the head gives there. `LocalModel.factors` makes logits of it.
    """

    reads: tuple[torch.Tensor, ...]
    entered: torch.Tensor
    final: torch.Tensor
    scores: torch.Tensor


class LocalModel:
    """A model near some prompts.

    Parameters
    ----------
    replacement
        The model, in float32 or float64.
    ids : (rows, tokens)
        On the model's device; shorter prompts are filled up at their end, with any token.
    lengths : (rows,)
        Tokens of each prompt.

    Attributes
    ----------
    tokens : (rows, tokens, width of the embeddings)
        The embeddings of the prompts' tokens.
    adds : (rows, tokens, layers, d)
        What the MLPs add.
    base : LocalPass
        The pass over the prompts, as they are.
    logits : (rows, vocabulary)
        The model's own, at the last token of each prompt.
    factors : (rows, vocabulary)
        Logits over what the head gives: 1 in most models; a scale, or what a soft cap does there.

    Raises
    ------
    ValueError
        The model is not affine near these prompts.
    """

    def __init__(
        self, replacement: ReplacementModel, ids: torch.Tensor, lengths: torch.Tensor
    ) -> None:
        self.model = replacement.model
        self.parts, self.sites = replacement.parts, replacement.sites
        self.dtype = next(p.dtype for p in replacement.model.parameters() if p.is_floating_point())
        self._ids = ids
        self._rows = torch.arange(len(ids), device=ids.device)
        self._last = lengths.to(ids.device) - 1
        self._held: Held = {}
        self._note()
        if not bool(self.base.scores.isfinite().all() and self.adds.isfinite().all()):
            raise ValueError(
                "model gives numbers that are not finite on this prompt: it overflows, or weights "
                "of it are NaN or infinite; load it again, in float32 or float64"
            )
        self._check_affine()

    def _note(self) -> None:
        """The pass that notes what is to be held."""
        adds: list[torch.Tensor] = []

        def keep(_: int, added: torch.Tensor) -> None:
            adds.append(added.reshape(*self._ids.shape, -1).clone())

        with torch.no_grad():
            freezer = Freezer()
            self.base, logits, self.tokens = self._run(freezer, None, keep)
        self._held = freezer.held
        self.adds = torch.stack(adds, dim=2)
        self.logits = logits[:, 0]
        scores = self.base.scores[:, 0]
        if self.logits.shape != scores.shape:
            raise ValueError(
                f"model makes {self.logits.shape[-1]} logits of {scores.shape[-1]} numbers of its "
                "head: it cannot be traced, for which is of which token is not known"
            )
        self.factors = logit_factors(self.logits, scores)

    def replay(
        self,
        tokens: torch.Tensor | None = None,
        adds: torch.Tensor | Sequence[torch.Tensor] | None = None,
        *,
        silenced: int | None = None,
    ) -> LocalPass:
        """A pass with other token embeddings, or with other vectors that MLPs add.

        Parameters
        ----------
        tokens : (rows, tokens, width of the embeddings)
            None: those of the prompts.
        adds : (rows, tokens, layers, d), or of every layer (rows, tokens, d)
            None: what the MLPs add on the prompts.
        silenced
            The block whose input is zero; the number of blocks: what follows the last gets zero.
        """
        if adds is None:
            adds = self.adds
        layers = adds.unbind(2) if isinstance(adds, torch.Tensor) else adds

        def instead(layer: int, _: torch.Tensor) -> torch.Tensor:
            return layers[layer]

        tokens = self.tokens if tokens is None else tokens
        return self._run(Freezer(self._held), tokens, instead, silenced)[0]

    def effects_on_logits(self, vectors: torch.Tensor, row: int = 0) -> torch.Tensor:
        """What vectors add to logits, where they are added to what the last block gives.

        At the last token of prompt `row`. What is not linear behind the blocks acts as it does
        there. vectors: (n, d). Returns (n, vocabulary).
        """
        head = self.parts.head
        assert head is not None  # ReplacementModel has seen to it
        with torch.no_grad():
            read = vectors @ self._behind_blocks[row].T
            scores: torch.Tensor = head(read) - head(torch.zeros_like(read[:1]))
        return scores * self.factors[row]

    @cached_property
    def _behind_blocks(self) -> torch.Tensor:
        """From what the last block gives to what the head reads, at each prompt's last token.

        (rows, width of the head, d)
        """
        adds = [added.detach() for added in self.adds.unbind(2)]
        last = adds[-1].requires_grad_()
        with torch.enable_grad():
            final = self.replay(self.tokens, adds).final
        each = torch.eye(final.shape[-1], dtype=final.dtype, device=final.device)
        cotangent = each[:, None, None].expand(-1, *final.shape)
        (grads,) = torch.autograd.grad(final, last, cotangent, is_grads_batched=True)
        return grads[:, self._rows, self._last].transpose(0, 1)

    @torch.no_grad()
    def _check_affine(self) -> None:
        """Along a random direction twice the step does twice as much."""
        random = torch.Generator().manual_seed(0)

        def step(x: torch.Tensor) -> torch.Tensor:
            noise = torch.randn(x.shape, generator=random, dtype=torch.float64)
            return noise.to(x) * x.square().mean().sqrt()

        along = step(self.tokens), step(self.adds)
        base = self.base
        once, twice = (
            self.replay(self.tokens + times * along[0], self.adds + times * along[1])
            for times in (1.0, 2.0)
        )
        pairs = [
            (f"what the MLP of layer {at} reads", of)
            for at, of in enumerate(zip(base.reads, once.reads, twice.reads, strict=True))
        ]
        pairs.append(("the output of the head", (base.scores, once.scores, twice.scores)))
        for name, (at_0, at_1, at_2) in pairs:
            off = (at_2 - 2 * at_1 + at_0).abs().max()
            if not off <= TOLERANCE[self.dtype] * at_2.abs().max():
                raise ValueError(
                    f"model is not affine in the residual stream: {name} does not follow it, with "
                    "attention, norms and MLPs held. Something outside the MLPs is not linear (a "
                    "state-space layer? attention that is neither 'eager' nor 'sdpa'?), so that no "
                    "attribution adds up"
                )

    def _run(
        self,
        freezer: Freezer,
        tokens: torch.Tensor | None,
        written: Callable[[int, torch.Tensor], torch.Tensor | None],
        silenced: int | None = None,
    ) -> tuple[LocalPass, torch.Tensor, torch.Tensor]:
        """A pass of the model's own modules: what came by, the logits, the token embeddings."""
        seen = _Seen()
        with contextlib.ExitStack() as stack:
            stack.enter_context(evaluating(self.model))
            grad = torch.is_grad_enabled()
            stack.enter_context(inference(self.model))
            stack.enter_context(torch.set_grad_enabled(grad))
            stack.enter_context(self._hooks(seen, tokens, written, silenced))
            stack.enter_context(freezer.running(self.parts, self.sites))
            logits = trial_output(self.model, self._ids).logits
        run = LocalPass(tuple(seen.reads), *seen.entered, *seen.final, *seen.scores)
        return run, logits, seen.tokens[0]

    @contextlib.contextmanager
    def _hooks(
        self,
        seen: _Seen,
        tokens: torch.Tensor | None,
        written: Callable[[int, torch.Tensor], torch.Tensor | None],
        silenced: int | None,
    ) -> Iterator[None]:
        shape = self._ids.shape
        n_blocks = len(self.parts.entries)

        def embedded(_: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
            seen.tokens.append(output.clone())
            return None if tokens is None else tokens.clone()

        def entering(layer: int) -> Any:
            def hook(_: nn.Module, args: Any, kwargs: Any) -> Any:
                hidden = first_tensor(args, kwargs)
                assert hidden is not None  # find_sites has seen it
                if silenced == layer:
                    hidden = torch.zeros_like(hidden)
                if layer == 0:
                    seen.entered.append(hidden)
                    hidden = hidden.clone()
                return _with_first_argument(args, kwargs, hidden)

            return hook

        def left(_: nn.Module, args: Any, output: Any) -> Any:
            if silenced == n_blocks:
                return with_first(output, torch.zeros_like(first_of(output)))
            return None

        def reading(_: nn.Module, args: Any, kwargs: Any) -> Any:
            x = named_tensors((args, kwargs))[0][1]
            seen.reads.append(x.reshape(*shape, -1).clone())
            # What an MLP does with it is not followed.
            return _with_first_tensor(args, kwargs, x.detach().clone())

        def writing(layer: int) -> Any:
            site = self.sites[layer]

            def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
                call: Call = (args, kwargs)
                first = first_of(output)
                instead = written(layer, site.added(first, call))
                if instead is None:
                    return None
                return with_first(output, site.output(instead.reshape(first.shape), call))

            return hook

        def heading(_: nn.Module, args: Any, kwargs: Any) -> Any:
            hidden = named_tensors((args, kwargs))[0][1]
            last = hidden[self._rows, self._last][:, None]
            seen.final.append(last)
            return _with_first_tensor(args, kwargs, last)

        head = self.parts.head
        assert head is not None  # ReplacementModel has seen to it
        handles = [
            self.parts.embeddings.register_forward_hook(embedded),
            self.parts.blocks[-1].register_forward_hook(left),
            head.register_forward_pre_hook(heading, with_kwargs=True),
            head.register_forward_hook(lambda m, a, output: seen.scores.append(output)),
        ]
        for layer, (entry, site) in enumerate(zip(self.parts.entries, self.sites, strict=True)):
            handles.append(entry.register_forward_pre_hook(entering(layer), with_kwargs=True))
            handles.append(site.reads.register_forward_pre_hook(reading, with_kwargs=True))
            handles.append(site.writes.register_forward_hook(writing(layer), with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def logit_factors(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Logits over what the head gives; 1 where that is zero."""
    return torch.where(scores == 0, 1.0, logits / scores)


class _Seen:
    """What came by, copied: some models write in place."""

    def __init__(self) -> None:
        self.reads: list[torch.Tensor] = []
        self.entered: list[torch.Tensor] = []
        self.final: list[torch.Tensor] = []
        self.scores: list[torch.Tensor] = []
        self.tokens: list[torch.Tensor] = []


def _with_first_argument(args: Any, kwargs: Any, hidden: torch.Tensor) -> Any:
    if args and isinstance(args[0], torch.Tensor):
        return (hidden, *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": hidden}


def _with_first_tensor(args: Any, kwargs: Any, value: torch.Tensor) -> Any:
    at = named_tensors((args, kwargs))[0][0]
    if isinstance(at, int):
        return (*args[:at], value, *args[at + 1 :]), kwargs
    return args, {**kwargs, at: value}
