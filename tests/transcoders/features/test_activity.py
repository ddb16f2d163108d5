"""Where features are active: against a loop over every token and feature."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
import pytest
import torch
from helpers import transcoders as small
from numpy.typing import NDArray

from ilo_fast.models.demo import demo_model_path
from ilo_fast.transcoders.activations import JumpReLU, TopK
from ilo_fast.transcoders.features import activity as module
from ilo_fast.transcoders.features.activity import AFTER, BEFORE, FeatureActivity, feature_activity
from ilo_fast.transcoders.features.noting import feature_notes
from ilo_fast.transcoders.features.token_texts import PART, TokenTexts
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.sparse import ActiveFeatures
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder
from ilo_fast.transcoders.windows import Windows


def fresh(
    n_windows: int = 14, length: int = 24, kind: type[CrossLayerTranscoder] = CrossLayerTranscoder
) -> tuple[Any, CrossLayerTranscoder, Windows]:
    """A model, a transcoder, windows of three languages whose lines run over their ends."""
    seed = random.randrange(2**31)
    print("seed", seed)
    g = torch.Generator().manual_seed(seed)
    it = kind(3, 16, 10, seed=seed, activation=TopK(3) if seed % 2 else JumpReLU(0.3))
    ends = torch.rand(n_windows, length, generator=g) < 0.2
    document = ends.flatten().cumsum(0).view(n_windows, length) // 2
    windows = Windows(
        ids=torch.randint(3, 32, (n_windows, length), generator=g),
        language=torch.arange(n_windows) * 3 // n_windows,
        document=document,
        languages=("deu_Latn", "eng_Latn", "rus_Cyrl"),
    )
    return small.model(seed), it.eval(), windows


class _Rough(CrossLayerTranscoder):
    """Few different numbers: many are equal, some are zero."""

    def encode(self, x: torch.Tensor) -> ActiveFeatures:
        found = super().encode(x)
        return dataclasses.replace(found, values=(2 * found.values).round() / 2)


def dense(
    reader: MLPReader, it: CrossLayerTranscoder, windows: Windows, skip: int
) -> NDArray[np.float32]:
    """(windows, tokens, features): zero where nothing counts."""
    x, _ = reader.read(windows.ids)
    with torch.no_grad():
        found = it.encode(x.flatten(0, 1)).to_dense().flatten(1)
    values = found.view(*windows.ids.shape, -1).numpy().copy()
    values[:, :skip] = 0
    return values


@pytest.mark.parametrize(("skip", "kind"), [(0, _Rough), (1, CrossLayerTranscoder), (2, _Rough)])
def test_contexts_and_counts_are_those_of_a_loop(
    skip: int, kind: type[CrossLayerTranscoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MERGED", 20)
    model, it, windows = fresh(kind=kind)
    reader = MLPReader(model)
    found = feature_activity(
        reader, it, windows, n_contexts=3, skip_positions=skip, batch_tokens=72
    )
    values = dense(reader, it, windows, skip)
    n, length = windows.ids.shape
    assert found.tokens.tolist() == [
        int((windows.language == at).sum()) * (length - skip) for at in range(3)
    ]
    counts = np.zeros((3, 30), int)
    for feature in range(30):
        best: dict[tuple[int, int], tuple[float, int, int]] = {}
        for w in range(n):
            for p in range(length):
                value = float(values[w, p, feature])
                if value <= 0:
                    continue
                language = int(windows.language[w])
                counts[language, feature] += 1
                line = language, int(windows.document[w, p])
                if line not in best or value > best[line][0]:
                    best[line] = value, w, p
        wanted = sorted(best.values(), key=lambda entry: (-entry[0], *entry[1:]))[:3]
        mine = np.flatnonzero(found.contexts == feature)
        assert [*zip(found.window[mine], found.position[mine], strict=True)] == [
            (w, p) for _, w, p in wanted
        ]
        for at, (_, w, p) in zip(mine, wanted, strict=True):
            for step, value in zip(range(-BEFORE, AFTER + 1), found.activations[at], strict=True):
                if 0 <= p + step < length:
                    assert value == pytest.approx(float(values[w, p + step, feature]), rel=1e-4)
                else:
                    assert np.isnan(value)
    assert (found.firings == counts).all()
    assert counts.sum() > 300
    assert found.rates == pytest.approx(counts / found.tokens[:, None])


def test_batches_and_late_merges_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, it, windows = fresh()
    reader = MLPReader(model)
    one = feature_activity(reader, it, windows, n_contexts=2, batch_tokens=10_000)
    monkeypatch.setattr(module, "_MERGED", 7)
    other = feature_activity(reader, it, windows, n_contexts=2, batch_tokens=1)
    assert_same(one, other)


def assert_same(a: FeatureActivity, b: FeatureActivity) -> None:
    for name in ("features", "firings", "tokens", "contexts", "window", "position"):
        assert (getattr(a, name) == getattr(b, name)).all(), name
    np.testing.assert_allclose(a.activations, b.activations, rtol=1e-4)


def test_chosen_features_are_found_as_among_all() -> None:
    model, it, windows = fresh()
    reader = MLPReader(model)
    every = feature_activity(reader, it, windows, n_contexts=2)
    pairs = {(2, 9), (0, 3), (1, 0)}
    some = feature_activity(reader, it, windows, features=pairs, n_contexts=2)
    assert some.features.tolist() == [3, 10, 29]
    for slot, feature in enumerate((3, 10, 29)):
        assert (some.firings[:, slot] == every.firings[:, feature]).all()
        mine, theirs = some.contexts == slot, every.contexts == feature
        assert (some.window[mine] == every.window[theirs]).all()
        np.testing.assert_allclose(some.activations[mine], every.activations[theirs], rtol=1e-4)


def test_what_is_not_there_is_refused() -> None:
    model, it, windows = fresh()
    reader = MLPReader(model)
    with pytest.raises(ValueError, match=r"feature 10 of layer 0, .* 3 layers of 10"):
        feature_activity(reader, it, windows, features={(0, 10)})
    with pytest.raises(ValueError, match="n_contexts=0 must be at least 1"):
        feature_activity(reader, it, windows, n_contexts=0)
    with pytest.raises(ValueError, match="skip_positions=24 must be at most 23"):
        feature_activity(reader, it, windows, skip_positions=24)
    less = Windows(windows.ids[:3], windows.language[:3], windows.document[:3], windows.languages)
    with pytest.raises(ValueError, match="windows hold none of eng_Latn"):
        feature_activity(reader, it, less)


def test_notes_say_what_was_found() -> None:
    """Words in, words out; every feature has its note, also one that is never active."""
    model, it, _ = fresh()
    with torch.no_grad():
        it.encoder_weight[1, 4], it.encoder_bias[1, 4] = 0, -1
    tokenizer = small.tiny_models.tokenizer()
    texts = {code: lines[:40] for code, lines in small.TEXTS.items()}
    options: dict[str, Any] = {"max_windows": 12, "seed": 3, "n_contexts": 4, "n_logits": 2}
    notes = feature_notes(model, it, texts, tokenizer=tokenizer, **options)
    assert list(notes) == [(layer, feature) for layer in range(3) for feature in range(10)]
    assert notes[1, 4].contexts == () and notes[1, 4].max_activation == notes[1, 4].density == 0
    assert len(notes[1, 4].top_logits) == 2 and notes[1, 4].description == ""
    seen = 0
    joined = {
        code: "".join(f" {c}" for line in lines for c in [*line, "</s>"]).replace(" </s>", "</s>")
        for code, lines in texts.items()
    }
    for note in notes.values():
        assert set(note.rates) == {"deu_Latn", "eng_Latn"}
        assert note.density == pytest.approx(sum(note.rates.values()) / 2)
        for context in note.contexts:
            seen += 1
            assert len(context.tokens) == len(context.activations) <= BEFORE + 1 + AFTER
            assert context.activations[context.peak] <= note.max_activation
            text = "".join(context.tokens).removeprefix("<s>")
            assert text in joined[context.language]
        if note.contexts:
            first = note.contexts[0]
            assert note.max_activation == first.activations[first.peak] > 0
    assert seen > 30
    some = feature_notes(
        model, it, texts, tokenizer=tokenizer, features=[(2, 1), (0, 7)], **options
    )
    assert list(some) == [(0, 7), (2, 1)]
    for key, note in some.items():  # products of other shapes round otherwise
        assert note.contexts == notes[key].contexts and note.rates == notes[key].rates
        assert [word for word, _ in note.top_logits] == [w for w, _ in notes[key].top_logits]


def test_texts_of_tokens_keep_spaces_and_whole_characters() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(demo_model_path())
    shown = TokenTexts(tokenizer)
    assert shown.special >= {"<s>", "</s>"}
    text = "the water ගැඹුරු 龘 水"  # Sinhala and a rare sign are bytes to it
    ids = np.array(tokenizer(text)["input_ids"])
    alone, along = shown.of(ids.tolist()), shown.along(ids)
    assert along[:3] == ["<s>", " the", " water"]
    assert len(along) == len(ids)
    assert "".join(along[1:]).replace(PART, "") == f" {text}"
    assert sum(PART in t for t in alone) > sum(PART in t for t in along) > 0
    assert along == shown.along(ids)
