"""Where the MLP of a block reads, and what it adds to the residual stream; found by structure.

No architecture is known by name. Each block is run alone, in float64, on what it took in a trial
forward pass of the model; its modules are told apart by what they do to numbers:

- attention moves something from one token to another, an MLP does not;
- of a sum, a linear map makes a sum, and so does a norm but for factors; an MLP does not.

What the MLP adds is measured, not assumed: the block's output less its output without the MLP. It
is the MLP's own output in most models, that of a norm behind it in some, scaled in some, and in
some the module adds the residual itself. A block whose output is not its input and what is added
to it is refused: a transcoder could not stand in for its MLP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ilo_fast.models.forward import evaluating, inference, trial_ids, trial_output
from ilo_fast.models.structure import ModelParts, find_parts
from ilo_fast.transcoders.block_trial import (
    EXACT,
    BlockRun,
    BlockTrial,
    Call,
    Change,
    named_tensors,
    same,
)


@dataclass(frozen=True)
class Site:
    """Where one block's MLP reads and writes.

    Attributes
    ----------
    reads : module
        Its first argument is what the MLP reads, (sentences, tokens, d).
    writes : module
        Its output is what the MLP adds to the residual stream, up to `scale` and `residual`.
    scale : float
        The output is multiplied by it before it is added.
    residual : int, str or None
        The argument of `writes` that its output contains: the residual, which is to be subtracted.
    parallel : bool
        The MLP reads what the block takes, not what attention has added to it.
    """

    reads: nn.Module
    writes: nn.Module
    scale: float
    residual: int | str | None
    parallel: bool

    def added(self, output: torch.Tensor, call: Call) -> torch.Tensor:
        """What is added to the residual stream where `writes`, called so, gives `output`."""
        if self.residual is None:
            return self.scale * output
        return self.scale * output - dict(named_tensors(call))[self.residual]

    def output(self, added: torch.Tensor, call: Call) -> torch.Tensor:
        """What `writes`, called so, has to give for `added` to be added; the reverse of `added`."""
        if self.residual is None:
            return added / self.scale
        return (added + dict(named_tensors(call))[self.residual]) / self.scale


def find_sites(model: nn.Module) -> tuple[ModelParts, tuple[Site, ...]]:
    """The parts of a causal language model, and the site of every block, from a trial forward pass.

    Parameters
    ----------
    model
        A transformers model whose weights are loaded. It is neither moved nor changed; one block at
        a time is copied.

    Raises
    ------
    ValueError
        The model reads in both directions, shares blocks between layers, or has a block without a
        site; names the block and the reason.
    """
    parts = find_parts(model)
    if parts.kind != "decoder":
        raise ValueError(f"model is an {parts.kind}: transcoders are for causal language models")
    if len(set(parts.schedule)) < len(parts.schedule):
        raise ValueError("model runs a block more than once: its MLP has no layer of its own")
    if parts.axes != (0, 1):
        raise ValueError(
            f"model's blocks take sentences and tokens in axes {parts.axes[0]} and {parts.axes[1]} "
            "of the hidden states, not in the first two: where there is more than one residual "
            "stream, an MLP adds no one vector"
        )
    names = {module: name for name, module in model.named_modules()}
    found = []
    for block, call in zip(parts.blocks, _calls(parts), strict=True):
        try:
            found.append(_site(block, call))
        except UnfitBlockError as reason:
            raise ValueError(f"block {names.get(block, len(found))}: {reason}") from None
    return parts, tuple(found)


class UnfitBlockError(Exception):
    """Why a block has no site."""


def _calls(parts: ModelParts) -> list[Call]:
    """What each block was called with in a trial forward pass."""
    taken: list[Call] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        taken.append((args, kwargs))

    handles = [b.register_forward_pre_hook(keep, with_kwargs=True) for b in parts.blocks]
    try:
        with evaluating(parts.backbone), inference(parts.backbone):
            trial_output(parts.backbone, torch.cat(trial_ids(parts.embeddings)))
    finally:
        for handle in handles:
            handle.remove()
    return taken


def _site(block: nn.Module, call: Call) -> Site:
    try:
        it = BlockTrial(block, call)
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:  # it turns something into float32 on the way
        raise UnfitBlockError(f"it does not run in float64 ({error})") from error
    if it.hidden.dim() != 3 or it.base.output.shape != it.hidden.shape:
        raise UnfitBlockError("it does not turn one stream of hidden states into another")
    wide = [m for m in it.base.given if m is not it.module and _is_wide(it, m)]
    reads, writes, scale = _mlp(it, wide)
    mixing = _mixing(it, wide, {reads, writes})
    # With what attention and MLP add held fixed, the output must move as the input does.
    noise = torch.linspace(-1, 1, it.hidden.numel(), dtype=torch.float64).view_as(it.hidden)
    held = {module: it.adding(module, 1.0) for module in (*mixing, writes)}
    if not same(it.run(held, it.hidden + noise).output - it.base.output, noise):
        raise UnfitBlockError("its output is not its input and what attention and MLP add to it")
    without = it.run({module: it.adding(module, 0.0) for module in mixing})
    parallel = same(_read(without, reads), _read(it.base, reads))
    residual = it.passed_on(writes)
    return Site(it.original[reads], it.original[writes], scale, residual, parallel)


def _is_wide(it: BlockTrial, module: nn.Module) -> bool:
    """Whether it gives a hidden vector for every token, and has something to learn."""
    given = it.base.given[module]
    fits = it.by_token(given) and it.tokens(given).shape == it.hidden.shape
    return fits and next(module.parameters(), None) is not None


def _outermost(it: BlockTrial, chosen: Sequence[nn.Module]) -> list[nn.Module]:
    """Those of `chosen` that are inside no other."""
    inside = {child for module in chosen for child in module.modules() if child is not module}
    return [module for module in it.module.modules() if module in chosen and module not in inside]


def _mixes_tokens(it: BlockTrial, module: nn.Module) -> bool:
    """Whether later tokens see the first."""

    moved = it.alone(module, lambda x: _with_first_token(it, x)) - it.base.given[module]
    moved = it.tokens(moved)
    return bool(moved[:, 1:].abs().max() > EXACT * moved.abs().max())


def _mixing(
    it: BlockTrial, wide: Sequence[nn.Module], mlp: set[nn.Module] | None = None
) -> list[nn.Module]:
    """The outermost modules that mix tokens, with nothing of the MLP inside."""
    free = [m for m in wide if not mlp or mlp.isdisjoint(m.modules())]
    return _outermost(it, [m for m in free if _mixes_tokens(it, m)])


def _is_mlp(it: BlockTrial, module: nn.Module) -> bool:
    """Neither attention nor a norm nor linear."""
    return not _mixes_tokens(it, module) and not _adds_up(lambda change: it.alone(module, change))


def _adds_up(run: Callable[[Change], torch.Tensor]) -> bool:
    """Whether what is made of a sum is a sum of what is made of its parts, each times a number.

    So it is, up to a constant, of what is linear, and of a norm: the numbers are those that vectors
    are divided by.
    """

    def other(x: torch.Tensor) -> torch.Tensor:
        return 10 * x.flip(-1) + 1

    nothing = run(torch.zeros_like)
    a, b, both = (run(change) - nothing for change in (lambda x: x, other, lambda x: x + other(x)))
    rest = both
    for part in (a, _without(b, a)):
        rest = _without(rest, part)
    # Many norms compute in float32, whatever they take.
    return bool((rest.norm(dim=-1) <= 1e-5 * both.norm(dim=-1)).all())


def _without(x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """The part of each vector that stands at right angles to another."""
    square = (direction * direction).sum(-1, keepdim=True)
    return x - direction * (x * direction).sum(-1, keepdim=True) / square.clamp(min=1e-300)


def _mlp(it: BlockTrial, wide: Sequence[nn.Module]) -> tuple[nn.Module, nn.Module, float]:
    """What reads, what writes, and by what factor: the one part that adds something of its own.

    It is a module, or two linear ones in the block itself.
    """
    mixing = _mixing(it, wide)
    mlps = _outermost(it, [m for m in wide if _is_mlp(it, m)])
    found = _writing(it, [(m, m) for m in mlps])
    pairs = [] if found else _pairs(it, mixing)
    found = found or _writing(it, pairs)
    inside = {child for module in mixing for child in module.modules()}
    if not found and not pairs and inside.issuperset(mlps):
        raise UnfitBlockError("it has no MLP: nothing in it turns single tokens into other vectors")
    if not found:
        raise UnfitBlockError(
            "what it adds to its input is not the output of its MLP or of what follows it"
        )
    if len(found) > 1:
        names = {module: name for name, module in it.module.named_modules()}
        listed = ", ".join(names[writes] for writes in found)
        raise UnfitBlockError(f"more than one part of it could be its MLP: {listed}")
    ((writes, (reads, scale)),) = found.items()
    return reads, writes, scale


def _writing(
    it: BlockTrial, parts: Sequence[tuple[nn.Module, nn.Module]]
) -> dict[nn.Module, tuple[nn.Module, float]]:
    """Of those parts whose output is added to the residual stream: what writes, reads, the factor.

    `parts` are what reads and what gives last. A gate within attention, say, adds nothing.
    """
    found: dict[nn.Module, tuple[nn.Module, float]] = {}
    for reads, last in parts:
        written = _write(it, last)
        if written is not None:
            found.setdefault(written[0], (reads, written[1]))
    return found


def _pairs(it: BlockTrial, mixing: Sequence[nn.Module]) -> list[tuple[nn.Module, nn.Module]]:
    """Linear modules outside attention, the second on what a nonlinearity makes of the first."""
    inside = {child for module in mixing for child in module.modules()}
    leaves = [
        m for m in it.base.given
        if m not in inside and not list(m.children()) and next(m.parameters(), None) is not None
        and it.by_token(it.base.given[m])
    ]  # fmt: skip
    found = []
    for first in leaves:
        for last in leaves:
            if last is first or not _is_wide(it, last):
                continue
            if _read(it.base, last).shape != it.base.given[first].shape:
                continue

            def between(
                change: Change,
                first: nn.Module = first,
                last: nn.Module = last,
            ) -> torch.Tensor:
                given = change(it.base.given[first])
                return it.tokens(_read(it.run({first: _always(given)}), last))

            moved = between(lambda x: _with_first_token(it, x)) - between(lambda x: x)
            alone = moved[:, 0].abs().max() > 0 and moved[:, 1:].abs().max() == 0
            if alone and not _adds_up(between):
                found.append((first, last))
    return found


def _with_first_token(it: BlockTrial, x: torch.Tensor) -> torch.Tensor:
    """The same, the first token of each sentence changed."""
    changed = x.clone()
    by_token = it.tokens(changed)  # a view
    by_token[:, 0] = by_token[:, 0].flip(-1) + 1
    return changed


def _always(given: torch.Tensor) -> Callable[[Call], torch.Tensor]:
    return lambda _: given


def _read(run: BlockRun, module: nn.Module) -> torch.Tensor:
    """The first tensor that the module took."""
    return named_tensors(run.taken[module])[0][1]


def _write(it: BlockTrial, last: nn.Module) -> tuple[nn.Module, float] | None:
    """The module whose output is added to the residual stream, and by what factor."""
    chain = [last]
    for module, makers in it.base.follows.items():
        if chain[-1] in makers and module is not it.module and module in it.base.given:
            chain.append(module)
    for module in chain:
        given = it.base.given[module]
        zero = torch.zeros_like(given)
        without = it.run({module: _always(zero)})
        added = (it.base.output - without.output).reshape(given.shape)
        scale = float((added * given).sum() / (given * given).sum())
        if scale and same(added, scale * given):
            return module, scale
    return None
