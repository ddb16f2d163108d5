"""What a fine-tuning run is given: held-out lines, labelled text, what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import tiny_models
from helpers.training import (
    LINES,
    FolderOf,
    labelled,
    train,
)
from transformers import TrainerCallback

from ilo_fast import LabelledCorpus, OverlapOptions
from ilo_fast.errors import CorpusError
from ilo_fast.training.finetune.data import hold_out


def test_held_out_line_is_not_trained_on_even_if_repeated() -> None:
    lines = [*LINES, *(line.upper() for line in LINES), LINES[0]]
    kept, held = hold_out(lines, 0.25)
    assert sorted(kept + held) == sorted(lines)
    assert len({line.lower() for line in held}) == 10  # a quarter of 40 distinct lines
    assert not {line.lower() for line in held} & {line.lower() for line in kept}
    assert hold_out(LINES, 0) == (LINES, [])
    assert len(hold_out(LINES, 1e-6)[1]) == 1


def test_data_that_do_not_fit_the_task_are_refused(folder_of: FolderOf, tmp_path: Path) -> None:
    model, run = folder_of("llama"), tmp_path / "run"
    with pytest.raises(ValueError, match=r"wants text.*data\.texts\(language, 'train'\)"):
        train(model, run, labelled(), task="causal-lm")
    with pytest.raises(ValueError, match=r"wants labels.*pass a LabelledCorpus"):
        train(model, run, LINES, task="classification")
    with pytest.raises(ValueError, match="wanted 'auto'"):
        train(model, run, task="lm")
    with pytest.raises(CorpusError, match=r"swe_Latn.*eng_Latn, deu_Latn"):
        train(model, run, labelled(), language="swe_Latn")


def test_data_of_one_label_are_refused(folder_of: FolderOf, tmp_path: Path) -> None:
    data = LabelledCorpus.from_dict({"eng_Latn": {"train": (("a", "b", "c"), ("x",) * 3)}})
    with pytest.raises(ValueError, match=r"all 3 texts of eng_Latn .* label 'x'"):
        train(folder_of("bert"), tmp_path / "run", data)
    assert not (tmp_path / "run").exists()


def test_tokenizer_that_marks_languages_is_told_the_language(
    folder_of: FolderOf, tmp_path: Path
) -> None:
    class Seen(TrainerCallback):
        def on_train_begin(self, *_: Any, train_dataloader: Any, **__: Any) -> None:
            self.first = {int(row[0]) for batch in train_dataloader for row in batch["input_ids"]}

    marking = tiny_models.marking_tokenizer("eng_Latn", "deu_Latn")
    options: dict[str, Any] = {"tokenizer": marking, "max_steps": 1, "callbacks": [seen := Seen()]}
    run = train(folder_of("llama"), tmp_path / "run", language="deu_Latn", **options)
    assert seen.first == {marking.convert_tokens_to_ids("deu_Latn")}
    assert marking.src_lang == "eng_Latn"
    assert run.card["settings"]["tokenizer_language"] == "deu_Latn"
    options["overlap_options"] = OverlapOptions(tokenizer_languages={"swe_Latn": "deu_Latn"})
    train(folder_of("llama"), tmp_path / "other", language="swe_Latn", **options)
    assert seen.first == {marking.convert_tokens_to_ids("deu_Latn")}
    with pytest.raises(ValueError, match=r"swe_Latn: .*choose one by tokenizer_languages"):
        train(folder_of("llama"), tmp_path / "none", language="swe_Latn", tokenizer=marking)
