"""pretrain(): shares of the tokens, order of the data, tokenizer, resumption, the seams."""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_models import SENTENCES
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    GPT2Config,
    LlamaConfig,
    LlamaForCausalLM,
    TrainerCallback,
)

from ilo_fast import AccessError, CorpusError, ParallelCorpus
from ilo_fast.training.pretrain import tokenizer as tt
from ilo_fast.training.pretrain.loop import Plan, default_optimizer
from ilo_fast.training.pretrain.mixture import (
    MixedRows,
    Quota,
    Stream,
    complete_shares,
    read_texts,
)
from ilo_fast.training.pretrain.pretrain import Pretrained, pretrain
from ilo_fast.training.run_folder import read_card

pytest.importorskip("accelerate")

TEXTS = {
    "eng_Latn": [f"the water is cold in house {i}" for i in range(40)],
    "deu_Latn": [f"das wasser ist kalt in haus {i}" for i in range(30)],
    "fra_Latn": [f"l'eau est froide dans la maison {i}" for i in range(20)],
}
SMALL: dict[str, Any] = {
    "vocab_size": 300, "tokenizer_lines": 20, "hidden_size": 16, "heads": 2, "layers": 2,
    "mlp_size": 24, "context": 12, "batch_size": 8, "steps": 12, "learning_rate": 1e-2,
    "device": "cpu", "progress": False,
}  # fmt: skip
DEMO = {"threshold": 2, "n_neighbors": 2}


def run(folder: Path, texts: Any = TEXTS, **changes: Any) -> Pretrained:
    return pretrain(texts, folder, **(SMALL | changes))


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def assert_same_weights(a: Any, b: Any) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


class Stop(TrainerCallback):
    """Ends the process, as it were, after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


# ---- shares


def test_the_rest_is_shared_equally() -> None:
    codes = ["eng_Latn", "deu_Latn", "fra_Latn"]
    assert complete_shares({"eng_Latn": 0.5}, codes) == {
        "eng_Latn": 0.5, "deu_Latn": 0.25, "fra_Latn": 0.25,
    }  # fmt: skip
    assert complete_shares({"eng_Latn": 0}, codes)["eng_Latn"] == 0
    assert complete_shares({"eng_Latn": 0}, codes)["deu_Latn"] == 0.5
    assert complete_shares(None, codes) == dict.fromkeys(codes, pytest.approx(1 / 3))
    assert complete_shares({"eng_Latn": 1}, codes) == {
        "eng_Latn": 1, "deu_Latn": 0, "fra_Latn": 0,
    }  # fmt: skip
    shares = complete_shares({"eng_Latn": 0.1, "deu_Latn": 0.2, "fra_Latn": 0.7}, codes)
    assert shares == {
        "eng_Latn": pytest.approx(0.1), "deu_Latn": pytest.approx(0.2),
        "fra_Latn": pytest.approx(0.7),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        ({"eng_Latn": 0.6, "deu_Latn": 0.5}, r"sum to 1\.1"),
        ({"eng_Latn": -0.1}, r"mixture\['eng_Latn'\]=-0\.1"),
        ({"eng_Latn": 50}, r"write 0\.5 for 50 %"),
        ({"eng_Latn": True}, "share of the tokens"),
        ({"eng_Latn": float("nan")}, "share of the tokens"),
        ({"eng_Latn": 0.5, "tha_Thai": 0.1}, "no text for tha_Thai; there is text for deu_Latn"),
        ({"eng_Latn": 0.3, "deu_Latn": 0.3, "fra_Latn": 0.3}, r"names every language.*0\.9"),
        ({"eng_Latn": 0, "deu_Latn": 0, "fra_Latn": 0}, "names every language"),
    ],
)
def test_a_mixture_that_cannot_be(tmp_path: Path, mixture: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", mixture=mixture)
    assert not (tmp_path / "run").exists()


def test_every_language_gets_its_share_exact_to_rounding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, steps, rows = (int(x) for x in rng.integers((1, 1, 1), (32, 120, 70)))
        shares = rng.dirichlet(np.full(n, rng.choice([0.1, 1.0, 10.0])))
        if rng.random() < 0.3:
            shares = np.array([0.5, *np.full(n, 0.5 / n)])
        quota = Quota(shares.tolist(), steps=steps, rows=rows)
        assert (quota.counts.sum(axis=1) == rows).all()
        # In the whole run, and in every batch: the share, rounded up or down.
        assert np.abs(quota.totals - shares * steps * rows).max() < 1 + 1e-6
        assert np.abs(quota.counts - shares * rows).max() < 1 + 1e-6
        # And hardly less evenly up to every step.
        done = np.arange(1, steps + 1)[:, None] * rows * shares
        assert np.abs(np.cumsum(quota.counts, axis=0) - done).max() < 4


def test_rows_are_numbered_within_their_language() -> None:
    quota = Quota([0.5, 0.0, 0.3, 0.2], steps=7, rows=9)
    seen = dict.fromkeys(range(4), 0)
    for step in range(7):
        for row in range(9):
            language, number = quota.place(step, row)
            assert number == seen[language]
            seen[language] += 1
    assert list(seen.values()) == quota.totals.tolist()
    assert seen[1] == 0


# ---- rows


def make_stream(lengths: list[int], row: int, seed: int = 0) -> Stream:
    """Line i is the tokens 100 i, 100 i + 1, ..."""
    ids = np.concatenate([100 * i + np.arange(n) for i, n in enumerate(lengths)]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Stream(ids, offsets, length=row, seed=seed, language="eng_Latn")


def test_a_stream_gives_every_line_once_a_pass_and_whole() -> None:
    lengths = [3, 1, 7, 2, 5]
    stream = make_stream(lengths, row=4)
    tokens = np.concatenate([stream.row(i) for i in range(9)])  # two passes of 18
    orders = []
    for part in (tokens[:18], tokens[18:]):
        firsts = part[part % 100 == 0] // 100
        assert sorted(firsts) == [0, 1, 2, 3, 4]
        expected = np.concatenate([100 * i + np.arange(lengths[i]) for i in firsts])
        assert part.tolist() == expected.tolist()
        orders.append(tuple(firsts))
    assert orders[0] != orders[1]
    again = make_stream(lengths, row=4)
    assert again.row(7).tolist() == stream.row(7).tolist()  # without those before it
    assert make_stream(lengths, row=4, seed=1).row(0).tolist() != stream.row(0).tolist()


def test_a_language_with_less_than_a_row_of_text_repeats_within_it() -> None:
    row = make_stream([2, 1], row=10).row(0)
    assert sorted(row) == sorted([0, 1, 100] * 3 + [row[-1]])


def test_a_batch_holds_one_language_a_row() -> None:
    streams = [make_stream([5, 6], row=4), make_stream([90], row=4)]
    rows = MixedRows(streams, Quota([0.75, 0.25], steps=3, rows=4), batch_size=4)
    assert len(rows) == 12
    for step in range(3):
        batch = [rows[4 * step + i]["input_ids"] for i in range(4)]
        long = [bool(((row >= 10) & (row < 90)).any()) for row in batch]
        assert sum(long) <= 1
    with pytest.raises(IndexError):
        rows[12]


def test_lines_are_encoded_as_texts_with_an_end_between() -> None:
    core = tt.train_tokenizer(TEXTS["eng_Latn"], vocab_size=300)
    tokenizer = tt.as_pretrained(core, max_length=64)
    ids, offsets = tt.encode_lines(tokenizer, ["the water", "in house 7"])
    assert ids[: offsets[1]].tolist() == [*tokenizer("the water")["input_ids"], 2]
    assert ids[offsets[1] : offsets[2]].tolist() == [*tokenizer("in house 7")["input_ids"], 2]
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="neither eos_token nor sep_token"):
        tt.encode_lines(tokenizer, ["a"])


def test_the_tokenizer_is_left_as_it_was() -> None:
    core = tt.train_tokenizer(TEXTS["eng_Latn"], vocab_size=300)
    tokenizer = tt.as_pretrained(core, max_length=64)
    fast = tokenizer.backend_tokenizer
    plain = tt.encode_lines(tokenizer, ["the water is cold", "in"])
    fast.enable_truncation(3, stride=1, strategy="only_first", direction="left")
    fast.enable_padding(direction="left", pad_id=1, pad_token="<s>", pad_to_multiple_of=8)
    before = fast.to_str()
    found = tt.encode_lines(tokenizer, ["the water is cold", "in"])
    assert [part.tolist() for part in found] == [part.tolist() for part in plain]
    assert fast.to_str() == before


# ---- text and tokenizer


def test_texts_from_folders_are_joined_by_language(tmp_path: Path) -> None:
    for folder, text in (("a", "one\n\ntwo\n"), ("b", "three\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "eng_Latn.txt").write_text(text)
    (tmp_path / "b" / "deu_Latn.txt").write_text("eins\n")
    both = read_texts([tmp_path / "a", tmp_path / "b"])
    assert both == {"deu_Latn": ["eins"], "eng_Latn": ["one", "two", "three"]}
    assert list(read_texts(tmp_path / "b", "eng_Latn")) == ["eng_Latn"]
    with pytest.raises(CorpusError, match=r"no text for fra_Latn; there is text for deu_Latn, eng"):
        read_texts([tmp_path / "a", tmp_path / "b"], "fra_Latn")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"eng_Latn": ["a"], "deu_Latn": ["", " "]}, "deu_Latn: no line that is not empty"),
        ({"eng_Latn": "one string"}, "one string; wanted lines"),
        ({"eng_Latn": ["a", 3]}, r"texts\['eng_Latn'\], line 2 is int"),
        ({"english": ["a"]}, "no language codes: english"),
        ({}, "texts is empty"),
    ],
)
def test_text_that_is_wrong(texts: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_texts(texts)


def test_the_tokenizer_gives_back_what_it_was_given() -> None:
    text = ["Grüße aus Köln!", "नमस्ते दुनिया", "東京は大きい。", "a  b\t'c' 12,5 €", "ไทย 🙂"]
    core = tt.train_tokenizer(text * 3, vocab_size=400)
    tokenizer = tt.as_pretrained(core, max_length=64)
    for line in text:
        ids = tokenizer(line)["input_ids"]
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == line
    # A word has one token, wherever it stands; its vowel signs do not cut it.
    assert tokenizer.tokenize("नमस्ते") == tokenizer.tokenize("नमस्ते नमस्ते")[1:]
    assert len(tokenizer.tokenize("नमस्ते")) == 1
    with pytest.raises(ValueError, match="vocab_size=259: at least 260"):
        tt.train_tokenizer(text, vocab_size=259)


def test_a_tokenizer_is_told_from_another_by_its_special_tokens() -> None:
    core = tt.train_tokenizer(TEXTS["eng_Latn"], vocab_size=300)
    tokenizer = tt.as_pretrained(core, max_length=64)
    same, other = copy.deepcopy(tokenizer), copy.deepcopy(tokenizer)
    same("a text", truncation=True, max_length=3, padding="max_length")
    assert tt.tokenizer_identity(same) == tt.tokenizer_identity(tokenizer)
    other.eos_token = "<pad>"
    assert (
        tt.encode_lines(other, ["a"])[0].tolist() != tt.encode_lines(tokenizer, ["a"])[0].tolist()
    )
    assert tt.tokenizer_identity(other) != tt.tokenizer_identity(tokenizer)


def test_a_tokenizer_that_is_not_there(tmp_path: Path) -> None:
    for name in ("nosuch/tok", tmp_path, str(tmp_path / "gone")):
        with pytest.raises(AccessError, match="tokenizer"):
            run(tmp_path / "run", {"eng_Latn": []}, tokenizer=name)  # before the text is looked at
    assert not (tmp_path / "run").exists()


def test_the_tokenizer_sees_as_many_lines_of_each_language() -> None:
    texts = {"eng_Latn": [f"e{i}" for i in range(50)], "deu_Latn": ["d0", "d1", "d2"]}
    sample = tt.sample_lines(texts, 10, seed=0)
    english = [line for line in sample if line.startswith("e")]
    assert len(english) == len(set(english)) == 10
    german = [line for line in sample if line.startswith("d")]
    assert sorted(german.count(line) for line in texts["deu_Latn"]) == [3, 3, 4]


# ---- a run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return run(tmp_path_factory.mktemp("made") / "run", mixture={"eng_Latn": 0.5})


def test_the_model_is_plain_transformers(made: Pretrained) -> None:
    model = AutoModelForCausalLM.from_pretrained(made.path)
    tokenizer = AutoTokenizer.from_pretrained(made.path)
    assert type(model) is LlamaForCausalLM
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.use_cache and model.config.tie_word_embeddings
    assert model.config.bos_token_id == tokenizer.bos_token_id
    assert_same_weights(model, made.model)
    ids = tokenizer("das wasser ist kalt", return_tensors="pt")
    assert torch.equal(model(**ids).logits, made.model(**ids).logits)
    assert not list(made.path.parent.glob("checkpoint-*"))
    assert sorted(p.name for p in made.path.parent.iterdir()) == ["model", "run_card.json"]


def test_the_weights_are_safe_in_half_precision(made: Pretrained, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(made.path)
    model.half().save_pretrained(tmp_path)
    half = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = made.tokenizer("das wasser ist kalt", return_tensors="pt")
    exact, rounded = made.model(**ids).logits, half(**ids).logits
    assert (exact - rounded).abs().max() < 0.01 * exact.abs().max()


def test_it_learns(made: Pretrained) -> None:
    (first, at_first), (last, at_last) = made.card["loss"][0], made.card["loss"][-1]
    assert (first, last) == (1, 10)
    assert at_first == pytest.approx(np.log(300), rel=0.05)  # knows nothing
    assert at_last < at_first - 0.8


def test_the_card_says_what_was_used_of_each_text(made: Pretrained) -> None:
    card = read_card(made.path.parent)
    assert card is not None and card["status"] == "finished"
    text = card["text"]
    assert {code: facts["share"] for code, facts in text.items()} == {
        "deu_Latn": 0.25, "eng_Latn": 0.5, "fra_Latn": 0.25,
    }  # fmt: skip
    assert sum(facts["tokens"] for facts in text.values()) == 12 * 8 * 12
    ids, _ = tt.encode_lines(made.tokenizer, TEXTS["fra_Latn"])
    assert text["fra_Latn"]["tokens_of_text"] == len(ids)
    assert text["fra_Latn"]["epochs"] == pytest.approx(288 / len(ids), abs=1e-3)
    assert card["settings"]["mixture"]["eng_Latn"] == 0.5
    assert card["parameters"] == sum(p.numel() for p in made.model.parameters())


def test_a_finished_run_is_returned_and_another_is_not_touched(
    made: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ilo_fast.training.pretrain.pretrain.train", lambda *a, **k: pytest.fail("it trains")
    )
    folder = made.path.parent
    before = (folder / "run_card.json").read_bytes()
    again = run(folder, mixture={"eng_Latn": 0.5}, log_every=3, save_every=2)  # no other weights
    assert_same_weights(again.model, made.model)
    assert again.card == made.card
    for change, named in (
        ({"mixture": {"eng_Latn": 0.2}}, "mixture"),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"texts": TEXTS | {"deu_Latn": ["anderes"]}}, "text_sha256"),
        ({"hidden_size": 32}, "model"),
        ({"warmup_steps": 2}, "warmup_steps was 1, now 2"),
    ):
        with pytest.raises(ValueError, match=named):
            run(folder, **({"mixture": {"eng_Latn": 0.5}} | change))
    assert (folder / "run_card.json").read_bytes() == before


def test_mixtures_of_the_same_texts_have_the_same_tokenizer(
    made: Pretrained, tmp_path: Path
) -> None:
    none = run(tmp_path / "none", mixture={"eng_Latn": 0}, steps=2)
    assert none.tokenizer.get_vocab() == made.tokenizer.get_vocab()
    assert "eng_Latn" not in none.card["text"]
    assert none.card["text"]["deu_Latn"]["share"] == 0.5


def test_an_interrupted_run_goes_on_to_the_same_weights(made: Pretrained, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options: dict[str, Any] = {"mixture": {"eng_Latn": 0.5}, "save_every": 3}
    with pytest.raises(KeyboardInterrupt):
        run(folder, **options, callbacks=[Stop(8)])
    assert read_card(folder)["status"] == "running"  # type: ignore[index]
    assert (folder / "checkpoint-6").is_dir() and not (folder / "model").exists()
    steps = []

    class Watch(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            steps.append(state.global_step)

    resumed = run(folder, **options, callbacks=[Watch()])
    assert steps == [6, 7, 8, 9, 10, 11]
    assert_same_weights(resumed.model, made.model)
    assert resumed.card["status"] == "finished"


def test_interrupted_before_a_checkpoint_it_begins_again(made: Pretrained, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", mixture={"eng_Latn": 0.5}, callbacks=[Stop(2)])
    again = run(tmp_path / "run", mixture={"eng_Latn": 0.5})
    assert_same_weights(again.model, made.model)


def test_interrupted_before_the_first_step_it_begins_again(
    made: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    for place in ("tokenizer.train_tokenizer", "rows.encode_lines"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"ilo_fast.training.pretrain.{place}", interrupted)
            run(tmp_path / "run", mixture={"eng_Latn": 0.5})
    monkeypatch.setattr("ilo_fast.training.pretrain.tokenizer.train_tokenizer", interrupted)
    again = run(tmp_path / "run", mixture={"eng_Latn": 0.5})  # the tokenizer was kept
    assert_same_weights(again.model, made.model)


def test_a_run_that_diverged_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):  # the second is the finished run, its card read
        with caplog.at_level(logging.WARNING, logger="ilo_fast"):
            caplog.clear()
            made = run(
                tmp_path / "run", learning_rate=1e30, clip=1e9, warmup_steps=1, decay_share=0.0
            )
        assert np.isnan(made.loss)
        assert repr(made).endswith("12 steps, loss nan)")
        assert "training diverged, its last loss is nan" in caplog.text


def test_measuring_changes_nothing_and_is_kept(
    made: Pretrained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = ParallelCorpus.from_dict(SENTENCES)
    watched = run(
        tmp_path / "run", mixture={"eng_Latn": 0.5}, corpus=corpus, measure_every=5,
        overlap_options=DEMO,
    )  # fmt: skip
    assert_same_weights(watched.model, made.model)
    assert [record.step for record in watched.overlap] == [0, 5, 10, 12]
    assert watched.overlap[0].scores is not None
    assert watched.overlap[0].scores.layers == (0, 1, 2)
    measured = sum(record.seconds for record in watched.overlap)  # a fast machine: 0.04 s
    assert watched.card["seconds_measuring"] == round(measured, 3)
    again = run(
        tmp_path / "run", mixture={"eng_Latn": 0.5}, corpus=corpus, measure_every=5,
        overlap_options=DEMO,
    )  # fmt: skip
    assert [record.step for record in again.overlap] == [0, 5, 10, 12]


def test_lines_shared_with_the_corpus_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = TEXTS | {"eng_Latn": [*TEXTS["eng_Latn"], "She  reads"]}
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        made = run(
            tmp_path / "run", texts, steps=1, overlap_options=DEMO,
            corpus=ParallelCorpus.from_dict(SENTENCES),
        )  # fmt: skip
    assert "eng_Latn line 2" in caplog.text
    assert made.card["shared_lines"] == [["eng_Latn", 2]]


def test_text_that_comes_too_often_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = TEXTS | {"fra_Latn": ["oui", "non"]}
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        made = run(tmp_path / "run", texts, steps=4)
    assert "(fra_Latn)" in caplog.text and "(eng_Latn)" not in caplog.text
    assert made.card["text"]["fra_Latn"]["epochs"] > 4


def test_accumulated_parts_give_the_step_of_the_whole(made: Pretrained, tmp_path: Path) -> None:
    parts = run(tmp_path / "run", mixture={"eng_Latn": 0.5}, accumulate=4)
    for name, value in weights(parts.model).items():
        assert torch.allclose(value, weights(made.model)[name], atol=1e-4), name
    with pytest.raises(ValueError, match="batch_size=8 cannot be split into accumulate=3"):
        run(tmp_path / "other", accumulate=3)


def test_another_architecture_and_a_tokenizer_of_ones_own(made: Pretrained, tmp_path: Path) -> None:
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=64)
    gpt = run(tmp_path / "gpt", config=config, tokenizer=made.path, steps=2)
    assert gpt.model.config.model_type == "gpt2"
    assert gpt.model.config.vocab_size == len(made.tokenizer)
    assert config.vocab_size == 50257  # ours is left alone
    assert gpt.tokenizer.get_vocab() == made.tokenizer.get_vocab()


def test_a_model_that_sees_what_comes_is_refused(made: Pretrained, tmp_path: Path) -> None:
    sizes = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 24, "vocab_size": 300,
    }  # fmt: skip
    config = BertConfig(**sizes)
    with pytest.raises(ValueError, match=r"BertLMHeadModel is no causal .*\(encoder\).*is_decoder"):
        run(tmp_path / "config", config=config, tokenizer=made.path)
    with pytest.raises(ValueError, match="BertLMHeadModel is no causal language model"):
        run(
            tmp_path / "model",
            model=AutoModelForCausalLM.from_config(config), tokenizer=made.path,
        )  # fmt: skip
    assert not (tmp_path / "model").exists()
    decoder = run(
        tmp_path / "run", config=BertConfig(is_decoder=True, **sizes), tokenizer=made.path, steps=1
    )
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        one, other = (decoder.model(ids.clone().fill_diagonal_(5)).logits,
                      decoder.model(ids.index_fill(1, torch.tensor([3]), 9)).logits)  # fmt: skip
    assert torch.equal(one[0, :3], other[0, :3])


def test_a_model_comes_with_its_tokenizer(made: Pretrained, tmp_path: Path) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(made.path)
    with pytest.raises(ValueError, match="pass the model's own tokenizer="):
        run(tmp_path / "run", model=loaded)
    assert not (tmp_path / "run").exists()
    further = run(tmp_path / "run", model=loaded, tokenizer=made.tokenizer, steps=1)
    assert further.tokenizer.get_vocab() == made.tokenizer.get_vocab()


def test_embeddings_norms_and_biases_do_not_decay() -> None:
    from transformers import GPT2LMHeadModel

    options = {name: None for name in Plan.__dataclass_fields__}
    options |= {k: v for k, v in SMALL.items() if k in options}
    options |= {"accumulate": 1, "warmup_steps": 1, "log_every": 1, "decay_share": 0.3, "seed": 0}
    options |= {"clip": 1.0, "weight_decay": 0.1, "betas": (0.9, 0.95)}
    plan: Any = Plan(**options)
    model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=8))
    decaying, others = default_optimizer(model, plan).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {names[id(p)].split(".")[-2] for p in decaying["params"]} == {"c_attn", "c_proj", "c_fc"}
    assert {"transformer.wte.weight", "transformer.wpe.weight"} <= {
        names[id(p)] for p in others["params"]
    }
    assert len(decaying["params"]) + len(others["params"]) == len(names)


def test_a_model_too_small_for_its_text(made: Pretrained, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model has 30 embeddings, and the tokenizer has 300"):
        run(tmp_path / "a", model=own_model(), tokenizer=made.path)
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=8)
    with pytest.raises(ValueError, match="context=12, but the model takes 8 positions"):
        run(tmp_path / "b", config=config, tokenizer=made.path)


def test_the_rate_rises_stays_and_falls() -> None:
    options = {name: None for name in Plan.__dataclass_fields__} | SMALL
    options = {k: v for k, v in options.items() if k in Plan.__dataclass_fields__}
    options |= {
        "steps": 100, "warmup_steps": 10, "decay_share": 0.2, "accumulate": 1, "log_every": 1,
        "clip": 1.0, "learning_rate": 1.0, "seed": 0,
    }  # fmt: skip
    plan = Plan(**options)
    rates = [plan.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert set(rates[10:81]) == {1.0}
    assert rates[80:] == pytest.approx(np.arange(20, 0, -1) / 20)
    for wrong in ({"decay_share": 1.5}, {"steps": 0}, {"clip": 0.0}, {"dtype": "int8"},
                  {"seed": -1}, {"seed": 0.5}, {"seed": 2**32}):  # fmt: skip
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
            Plan(**(options | wrong))


# ---- the seams


def own_model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=30, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(5)
    return LlamaForCausalLM(config)


def two_parts(step: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng([7, step])
    rows = [torch.from_numpy(rng.integers(30, size=(2, 6))) for _ in range(2)]
    return [{"ids": rows[0], "weight": 1.0}, {"ids": rows[1], "weight": 0.5}]


def own_loss(model: Any, batch: Any) -> torch.Tensor:
    logits = model(input_ids=batch["ids"]).logits[:, :-1]
    targets = batch["ids"][:, 1:]
    return batch["weight"] * torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten()
    )


def own_optimizer(model: Any) -> torch.optim.Optimizer:
    table = model.model.embed_tokens.weight
    rest = [p for p in model.parameters() if p is not table]
    groups = [{"params": rest, "weight_decay": 0.1}, {"params": [table], "lr": 0.003}]
    return torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.98), weight_decay=0.0)


SEAMS: dict[str, Any] = {
    "batches": two_parts, "loss": own_loss, "optimizer": own_optimizer, "steps": 9,
    "warmup_steps": 3, "decay_share": 0.5, "clip": 0.7, "device": "cpu", "progress": False,
}  # fmt: skip


def test_own_batches_loss_and_optimizer_are_a_plain_loop(tmp_path: Path) -> None:
    model = own_model()
    optimizer = own_optimizer(model)
    full = [group["lr"] for group in optimizer.param_groups]
    for step in range(9):
        rate = min(1.0, (step + 1) / 3, (9 - step) / 4.5)
        for group, lr in zip(optimizer.param_groups, full, strict=True):
            group["lr"] = lr * rate
        for part in two_parts(step):
            own_loss(model, part).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.7)
        optimizer.step()
        optimizer.zero_grad()

    made = pretrain(None, tmp_path / "run", model=own_model(), **SEAMS, save_every=4)
    assert_same_weights(made.model, model)
    assert made.tokenizer is None
    assert [group["learning_rate"] for group in made.card["optimizer"]["groups"]] == [0.01, 0.003]

    with pytest.raises(KeyboardInterrupt):
        pretrain(
            None, tmp_path / "cut", model=own_model(), **SEAMS, save_every=4, callbacks=[Stop(6)]
        )
    resumed = pretrain(None, tmp_path / "cut", model=own_model(), **SEAMS, save_every=4)
    assert_same_weights(resumed.model, model)


def test_what_own_functions_depend_on_is_compared(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    pretrain(None, folder, model=own_model(), **SEAMS, settings={"temperature": 0.1})
    with pytest.raises(ValueError, match="own was"):
        pretrain(None, folder, model=own_model(), **SEAMS, settings={"temperature": 0.2})
    other = own_model()
    with torch.no_grad():
        other.lm_head.weight[0, 0] += 1
    with pytest.raises(ValueError, match="model was"):
        pretrain(None, folder, model=other, **SEAMS, settings={"temperature": 0.1})
    replaced = pretrain(None, folder, model=other, **SEAMS, overwrite=True)
    assert json.loads((folder / "run_card.json").read_text()) == json.loads(
        json.dumps(replaced.card)
    )


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (None, {}, "give either texts or batches, got neither"),
        (TEXTS, {"batches": two_parts}, "got both"),
        (None, {"batches": two_parts}, "batches= needs model="),
        (None, {"batches": two_parts, "model": "m", "mixture": {"a": 1}}, "mixture= is for texts"),
        (None, {"batches": two_parts, "model": "m", "accumulate": 2}, "list of the parts"),
        (TEXTS, {"hidden_size": 30, "heads": 4}, "hidden_size=30 does not give 4 heads"),
        (TEXTS, {"hidden_size": 32, "heads": 4, "kv_heads": 3}, "kv_heads=3 does not divide"),
        (TEXTS, {"steps": 0}, "steps=0"),
        (TEXTS, {"vocab_size": 200}, "vocab_size=200"),
        (TEXTS, {"tokenizer_lines": 0}, "tokenizer_lines=0: wanted a whole number of at least 1"),
        (TEXTS, {"seed": -1}, "seed=-1: wanted a whole number of at least 0"),
        (TEXTS, {"context": 1}, "context=1"),
    ],
)
def test_combinations_that_cannot_be(
    tmp_path: Path, texts: Any, options: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", texts, **options)
    assert not (tmp_path / "run").exists()


# ---- the demo model's script

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.mark.skipif(not TOOLS.is_dir(), reason="the project's tools are not here")
def test_stages_of_the_demo_model_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("scipy")
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("train_demo_model", TOOLS / "train_demo_model.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name in ("bible_ot", "bible_nt", "nllb_seed", "mono_commonvoice"):
        (tmp_path / name).mkdir()
        for code, lines in TEXTS.items():
            (tmp_path / name / f"{code}.txt").write_text("".join(f"{x}\n" for x in lines[:20]))
    numbers = "".join(f"400{1 + i // 5:02d}{i % 5:03d}\n" for i in range(20))
    (tmp_path / "bible_nt" / "verse_ids.tsv").write_text(numbers)

    def prepare(run: str = "run", **changes: Any) -> Any:
        monkeypatch.setattr(
            "sys.argv", ["train_demo_model.py", str(tmp_path), "--run", str(tmp_path / run)]
        )
        args = argparse.Namespace(**vars(tool.parse_arguments()) | {
            "vocab_size": 300, "tokenizer_lines": 10, "heldout_verses": 5, **changes,
        })  # fmt: skip
        args.run.mkdir(exist_ok=True)
        return tool.prepare(args)

    _, tokenizer, _ = prepare()
    assert prepare(steps=7)[1].to_str() == tokenizer.to_str()  # of stage 3, which compares its own
    for name, value in (("seed", 2), ("vocab_size", 400), ("vector_dim", 64)):
        with pytest.raises(ValueError, match=rf"other settings .*{name} was .*, now {value}[;)]"):
            prepare(**{name: value})
    prepare("other", seed=2)
    (tmp_path / "nllb_seed" / "eng_Latn.txt").write_text("another line\n" * 20)
    with pytest.raises(ValueError, match="text_sha256 was"):
        prepare()
    (tmp_path / "run" / "settings.json").unlink()
    with pytest.raises(ValueError, match=r"tokenizer is there, but no settings\.json"):
        prepare()


def test_what_cannot_be_is_said_before_a_finished_run_is_replaced(
    made: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(made.path.parent, folder)
    wrong = {"corpus": ParallelCorpus.demo(), "overlap_options": {"n_neighbours": 3}}
    with pytest.raises(TypeError, match="n_neighbours"):
        run(folder, mixture={"eng_Latn": 0.25}, overwrite=True, **wrong)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="in one process"):
        run(folder, mixture={"eng_Latn": 0.25}, overwrite=True)
    assert (folder / "model" / "model.safetensors").is_file()
