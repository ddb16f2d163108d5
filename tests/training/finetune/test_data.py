"""What a fine-tuning run is given: held-out lines, labelled text, what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.training import (
    LINES,
    FolderOf,
    labelled,
    train,
)

from ilo_fast import LabelledCorpus
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
