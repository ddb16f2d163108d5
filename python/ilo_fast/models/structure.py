"""The parts of a model: its blocks, embeddings, final norm and head.

The parts are found by structure: a trial forward pass over a few tokens shows which modules run, in
which order, and whether a token sees those after it. No architecture is known by name, so a model
published tomorrow works today. A guess can be wrong, so ``extract(verify=True)`` compares the
outcome with the model's own ``output_hidden_states`` before the work starts.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from ilo_fast.models.forward import (
    evaluating,
    first_tensor,
    inference,
    trial_ids,
    trial_state,
)

Kind = Literal["decoder", "encoder", "encoder-decoder"]


@dataclass(frozen=True)
class ModelParts:
    """The parts of a language model: what representations are read from and freezing freezes.

    Attributes
    ----------
    backbone
        The module to call: token ids in, last hidden state out, no vocabulary logits. For an
        encoder-decoder it is the encoder.
    embeddings
        The token embedding table.
    blocks
        The distinct layers, in the order in which the forward pass first runs them.
    schedule
        One index into ``blocks`` per layer that runs: ``0, 1, 2, ...`` unless the model shares
        layers (ALBERT runs one block many times).
    final_norm
        The normalisation between the last block and the output; None where there is none.
    head
        The output projection onto the vocabulary; None for a bare backbone.
    kind
        ``"decoder"`` (a token sees only those before it), ``"encoder"``, ``"encoder-decoder"``.
    dim
        Length of a hidden vector at the input of the first block.
    """

    backbone: nn.Module
    embeddings: nn.Module
    blocks: tuple[nn.Module, ...]
    schedule: tuple[int, ...]
    final_norm: nn.Module | None
    head: nn.Module | None
    kind: Kind
    dim: int

    @property
    def n_blocks(self) -> int:
        """Number of layer runs; hidden states are numbered 0 (embedding output) to n_blocks."""
        return len(self.schedule)


def find_parts(model: nn.Module) -> ModelParts:
    """Find the parts of `model` from a trial forward pass over a few tokens.

    Task heads and wrappers (PEFT adapters, data parallel, ``torch.compile``,
    sentence-transformers) are looked through.

    Parameters
    ----------
    model
        A transformers model, or a wrapper around one. It is neither moved nor changed.

    Raises
    ------
    ValueError
        No list of layers runs in order; names the lists that were seen.
    """
    inner = _unwrap(model)
    backbone = _backbone(inner)
    embeddings = _token_embeddings(inner, backbone)
    first, second = trial_ids(embeddings)
    trace = _trial(backbone, first)
    path, schedule = _choose_blocks(backbone, trace)
    members = list(backbone.get_submodule(path).children())
    used = sorted(set(schedule), key=schedule.index)
    blocks = tuple(members[i] for i in used)
    schedule = [used.index(i) for i in schedule]
    before, after = trace.output, _trial(backbone, second).output
    return ModelParts(
        backbone=backbone,
        embeddings=embeddings,
        blocks=blocks,
        schedule=tuple(schedule),
        final_norm=_final_norm(backbone, blocks, trace),
        head=_head(inner, backbone),
        kind=_kind(inner, before, after),
        dim=int(trace.width_into(blocks[schedule[0]], default=before.shape[-1])),
    )


def input_device(parts: ModelParts) -> torch.device:
    """The device that token ids must be on."""
    weight = next(parts.embeddings.parameters(), None)
    if weight is None:
        weight = next(parts.backbone.parameters())
    return weight.device


@dataclass
class _Trace:
    """What ran in a trial forward pass, in order.

    Attributes
    ----------
    started
        Modules in the order in which they started.
    ended
        Modules in the order in which they ended, each with the number started by then.
    widths
        Length of the hidden vectors that a module took, by the module's id().
    """

    started: list[nn.Module] = field(default_factory=list)
    ended: list[tuple[int, nn.Module]] = field(default_factory=list)
    widths: dict[int, int] = field(default_factory=dict)
    output: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    def width_into(self, module: nn.Module, default: int) -> int:
        return self.widths.get(id(module), default)


def _unwrap(model: nn.Module) -> nn.Module:
    """The outermost transformers model inside `model`; `model` itself if there is none."""
    from transformers import PreTrainedModel

    adapters: Any = getattr(model, "peft_config", None) or {}
    for adapter in adapters.values() if isinstance(adapters, dict) else ():
        if getattr(adapter, "is_prompt_learning", False):
            raise ValueError(
                "model is a PEFT prompt-learning adapter, whose virtual tokens exist only in its "
                "own forward pass: merge it into the model, or pass the base model"
            )
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            return module
    return model


def _backbone(model: nn.Module) -> nn.Module:
    """The headless module: the encoder of an encoder-decoder, else transformers' base model."""
    if _has_decoder(model):
        encoder = model.get_encoder()  # type: ignore[operator]
        if isinstance(encoder, nn.Module) and encoder is not model:
            return encoder
        raise ValueError(
            f"{type(model).__name__} is an encoder-decoder whose encoder get_encoder() does not "
            "give: pass the encoder module itself"
        )
    base = getattr(model, "base_model", model)
    return base if isinstance(base, nn.Module) else model


def _has_decoder(model: nn.Module) -> bool:
    """Whether `model` holds a decoder beside its encoder (T5EncoderModel's config says so, too)."""
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return False
    base = getattr(model, "base_model", model)
    return any(getattr(holder, "decoder", None) is not None for holder in (model, base))


def _token_embeddings(model: nn.Module, backbone: nn.Module) -> nn.Module:
    for holder in (backbone, model):
        getter = getattr(holder, "get_input_embeddings", None)
        if getter is None:
            continue
        # transformers defines the getter for every model; it raises where a model has no such table
        # or keeps it elsewhere. Then the next holder, or the search below, finds it or says so.
        with contextlib.suppress(NotImplementedError, AttributeError):
            table = getter()
            if isinstance(table, nn.Module):
                return table
    tables = [m for m in backbone.modules() if isinstance(m, nn.Embedding)]
    if not tables:
        raise ValueError(f"{type(model).__name__} has no token embeddings: is it a text model?")
    return max(tables, key=lambda table: table.num_embeddings)


def _head(model: nn.Module, backbone: nn.Module) -> nn.Module | None:
    if model is backbone:
        return None
    getter = getattr(model, "get_output_embeddings", None)
    head = getter() if getter is not None else None
    return head if isinstance(head, nn.Module) else None


def _trial(backbone: nn.Module, ids: torch.Tensor) -> _Trace:
    """Run the backbone on `ids` with a hook on every submodule."""
    trace = _Trace()
    handles = []

    def starts(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        trace.started.append(module)
        hidden = first_tensor(args, kwargs)
        if hidden is not None and hidden.dim() == 3:
            trace.widths.setdefault(id(module), int(hidden.shape[-1]))

    def ends(module: nn.Module, args: Any, output: Any) -> None:
        trace.ended.append((len(trace.started), module))

    try:
        for module in backbone.modules():
            handles.append(module.register_forward_pre_hook(starts, with_kwargs=True))
            handles.append(module.register_forward_hook(ends))
        with evaluating(backbone), inference(backbone):
            trace.output = trial_state(backbone, ids)
    finally:
        for handle in handles:
            handle.remove()
    return trace


def _choose_blocks(backbone: nn.Module, trace: _Trace) -> tuple[str, list[int]]:
    """Path of the list whose members ran in ascending order, and the order in which they ran.

    Of several such lists, the outermost wins (the experts of a layer are a list too, often longer
    than the list of layers), then the one with the most runs.
    """
    seen: list[str] = []
    found: list[tuple[int, str, list[int]]] = []
    for path, module in backbone.named_modules():
        if not isinstance(module, (nn.ModuleList, nn.Sequential)) or len(module) == 0:
            continue
        if any(path.startswith(f"{outer}.") for _, outer, _ in found):
            continue
        index = {id(child): i for i, child in enumerate(module)}
        runs = [index[id(m)] for m in trace.started if id(m) in index]
        takes_states = all(id(module[i]) in trace.widths for i in set(runs))
        what = f"{len(module)} x {type(module[0]).__name__}, {len(runs)} runs"
        seen.append(f"{path or '(root)'}: {what}")
        if runs and takes_states and runs == sorted(runs) and _alike(module):
            found.append((len(runs), path, runs))
    if not found:
        raise ValueError(
            f"no list of layers runs in order in {type(backbone).__name__}; lists seen: "
            f"{'; '.join(seen) or 'none'}"
        )
    _, path, runs = max(found, key=lambda entry: entry[0])
    return path, runs


def _alike(modules: nn.ModuleList | nn.Sequential) -> bool:
    """Whether the members share a class besides Module (a hybrid's layer types share a base)."""
    shared = set(type(modules[0]).__mro__)
    for module in modules:
        shared &= set(type(module).__mro__)
    return bool(shared - set(nn.Module.__mro__))


def _final_norm(
    backbone: nn.Module, blocks: tuple[nn.Module, ...], trace: _Trace
) -> nn.Module | None:
    """The first normalisation that starts after the last block has ended."""
    inside = {id(m) for block in blocks for m in block.modules()}
    ends = [position for position, module in trace.ended if id(module) in {id(b) for b in blocks}]
    for module in trace.started[max(ends) :]:
        if id(module) not in inside and "norm" in type(module).__name__.lower():
            return module
    return None


def _kind(model: nn.Module, before: torch.Tensor, after: torch.Tensor) -> Kind:
    """In a decoder, the first token's state does not change with the last token."""
    if _has_decoder(model):
        return "encoder-decoder"
    change = (before[:, 0].float() - after[:, 0].float()).abs().max()
    scale = before[:, 0].float().abs().max().clamp(min=1e-12)
    return "decoder" if float(change / scale) < 1e-6 else "encoder"
