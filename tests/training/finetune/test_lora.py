"""LoRA: what is adapted, resumption, settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf
from helpers.training import (
    LINES,
    FolderOf,
    StopAt,
    Watch,
    assert_same,
    labelled,
    train,
    weights,
)
from safetensors.torch import load_file

from ilo_fast.models.output import suppress_output


def test_lora_adapts_only_blocks_that_are_not_frozen(folder_of: FolderOf, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    start = folder_of("llama")
    watch = Watch()
    result = train(start, tmp_path / "run", lora=2, freeze=range(2), callbacks=[watch])
    adapted = [name for name in watch.start if "lora_A" in name]
    assert adapted and all(".layers.2." in name for name in adapted)
    before, after = load_file(start / "model.safetensors"), weights(result)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all("layers.2." in name and name.endswith("proj.weight") for name in changed)
    assert result.card["lora"]["layers"] == [2] and result.card["lora"]["r"] == 2
    trainable = sum(watch.start[n].numel() for n in watch.start if "lora_" in n)
    parameters, frozen = result.card["parameters"], result.card["frozen"]
    assert parameters["trainable"] == trainable
    assert frozen["layers"] == [0, 1] and frozen["embeddings"] and frozen["head"]
    assert frozen["n_parameters"] == parameters["total"] - trainable
    assert frozen["share"] == frozen["n_parameters"] / parameters["total"] > 0.9
    # The adapter alone, put onto the start model, gives what the merged model gives.
    base = hf.AutoModelForCausalLM.from_pretrained(start)
    with suppress_output():
        adapter = peft.PeftModel.from_pretrained(base, tmp_path / "run" / "adapter").eval()
    ids = torch.tensor([result.tokenizer("old green house")["input_ids"]])
    with torch.no_grad():
        assert torch.allclose(adapter(ids).logits, result.model(ids).logits, atol=1e-5)


@pytest.mark.parametrize("task", ["causal-lm", "classification"])
def test_interrupted_lora_goes_on_to_the_same_weights(
    task: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    name, data = ("gpt2", LINES) if task == "causal-lm" else ("bert", labelled())
    options = {"lora": {"r": 2, "lora_dropout": 0.1}, "save_steps": 1, "max_steps": 5}
    straight = train(folder_of(name), tmp_path / "a", data, **options)
    with pytest.raises(RuntimeError):
        train(folder_of(name), tmp_path / "b", data, callbacks=[StopAt(3)], **options)
    resumed = train(folder_of(name), tmp_path / "b", data, **options)
    assert_same(weights(straight), weights(resumed))
    if task == "classification":
        start = load_file(folder_of(name) / "model.safetensors")
        after = weights(straight)
        assert "classifier.weight" in after
        assert torch.equal(after["bert.embeddings.word_embeddings.weight"],
                           start["embeddings.word_embeddings.weight"])  # fmt: skip


def test_lora_settings_that_cannot_be_are_refused(folder_of: FolderOf, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    for lora, message in (
        (0, "at least 1"),
        ({"r": 2, "layers_to_transform": [1]}, "layers_to_transform cannot be given; freeze="),
        ({"r": 2, "rank_": 1}, r"LoraConfig has no rank_"),
    ):
        with pytest.raises(ValueError, match=message):
            train(folder_of("llama"), tmp_path / "run", lora=lora)
    for part in ("freeze_embeddings", "freeze_head"):
        with pytest.raises(ValueError, match=f"lora adapts .*{part}=False"):
            train(folder_of("llama"), tmp_path / "run", lora=2, freeze=[0], **{part: False})
    with pytest.raises(ValueError, match="no linear layer is left"):
        train(folder_of("llama"), tmp_path / "run", lora=2, freeze=range(3))
    assert not (tmp_path / "run").exists()
