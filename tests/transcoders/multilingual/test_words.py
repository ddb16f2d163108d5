"""Features at a word's last piece, on models: occurrences, swaps, planted words, odd input."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from helpers import text_tokenizers
from helpers.clt_models import clt_model, random_transcoder

from ilo_fast.transcoders import word_features
from ilo_fast.transcoders.multilingual.lines import numbered_lines
from ilo_fast.transcoders.multilingual.words.word_occurrences import find_occurrences, read_words
from ilo_fast.transcoders.multilingual.words.words import drawn_swaps, swapped_ids

STEMS = ("wal", "tal", "rea", "see", "flo")
ENDS = ("king", "ding")


def text(n: int = 100, seed: int = 0) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)

    def line(extra: str) -> str:
        words = [STEMS[int(rng.integers(5))] + ENDS[int(rng.integers(2))] for _ in range(2)]
        return f"{extra} {words[0]} on {words[1]}"

    return {
        "eng_Latn": [line("we") for _ in range(n)],
        "deu_Latn": [line("er") for _ in range(n)],
        "jpn_Jpan": ["今日は水が冷たい"] * 5,
    }


def tokenizer() -> Any:
    """Stems and ends are tokens of their own; other letters are single."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    pieces = ["[UNK]", "<s>", *STEMS, *(f"##{end}" for end in ENDS), "we", "er", "on"]
    core = Tokenizer(
        models.WordPiece({name: at for at, name in enumerate(pieces)}, unk_token="[UNK]")
    )
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return text_tokenizers.wrapped(core, unk_token="[UNK]", eos_token="<s>")


def tiny() -> tuple[Any, Any]:
    transcoder = random_transcoder(0, n_layers=2, hidden_size=16, n_features=40)
    return clt_model(transcoder, seed=1), transcoder


OPTIONS: dict[str, Any] = {
    "min_count": 3, "n_selected": 8, "n_permutations": 60, "n_null": 4, "n_bootstrap": 50,
}  # fmt: skip


def test_occurrences_are_those_of_the_text() -> None:
    lines = numbered_lines(text(), None)
    read = read_words(tokenizer(), lines)
    assert read.without_words == ("jpn_Jpan",)
    assert np.isnan(read.fertility[2]) and read.fertility[0] == pytest.approx(6 / 4)
    found = find_occurrences(read, lines, skip=1, min_count=3, seed=0)
    for word, line, end, document, half in zip(
        found.word, found.line, found.end, found.document, found.half, strict=True
    ):
        stem, ending = found.pieces[word]
        assert tuple(read.ids[line][end - 1 : end + 1]) == (stem, ending)
        assert document == lines.document[line] and half in (0, 1)
        assert found.language[word] == lines.language[line]
    # One of a word and document, each document in one half, enough in either.
    assert len({*zip(found.word, found.document, strict=True)}) == len(found.word)
    halves = {document: set() for document in found.document.tolist()}  # type: ignore[var-annotated]
    for document, half in zip(found.document.tolist(), found.half.tolist(), strict=True):
        halves[document].add(half)
    assert all(len(half) == 1 for half in halves.values())
    for half in (0, 1):
        assert np.bincount(found.word[found.half == half]).min() >= 3
    ends = [(found.language[w], pieces[-1]) for w, pieces in enumerate(found.pieces)]
    assert len(set(ends)) == found.group.max() + 1 == 4


def test_swapped_text_has_the_pieces_of_another_word_of_the_same_end() -> None:
    lines = numbered_lines(text(), None)
    read = read_words(tokenizer(), lines)
    found = find_occurrences(read, lines, skip=1, min_count=3, seed=0)
    rows, words = drawn_swaps(found, 30, seed=0)
    assert len(rows) == 30 and (found.half[rows] == 1).all()
    assert (found.group[words] == found.group[found.word[rows]]).all()
    assert sorted(words) == sorted(found.word[rows])
    for row, word in zip(rows, words, strict=True):
        ids = swapped_ids(read, found, int(row), int(word))
        end = int(found.end[row])
        assert ids[: end - 1] == read.ids[found.line[row]][: end - 1]
        assert tuple(ids[end - 1 :]) == found.pieces[word]
        assert ids[-1] == read.ids[found.line[row]][end]


def test_a_feature_that_reads_the_piece_before_is_a_word_feature() -> None:
    """Attention is made to add what the token before was; one feature reads one stem of it."""
    model, transcoder = tiny()
    tokens = tokenizer()
    stem = tokens.convert_tokens_to_ids("wal")
    place = model.model.embed_tokens.weight.detach().clone()
    layer = model.model.layers[1]

    def previous(_: Any, __: Any, output: Any) -> Any:
        ids = model.last_ids
        before = torch.roll(place[ids], 1, dims=1)
        before[:, 0] = 0
        return (output[0] + 1000 * before, *output[1:])

    layer.self_attn.register_forward_hook(previous)
    model.model.register_forward_pre_hook(
        lambda _, args, kwargs: setattr(
            model, "last_ids", kwargs.get("input_ids", args[0] if args else None)
        ),
        with_kwargs=True,
    )
    with torch.no_grad():
        direction = place[stem] / place[stem].norm()
        transcoder.encoder_weight[1, 5] = direction / transcoder.input_scale[1]
        transcoder.encoder_bias[1, 5] = -2.0  # x has a length of 4
        transcoder.log_threshold[1, 5] = -5.0
    options = OPTIONS | {"n_selected": 40}  # others read other stems
    found = word_features(model, transcoder, text(160), tokenizer=tokens, **options)
    planted = next(own for own in found.features if (own.layer, own.feature) == (1, 5))
    assert planted.p < 0.05 and planted.p_of_pieces is not None and planted.p_of_pieces < 0.05
    assert planted.word.startswith("wal") and planted.auc > 0.9
    assert planted.of_context is not None and planted.of_pieces is not None
    assert planted.of_pieces > 5 * abs(planted.of_context)
    assert planted in found.word_features()
    assert found.accuracy[0, 1] > found.accuracy_null[:, 1].max()
    assert found.as_inserted[1] > found.as_original[1]


def test_the_result_says_what_was_counted_and_can_be_kept() -> None:
    model, transcoder = tiny()
    options = OPTIONS | {"n_swaps": 20}
    found = word_features(model, transcoder, text(), tokenizer=tokenizer(), **options)
    assert found.languages == ("eng_Latn", "deu_Latn") and found.without_words == ("jpn_Jpan",)
    assert found.n_words.tolist() == [10, 10] and found.n_last_pieces.tolist() == [2, 2]
    assert found.accuracy.shape == (3, 2) and found.n_layers == 2 and 0 < found.n_swaps <= 20
    assert len(found.features) == 16 and found.entropy > 1
    low, high = np.moveaxis(found.accuracy_interval, -1, 0)
    assert (low <= found.accuracy).all() and (found.accuracy <= high).all()
    kept = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert kept["n_permutations"] == 60 and len(kept["features"]) == 16
    assert len(found.rows()) == 6 and found.rows()[0]["language"] == "all"
    assert found.n_word_features().sum() == len(found.word_features())
    assert "2 languages" in repr(found)
    again = word_features(model, transcoder, text(), tokenizer=tokenizer(), **options)
    assert again.to_dict() == found.to_dict()
    small = word_features(
        model, transcoder, text(), tokenizer=tokenizer(), batch_tokens=7, **options
    )
    np.testing.assert_allclose(small.accuracy, found.accuracy)
    without = word_features(
        model, transcoder, text(), tokenizer=tokenizer(), **(options | {"n_swaps": 0})
    )
    assert without.n_swaps == 0 and np.isnan(without.as_inserted).all()
    assert without.features[0].of_pieces is None
    np.testing.assert_array_equal(without.accuracy, found.accuracy)
    pytest.importorskip("matplotlib")
    assert len(found.plot().axes) == 3 and len(without.plot().axes) == 2


def test_odd_input_is_refused_by_name() -> None:
    model, transcoder = tiny()
    with pytest.raises(ValueError, match="give more text"):
        word_features(model, transcoder, text(4), tokenizer=tokenizer(), **OPTIONS)
    slow: Any = text_tokenizers.WithoutOffsets(tokenizer())
    slow.bos_token_id, slow.eos_token_id = None, 1
    with pytest.raises(ValueError, match="use a fast tokenizer"):
        word_features(model, transcoder, text(), tokenizer=slow, **OPTIONS)
    for name in ("min_count", "n_selected", "n_permutations", "n_null", "n_bootstrap"):
        with pytest.raises(ValueError, match=name):
            word_features(model, transcoder, text(), tokenizer=tokenizer(), **(OPTIONS | {name: 0}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        numbered_lines(text(), None).texts = ()  # type: ignore[misc]
