"""Classifiers: heads, labels, padding; and a caller's model after an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from helpers import tiny_models
from helpers.training import (
    CORPUS,
    FEW,
    LINES,
    FolderOf,
    StopAt,
    assert_same,
    labelled,
    train,
)

from ilo_fast.models.output import suppress_output


@pytest.mark.parametrize("name", ["llama", "bert", "bart"])
def test_classifier_learns(name: str, folder_of: FolderOf, tmp_path: Path) -> None:
    result = train(
        folder_of(name), tmp_path / "run", labelled(), max_steps=40, learning_rate=5e-3,
        every=20,
    )  # fmt: skip
    assert result.metrics["accuracy"] == 1.0 and result.metrics["macro_f1"] == 1.0
    assert result.model.config.id2label == {0: "cold", 1: "warm"}
    loaded = hf.AutoModelForSequenceClassification.from_pretrained(result.path).eval()
    assert_same(loaded.state_dict(), result.model.state_dict())
    batch = result.tokenizer(["rain today zzz", "old house qqq"], padding=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    assert loaded(**batch).logits.argmax(dim=1).tolist() == [0, 1]


def test_classifier_without_padding_token_gets_one(folder_of: FolderOf, tmp_path: Path) -> None:
    result = train(folder_of("llama", pad=False), tmp_path / "run", labelled(), max_steps=2)
    pad = result.model.config.pad_token_id
    assert pad is not None and result.tokenizer.pad_token_id == pad
    # A padded batch is classified as its sentences are one at a time.
    lines = ["rain", "old house today qqq"]
    batch = result.tokenizer(lines, padding=True, return_tensors="pt")
    together = result.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    for line, row in zip(lines, together.logits, strict=True):
        alone = result.model(input_ids=torch.tensor([result.tokenizer(line)["input_ids"]])).logits
        assert torch.allclose(alone[0], row, atol=1e-5)


def test_classifier_without_dev_split_is_not_evaluated_but_measured(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    result = train(
        folder_of("bert"), tmp_path / "run", labelled(dev=False), corpus=CORPUS, every=2,
        overlap_options=FEW,
    )  # fmt: skip
    assert result.metrics == {} and result.card["evaluations"] == []
    assert [r.step for r in result.overlap] == [0, 2, 4]


def test_loaded_classifier_keeps_its_head_only_where_its_classes_fit(
    folder_of: FolderOf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def classifier(*names: str) -> Any:
        options = {"id2label": dict(enumerate(names))} if names else {}
        with suppress_output():
            return hf.AutoModelForSequenceClassification.from_pretrained(
                folder_of("bert"), num_labels=2, **options
            )

    with pytest.raises(ValueError, match=r"classifier of warm, cold.*id2label = \{0: 'cold'"):
        train(classifier("warm", "cold"), tmp_path / "a", labelled())
    assert not (tmp_path / "a").exists()
    for names in ((), ("no", "yes")):
        caplog.clear()
        run = tmp_path / f"b{len(names)}"
        path = train(classifier(*names), run, labelled(), max_steps=1).path
        assert hf.AutoConfig.from_pretrained(path).id2label == {0: "cold", 1: "warm"}
        assert ("trained for no, yes" in caplog.text) == bool(names)


def test_saved_tokenizer_neither_cuts_nor_pads(folder_of: FolderOf, tmp_path: Path) -> None:
    result = train(folder_of("bert"), tmp_path / "run", labelled(), max_steps=1, max_length=8)
    saved = json.loads((result.path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["truncation"] is None and saved["padding"] is None
    own = tiny_models.tokenizer()
    own.backend_tokenizer.enable_truncation(50)
    own.backend_tokenizer.enable_padding(pad_id=1, pad_token="<pad>")
    result = train(
        folder_of("bert"), tmp_path / "own", labelled(), max_steps=1, max_length=8, tokenizer=own
    )
    saved = json.loads((result.path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["truncation"]["max_length"] == 50 and saved["padding"]["pad_id"] == 1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["frozen", "lora", "classifier"])
def test_error_leaves_the_callers_model_as_it_was(
    kind: str, error: type[BaseException], folder_of: FolderOf, tmp_path: Path
) -> None:
    if kind == "lora":
        pytest.importorskip("peft")
    auto = hf.AutoModelForCausalLM
    if kind != "frozen":
        auto = hf.AutoModelForSequenceClassification
    with suppress_output():
        model = auto.from_pretrained(folder_of("llama"), pad_token_id=None).eval()
    model.model.norm.weight.requires_grad_(False)

    def state() -> Any:
        modules = {name: (id(m), m.training) for name, m in model.named_modules()}
        parameters = {
            name: (id(p), p.requires_grad, p.grad) for name, p in model.named_parameters()
        }
        return modules, parameters, model.config.to_dict(), sorted(vars(model))

    before = state()
    options: dict[str, Any] = {"freeze": range(2)} if kind == "frozen" else {"dtype": "bfloat16"}
    if kind == "lora":
        options = {"lora": 2, "freeze": [0]}
    options |= {"tokenizer": tiny_models.tokenizer(), "batch_size": 8}
    data = LINES if kind == "frozen" else labelled()
    with pytest.raises(error, match="stopped"):
        train(model, tmp_path / "run", data, callbacks=[StopAt(1, error)], **options)
    assert state() == before
    result = train(model, tmp_path / "run", data, overwrite=True, **options)
    assert result.model is model
    trainable = {name: trained for name, (_, trained, _) in before[1].items()}
    assert {name: p.requires_grad for name, p in model.named_parameters()} == trainable
    assert sorted(vars(model)) == before[3] and model.config.use_cache
