"""Keywords of finetune, pretrain and OverlapOptions that are of the wrong kind, before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.pretraining import run as pretrained_run
from helpers.training import LINES, train

from ilo_fast import OverlapOptions
from ilo_fast.models.demo import demo_model_path


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("metric", "dot", ValueError),
        ("metric", 3, TypeError),
        ("backend", "gpu", ValueError),
        ("pooling", "median", ValueError),
        ("pooling", None, TypeError),
        ("special_tokens", "some", ValueError),
        ("n_threads", 0, ValueError),
        ("n_threads", "2", TypeError),
        ("batch_tokens", -1, ValueError),
        ("batch_tokens", 10**20, ValueError),
        ("max_length", 1.5, TypeError),
        ("verify", "yes", TypeError),
        ("parallel", 1, TypeError),
        ("layers", "all", TypeError),
        ("layers", [], ValueError),
        ("n_neighbors", None, TypeError),
    ],
)
def test_overlap_options_check_themselves(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        OverlapOptions(**{name: value})


@pytest.mark.parametrize("pooling", ["mean", "last", "first", "weighted_mean", "max"])
def test_overlap_options_take_every_pooling(pooling: str) -> None:
    assert OverlapOptions(pooling=pooling).identity()["pooling"] == pooling


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("language", "", ValueError),
        ("language", "../up", ValueError),
        ("language", 3, ValueError),
        ("max_steps", "4", TypeError),
        ("num_train_epochs", None, TypeError),
        ("learning_rate", "fast", TypeError),
        ("batch_size", 2.5, TypeError),
        ("seed", 10**20, ValueError),
        ("eval_fraction", "half", TypeError),
        ("freeze_embeddings", "no", TypeError),
        ("overwrite", "no", TypeError),
        ("trust_remote_code", "no", TypeError),
        ("keep_checkpoints", 1, TypeError),
        ("report_to", 3, TypeError),
        ("report_to", "../up", ValueError),
        ("callbacks", [print], TypeError),
        ("callbacks", 5, TypeError),
        ("revision", 5, TypeError),
    ],
)
def test_finetune_refuses_a_keyword_of_the_wrong_kind(
    tmp_path: Path, name: str, value: Any, error: type[Exception]
) -> None:
    given = {"max_steps": None} if name == "num_train_epochs" else {}
    with pytest.raises(error, match="code" if name == "language" else name):
        train(demo_model_path(), tmp_path / "run", LINES, **given | {name: value})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_steps", "4", TypeError),
        ("max_steps", None, TypeError),
        ("context", "12", TypeError),
        ("betas", 0.9, TypeError),
        ("betas", (0.9, "x"), TypeError),
        ("betas", (0.9, 1.5), ValueError),
        ("decay_share", "x", TypeError),
        ("mixture", 0.5, TypeError),
        ("mixture", {"eng_Latn": "half"}, ValueError),
        ("config", "llama", TypeError),
        ("hidden_size", "16", TypeError),
        ("num_attention_heads", "2", TypeError),
        ("num_key_value_heads", 1.0, TypeError),
        ("intermediate_size", "24", TypeError),
        ("max_length", "64", TypeError),
        ("vocab_size", 300.0, TypeError),
        ("tokenizer_lines", None, TypeError),
        ("overwrite", 1, TypeError),
    ],
)
def test_pretrain_refuses_a_keyword_of_the_wrong_kind(
    tmp_path: Path, name: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=name):
        pretrained_run(tmp_path / "run", **{name: value})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("code", ["", " ", "../up", "a/b", ".hidden"])
def test_pretrain_refuses_codes_that_cannot_name_a_file(tmp_path: Path, code: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        pretrained_run(tmp_path / "run", {code: ["a line"]}, allow_unknown=True)


@pytest.mark.parametrize("texts", [3, None, {"eng_Latn": 3}, {"eng_Latn": "one string"}, b"x", [3]])
def test_pretrain_refuses_text_that_is_none(tmp_path: Path, texts: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="texts"):
        pretrained_run(tmp_path / "run", texts)
