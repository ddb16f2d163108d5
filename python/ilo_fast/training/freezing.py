"""Freeze blocks, embeddings and output head of any model: what is asked for, no more; and undo it.

Nothing is known by name: ``find_parts`` finds the blocks, ``uses`` the parameters before, between
and after them.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
from torch import nn

from ilo_fast._util.messages import listed
from ilo_fast.models.structure import ModelParts, find_parts
from ilo_fast.training.uses import Parameters, Uses, trace_uses

logger = logging.getLogger(__name__)

# The published code asks for the first 8 and freezes range(8 + 1).
_PUBLISHED = range(9)


@dataclass(frozen=True, eq=False, repr=False)
class Frozen:
    """What :func:`freeze` froze; a context manager that undoes it at its end.

    Attributes
    ----------
    layers
        The blocks, ascending, counted from 0.
    embeddings, final_norm, head
        Whether there were such parameters, asked for and so frozen. `final_norm` is all that runs
        between the last block and the head (of an encoder-decoder: of the encoder).
    names
        The frozen parameters as in ``model.named_parameters()``, in that order, under every name
        that a tied tensor has. A parameter that was frozen before counts where it is part of what
        was asked for.
    n_tensors, n_parameters
        Frozen tensors, and the numbers in them.
    n_total
        Numbers in all of the model's parameters.
    ties
        The names of each frozen tensor that has more than one.
    """

    layers: tuple[int, ...]
    embeddings: bool
    final_norm: bool
    head: bool
    names: tuple[str, ...]
    n_tensors: int
    n_parameters: int
    n_total: int
    ties: tuple[tuple[str, ...], ...]
    _before: list[tuple[nn.Parameter, bool]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Share of the model's parameters that is frozen, 0 to 1."""
        return self.n_parameters / self.n_total if self.n_total else 0.0

    def undo(self) -> None:
        """Make every parameter as trainable as it was before; a second call does nothing.

        Freezings inside one another are undone from the last to the first.
        """
        while self._before:
            parameter, trainable = self._before.pop()
            parameter.requires_grad_(trainable)

    def to_dict(self) -> dict[str, Any]:
        """Everything above as plain Python, for JSON."""
        return {
            "layers": list(self.layers),
            "embeddings": self.embeddings,
            "final_norm": self.final_norm,
            "head": self.head,
            "names": list(self.names),
            "n_tensors": self.n_tensors,
            "n_parameters": self.n_parameters,
            "n_total": self.n_total,
            "share": self.share,
            "ties": [list(names) for names in self.ties],
        }

    def __enter__(self) -> Frozen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.undo()

    def __repr__(self) -> str:
        parts = [f"layers {', '.join(map(str, self.layers))}"] if self.layers else []
        parts += [
            name.replace("_", " ")
            for name in ("embeddings", "final_norm", "head")
            if getattr(self, name)
        ]
        return (
            f"Frozen({', '.join(parts) or 'nothing'}: {self.n_tensors} tensors, "
            f"{self.n_parameters:,} of {self.n_total:,} parameters, {self.share:.1%})"
        )


def freeze(
    model: nn.Module,
    layers: Iterable[int] | int | str | None = range(8),
    embeddings: bool = True,
    head: bool = True,
) -> Frozen:
    """Freeze blocks, embeddings and output head of `model`, in place.

    A frozen parameter gets no gradient (one that it holds is dropped), so no optimizer changes it,
    by weight decay neither. Everything else stays as trainable as it was: task heads (classifiers,
    poolers), and LoRA adapters outside the frozen parts; adapters inside them are frozen with them.

    Parameters
    ----------
    model
        A transformers model, bare or with a head, or a wrapper around one (PEFT, data parallel,
        ``torch.compile``). Its weights must be loaded: a few tokens are run through it.
    layers
        Blocks, counted from 0, as in peft's ``layers_to_transform``: block i turns
        ``hidden_states[i]`` into ``hidden_states[i + 1]``. Negative numbers count from the end; one
        number is one block; None or an empty sequence is none. ``"published"`` is what the default
        of the published code (arXiv 2503.11280) does as it acts: it asks for 8 layers and freezes
        nine, 0 to 8. Of an encoder-decoder these are the encoder's.
    embeddings
        Freeze all that the input of the first block depends on: tables of tokens, positions and
        types, their normalisation and projection.
    head
        Freeze the output projection onto the vocabulary, and the final norm. A task head is never
        frozen, nor is what a masked language model puts before its projection.

    Returns
    -------
    Frozen
        What was frozen; ``undo()`` or leaving its ``with`` block undoes it.

    Raises
    ------
    ValueError
        For blocks that do not exist, part of the runs of a block that the model runs several times
        (ALBERT: all runs have the same weights, so they are frozen together or not at all), weights
        on the meta device, and a model whose blocks, or embeddings, cannot be found.
    TypeError
        For layers that are not whole numbers.

    Notes
    -----
    *Tied weights* are one tensor. Where only one of its uses was asked for, all are frozen, and a
    warning names them; ``Frozen.ties`` lists them. The decoder of an encoder-decoder is frozen in
    no other way.

    *Parameters outside the blocks* that blocks use (relative positions of DeBERTa, its convolution
    after the first block) are frozen with the last of the blocks that use them. Until then they are
    trained, a warning names them, and the output of the frozen blocks can still change a little.

    *Adapters* must be in place before: peft makes an adapter trainable when it is added or made
    active.

    *Gradient checkpointing* works with frozen embeddings as transformers enables it. With
    ``use_reentrant=True`` torch trains nothing behind an input that has no gradient: then call
    ``model.enable_input_require_grads()``, unless your version of transformers has done so.
    """
    _check_loaded(model)
    parts = find_parts(model)
    runs = resolve_blocks(layers, parts)
    if embeddings or head:
        _check_confirmed(parts)
    uses = trace_uses(parts)
    if embeddings:
        _check_traced(parts, uses)
    wanted = _Wanted(
        blocks=_block_parameters(parts, uses, runs),
        embeddings=uses.embeddings if embeddings else set(),
        final_norm=uses.output if head else set(),
        head=set(parts.head.parameters()) if head and parts.head is not None else set(),
    )
    frozen = _freeze(model, runs, wanted)
    _warn(model, parts, uses, frozen, wanted)
    return frozen


# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wanted:
    """The parameters to freeze, by the reason for it."""

    blocks: Parameters
    embeddings: Parameters
    final_norm: Parameters
    head: Parameters

    def all(self) -> Parameters:
        return self.blocks | self.embeddings | self.final_norm | self.head


def _check_loaded(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model is {type(model).__name__}, wanted a loaded model: pass what "
            "AutoModel...from_pretrained() returns"
        )
    absent = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if absent:
        raise ValueError(
            f"model has {len(absent)} parameters on the meta device ({absent[0]}, ...): blocks are "
            "found by running the model on a few tokens, so load its weights first"
        )


def _check_confirmed(parts: ModelParts) -> None:
    """Where the blocks are not known, neither is what comes before and after them."""
    if parts.confirmed is False:
        raise ValueError(
            f"no list of layers in {type(parts.backbone).__name__} takes its hidden_states one "
            "after the other, so which parameters its blocks, embeddings and final norm have is "
            "not known and nothing was frozen: freeze those that you mean yourself, by "
            "requires_grad_(False)"
        )


def _check_traced(parts: ModelParts, uses: Uses) -> None:
    """The token table is among the embeddings, or the model has hidden what they are."""
    table = {p for p in parts.embeddings.parameters() if p.is_floating_point()}
    if table and not table & uses.embeddings:
        raise ValueError(
            f"embeddings=True, but {type(parts.backbone).__name__} records no gradients before its "
            "first block, so which parameters its embeddings have is not known and nothing was "
            "frozen: pass embeddings=False and freeze them yourself, by requires_grad_(False)"
        )


def resolve_blocks(layers: Iterable[int] | int | str | None, parts: ModelParts) -> tuple[int, ...]:
    """Block numbers, ascending, each once; counted from 0."""
    n, what, asks = parts.n_blocks, type(parts.backbone).__name__, "layers"
    if isinstance(layers, str):
        if layers != "published":
            raise ValueError(
                f'{layers!r} names no blocks: the one name is "published", else give block '
                "numbers, e.g. range(8)"
            )
        asks, layers = 'layers="published"', _PUBLISHED
    numbers = block_numbers(layers)
    if numbers:
        _check_confirmed(parts)
    if absent := [number for number in numbers if not -n <= number < n]:
        raise ValueError(
            f"{asks} asks for {listed(absent)}, but {what} has {n} blocks: 0 to {n - 1}, or -1 to "
            f"{-n} from the end; pass e.g. layers=range({n // 2 or 1})"
        )
    runs = {number % n for number in numbers}
    for block in {parts.schedule[run] for run in runs}:
        same = [run for run, other in enumerate(parts.schedule) if other == block]
        if missing := sorted(set(same) - runs):
            raise ValueError(
                f"{asks} leaves out {_listed(missing)}, but {what} runs one block as layers "
                f"{_listed(same)}: these have the same weights, so ask for all of them or for none"
            )
    return tuple(sorted(runs))


def block_numbers(layers: Iterable[int] | int | None, name: str = "layers") -> list[int]:
    """The numbers as plain ints; which of them exist is not known yet.

    Raises
    ------
    TypeError
        Something else, naming the argument.
    """
    if layers is None:
        return []
    items: list[Any]
    try:
        items = list(layers)  # type: ignore[arg-type]
    except TypeError:
        items = [layers]  # a single number; another thing is refused below
    numbers = []
    for item in items:
        try:
            if isinstance(item, (bool, np.bool_)):
                raise TypeError
            numbers.append(operator.index(item))
        except TypeError:
            raise TypeError(f"{name} holds {item!r}, wanted whole numbers, e.g. range(8)") from None
    return numbers


def _block_parameters(parts: ModelParts, uses: Uses, runs: tuple[int, ...]) -> Parameters:
    """Those of the blocks, and those outside any block that only these blocks use."""
    own = {p for run in runs for p in parts.blocks[parts.schedule[run]].parameters()}
    inside = {p for block in parts.blocks for p in block.parameters()}
    used = {p for run in runs for p in uses.runs[run]}
    others = {p for run in set(range(parts.n_blocks)) - set(runs) for p in uses.runs[run]}
    return own | (used - others - inside - uses.embeddings)


def _names(model: nn.Module) -> dict[nn.Parameter, list[str]]:
    """Every parameter's names, all of them, in the model's order."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return names


def _freeze(model: nn.Module, runs: tuple[int, ...], wanted: _Wanted) -> Frozen:
    names = _names(model)
    every = wanted.all()
    chosen = {p: known for p, known in names.items() if p in every}
    before = [(parameter, parameter.requires_grad) for parameter in chosen]
    for parameter in chosen:
        parameter.requires_grad_(False)
        parameter.grad = None
    return Frozen(
        layers=runs,
        embeddings=bool(wanted.embeddings),
        final_norm=bool(wanted.final_norm),
        head=bool(wanted.head),
        names=tuple(n for n, p in model.named_parameters(remove_duplicate=False) if p in chosen),
        n_tensors=len(chosen),
        n_parameters=sum(p.numel() for p in chosen),
        n_total=sum(p.numel() for p in names),
        ties=tuple(tuple(known) for known in chosen.values() if len(known) > 1),
        _before=before,
    )


def _warn(model: nn.Module, parts: ModelParts, uses: Uses, frozen: Frozen, wanted: _Wanted) -> None:
    """Say what was frozen without being asked for, and what was asked for and can still change."""
    names = _names(model)
    used = {p for run in frozen.layers for p in uses.runs[run]}
    loose = used - wanted.all()
    if loose:
        logger.warning(
            "the frozen blocks also use %s, which is not frozen because other blocks have it or "
            "use it too: what the frozen blocks return can still change",
            _listed(name for p, known in names.items() if p in loose for name in known[:1]),
        )
    asked = _asked_modules(parts, frozen, wanted)
    for tied in frozen.ties:
        named = [n for n in tied if model.get_submodule(_owner(n)) in asked]
        # Some modules keep what a child has at hand as well (the bias of a masked model's head).
        also = [
            name
            for name in set(tied) - set(named)
            if not any(known.startswith(f"{_owner(name)}.") for known in named)
        ]
        if also:
            logger.warning(
                "freezing %s has also frozen %s: these are names of one tensor",
                _listed(named),
                _listed(sorted(also, key=tied.index)),
            )
    if frozen.names and not any(parameter.requires_grad for parameter in names):
        logger.warning("nothing is left to train: every parameter of the model is frozen")


def _asked_modules(parts: ModelParts, frozen: Frozen, wanted: _Wanted) -> set[nn.Module]:
    """The modules whose parameters were asked for: another name of one of these is a tie."""
    asked = {m for run in frozen.layers for m in parts.blocks[parts.schedule[run]].modules()}
    if frozen.head and parts.head is not None:
        asked |= set(parts.head.modules())
    inside = {m for block in parts.blocks for m in block.modules()}
    outside = wanted.blocks | wanted.embeddings | wanted.final_norm
    for module in set(parts.backbone.modules()) - inside:
        if outside.intersection(module.parameters(recurse=False)):
            asked.add(module)
    return asked


def _owner(name: str) -> str:
    """The module that has the parameter."""
    return name.rpartition(".")[0]


def _listed(items: Iterable[Any]) -> str:
    return ", ".join(map(str, items))
