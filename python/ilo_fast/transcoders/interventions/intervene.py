"""`intervene`: what changed features do to prompts, before and after side by side."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast.models.forward import evaluating, inference, working_device
from ilo_fast.representations.pooling import choose_pad_id
from ilo_fast.transcoders.interventions.intervened import (
    Frozen,
    checked_interventions,
    intervened,
    replacement_of,
)
from ilo_fast.transcoders.interventions.intervention import Intervention
from ilo_fast.transcoders.interventions.places import Places
from ilo_fast.transcoders.interventions.result import (
    FeatureReading,
    InterventionResult,
    NextToken,
    PromptEffect,
)
from ilo_fast.transcoders.interventions.writing import (
    Writing,
    activations_of,
    pre_activations_of,
)
from ilo_fast.transcoders.prompts import Prompt, prompt_batches, prompt_ids
from ilo_fast.transcoders.reading import watched
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

_LOGITS_BYTES: Final = 10**8  # of a batch

Named = tuple[tuple[int, int], ...]  # layer, feature
Read = dict[int, torch.Tensor]  # layer -> (rows, tokens, d)


def intervene(
    model: nn.Module | ReplacementModel,
    transcoder: CrossLayerTranscoder | None,
    prompts: Prompt | Sequence[Prompt],
    interventions: Intervention | Sequence[Intervention],
    *,
    tokenizer: Any = None,
    frozen: Frozen | None = None,
    max_new_tokens: int = 0,
    features: Sequence[tuple[int, int]] = (),
    top: int = 10,
) -> InterventionResult:
    """Run prompts as they are, and with features changed.

    Parameters
    ----------
    model, transcoder, frozen
        As for `intervened`.
    prompts
        A text, or several, or token ids. `Intervention.rows` are their numbers. Prompts of like
        lengths go together.
    interventions
        As for `intervened`.
    tokenizer
        Needed for texts; names tokens.
    max_new_tokens
        How far to go on, token by token, by the most probable one; positions of interventions are
        of the prompt, but for None and slices without a stop. Not with `frozen`.
    features
        (layer, feature) of others whose activations are wanted.
    top
        How many tokens to name.

    Raises
    ------
    TypeError, ValueError
        As `intervened`; a prompt is empty, too long or has an unknown token.
    """
    whole_number("max_new_tokens", max_new_tokens, least=0)
    whole_number("top", top)
    if frozen is not None and max_new_tokens:
        raise ValueError(
            f"max_new_tokens={max_new_tokens} with frozen={frozen!r}: what is frozen is of the "
            "prompt, and a continuation goes beyond it; leave one of them out"
        )
    if isinstance(prompts, (bytes, Mapping)) or not hasattr(prompts, "__iter__"):
        raise TypeError(
            f"prompts must be texts or lists of token ids, got {type(prompts).__name__}"
        )
    plain: Any = prompts.tolist() if isinstance(prompts, torch.Tensor) else prompts
    plain = plain if isinstance(plain, str) else list(plain)
    several = not isinstance(plain, str) and not _is_ids(plain)
    listed: list[Any] = plain if several else [plain]
    if not listed:
        raise ValueError("prompts is empty: give at least one")
    it = replacement_of(model, transcoder)
    given = checked_interventions(interventions, it.transcoder)
    ids = [
        prompt_ids(f"prompts[{at}]" if several else "prompt", p, tokenizer, it, room=max_new_tokens)
        for at, p in enumerate(listed)
    ]
    lengths = [len(row) for row in ids]
    named = _named(given, features, it.transcoder)
    for one in given:
        one.check_places([0] * len(ids), lengths, it.skip_positions)
    effects: dict[int, PromptEffect] = {}
    with evaluating(it.model), inference(it.model):
        for batch in _batches(lengths, it):
            here = [kept for one in given if (kept := _within(one, batch, lengths, it))]
            run = _Run(it, tokenizer, [ids[at] for at in batch], here, frozen, named, top)
            for at, effect in zip(batch, run.effects(max_new_tokens), strict=True):
                effects[at] = effect
    info = {"max_new_tokens": max_new_tokens, "skip_positions": it.skip_positions}
    return InterventionResult(tuple(effects[at] for at in range(len(ids))), given, frozen, info)


def _is_ids(prompts: Any) -> bool:
    return len(prompts) > 0 and all(isinstance(p, (int, np.integer)) for p in prompts)


def _named(
    given: Sequence[Intervention],
    features: Sequence[tuple[int, int]],
    transcoder: CrossLayerTranscoder,
) -> Named:
    found = dict.fromkeys((one.layer, one.feature) for one in given)
    for layer, feature in features:
        found[
            whole_number("features: layer", layer, 0, transcoder.n_layers - 1),
            whole_number("features: feature", feature, 0, transcoder.n_features - 1),
        ] = None
    return tuple(found)


def _batches(lengths: Sequence[int], it: ReplacementModel) -> list[list[int]]:
    weight = next(it.parts.embeddings.parameters())
    most = _LOGITS_BYTES // (4 * max(weight.shape[0], it.parts.vocabulary or 1))
    return prompt_batches(lengths, most, getattr(it.model, "config", None))


def _within(
    one: Intervention, batch: Sequence[int], lengths: Sequence[int], it: ReplacementModel
) -> Intervention | None:
    """The same, in a batch of some prompts; None where it touches none of them."""
    rows = [
        row
        for row, at in enumerate(batch)
        if one.is_of(at) and one.touches(lengths[at], it.skip_positions)
    ]
    return dataclasses.replace(one, rows=rows) if rows else None


class _Run:
    """Some prompts that go together."""

    def __init__(
        self,
        it: ReplacementModel,
        tokenizer: Any,
        ids: Sequence[Sequence[int]],
        given: Sequence[Intervention],
        frozen: Frozen | None,
        named: Named,
        top: int,
    ) -> None:
        self.it, self.tokenizer, self.ids = it, tokenizer, ids
        self.given, self.frozen, self.named, self.top = given, frozen, named, top
        self.device = working_device(it.model)
        self.pad = choose_pad_id(it.parts, tokenizer)
        self.lengths = torch.tensor([len(row) for row in ids], device=self.device)

    def effects(self, max_new_tokens: int) -> Iterator[PromptEffect]:
        logits_before, before = self._pass([])
        logits_after, after = self._pass(self.given)
        texts: list[list[str | None]] = [[None] * len(self.ids)] * 2
        if max_new_tokens:
            texts = [self._continued(given, max_new_tokens) for given in ([], self.given)]
        readings = self._readings(before, after)
        for row, ids in enumerate(self.ids):
            old, new = (x[row].double().cpu().numpy() for x in (logits_before, logits_after))
            chances = [np.exp(x - x.max()) / np.exp(x - x.max()).sum() for x in (old, new)]
            likely = [self._next_tokens(x, *chances) for x in chances]
            yield PromptEffect(
                prompt=" ".join(map(str, ids)) if self.tokenizer is None
                else str(self.tokenizer.decode(ids)),
                tokens=tuple(self._text([token]) for token in ids),
                token_ids=tuple(ids),
                logits_before=old,
                logits_after=new,
                likely_before=likely[0],
                likely_after=likely[1],
                changes=self._next_tokens(np.abs(chances[1] - chances[0]), *chances),
                features=tuple(of_row(row, len(ids)) for of_row in readings),
                continuation_before=texts[0][row],
                continuation_after=texts[1][row],
            )  # fmt: skip

    def _text(self, ids: Sequence[int]) -> str:
        if self.tokenizer is None:
            return " ".join(map(str, ids))
        return str(self.tokenizer.decode(ids))

    def _next_tokens(self, by: Any, before: Any, after: Any) -> tuple[NextToken, ...]:
        """The first few, in the order of some numbers."""
        order = np.argsort(-by, kind="stable")[: self.top].tolist()
        return tuple(
            NextToken(t, self._text([t]), float(before[t]), float(after[t])) for t in order
        )

    def _padded(self, *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        most = int(self.lengths.max())
        ids = torch.full((len(self.ids), most), self.pad, device=self.device)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(self.ids):
            span = slice(most - len(tokens), most) if left else slice(0, len(tokens))
            ids[row, span], mask[row, span] = torch.tensor(tokens, device=self.device), 1
        return ids, mask

    def _pass(self, given: Sequence[Intervention]) -> tuple[torch.Tensor, Read]:
        """Logits at each prompt's end, and what the MLPs of the named features' layers read."""
        ids, mask = self._padded(left=False)
        layers = {layer for layer, _ in self.named}
        seen: Read = {}

        def read(layer: int, x: torch.Tensor) -> None:
            if layer in layers:  # where something is frozen, the second pass is the changed one
                seen[layer] = x.detach().clone().reshape(*ids.shape, -1)

        with contextlib.ExitStack() as stack:
            stack.enter_context(intervened(self.it, None, given, frozen=self.frozen))
            stack.enter_context(watched(self.it.sites, read, lambda layer, y: None))
            logits = self.it.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        rows = torch.arange(len(ids), device=logits.device)
        return logits[rows, self.lengths.to(logits.device) - 1], seen

    def _continued(self, given: Sequence[Intervention], n: int) -> list[str | None]:
        from transformers import GenerationConfig

        model: Any = self.it.model
        end = getattr(model.generation_config, "eos_token_id", None)
        ends = set(end if isinstance(end, list) else [end])
        kind: Any = GenerationConfig
        config = kind(
            max_new_tokens=n, do_sample=False, num_beams=1, pad_token_id=self.pad, eos_token_id=end
        )
        ids, mask = self._padded(left=True)
        with intervened(self.it, None, given):
            found = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        texts: list[str | None] = []
        for row in found[:, ids.shape[1] :].tolist():
            stop = next((at for at, token in enumerate(row) if token in ends), len(row))
            texts.append(self._text(row[:stop]))
        return texts

    def _readings(self, before: Read, after: Read) -> list[Any]:
        """Of every named feature, what makes its reading of a row."""
        coder = self.it.transcoder
        writing = Writing(coder, self.given, self.it.skip_positions)
        most = int(self.lengths.max())
        at = torch.arange(most, device=self.device).expand(len(self.ids), -1)
        at = torch.where(at < self.lengths[:, None], at, -1)
        places = Places(at, self.lengths, torch.arange(len(self.ids), device=self.device))
        found: list[Any] = []
        with evaluating(coder):
            for layer, feature in self.named:
                values = []
                for x in (before[layer], after[layer]):
                    for of in (pre_activations_of, activations_of):
                        one = of(coder, layer, x.flatten(0, 1), [feature])
                        values.append(one.view(len(self.ids), most))
                pre_before, was, pre_after, is_now = values
                base = was if self.frozen == "all" else is_now
                wanted = writing.wanted(layer, feature, base, places)
                columns = [v.double().cpu().numpy() for v in (pre_before, pre_after, was, wanted)]
                found.append(_reading_of(layer, feature, columns))
        return found


def _reading_of(layer: int, feature: int, columns: Sequence[Any]) -> Any:
    def of_row(row: int, length: int) -> FeatureReading:
        return FeatureReading(layer, feature, *(column[row, :length] for column in columns))

    return of_row
