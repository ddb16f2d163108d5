"""pretrain(): what a run leaves, resumption, measuring, errors."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pretraining import DEMO, TEXTS, Stop, assert_same_weights, run, weights
from helpers.tiny_models import SENTENCES
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    LlamaForCausalLM,
    TrainerCallback,
)

from ilo_fast import OverlapOptions, ParallelCorpus, Pretrained
from ilo_fast.training.pretrain import tokenizer as tt
from ilo_fast.training.run_folder import read_card


def test_saved_model_loads_as_plain_transformers(made: Pretrained) -> None:
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


def test_weights_in_half_precision_give_nearly_the_same_logits(
    made: Pretrained, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(made.path)
    model.half().save_pretrained(tmp_path)
    half = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = made.tokenizer("das wasser ist kalt", return_tensors="pt")
    exact, rounded = made.model(**ids).logits, half(**ids).logits
    assert (exact - rounded).abs().max() < 0.01 * exact.abs().max()


def test_loss_falls_from_that_of_knowing_nothing(made: Pretrained) -> None:
    losses = {entry["step"]: entry["loss"] for entry in made.card["losses"]}
    assert list(losses) == list(range(1, 13))
    assert losses[1] == pytest.approx(np.log(300), rel=0.05)  # knows nothing
    assert losses[12] < losses[1] - 0.8


def test_metadata_say_what_was_used_of_each_text(made: Pretrained) -> None:
    card = read_card(made.path.parent)
    assert card is not None and card["status"] == "finished"
    text = card["text"]
    assert {code: used["share"] for code, used in text.items()} == {
        "deu_Latn": 0.25, "eng_Latn": 0.5, "fra_Latn": 0.25,
    }  # fmt: skip
    assert sum(used["tokens"] for used in text.values()) == 12 * 8 * 12
    ids, _ = tt.encode_lines(made.tokenizer, TEXTS["fra_Latn"])
    assert text["fra_Latn"]["tokens_of_text"] == len(ids)
    assert text["fra_Latn"]["epochs"] == pytest.approx(288 / len(ids), abs=1e-3)
    assert card["settings"]["mixture"]["eng_Latn"] == 0.5
    assert card["parameters"] == sum(p.numel() for p in made.model.parameters())


def test_finished_run_is_returned_and_other_settings_are_refused(
    made: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ilo_fast.training.pretrain.pretrain.Training", lambda *a, **k: pytest.fail("it trains")
    )
    folder = made.path.parent
    before = (folder / "run_card.json").read_bytes()
    again = run(
        folder, mixture={"eng_Latn": 0.5}, logging_steps=3, save_steps=2
    )  # no other weights
    assert_same_weights(again.model, made.model)
    assert again.card == made.card
    for change, named in (
        ({"mixture": {"eng_Latn": 0.2}}, "mixture"),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"texts": TEXTS | {"deu_Latn": ["anderes"]}}, "text_sha256"),
        ({"hidden_size": 32}, "hidden_size was 16, now 32"),
        ({"warmup_steps": 2}, r"warmup_steps was 0\.05, now 2"),
    ):
        with pytest.raises(ValueError, match=named):
            run(folder, **({"mixture": {"eng_Latn": 0.5}} | change))
    assert (folder / "run_card.json").read_bytes() == before


def test_mixtures_of_the_same_texts_have_the_same_tokenizer(
    made: Pretrained, tmp_path: Path
) -> None:
    none = run(tmp_path / "none", mixture={"eng_Latn": 0}, max_steps=2)
    assert none.tokenizer.get_vocab() == made.tokenizer.get_vocab()
    assert "eng_Latn" not in none.card["text"]
    assert none.card["text"]["deu_Latn"]["share"] == 0.5


def test_interrupted_run_goes_on_to_the_same_weights(made: Pretrained, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options: dict[str, Any] = {"mixture": {"eng_Latn": 0.5}, "save_steps": 3}
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


def test_run_interrupted_before_a_checkpoint_begins_again(made: Pretrained, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", mixture={"eng_Latn": 0.5}, callbacks=[Stop(2)])
    again = run(tmp_path / "run", mixture={"eng_Latn": 0.5})
    assert_same_weights(again.model, made.model)


def test_run_interrupted_before_the_first_step_begins_again(
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


def test_damaged_tokenizer_of_an_interrupted_run_is_trained_again(
    made: Pretrained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"mixture": {"eng_Latn": 0.5}, "save_steps": 1}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", callbacks=[Stop(3)], **options)
    file = tmp_path / "run" / "tokenizer" / "tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8").replace("Ġ", "_"), encoding="utf-8")
    again = run(tmp_path / "run", **options)
    assert "the tokenizer is trained again" in caplog.text
    assert_same_weights(again.model, made.model)


def test_altered_model_of_a_finished_run_is_refused(tmp_path: Path) -> None:
    first = run(tmp_path / "run", max_steps=1)
    data = bytearray((first.path / "model.safetensors").read_bytes())
    data[-5] ^= 1
    (first.path / "model.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match=r"model is damaged \(altered: model.safetensors\).*anew"):
        run(tmp_path / "run", max_steps=1)
    assert run(tmp_path / "run", max_steps=1, overwrite=True).card["status"] == "finished"


def test_run_that_diverged_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):  # the second is the finished run, its card read
        with caplog.at_level(logging.WARNING, logger="ilo_fast"):
            caplog.clear()
            made = run(
                tmp_path / "run",
                learning_rate=1e30,
                max_grad_norm=1e9,
                warmup_steps=1,
                decay_share=0.0,
            )
        assert np.isnan(made.loss)
        assert repr(made).endswith("12 steps, loss nan)")
        assert "training has diverged: the last loss is nan" in caplog.text
        assert made.card["status"] == "diverged"


def test_measuring_leaves_the_weights_the_same(
    made: Pretrained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = ParallelCorpus.from_dict(SENTENCES)
    watched = run(
        tmp_path / "run", mixture={"eng_Latn": 0.5}, corpus=corpus, every=5,
        overlap_options=DEMO,
    )  # fmt: skip
    assert_same_weights(watched.model, made.model)
    assert [record.step for record in watched.overlap] == [0, 5, 10, 12]
    assert watched.overlap[0].scores is not None
    assert watched.overlap[0].scores.layers == (0, 1, 2)
    measured = sum(record.seconds for record in watched.overlap)  # a fast machine: 0.04 s
    assert watched.card["seconds_measuring"] == round(measured, 3)
    again = run(
        tmp_path / "run", mixture={"eng_Latn": 0.5}, corpus=corpus, every=5,
        overlap_options=DEMO,
    )  # fmt: skip
    assert [record.step for record in again.overlap] == [0, 5, 10, 12]


def test_lines_shared_with_the_corpus_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = TEXTS | {"eng_Latn": [*TEXTS["eng_Latn"], "She  reads"]}
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        made = run(
            tmp_path / "run", texts, max_steps=1, overlap_options=DEMO,
            corpus=ParallelCorpus.from_dict(SENTENCES),
        )  # fmt: skip
    assert "eng_Latn line 2" in caplog.text
    assert made.card["shared_lines"] == [["eng_Latn", 2]]


def test_text_that_comes_too_often_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = TEXTS | {"fra_Latn": ["oui", "non"]}
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        made = run(tmp_path / "run", texts, max_steps=4)
    assert "(fra_Latn)" in caplog.text and "(eng_Latn)" not in caplog.text
    assert made.card["text"]["fra_Latn"]["epochs"] > 4


def test_accumulated_batches_train_as_one_large_batch(made: Pretrained, tmp_path: Path) -> None:
    parts = run(
        tmp_path / "run", mixture={"eng_Latn": 0.5}, batch_size=2, gradient_accumulation_steps=4
    )
    for name, value in weights(parts.model).items():
        assert torch.allclose(value, weights(made.model)[name], atol=1e-4), name
    assert parts.card["text"] == made.card["text"]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (
            TEXTS,
            {"hidden_size": 30, "num_attention_heads": 4},
            "hidden_size=30 does not give 4 heads",
        ),
        (
            TEXTS,
            {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 3},
            "num_key_value_heads=3 does",
        ),
        (TEXTS, {"max_steps": 0}, "max_steps=0"),
        (TEXTS, {"vocab_size": 200}, "vocab_size=200"),
        (TEXTS, {"tokenizer_lines": 0}, "tokenizer_lines=0 must be at least 1"),
        (TEXTS, {"seed": -1}, "seed=-1 must be at least 0"),
        (TEXTS, {"context": 1}, "context=1"),
        (TEXTS, {"decay_share": 1.5}, "decay_share=1.5"),
        (TEXTS, {"dtype": "int8"}, "dtype='int8'"),
    ],
)
def test_combinations_that_cannot_be_are_refused(
    tmp_path: Path, texts: Any, options: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", texts, **options)
    assert not (tmp_path / "run").exists()


def test_errors_come_before_a_finished_run_is_replaced(
    made: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(made.path.parent, folder)
    wrong = {"corpus": ParallelCorpus.demo(), "overlap_options": OverlapOptions(threshold=6)}
    with pytest.raises(ValueError, match="threshold=6 must be 1 to 5"):
        run(folder, mixture={"eng_Latn": 0.25}, overwrite=True, **wrong)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="in one process"):
        run(folder, mixture={"eng_Latn": 0.25}, overwrite=True)
    assert (folder / "model" / "model.safetensors").is_file()


def test_interval_is_part_of_a_run_only_where_it_is_measured(tmp_path: Path) -> None:
    first = run(tmp_path / "run", max_steps=2, every=1)
    assert run(tmp_path / "run", max_steps=2, every=2).card == first.card
    run(tmp_path / "measured", max_steps=2, every=1, corpus="demo", overlap_options=DEMO)
    with pytest.raises(ValueError, match="every was 1, now 2"):
        run(tmp_path / "measured", max_steps=2, every=2, corpus="demo", overlap_options=DEMO)


def test_model_that_names_no_limit_takes_any_context(tmp_path: Path) -> None:
    config = BloomConfig(hidden_size=16, n_layer=2, n_head=2)
    config.max_position_embeddings = None
    made = run(tmp_path / "run", config=config, context=600, max_steps=1, batch_size=3)
    assert made.card["steps"] == 1
