"""Whether extract() and freeze() do what the model's own hidden states say."""

from __future__ import annotations

import contextlib
import logging
import re
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

TEXTS = ["a cat sat", "b", "the dog ran home", "abc sat a", "a long line of words " * 5]
TOLERANCE = 2e-4


def tokenizer(side: str) -> Any:
    """One token a character, between <s> and </s>; offline."""
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    words |= {c: 4 + i for i, c in enumerate(" abcdefghijklmnopqrstuvwxyz'")}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        pad_token="<pad>", padding_side=side,
    )  # fmt: skip


class Reference:
    """The model's own hidden states for token ids: (states, last hidden state, embeddings)."""

    def __init__(self, model: Any) -> None:
        errors = []
        self.ids = torch.arange(4, 4 + 24)[None]
        for module in self._candidates(model):
            self.module = module
            try:
                self.states = self(self.ids)
            except Exception as error:
                errors.append(f"{type(module).__name__}: {' '.join(str(error).split())[:120]}")
                continue
            if self.states:
                self.shows_all = len(self.states) > 1
                return
            errors.append(f"{type(module).__name__} returns no hidden_states")
        raise ValueError("gives no hidden states for token ids: " + "; ".join(errors[:3]))

    @staticmethod
    def _candidates(model: Any) -> Any:
        import inspect

        if getattr(model.config, "is_encoder_decoder", False):
            yield from (e for e in [_encoder(model)] if e is not None)
        for module in model.modules():
            text = "input_ids" in inspect.signature(module.forward).parameters
            if text and isinstance(module, transformers.PreTrainedModel):
                yield module

    def __call__(self, ids: torch.Tensor) -> list[np.ndarray]:
        """One array (tokens, dim) per state, in float64."""
        with torch.no_grad():
            self._run(ids)
        self.last = None if self._last is None else _plain(self._last, ids.shape[1])
        return [_plain(state, ids.shape[1]) for state in self.raw]

    def graph(self, ids: torch.Tensor) -> list[torch.Tensor]:
        """The states and the last hidden state, part of an autograd graph."""
        with torch.enable_grad():
            self._run(ids)
        return [*self.raw, *([] if self._last is None else [self._last])]

    def _run(self, ids: torch.Tensor) -> None:
        import inspect

        names = inspect.signature(self.module.forward).parameters
        options: dict[str, Any] = {"output_hidden_states": True}
        if "attention_mask" in names or "kwargs" in names:
            options["attention_mask"] = torch.ones_like(ids)
        output = self.module(input_ids=ids, **options)
        states = getattr(output, "hidden_states", None)
        if states is None:
            states = getattr(output, "encoder_hidden_states", None)
        self.raw = [s for s in states or [] if isinstance(s, torch.Tensor)]
        self._last = getattr(output, "last_hidden_state", None)
        if self._last is None and self.module.base_model is not self.module:
            with contextlib.suppress(Exception):
                bare = self.module.base_model(input_ids=ids)
                self._last = getattr(bare, "last_hidden_state", None)


def _encoder(model: Any) -> Any:
    try:
        encoder = model.get_encoder()
    except Exception:
        return None
    return encoder if isinstance(encoder, torch.nn.Module) and encoder is not model else None


def _plain(state: torch.Tensor, tokens: int) -> np.ndarray:
    """(tokens, dim) of a state for one sentence; the streams of a wider one are averaged.

    What a model adds on the right, up to a multiple of its window, is no token of the sentence.
    """
    array = state.detach().double()
    if array.dim() == 3 and array.shape[0] != 1 and array.shape[1] == 1:
        array = array.transpose(0, 1)
    while array.dim() > 3:
        # (streams, 1, tokens, dim) or (1, tokens, streams, dim)
        axis = 2 if array.shape[0] == 1 and array.shape[1] == tokens else 0
        array = array.mean(dim=axis)
    return np.asarray(array[0, :tokens].numpy())


def check_extract(model: Any, side: str) -> tuple[str, str]:
    """The verdict on extract(), and why; `side` is the one on which the tokenizer would pad."""
    from ilo_fast import extract

    reference = Reference(model)
    notes = set()
    tok = tokenizer(side)
    try:
        got = extract(model, {"eng_Latn": TEXTS}, tokenizer=tok, progress=False)
    except Exception as error:
        return _refused(error)
    if got.info.get("padding") == "none":
        notes.add("batches without padding")
    for i, text in enumerate(TEXTS):
        ids = torch.tensor([tok(text)["input_ids"]])
        states = [state.mean(axis=0) for state in reference(ids)]
        last = states[-1] if reference.last is None else reference.last.mean(axis=0)
        problem, note = _compare(np.asarray(got["eng_Latn"])[:, i], states, last)
        if problem:
            return "wrong", f"sentence of {ids.shape[1]} tokens: {problem}"
        notes |= {note} - {""}
    return "right", ", ".join(sorted(notes))


def _refused(error: Exception) -> tuple[str, str]:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ("refused" if isinstance(error, (ValueError, TypeError)) else "crashed"), text


def _near(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    scale = float(np.linalg.norm(theirs)) or 1.0
    distance = float(np.linalg.norm(ours.astype(np.float64) - theirs)) / scale
    return distance if np.isfinite(distance) else float("inf")


def _compare(ours: np.ndarray, states: list[np.ndarray], last: np.ndarray) -> tuple[str, str]:
    """What differs, or ""; and a remark."""
    if len(ours) == len(states):
        far = [h for h in range(len(ours)) if _near(ours[h], states[h]) > TOLERANCE]
        if not far:
            return "", ""
        if far == [len(ours) - 1] and _near(ours[-1], last) <= TOLERANCE:
            return "", "its hidden_states end before the final norm"
    # The embeddings are not among the model's states (Mamba): the rest must be there, in order.
    at = 0
    for h in range(1, len(ours) - 1):
        while at < len(states) and _near(ours[h], states[at]) > TOLERANCE:
            at += 1
        if at == len(states):
            return f"layer {h} is not among the {len(states)} hidden states of the model", ""
        if at > h:
            return f"layer {h} is hidden_states[{at}]", ""
    if min(_near(ours[-1], last), _near(ours[-1], states[-1])) > TOLERANCE:
        return "the last layer is not the last hidden state", ""
    if len(ours) < len(states):
        return f"{len(ours)} layers for {len(states)} hidden states", ""
    left_out = "last layer" if _near(ours[0], states[0]) <= TOLERANCE else "embeddings"
    return "", f"its hidden_states leave the {left_out} out"


# --------------------------------------------------------------------------------------------------


def first_changes(model: Any, reference: Reference) -> dict[Any, int | None]:
    """The first hidden state that depends on each parameter, by its gradient; None for none."""
    silent = [p for p in model.parameters() if p.is_floating_point() and not p.requires_grad]
    for parameter in silent:
        parameter.requires_grad_(True)
    parameters = [p for p in model.parameters() if p.requires_grad]
    states = [s for s in reference.graph(reference.ids) if s.requires_grad]
    skipped = len(reference.raw) + (reference.last is not None) - len(states)
    found: dict[Any, int | None] = dict.fromkeys(model.parameters())
    generator = torch.Generator().manual_seed(2)
    for h, state in reversed(list(enumerate(states, start=skipped))):
        weights = torch.randn(state.shape, generator=generator)
        gradients = torch.autograd.grad(
            (state * weights).sum(), parameters, retain_graph=True, allow_unused=True
        )
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None and bool((gradient != 0).any()):
                found[parameter] = h
    for parameter in silent:
        parameter.requires_grad_(False)
    return found


def first_differences(model: Any, reference: Reference) -> dict[Any, int | None]:
    """As first_changes(), by changing one parameter after the other."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)

    def states() -> list[np.ndarray]:
        found = reference(reference.ids)
        return found if reference.last is None else [*found, reference.last]

    before = states()
    found: dict[Any, int | None] = {}
    for parameter in model.parameters():
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter.add_(torch.rand_like(parameter) * 0.3)
            pairs = zip(before, states(), strict=True)
            changed = [h for h, (old, new) in enumerate(pairs) if not np.array_equal(old, new)]
            parameter.copy_(kept)
        found[parameter] = changed[0] if changed else None
    return found


class _Warned(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage() + "\n"


def check_freeze(model: Any) -> tuple[str, str]:
    """The verdict on freeze(), and why."""
    from ilo_fast import freeze

    reference = Reference(model)
    try:
        first = first_changes(model, reference)
    except (RuntimeError, AssertionError):  # one that changes its states in place, Reformer: none
        first = first_differences(model, reference)
    states = [s for s in reference.states]
    names = dict((p, n) for n, p in model.named_parameters())
    try:
        n = _blocks_of(model, freeze)
    except Exception as error:
        return _refused(error)
    # Without the embeddings among the states, the first of them depends on the first block.
    stages = {names[p]: h for p, h in first.items()}
    shift = int(any(h == 0 and stages.get(_next(name)) == 1 for name, h in stages.items()))
    if n not in (len(states) - 1, len(states)):
        return "wrong", f"{n} blocks for {len(states)} hidden states"
    stage = {p: None if h is None else min(h + shift, n) for p, h in first.items()}
    if shift:
        # The embeddings and the first block both change the first state: read before any block.
        stage = {p: (0 if s == 1 and _outside(names[p]) else s) for p, s in stage.items()}
    for layers in ([0], [n - 1], list(range(n // 2))):
        embeddings = len(layers) != 1
        try:
            problem = _check_one(model, freeze, layers, embeddings, stage, names, n)
        except ValueError as error:
            return _refused(error)
        if problem and problem != "shared":
            return "wrong", f"layers={layers}, embeddings={embeddings}: {problem}"
    return "right", ""


def _outside(name: str) -> bool:
    """Whether the parameter is in no list of layers: none of the names around it is a number."""
    return not any(part.isdecimal() for part in name.split("."))


def _next(name: str) -> str:
    """The name that the parameter has in the next member of its list."""
    return re.sub(r"\.(\d+)\.", lambda found: f".{int(found[1]) + 1}.", name, count=1)


def _list(name: str) -> str:
    """The name of the list that the parameter is in."""
    return re.sub(r"\.\d+\..*", "", f".{name}")


def _layer(name: str) -> str:
    """The name up to the first number in it."""
    return re.sub(r"(\.\d+\.).*", r"\1", f".{name}")


def _blocks_of(model: Any, freeze: Any) -> int:
    """How many blocks freeze() thinks there are, from its own refusal of one too many."""

    try:
        freeze(model, layers=[10**6])
    except ValueError as error:
        found = re.search(r"has (\d+) blocks?", str(error))
        if found:
            return int(found.group(1))
        raise
    raise ValueError("freeze took block 1000000")


def _check_one(
    model: Any, freeze: Any, layers: list[int], embeddings: bool, stage: Any, names: Any, n: int
) -> str:
    log = logging.getLogger("ilo_fast")
    handler = _Warned()
    log.addHandler(handler)
    try:
        frozen = freeze(model, layers=layers, embeddings=embeddings, head=False)
    except ValueError as error:
        if "same weights" in str(error):
            return "shared"
        raise
    finally:
        log.removeHandler(handler)
    got = {p for p in names if not p.requires_grad}
    frozen.undo()
    wanted_stages = {h + 1 for h in layers} | ({0} if embeddings else set())
    # What only a second stream of the block feels (LiLT's layout) shows one state later.
    layers_meant = {_layer(names[p]) for p, s in stage.items() if s in wanted_stages}
    extra = [
        names[p]
        for p in got
        if stage[p] is not None
        and stage[p] not in wanted_stages
        and names[p] not in handler.text  # one tensor in several blocks (Zamba), and that is said
        and _layer(names[p]) not in layers_meant
        and not (embeddings and stage[p] > 0 and _outside(names[p]))
    ]
    if extra:
        return f"also froze {', '.join(extra[:4])} ({len(extra)})"
    lists = {_list(names[p]) for p in got}
    missing = [
        names[p]
        for p, s in stage.items()
        if s in wanted_stages
        and p not in got
        and names[p] not in handler.text
        # After the last block and before the output: the final norm.
        and not (s == n and (_outside(names[p]) or _list(names[p]) not in lists))
        # Tables outside of the blocks that every block reads are embeddings.
        and not (not embeddings and _outside(names[p]))
    ]
    if missing and layers:
        # A table that several blocks use is frozen with the last of them.
        missing = [m for m in missing if not _outside(m) or len(layers) == n]
    return f"left out {', '.join(missing[:4])} ({len(missing)})" if missing else ""
