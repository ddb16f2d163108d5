"""Load a model; find its blocks, embeddings, final norm and head.

The parts are found by structure: a trial forward pass over a few tokens shows which modules run, in
which order, and whether a token sees those after it. No architecture is known by name, so a model
published tomorrow works today; and because a guess can be wrong, ``extract(verify=True)`` holds the
outcome against the model's own ``output_hidden_states`` before the work starts.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ilo_fast.errors import AccessError

Kind = Literal["decoder", "encoder", "encoder-decoder"]

_TRIAL_TOKENS = 8


@dataclass(frozen=True)
class ModelParts:
    """The parts of a language model that representations are read from, and that freezing freezes.

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
        One entry a layer run, an index into ``blocks``. ``0, 1, 2, ...`` unless the model shares
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


def demo_model_path() -> Path:
    """Folder of the small multilingual model that ships with the package.

    Raises
    ------
    AccessError
        Where the installation lacks it.
    """
    path = Path(__file__).resolve().parent.parent / "demo" / "model"
    if not (path / "config.json").is_file():
        raise AccessError(
            f"the embedded demo model is missing from this installation ({path} has no "
            "config.json): reinstall ilo_fast, or pass a model of your own"
        )
    return path


def find_parts(model: nn.Module) -> ModelParts:
    """Find the parts of `model` by running it on a few tokens and watching.

    Task heads and wrappers (PEFT adapters, data parallel, ``torch.compile``,
    sentence-transformers) are looked through.

    Parameters
    ----------
    model
        A transformers model, or a wrapper around one. It is neither moved nor changed.

    Raises
    ------
    ValueError
        Where no list of layers runs in order, with what was seen.
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


def accepted(module: nn.Module, **arguments: Any) -> dict[str, Any]:
    """Those of `arguments` that the module's forward names among its parameters.

    All of them, where it names none and passes on whatever comes.
    """
    names = inspect.signature(module.forward).parameters
    kinds = {parameter.kind for parameter in names.values()}
    if kinds == {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return arguments
    return {name: value for name, value in arguments.items() if name in names}


def input_device(parts: ModelParts) -> torch.device:
    """The device that token ids must be on."""
    weight = next(parts.embeddings.parameters(), None)
    if weight is None:
        weight = next(parts.backbone.parameters())
    return weight.device


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode; every submodule's own mode comes back after."""
    modes = [(child, child.training) for child in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for child, mode in modes:
            child.training = mode


@contextlib.contextmanager
def inference(module: nn.Module) -> Iterator[None]:
    """No gradients and no autocast, in this thread.

    A caller inside a training loop may hold an autocast context: results would depend on it, while
    ``info`` and the cache key name the dtype of the weights.
    """
    devices = {p.device.type for p in module.parameters()} or {"cpu"}
    with contextlib.ExitStack() as stack:
        for device in sorted(devices):
            stack.enter_context(torch.autocast(device, enabled=False))
        # Not inference_mode: a model may keep a tensor that its first forward pass makes (a rotary
        # table), and what inference_mode makes can never be trained through afterwards.
        stack.enter_context(torch.no_grad())
        yield


# --------------------------------------------------------------------------------------------------


@dataclass
class _Trace:
    """What ran in a trial forward pass: modules in order of their start."""

    started: list[nn.Module] = field(default_factory=list)
    ended: list[tuple[int, nn.Module]] = field(default_factory=list)
    widths: dict[int, int] = field(default_factory=dict)
    output: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    def width_into(self, module: nn.Module, default: int) -> int:
        return self.widths.get(id(module), default)


def trial_ids(embeddings: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Two short inputs, each (1, tokens), that differ in their last token only."""
    weight = next(embeddings.parameters(), None)
    rows = int(weight.shape[0]) if weight is not None else _TRIAL_TOKENS + 2
    device = weight.device if weight is not None else torch.device("cpu")
    # From the middle of the vocabulary: the first and the last ids are the special ones.
    ids = torch.arange(_TRIAL_TOKENS + 1, device=device) + rows // 2
    ids = ids.clamp(max=rows - 1) if rows > _TRIAL_TOKENS * 2 else ids % rows
    return ids[None, :-1], torch.cat([ids[:-2], ids[-1:]])[None]


def trial_state(backbone: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """The last hidden state (1, tokens, dim) of a plain forward pass over `ids`."""
    mask = torch.ones_like(ids)
    arguments = accepted(backbone, input_ids=ids, attention_mask=mask, use_cache=False)
    return last_state(backbone(**arguments))


def first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor | None:
    """The hidden states among a block's arguments: the first positional, or the usual name."""
    if args and isinstance(args[0], torch.Tensor):
        return args[0]
    named = kwargs.get("hidden_states")
    return named if isinstance(named, torch.Tensor) else None


def last_state(output: Any) -> torch.Tensor:
    """The last hidden state in what a backbone returned.

    Raises
    ------
    ValueError
        Where the output holds none.
    """
    state = getattr(output, "last_hidden_state", None)
    if state is None and isinstance(output, (tuple, list)) and output:
        state = output[0]
    if state is None and isinstance(output, torch.Tensor):
        state = output
    if not isinstance(state, torch.Tensor):
        raise ValueError(
            f"the model returned {type(output).__name__} without last_hidden_state: pass the "
            "module that maps token ids to hidden states"
        )
    return state


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
    """Whether `model` holds both (T5EncoderModel calls itself an encoder-decoder, too)."""
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
    """Run the backbone on `ids` with every submodule watched."""
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
    """The list whose members ran in order, and the order in which they ran.

    Among the lists whose members all, or from the first on, ran in ascending order, the outermost
    wins (the experts of a layer are a list too, often longer than the list of layers); then the one
    with the most runs.
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
    """Whether the members share a class of their own (a hybrid's layer types share a base)."""
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
    """A decoder's first token does not notice that the last one changed."""
    if _has_decoder(model):
        return "encoder-decoder"
    change = (before[:, 0].float() - after[:, 0].float()).abs().max()
    scale = before[:, 0].float().abs().max().clamp(min=1e-12)
    return "decoder" if float(change / scale) < 1e-6 else "encoder"
