"""`steer` on models with settings of their own, odd arguments and numbers that overflow."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from helpers import steering, tiny_models
from helpers.steering import A, B

from ilo_fast.transcoders.multilingual.steering.generating import (
    continuations,
    mean_log_likelihoods,
)
from ilo_fast.transcoders.multilingual.steering.steer import steer
from ilo_fast.transcoders.replacement import ReplacementModel

QUICK: dict[str, Any] = {
    "n_prompts": 12, "max_new_tokens": 4, "strengths": (1.0,), "n_random": 1,
    "pairs": [(A, B)], "baselines": ("random",),
}  # fmt: skip


@pytest.fixture
def it() -> ReplacementModel:
    coder = steering.transcoder()
    return ReplacementModel(steering.model(coder), coder)


def steered(it: ReplacementModel, features: Any = None, **more: Any) -> Any:
    found = steering.columns() if features is None else features
    options = {"tokenizer": steering.tokenizer()} | QUICK | more
    return steer(it, None, steering.corpus(60), found, **options)


SETTINGS: dict[str, dict[str, Any]] = {
    "other end": {"eos_token_id": list(range(5, 31))},
    "penalty": {"repetition_penalty": 50.0, "no_repeat_ngram_size": 1},
    "sampling": {"do_sample": True, "temperature": 5.0, "top_k": 2},
    "static cache": {"cache_implementation": "static"},
    "forced end": {"forced_eos_token_id": 2},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_models_own_change_nothing(it: ReplacementModel, name: str) -> None:
    prompts = [[0, 5, 6, 7], [0, 9, 10]]

    def run() -> list[list[int]]:
        model: Any = it.model
        return continuations(model, prompts, max_new_tokens=20, pad=1, forbidden=(0, 1, 2, 3))

    wanted = run()
    own: Any = it.model.generation_config
    for key, value in SETTINGS[name].items():
        setattr(own, key, value)
    assert run() == wanted
    assert it.model.generation_config is own


def test_likelihoods_of_a_bfloat16_model_are_summed_in_float32(it: ReplacementModel) -> None:
    model: Any = steering.model(steering.transcoder()).bfloat16()
    for block in model.model.layers:
        block.mlp = torch.nn.Identity()
    ids = [0, 5, 6, 7, 8]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    chances = torch.log_softmax(logits, -1)
    wanted = np.mean([float(chances[at, ids[at + 1]]) for at in (2, 3)])
    found = mean_log_likelihoods(model, [ids[:3]], [ids[3:]], pad=1)
    assert found[0] == pytest.approx(wanted, abs=1e-5)


def test_a_model_that_overflows_is_named(it: ReplacementModel) -> None:
    with torch.no_grad():
        it.model.get_parameter("lm_head.weight").fill_(float("nan"))
    with pytest.raises(ValueError, match="the model gives NaN or infinity for"):
        steered(it)


def test_one_token_behind_nothing_is_refused(it: ReplacementModel) -> None:
    bare = tiny_models.tokenizer(specials=False)
    bare.bos_token = bare.eos_token = None
    with pytest.raises(ValueError, match="max_new_tokens=1 must be at least 2"):
        steered(it, tokenizer=bare, max_new_tokens=1)
    for tokenizer, n in ((bare, 2), (steering.tokenizer(), 1)):
        found = steered(it, tokenizer=tokenizer, max_new_tokens=n)
        json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "given, error, message",
    [
        (np.ones(80, bool), TypeError, "holds bool, wanted whole numbers"),
        ([1.5], TypeError, "holds float64"),
        ([[1, 2]], ValueError, r"has shape \(1, 2\)"),
        ([80], ValueError, "holds 80 to 80: columns are"),
    ],
)
def test_features_that_are_no_columns_are_refused(
    it: ReplacementModel, given: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"features of {A} {message}"):
        steered(it, {A: given, B: [1]})


def test_no_pairs_and_no_room_for_a_prompt_are_refused(it: ReplacementModel) -> None:
    with pytest.raises(ValueError, match="pairs is empty"):
        steered(it, pairs=[])
    with pytest.raises(ValueError, match="max_new_tokens=125 leaves 2 tokens for a prompt of the"):
        steered(it, max_new_tokens=125)


def test_background_lines_too_short_or_too_long_are_left_out(it: ReplacementModel) -> None:
    bare = tiny_models.tokenizer(specials=False)
    bare.bos_token = bare.eos_token = None
    few = {code: [*(steering.corpus(30, seed=1).sentences[code]), "a"] for code in (A, B)}
    found = steered(it, tokenizer=bare, background=few)
    json.dumps(found.to_dict(), allow_nan=False)
    long = {code: ["abc " * 100] * 20 for code in (A, B)}
    with pytest.raises(ValueError, match=f"of 20 background lines of {A} none can be read"):
        steered(it, background=long)
