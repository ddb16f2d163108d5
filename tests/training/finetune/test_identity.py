"""What makes a run another run, and is refused where one is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers as hf
from helpers import tiny_models
from helpers.training import (
    CORPUS,
    FEW,
    LINES,
    FolderOf,
    assert_same,
    train,
    weights,
)
from safetensors.torch import load_file

from ilo_fast import OverlapOptions
from ilo_fast.training.identity import tokenizer_hash
from ilo_fast.training.run_folder import read_card


def test_run_of_other_settings_is_refused_and_named(folder_of: FolderOf, tmp_path: Path) -> None:
    output = tmp_path / "run"
    train(folder_of("llama"), output, max_steps=1)
    before = (output / "run_card.json").read_bytes()
    with pytest.raises(ValueError, match=r"learning_rate was 0\.01, now 0\.02.*overwrite=True"):
        train(folder_of("llama"), output, max_steps=1, learning_rate=2e-2)
    with pytest.raises(ValueError, match="data_sha256"):
        train(folder_of("llama"), output, LINES[:-1], max_steps=1)
    with pytest.raises(ValueError, match="weights_sha256"):
        train(folder_of("gpt2"), output, max_steps=1)
    assert (output / "run_card.json").read_bytes() == before
    replaced = train(folder_of("llama"), output, max_steps=1, learning_rate=2e-2, overwrite=True)
    assert replaced.card["settings"]["learning_rate"] == 2e-2


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def test_tokenizer_and_configuration_are_part_of_a_run(folder_of: FolderOf, tmp_path: Path) -> None:
    model, run = tmp_path / "model", tmp_path / "run"
    shutil.copytree(folder_of("gpt2"), model)
    first = train(model, run, max_steps=1)
    used = tiny_models.tokenizer()
    used(["a b", "c"], truncation=True, max_length=3, padding=True)  # of a call, nothing stays
    assert train(model, run, max_steps=1, tokenizer=used).card == first.card
    for other in (tiny_models.tokenizer(offset=7), tiny_models.tokenizer(specials=False)):
        with pytest.raises(ValueError, match="tokenizer_sha256 was"):
            train(model, run, max_steps=1, tokenizer=other)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    write(model / "config.json", config | {"_name_or_path": "x", "transformers_version": "5.0"})
    assert train(model, run, max_steps=1).card == first.card
    write(model / "config.json", config | {"resid_pdrop": 0.9})
    with pytest.raises(ValueError, match="config_sha256 was"):
        train(model, run, max_steps=1)


def test_tokenizer_in_python_is_identified_by_its_vocabulary() -> None:
    class Slow:
        def __init__(self, **vocabulary: int) -> None:
            self.vocabulary = vocabulary
            self.pad_token_id: int | None = None

        def get_vocab(self) -> dict[str, int]:
            return self.vocabulary

    one, other, same = Slow(a=1, b=2), Slow(a=2, b=1), Slow(b=2, a=1)
    assert tokenizer_hash(one) == tokenizer_hash(same) != tokenizer_hash(other)
    same.pad_token_id = 2
    assert tokenizer_hash(one) != tokenizer_hash(same)


def test_what_the_caller_has_frozen_is_part_of_a_run(folder_of: FolderOf, tmp_path: Path) -> None:
    run, models = tmp_path / "run", []
    for _ in range(2):
        models.append(hf.AutoModelForCausalLM.from_pretrained(folder_of("llama")))
    name = "model.layers.1.mlp.up_proj.weight"
    models[1].get_parameter(name).requires_grad_(False)
    assert train(models[0], run, max_steps=1).card["settings"]["frozen_before"] == []
    with pytest.raises(ValueError, match="frozen_before was"):
        train(models[1], run, max_steps=1)
    card = train(models[1], run, max_steps=1, overwrite=True).card
    assert card["frozen"] is None and card["settings"]["frozen_before"] == [name]
    assert [n for n, p in models[1].named_parameters() if not p.requires_grad] == [name]


def test_overwriting_waits_until_cheap_errors_are_ruled_out(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    model, run = folder_of("llama"), tmp_path / "run"
    first = train(model, run, max_steps=1)
    measured = {"corpus": CORPUS, "max_steps": 1, "overwrite": True}
    for options, message in (
        ({"report_to": "tensorbord", "overlap_options": FEW}, "tensorbord"),
        ({"overlap_options": replace(FEW, n_neighbors=15)}, "n_neighbors=15 must be 1"),
        ({"overlap_options": replace(FEW, threshold=3)}, "threshold=3 must be 1 to 2"),
        ({"overlap_options": replace(FEW, layers=[99])}, "99.* 3 blocks"),
    ):
        with pytest.raises(ValueError, match=message):
            train(model, run, learning_rate=2e-2, **measured | options)
        assert read_card(run) == first.card
        assert_same(weights(first), load_file(run / "model" / "model.safetensors"))


def test_options_of_other_types_are_the_same_run(folder_of: FolderOf, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    model, run = folder_of("llama"), tmp_path / "run"
    plain: dict[str, Any] = {
        "freeze": [1], "max_steps": 1, "corpus": CORPUS, "seed": 3, "weight_decay": 0.5,
        "lora": {"r": 2, "target_modules": ["q_proj", "v_proj"]},
        "overlap_options": OverlapOptions([0, 1], n_neighbors=2, threshold=1),
    }  # fmt: skip
    other: dict[str, Any] = plain | {
        "freeze": np.int64(1), "max_steps": np.int64(1), "seed": np.int32(3),
        "weight_decay": np.float32(0.5),
        "lora": {"r": np.int64(2), "target_modules": {"v_proj", "q_proj"}},
        "overlap_options": OverlapOptions(range(2), n_neighbors=np.int64(2), threshold=1),
    }  # fmt: skip
    first = train(model, run, **other)
    assert first.card["settings"]["freeze"] == [1]
    assert train(model, run, **plain).card == first.card


def test_interval_is_part_of_a_run_only_where_something_is_evaluated_or_measured(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    model, run = folder_of("llama"), tmp_path / "run"
    first = train(model, run, max_steps=1, eval_fraction=0, every=1)
    assert train(model, run, max_steps=1, eval_fraction=0, every=2).card == first.card
    evaluated = tmp_path / "evaluated"
    train(model, evaluated, max_steps=1, every=1)
    with pytest.raises(ValueError, match="every was 1, now 2"):
        train(model, evaluated, max_steps=1, every=2)


def test_folder_with_other_files_is_refused_and_left_alone(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("x", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"something else \(thesis\.tex\)"):
            train(folder_of("llama"), tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(NotADirectoryError, match="is a file"):
        train(folder_of("llama"), tmp_path / "thesis.tex")
