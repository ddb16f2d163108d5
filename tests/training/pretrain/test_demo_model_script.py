"""The script that trains the demo model: its stages, and its own loop."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pretraining import TEXTS, Stop, assert_same_weights
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from ilo_fast.training.options import TrainingOptions

TOOLS = Path(__file__).resolve().parents[3] / "tools"


@pytest.mark.skipif(not TOOLS.is_dir(), reason="the project's tools are not here")
def test_stages_of_other_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("scipy")
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("train_demo_model", TOOLS / "train_demo_model.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name in ("bible_ot", "bible_nt", "nllb_seed", "mono_commonvoice"):
        (tmp_path / name).mkdir()
        for code, lines in TEXTS.items():
            (tmp_path / name / f"{code}.txt").write_text("".join(f"{x}\n" for x in lines[:20]))
    numbers = "".join(f"400{1 + i // 5:02d}{i % 5:03d}\n" for i in range(20))
    (tmp_path / "bible_nt" / "verse_ids.tsv").write_text(numbers)

    def prepare(run: str = "run", **changes: Any) -> Any:
        monkeypatch.setattr(
            "sys.argv", ["train_demo_model.py", str(tmp_path), "--run", str(tmp_path / run)]
        )
        args = argparse.Namespace(**vars(tool.parse_arguments()) | {
            "vocab_size": 300, "tokenizer_lines": 10, "eval_verses": 5, **changes,
        })  # fmt: skip
        args.run.mkdir(exist_ok=True)
        return tool.prepare(args)

    _, tokenizer, _ = prepare()
    assert prepare(max_steps=7)[1].to_str() == tokenizer.to_str()  # of stage 3
    for name, value in (("seed", 2), ("vocab_size", 400), ("vector_dim", 64)):
        with pytest.raises(ValueError, match=rf"other settings .*{name} was .*, now {value}[;)]"):
            prepare(**{name: value})
    prepare("other", seed=2)
    (tmp_path / "nllb_seed" / "eng_Latn.txt").write_text("another line\n" * 20)
    with pytest.raises(ValueError, match="text_sha256 was"):
        prepare()
    (tmp_path / "run" / "settings.json").unlink()
    with pytest.raises(ValueError, match=r"tokenizer is there, but no settings\.json"):
        prepare()


def own_model() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=30, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(5)
    return LlamaForCausalLM(config)


def two_parts(step: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng([7, step])
    rows = [torch.from_numpy(rng.integers(30, size=(2, 6))) for _ in range(2)]
    return [{"ids": rows[0], "weight": 1.0}, {"ids": rows[1], "weight": 0.5}]


def own_loss(model: Any, batch: Any) -> torch.Tensor:
    logits = model(input_ids=batch["ids"]).logits[:, :-1]
    targets = batch["ids"][:, 1:]
    return batch["weight"] * torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten()
    )


def own_optimizer(model: Any) -> torch.optim.Optimizer:
    table = model.model.embed_tokens.weight
    rest = [p for p in model.parameters() if p is not table]
    groups = [{"params": rest, "weight_decay": 0.1}, {"params": [table], "lr": 0.003}]
    return torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.98), weight_decay=0.0)


class TwoParts(Dataset[Any]):
    def __len__(self) -> int:
        return 9

    def __getitem__(self, step: int) -> list[dict[str, Any]]:
        return two_parts(step)


def test_batches_in_parts_with_own_loss_train_as_a_plain_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("scipy")
    monkeypatch.syspath_prepend(str(TOOLS))
    from demo_model.training import fit

    model = own_model()
    optimizer = own_optimizer(model)
    full = [group["lr"] for group in optimizer.param_groups]
    for step in range(9):
        rate = min(1.0, (step + 1) / 3, (9 - step) / 4.5)
        for group, lr in zip(optimizer.param_groups, full, strict=True):
            group["lr"] = lr * rate
        for part in two_parts(step):
            own_loss(model, part).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.7)
        optimizer.step()
        optimizer.zero_grad()
    options = TrainingOptions(
        max_steps=9, learning_rate=0.01, weight_decay=0.0, warmup_steps=3, batch_size=1,
        gradient_accumulation_steps=1, max_grad_norm=0.7, seed=0, device="cpu", dtype=None,
        every=None, save_steps=4, logging_steps=None, keep_checkpoints=False, report_to="none",
        progress=False,
    )  # fmt: skip

    def train(folder: str, *callbacks: Any, temperature: float = 0.1) -> Any:
        started = own_model()
        settings = {"temperature": temperature}
        return AutoModelForCausalLM.from_pretrained(
            fit(
                started, TwoParts(), own_loss, own_optimizer(started), tmp_path / folder, options,
                decay_share=0.5, settings=settings, callbacks=callbacks,
            )
        )  # fmt: skip

    assert_same_weights(train("run"), model)
    with pytest.raises(KeyboardInterrupt):
        train("cut", Stop(6))
    assert_same_weights(train("cut"), model)
    with pytest.raises(ValueError, match=r"settings\.temperature was"):
        train("run", temperature=0.2)
