"""The parts of a model: its blocks, embeddings, final norm and head.

The parts are found by structure: a trial forward pass over a few tokens shows which modules run, in
which order, which of the model's own hidden states they take, and whether a token sees those after
it. No architecture is known by name, so a model published tomorrow works today. A guess can be
wrong, so ``extract(verify=True)`` compares the outcome with ``output_hidden_states`` on sentences
before the work starts, and ``freeze`` takes no blocks that the trial did not confirm.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from ilo_fast.models.blocks import Blocks, choose_blocks
from ilo_fast.models.forward import (
    evaluating,
    inference,
    is_offloaded,
    trial_ids,
    trial_state,
    working_device,
)
from ilo_fast.models.trial import State, Trial, run_trial

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
        The distinct layers, in the order in which the forward pass first runs them. Where a model
        keeps the parts of a layer in parallel lists (XLM), a container of them, which never runs.
    entries
        Per block, the module whose first argument are the hidden states: mostly the block itself.
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
    axes
        Axes of the sentences and of the tokens in what the blocks take.
    vocabulary
        Rows of the embeddings, where token ids are looked up there; None where they are hashed.
    confirmed
        Whether the blocks take the model's own ``hidden_states``; None where it returns none.
    """

    backbone: nn.Module
    embeddings: nn.Module
    blocks: tuple[nn.Module, ...]
    entries: tuple[nn.Module, ...]
    schedule: tuple[int, ...]
    final_norm: nn.Module | None
    head: nn.Module | None
    kind: Kind
    dim: int
    axes: tuple[int, int]
    vocabulary: int | None
    confirmed: bool | None

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
        Nothing in it runs on token ids alone, its weights are not loaded, or no list of layers runs
        in order.
    """
    inner = _unwrap(model)
    _check_loaded(inner)
    failures: list[str] = []
    guesses: list[ModelParts] = []
    outer: list[tuple[nn.Module, Sequence[State]]] = []
    for backbone in _backbones(inner):
        try:
            parts, states = _parts_of(inner, backbone, outer)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:
            # Whatever a model raises on token ids alone: it may want an image, or its decoder's
            # input. The next one inside it may not.
            text = " ".join(str(error).split()) or type(error).__name__
            failures.append(f"{type(backbone).__name__}: {text}")
            continue
        if parts is not None and parts.confirmed:
            return parts
        guesses += [] if parts is None else [parts]
        outer += [] if states is None else [(backbone, states)]
    if guesses:
        return guesses[0]
    raise ValueError(
        f"{type(inner).__name__} does not turn token ids alone into hidden states ("
        f"{'; '.join(dict.fromkeys(failures[:1] + failures[-1:])) or 'no part takes input_ids'}): "
        "pass the part of it that reads text, or a model that is one; overlap() also takes vectors "
        "that you pooled yourself"
    )


def _parts_of(
    inner: nn.Module, backbone: nn.Module, outer: Sequence[tuple[nn.Module, Sequence[State]]]
) -> tuple[ModelParts | None, Sequence[State] | None]:
    """The parts, where `backbone` has some, and the model's own hidden states of the trial.

    `outer` are modules that ran and gave no hidden states as output, or whose layers are not known.
    """
    embeddings = _token_embeddings(inner, backbone)
    first, second = trial_ids(embeddings)
    trial = run_trial(backbone, embeddings, torch.cat([first, second]))
    for holder, states in outer:
        if backbone in holder.modules() and not _agree(states, trial.states):
            raise ValueError(
                f"it reads text otherwise by itself than inside {type(holder).__name__}"
            )
    if trial.dim is None:
        return None, trial.states
    blocks = choose_blocks(backbone, trial)
    with evaluating(backbone), inference(backbone):
        before, after = trial_state(backbone, first), trial_state(backbone, second)
    parts = ModelParts(
        backbone=backbone,
        embeddings=embeddings,
        blocks=blocks.modules,
        entries=blocks.entries,
        schedule=blocks.schedule,
        final_norm=_final_norm(blocks, trial),
        head=_head(inner, backbone),
        kind=_kind(inner, backbone, before, after),
        dim=blocks.taken.dim,
        axes=blocks.taken.axes,
        vocabulary=trial.looked_up,
        confirmed=blocks.confirmed,
    )
    return parts, trial.states


def _agree(outer: Sequence[State], own: Sequence[State] | None) -> bool:
    """Whether a module gives the hidden states by itself that it gives inside another."""
    return own is None or (len(own) == len(outer) and all(map(State.same, own, outer)))


def input_device(parts: ModelParts) -> torch.device:
    """The device that token ids must be on."""
    return working_device(parts.embeddings if not is_offloaded(parts.backbone) else parts.backbone)


def _check_loaded(model: nn.Module) -> None:
    absent = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if absent and not is_offloaded(model):
        raise ValueError(
            f"model has {len(absent)} parameters on the meta device ({absent[0]}, ...): blocks are "
            "found by running the model on a few tokens, so load its weights first"
        )


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


def _backbones(model: nn.Module) -> Iterator[nn.Module]:
    """Modules that may turn token ids into hidden states without a head; the likeliest first.

    The encoder of an encoder-decoder, else transformers' base model, else what is inside these: a
    composite's text side, or the base of a model whose ``base_model`` is itself.
    """
    from transformers import PreTrainedModel

    likely: list[Any] = []
    if _has_decoder(model):
        # Composite models name none, or the encoder of speech: then the ones inside are tried.
        with contextlib.suppress(Exception):
            likely.append(model.get_encoder())  # type: ignore[operator]
        likely = [encoder for encoder in likely if encoder is not model]
        likely += [m for name, m in model.named_modules() if name.endswith("encoder")]
    likely.append(getattr(model, "base_model", model))
    likely += [module for module in model.modules() if isinstance(module, PreTrainedModel)]
    for module in dict.fromkeys(likely):
        if isinstance(module, nn.Module) and _takes_ids(module):
            yield module


def _takes_ids(module: nn.Module) -> bool:
    """Whether its forward has token ids among its arguments, or does not say."""
    parameters = inspect.signature(module.forward).parameters.values()
    names = {parameter.name for parameter in parameters}
    anything = all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
    return "input_ids" in names or anything


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


def _final_norm(blocks: Blocks, trial: Trial) -> nn.Module | None:
    """The first normalisation that starts after the last block has ended."""
    for module in trial.started[blocks.last_end :]:
        if "norm" in type(module).__name__.lower():
            return module
    return None


def _kind(model: nn.Module, backbone: nn.Module, before: torch.Tensor, after: torch.Tensor) -> Kind:
    """In a decoder, the first token's state does not change with the last token."""
    change = (before[:, 0].float() - after[:, 0].float()).abs().max()
    scale = before[:, 0].float().abs().max().clamp(min=1e-12)
    if float(change / scale) < 1e-6:
        return "decoder"
    return "encoder-decoder" if _has_decoder(model) and backbone is not model else "encoder"
