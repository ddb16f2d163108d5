"""A vocabulary cut to some texts: the same pieces, the same values."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))

from single_language.plan import CLASSIFICATION, LM, RATES_ASIDE, label_at, runs
from single_language.vocabulary import cut_vocabulary

TEXTS = ["water is cold", "the river is cold today", "cold water today", "unknown: \u00e6"]


def save_unigram(folder: Path) -> None:
    """A tiny BERT with a Unigram tokenizer that knows more than the texts need."""
    import torch
    import transformers as hf
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = ["water", "is", "cold", "the", "river", "today", "winter", "bread", "house"]
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"\u2581{word}", -2.0 - i / 10) for i, word in enumerate(words)]
    pieces += [(letter, -9.0) for letter in "\u2581abcdefghijklmnopqrstuvwxyz:"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>",
        sep_token="</s>", pad_token="<pad>", unk_token="<unk>",
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    config = hf.BertConfig(
        vocab_size=len(pieces) + 5, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, pad_token_id=1,
    )  # fmt: skip
    hf.BertModel(config).save_pretrained(folder)


def test_the_cut_model_gives_the_same_values(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    save_unigram(tmp_path / "whole")
    said = cut_vocabulary(str(tmp_path / "whole"), TEXTS, tmp_path / "cut")
    assert said["pieces"] < said["of"]
    values = []
    for folder in ("whole", "cut"):
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / folder)
        model = AutoModel.from_pretrained(tmp_path / folder).eval()
        batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
        with torch.no_grad():
            values.append(model(**batch).last_hidden_state)
        assert len(model.get_input_embeddings().weight) == (
            said["pieces"] if folder == "cut" else said["of"] + 5
        )
        assert batch["input_ids"].max() < len(model.get_input_embeddings().weight)
    assert torch.equal(*values)


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    from helpers import tiny_models

    tiny_models.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="only of Unigram can pieces be left out"):
        cut_vocabulary(str(tmp_path), TEXTS, tmp_path / "cut")


def test_rates_aside_repeat_two_conditions() -> None:
    tasks = {CLASSIFICATION: ("none", "first", "last")}
    plan = runs({"m": "path"}, tasks, 2, [], [1e-3])
    aside = [run for run in plan if run.rate is not None]
    assert len(plan) == 2 * 3 + 2 * len(RATES_ASIDE)
    assert {run.label for run in aside} == {label_at("m", 1e-3)} == {"m at 0.001"}
    assert {run.condition for run in aside} == set(RATES_ASIDE)
    assert len({run.name for run in plan}) == len(plan)
    assert "rate" not in plan[0].to_dict()  # runs that were made before there were rates stay valid
    assert LM not in {run.task for run in plan}
