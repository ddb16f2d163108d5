"""`feature_notes`: what is known of features, from a model, its transcoder and some text."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.models.structure import input_device
from ilo_fast.training.pretrain.mixture import Texts
from ilo_fast.transcoders.attribution.local_model import LocalModel
from ilo_fast.transcoders.features.activity import (
    BEFORE,
    FeatureActivity,
    chosen,
    feature_activity,
)
from ilo_fast.transcoders.features.description import describe
from ilo_fast.transcoders.features.logits import Ranked, logit_effects
from ilo_fast.transcoders.features.notes import Context, FeatureNote
from ilo_fast.transcoders.features.token_texts import TokenTexts
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder
from ilo_fast.transcoders.windows import all_windows, draw_windows, transcoder_texts

_LINES_A_CONTEXT: Final = 5
_CONTEXT: Final = 64  # tokens of a window, where the transcoder does not say


def feature_notes(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    texts: Texts,
    *,
    tokenizer: Any,
    features: Collection[tuple[int, int]] | None = None,
    languages: str | Sequence[str] | None = None,
    language: str | None = None,
    allow_unknown: bool = False,
    n_contexts: int = 10,
    n_logits: int = 10,
    max_windows: int | None = None,
    seed: int = 0,
    batch_tokens: int | None = None,
    progress: bool = False,
) -> dict[tuple[int, int], FeatureNote]:
    """What is known of features: contexts, rates by language, logits, a description by rule.

    Parameters
    ----------
    model
        A causal language model with its head, in float32 or float64, on its device.
    transcoder
        Of the model.
    texts, languages, language, allow_unknown
        As for `train_transcoder`. All lines are used.
    tokenizer
        Of the model.
    features
        (layer, feature) of those wanted. None: all.
    n_contexts, n_logits
        At most so many of each feature.
    max_windows
        At most so many windows of text, drawn in equal shares of the languages. None: all.
    seed
        Of what is drawn.
    batch_tokens
        Tokens of one forward pass. None: some thousands.
    progress
        Bars on stderr.

    Returns
    -------
    (layer, feature) -> note, in order; also of features that are active nowhere in the text.

    Raises
    ------
    CorpusError, AccessError
        As `transcoder_texts`; a language has less text than one window.
    ValueError
        There is no such feature; `max_windows` is less than one for each language; as
        `ReplacementModel` and `LocalModel`.
    """
    whole_number("n_logits", n_logits)
    wanted = chosen(transcoder, features)
    context = _CONTEXT if transcoder.info is None else transcoder.info.context
    lines = transcoder_texts(texts, languages, language=language, allow_unknown=allow_unknown)
    windows = all_windows(tokenizer, lines, context_length=context)
    windows = draw_windows(windows, max_windows, whole_number("seed", seed, least=0))
    replacement = ReplacementModel(model, transcoder)
    reader = MLPReader(model, (replacement.parts, replacement.sites))
    activity = feature_activity(
        reader, transcoder, windows,
        features=features, n_contexts=n_contexts, batch_tokens=batch_tokens, progress=progress,
    )  # fmt: skip
    ids = windows.ids[:1].to(input_device(reader.parts))
    local = LocalModel(replacement, ids, torch.tensor([ids.shape[1]]))  # for the final norm's scale
    shown = TokenTexts(tokenizer)
    with cost_bar(
        progress, "reading logits", cost=len(wanted), items=len(wanted), unit="feature"
    ) as bar:
        logits = logit_effects(
            local, transcoder, wanted, shown.of, n_logits,
            advance=lambda n: bar.advance(n, n),
        )  # fmt: skip
    return _notes(activity, logits, shown, transcoder.n_features)


def _notes(
    activity: FeatureActivity,
    logits: Sequence[tuple[Ranked, Ranked]],
    shown: TokenTexts,
    n_features: int,
) -> dict[tuple[int, int], FeatureNote]:
    contexts = contexts_of(activity, shown)
    rates, firings = activity.rates, activity.firings.sum(axis=0)
    documents = activity.windows.document.numpy()
    lines = documents[activity.window, activity.position]
    # Of few lines, two of a feature's contexts have one by chance.
    many = int(documents.max()) >= _LINES_A_CONTEXT * max(map(len, contexts), default=0)
    starts = np.searchsorted(activity.contexts, np.arange(len(activity.features)))
    notes = {}
    for at, (flat, ranked) in enumerate(zip(activity.features.tolist(), logits, strict=True)):
        layer, feature = divmod(flat, n_features)
        of_language = dict(zip(activity.windows.languages, rates[:, at].tolist(), strict=True))
        found = contexts[at]
        note = FeatureNote(
            layer=layer,
            feature=feature,
            contexts=found,
            top_logits=ranked[0],
            bottom_logits=ranked[1],
            rates=of_language,
            density=float(rates[:, at].mean()),
            max_activation=found[0].activations[found[0].peak] if found else 0.0,
            description="",
        )
        start = starts[at]
        numbers = lines[start : start + len(found)].tolist() if many else None
        text = describe(note, int(firings[at]), shown.special, numbers)
        notes[layer, feature] = dataclasses.replace(note, description=text)
    return notes


def contexts_of(activity: FeatureActivity, shown: TokenTexts) -> list[tuple[Context, ...]]:
    """Of every feature of `activity`, its contexts."""
    windows = activity.windows
    ids, language = windows.ids.numpy(), windows.language.numpy()
    lines = {int(at): shown.along(ids[at]) for at in np.unique(activity.window)}
    found: list[list[Context]] = [[] for _ in activity.features]
    inside = ~np.isnan(activity.activations)
    starts = inside.argmax(axis=1)
    for at, (slot, window, position, start, n) in enumerate(
        zip(
            activity.contexts.tolist(), activity.window.tolist(), activity.position.tolist(),
            starts.tolist(), inside.sum(axis=1).tolist(), strict=True,
        )
    ):  # fmt: skip
        first = position - BEFORE + start
        found[slot].append(
            Context(
                tokens=tuple(lines[window][first : first + n]),
                activations=tuple(activity.activations[at, start : start + n].tolist()),
                peak=BEFORE - start,
                language=windows.languages[language[window]],
            )
        )
    return [tuple(of_feature) for of_feature in found]
