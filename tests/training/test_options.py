"""Options of training and of measuring: what is refused, and what makes another run."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.training import CORPUS

from ilo_fast import OverlapOptions
from ilo_fast.training.finetune.job import Setup
from ilo_fast.training.options import TrainingOptions
from ilo_fast.training.watch import Watch


def made(**changes: Any) -> TrainingOptions:
    given: dict[str, Any] = {
        "max_steps": 10, "learning_rate": 1e-3, "weight_decay": 0.0, "warmup_steps": 0.0,
        "batch_size": 2, "gradient_accumulation_steps": 1, "max_grad_norm": 1.0, "seed": 0,
        "device": "cpu", "dtype": None, "every": None, "save_steps": None, "logging_steps": None,
        "keep_checkpoints": False, "report_to": "none", "progress": False,
    }  # fmt: skip
    return TrainingOptions(**given | changes)


def setup(**changes: Any) -> Setup:
    given: dict[str, Any] = {
        "language": "eng_Latn", "task": "causal-lm", "freeze": None, "freeze_embeddings": True,
        "freeze_head": True, "lora": None, "max_length": None, "eval_fraction": 0.1,
    }  # fmt: skip
    return Setup(**given | changes)


@pytest.mark.parametrize(("asked", "steps"), [(0, 0), (0.25, 50), (1, 1), (3.0, 3)])
def test_warmup_is_steps_or_below_one_a_share_of_them(asked: float, steps: int) -> None:
    assert made(warmup_steps=asked).warmup(200) == steps


def test_warmup_of_a_fraction_of_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match=r"warmup_steps=1\.7: wanted a whole number of steps, or"):
        made(warmup_steps=1.7)


def test_identity_leaves_out_what_the_weights_do_not_depend_on() -> None:
    free = made(every=3, save_steps=2, logging_steps=1, keep_checkpoints=True, report_to="wandb")
    assert free.identity() == made().identity() != made(seed=1).identity()
    # max_steps alone decides how long.
    assert made(num_train_epochs=2.0).identity() == made().identity()


def test_names_to_report_to_may_have_spaces_around_them() -> None:
    assert made(report_to="tensorboard, wandb").report_to == ["tensorboard", "wandb"]


def test_setup_leaves_out_what_has_no_effect() -> None:
    assert setup(freeze_embeddings=False, freeze_head=False) == setup()
    assert setup(freeze=[0], freeze_head=False) != setup(freeze=[0])
    classifier = setup(task="classification", eval_fraction=0.3)
    assert classifier == setup(task="classification")
    assert setup(eval_fraction=0.3) != setup()


@pytest.mark.parametrize("corpus", [None, CORPUS])
def test_overlap_options_that_are_a_dict_are_refused_with_what_is_wanted(corpus: Any) -> None:
    options: Any = {"layers": [0]}
    with pytest.raises(TypeError, match=r"is a dict: wanted ilo_fast\.OverlapOptions\(layers=\[0"):
        Watch(corpus, options)


def test_layers_to_measure_are_whole_numbers() -> None:
    assert OverlapOptions(range(2)).layers == [0, 1]
    with pytest.raises(TypeError, match="wanted whole numbers"):
        OverlapOptions([0.5])  # type: ignore[list-item]
