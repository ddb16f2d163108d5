"""finetune(): what is trained and what is not, what a run leaves, clear errors."""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from helpers import tiny_models
from helpers.training import (
    CORPUS,
    FEW,
    LINES,
    FolderOf,
    Watch,
    assert_same,
    labelled,
    train,
    weights,
)
from safetensors import SafetensorError
from safetensors.torch import load_file

from ilo_fast._util.hashing import digest, hash_file
from ilo_fast.models.output import suppress_output


def test_finished_run_leaves_a_model_its_metadata_and_measurements(
    folder_of: FolderOf, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start = folder_of("llama")
    result = train(
        start, tmp_path / "run", freeze=[0], corpus=CORPUS, eval_fraction=0.2, max_steps=9,
        every=3, overlap_options=FEW,
    )  # fmt: skip
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err == ""

    card = json.loads((tmp_path / "run" / "run_card.json").read_text(encoding="utf-8"))
    assert card == result.card and card["status"] == "finished"
    assert card["settings"]["freeze"] == [0] and card["settings"]["seed"] == 0
    assert card["settings"]["weights_sha256"] == digest([hash_file(start / "model.safetensors")])
    assert card["data"]["train"]["examples"] == 32 and card["data"]["evaluation"]["examples"] == 8
    assert set(card["versions"]) >= {"ilo_fast", "torch", "transformers", "accelerate"}
    total = sum(p.numel() for p in result.model.parameters())
    assert card["parameters"]["total"] == total == card["frozen"]["n_total"]
    assert card["parameters"]["trainable"] == total - card["frozen"]["n_parameters"]
    assert card["frozen"]["layers"] == [0] and card["frozen"]["embeddings"]
    assert [e["step"] for e in card["evaluations"]] == [0, 3, 6, 9] and card["steps"] == 9
    assert card["evaluations"][-1]["perplexity"] < 0.9 * card["evaluations"][0]["perplexity"]
    assert result.metrics == {k: v for k, v in card["evaluations"][-1].items() if k != "step"}
    assert [(r.step, r.event) for r in result.overlap] == [
        (0, "start"), (3, "evaluate"), (6, "evaluate"), (9, "evaluate")
    ]  # fmt: skip
    assert card["overlap"] == "overlap.jsonl" and card["shared_lines"] == []
    assert not list((tmp_path / "run").glob("checkpoint-*"))

    loaded = hf.AutoModelForCausalLM.from_pretrained(result.path)
    assert_same(loaded.state_dict(), result.model.state_dict())
    assert loaded.config.use_cache and not result.model.training
    assert all(p.requires_grad for p in result.model.parameters())
    assert (
        hf.AutoTokenizer.from_pretrained(result.path)("rain")["input_ids"]
        == (tiny_models.tokenizer()("rain")["input_ids"])
    )
    before = load_file(start / "model.safetensors")
    frozen = set(card["frozen"]["names"])
    changed = {n for n, w in weights(result).items() if not torch.equal(w, before[n])}
    assert changed == set(before) - frozen and frozen


def test_embedded_model_is_known_by_its_name(tmp_path: Path) -> None:
    result = train("demo", tmp_path / "run", LINES, max_steps=1)
    assert result.card["model"]["name"] == "demo" and result.card["status"] == "finished"


def test_runs_that_differ_in_what_is_frozen_start_alike(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    starts, losses = [], []
    for number, options in enumerate(
        [{}, {"freeze": [0]}, {"freeze": [2], "freeze_embeddings": False}, {"seed": 1}]
    ):
        watch = Watch()
        # BERT has dropout: the first loss depends on the head, the batch and the mask.
        result = train(
            folder_of("bert"), tmp_path / str(number), labelled(), max_steps=2, callbacks=[watch],
            **options,
        )  # fmt: skip
        starts.append(watch.start)
        losses.append(result.card["losses"][0]["loss"])
    assert "classifier.weight" in starts[0] and starts[0]["classifier.weight"].std() > 0
    for other in starts[1:3]:
        assert_same(starts[0], other)
    assert not torch.equal(starts[0]["classifier.weight"], starts[3]["classifier.weight"])
    assert losses[0] == losses[1] == losses[2] != losses[3]


def test_same_seed_gives_the_same_weights_and_leaves_the_callers_random_state(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    results, start = [], folder_of("gpt2")
    for number in range(2):
        torch.manual_seed(number)
        np.random.seed(number)
        random.seed(number)
        expected = torch.rand(3), np.random.rand(), random.random()
        torch.manual_seed(number)
        np.random.seed(number)
        random.seed(number)
        results.append(train(start, tmp_path / str(number)))
        assert torch.equal(torch.rand(3), expected[0])
        assert (np.random.rand(), random.random()) == expected[1:]
    assert_same(weights(results[0]), weights(results[1]))


def test_warmup_below_one_is_a_share_of_the_steps(folder_of: FolderOf, tmp_path: Path) -> None:
    result = train(folder_of("llama"), tmp_path / "run", max_steps=8, warmup_steps=0.5)
    rates = {entry["step"]: entry["learning_rate"] for entry in result.card["losses"]}
    # The rate of step s is that of s - 1 finished steps: up in 4, down to 0 in 4.
    expected = {s: 1e-2 * min((s - 1) / 4, (8 - (s - 1)) / 4) for s in range(1, 9)}
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "task"),
    [("gpt2", "text"), ("llama", "text"), ("bert", "labels"), ("llama", "labels")],
)
def test_accumulated_batches_train_as_one_large_batch(
    name: str, task: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    data = LINES[:24] if task == "text" else labelled(dev=False)
    folder, no_dropout = folder_of(name), {
        "gpt2": {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0},
        "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        "llama": {},
    }[name]  # fmt: skip
    auto = hf.AutoModelForCausalLM if task == "text" else hf.AutoModelForSequenceClassification
    logs, after = [], []
    for size, parts in ((24, 1), (6, 4)):
        torch.manual_seed(0)
        with suppress_output():
            model = auto.from_pretrained(folder, **no_dropout)
        start = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
        watch = Watch()
        train(
            model, tmp_path / str(parts), data, max_steps=3, eval_fraction=0.0, warmup_steps=0.0,
            batch_size=size, gradient_accumulation_steps=parts, learning_rate=1e-3,
            callbacks=[watch], tokenizer=tiny_models.tokenizer(),
        )  # fmt: skip
        logs.append([(e["loss"], e["grad_norm"]) for e in watch.logs if "loss" in e])
        after.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert np.allclose(logs[0], logs[1], rtol=1e-3)
    assert (after[0] - after[1]).norm() < 0.02 * (after[0] - start).norm()


def test_bfloat16_on_a_cpu_keeps_float32_weights(folder_of: FolderOf, tmp_path: Path) -> None:
    half = train(folder_of("llama"), tmp_path / "half", dtype="bfloat16")
    full = train(folder_of("llama"), tmp_path / "full")
    assert half.card["precision"] == "bfloat16" and full.card["precision"] == "float32"
    assert all(w.dtype == torch.float32 and w.isfinite().all() for w in weights(half).values())
    assert half.card["losses"][0]["loss"] != full.card["losses"][0]["loss"]
    assert half.card["losses"][0]["loss"] == pytest.approx(full.card["losses"][0]["loss"], rel=2e-2)


def test_loaded_model_is_trained_in_place(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("llama")
    model = hf.AutoModelForCausalLM.from_pretrained(folder)
    result = train(model, tmp_path / "module", freeze=[1])
    assert result.model is model
    assert_same(weights(train(folder, tmp_path / "folder", freeze=iter([1]))), weights(result))
    with pytest.raises(ValueError, match="without an output head"):
        train(hf.AutoModel.from_pretrained(folder), tmp_path / "bare")
    with pytest.raises(ValueError, match=r"the data has 2 \(cold, warm\)"):
        train(model, tmp_path / "wrong", labelled())


def test_half_precision_weights_are_not_trained_whole(folder_of: FolderOf, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    model = hf.AutoModelForCausalLM.from_pretrained(folder_of("llama"), dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"bfloat16: load it with dtype=torch\.float32"):
        train(model, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    result = train(model, tmp_path / "run", lora=2, dtype="bfloat16", max_steps=1)
    assert result.model.dtype == torch.bfloat16


def test_divergence_is_a_warning_and_no_silent_mean(
    folder_of: FolderOf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Break(hf.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == 2:
                next(others["model"].parameters()).data.fill_(math.nan)

    result = train(folder_of("llama"), tmp_path / "run", callbacks=[Break()])
    assert [math.isfinite(e["loss"]) for e in result.card["losses"]] == [True, True, False, False]
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "the last loss is nan and the last evaluation loss is nan" in warning
    again = train(folder_of("llama"), tmp_path / "run")
    assert math.isnan(again.metrics["loss"]) and "loss nan" in repr(again)


def test_last_step_is_evaluated_once_whatever_the_interval(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    for every, steps in ((2, [0, 2, 4, 5]), (5, [0, 5])):
        result = train(folder_of("llama"), tmp_path / str(every), max_steps=5, every=every)
        assert [e["step"] for e in result.card["evaluations"]] == steps


@pytest.mark.parametrize("when", ["checkpoint", "result"])
def test_full_disk_is_an_os_error_that_names_the_folder(
    when: str, folder_of: FolderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run = folder_of("llama"), tmp_path / "run"

    def full(*args: Any, **options: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(hf.PreTrainedModel, "save_pretrained", full)
    with pytest.raises(OSError, match=r"run: weights could not be written.*No space left"):
        train(folder, run, save_steps=2 if when == "checkpoint" else 100)
    monkeypatch.undo()
    assert train(folder, run, save_steps=2 if when == "checkpoint" else 100).card["steps"] == 4


def test_several_processes_are_refused(
    folder_of: FolderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="in one process"):
        train(folder_of("llama"), tmp_path / "run")


def test_shared_lines_are_a_warning_that_names_them(
    folder_of: FolderOf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [*LINES, "It  RAINS", "where is the station"]
    with caplog.at_level(logging.WARNING, logger="ilo_fast"):
        result = train(
            folder_of("llama"), tmp_path / "run", lines, corpus=CORPUS, max_steps=1,
            eval_fraction=0, overlap_options=FEW,
        )  # fmt: skip
    assert "2 lines" in caplog.text and "eng_Latn line 4, eng_Latn line 5" in caplog.text
    assert result.card["shared_lines"] == [["eng_Latn", 4], ["eng_Latn", 5]]


def test_missing_layers_are_an_error_before_anything_is_written(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    for lora in (None, 2):
        with pytest.raises(ValueError, match=r"3 .*layers|layers.* 3|3 blocks|0 to 2"):
            train(folder_of("llama"), tmp_path / "run", freeze=range(8), lora=lora)
    with pytest.raises(ValueError, match="nothing is left to train"):
        train(folder_of("llama"), tmp_path / "run", freeze=range(3))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["bert", "distilbert", "t5"])
def test_text_for_a_model_that_is_no_decoder_is_refused(
    name: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"no causal language model.*labelled data"):
        train(folder_of(name), tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_train_epochs", 0), ("max_steps", 0), ("batch_size", 0), ("learning_rate", -1.0),
     ("eval_fraction", 1.0), ("warmup_steps", -0.1), ("seed", -1), ("seed", 2**32),
     ("save_steps", 0), ("every", 0), ("num_train_epochs", math.inf), ("learning_rate", math.inf),
     ("weight_decay", -1), ("warmup_steps", math.nan), ("max_grad_norm", 0),
     ("dtype", "float64"), ("dtype", "float16"), ("dtype", "int8"), ("max_length", 2)],
)  # fmt: skip
def test_numbers_out_of_range_are_named(
    name: str, value: Any, folder_of: FolderOf, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=name):
        train(folder_of("llama"), tmp_path / "run", **{name: value})
    assert not (tmp_path / "run").exists()


def test_options_of_no_use_are_type_errors_that_name_them(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    for options, message in (
        ({"every": 1.5}, "every must be an int, got 1.5"),
        ({"freeze": ["a"]}, "freeze holds 'a', wanted whole numbers"),
        ({"freeze": True}, "freeze holds True, wanted whole numbers"),
        ({"lora": {"r": 2, "target_modules": b"q"}}, "lora: target_modules=b'q'"),
    ):
        with pytest.raises(TypeError, match=message):
            train(folder_of("llama"), tmp_path / "run", **options)


def test_missing_packages_say_how_to_get_them(
    folder_of: FolderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    for package, extra in (("accelerate", "train"), ("peft", "lora")):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda n, *a, p=package: None if n == p else find(n, *a)
        )
        with pytest.raises(ImportError, match=rf"pip install 'ilo_fast\[{extra}\]'"):
            train(folder_of("llama"), tmp_path / "run", lora=2)
