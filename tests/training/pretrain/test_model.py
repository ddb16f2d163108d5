"""The model that pretraining starts from, its optimizer and schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pretraining import run
from transformers import (
    BertConfig,
    GPT2Config,
    GPT2LMHeadModel,
)

from ilo_fast import Pretrained
from ilo_fast.training.options import TrainingOptions
from ilo_fast.training.pretrain.model import default_optimizer, optimizer_and_schedule


def test_other_architecture_takes_the_given_tokenizer(made: Pretrained, tmp_path: Path) -> None:
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=64)
    gpt = run(tmp_path / "gpt", config=config, tokenizer=made.path, max_steps=2)
    assert gpt.model.config.model_type == "gpt2"
    assert gpt.model.config.vocab_size == len(made.tokenizer)
    assert config.vocab_size == 50257  # ours is left alone
    assert gpt.tokenizer.get_vocab() == made.tokenizer.get_vocab()


def test_model_that_sees_what_it_predicts_is_refused(made: Pretrained, tmp_path: Path) -> None:
    sizes = {
        "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 24, "vocab_size": 300,
    }  # fmt: skip
    config = BertConfig(**sizes)
    with pytest.raises(ValueError, match=r"BertLMHeadModel is no causal .*\(encoder\).*is_decoder"):
        run(tmp_path / "config", config=config, tokenizer=made.path)
    decoder = run(
        tmp_path / "run",
        config=BertConfig(is_decoder=True, **sizes),
        tokenizer=made.path,
        max_steps=1,
    )
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        one, other = (decoder.model(ids.clone().fill_diagonal_(5)).logits,
                      decoder.model(ids.index_fill(1, torch.tensor([3]), 9)).logits)  # fmt: skip
    assert torch.equal(one[0, :3], other[0, :3])


def options_of(**changes: Any) -> TrainingOptions:
    settings: dict[str, Any] = {
        "max_steps": 100, "learning_rate": 1.0, "weight_decay": 0.1, "warmup_steps": 10,
        "batch_size": 8, "gradient_accumulation_steps": 1, "max_grad_norm": 1.0, "seed": 0,
        "device": "cpu", "dtype": None, "every": None, "save_steps": None, "logging_steps": None,
        "keep_checkpoints": False, "report_to": "none", "progress": False,
    }  # fmt: skip
    return TrainingOptions(**settings | changes)


def test_embeddings_norms_and_biases_do_not_decay() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=8))
    decaying, others = default_optimizer(model, options_of(), (0.9, 0.95)).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {names[id(p)].split(".")[-2] for p in decaying["params"]} == {"c_attn", "c_proj", "c_fc"}
    assert {"transformer.wte.weight", "transformer.wpe.weight"} <= {
        names[id(p)] for p in others["params"]
    }
    assert len(decaying["params"]) + len(others["params"]) == len(names)


def test_configuration_with_fewer_positions_than_the_context_is_refused(
    made: Pretrained, tmp_path: Path
) -> None:
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=8)
    with pytest.raises(ValueError, match="context=12, but the model takes 8 positions"):
        run(tmp_path / "run", config=config, tokenizer=made.path)
    assert not (tmp_path / "run").exists()


def test_rate_rises_stays_and_falls() -> None:
    adam = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    optimizer, schedule = optimizer_and_schedule(adam, options_of(), decay_share=0.2)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert set(rates[10:81]) == {1.0}
    assert rates[80:] == pytest.approx(np.arange(20, 0, -1) / 20)
