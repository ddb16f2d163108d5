"""Examples, their order, padding and metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import transformers as hf
from helpers import tiny_models
from helpers.training import FolderOf

from ilo_fast.training.finetune import examples as ex


def test_long_line_goes_on_in_further_examples() -> None:
    tokenizer = tiny_models.tokenizer()
    line = "abcdefghij"
    whole = tokenizer(line)["input_ids"]
    pieces = [e["input_ids"] for e in ex.text_examples(tokenizer, [line], 5)]
    assert [i for piece in pieces for i in piece] == whole and [len(p) for p in pieces] == [5, 5, 2]
    # A piece of one token predicts nothing.
    assert len(ex.text_examples(tokenizer, [line[:-1]], 5)) == 2


def test_padding_is_no_target_but_its_token_in_the_text_is() -> None:
    batch = ex.Padding(2)([{"input_ids": [5, 2]}, {"input_ids": [5, 6, 7]}])
    assert batch["input_ids"].tolist() == [[5, 2, 2], [5, 6, 7]]
    # Nothing predicts the first token.
    assert batch["labels"].tolist() == [[ex.IGNORED, 2, ex.IGNORED], [ex.IGNORED, 6, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]


def tell(sampler: ex.LengthSampler, epoch: float | None) -> None:
    """Of the epoch, as the Trainer does."""
    sampler.on_epoch_begin(None, hf.TrainerState(epoch=epoch), None)


def test_batches_hold_examples_of_about_one_length() -> None:
    lengths = np.random.default_rng(3).integers(1, 100, 1003)
    examples = [{"input_ids": [0] * n} for n in lengths]
    sampler = ex.LengthSampler(examples, 10, seed=1)
    orders = []
    for epoch in (0, 1):
        tell(sampler, epoch)
        orders.append(list(sampler))
        assert sorted(orders[-1]) == list(range(1003))
    assert orders[0] != orders[1]
    again = ex.LengthSampler(examples, 10, seed=1)
    tell(again, 1)
    assert list(again) == orders[1]
    other = ex.LengthSampler(examples, 10, seed=2)
    tell(other, 1)
    assert list(other) != orders[1]

    def padded(order: list[int]) -> int:
        return sum(10 * max(lengths[order[i : i + 10]]) for i in range(0, len(order), 10))

    assert padded(orders[0]) < 1.1 * lengths.sum() < 0.7 * padded(list(range(1003)))
    # Short batches and long ones are mixed, else the end of an epoch would be all long texts.
    firsts = [lengths[orders[0][i]] for i in range(0, 1000, 10)]
    assert abs(np.mean(firsts[:50]) - np.mean(firsts[50:])) < 20


def test_order_differs_between_epochs() -> None:
    sampler = ex.LengthSampler([{"input_ids": [5, 6, 7]}] * 40, 4, seed=1)
    orders = []
    for epoch in (None, 0.0, 1.0, 1.5, 2.0):
        tell(sampler, epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[1] and orders[2] == orders[3]
    assert len({tuple(found) for found in orders}) == 3


def test_perplexity_of_a_padded_batch_counts_every_target_once(
    folder_of: FolderOf,
) -> None:
    model = hf.AutoModelForCausalLM.from_pretrained(folder_of("llama")).eval()
    tokenizer = tiny_models.tokenizer()
    lines = ["she reads", "we walk along the river"]
    rows = ex.text_examples(tokenizer, lines, 64)
    batch = ex.Padding(1)(rows)
    with torch.no_grad():
        sums = ex.language_model_loss(model(**batch).logits, batch["labels"])
        total, count = 0.0, 0
        for row in rows:  # one at a time, unpadded
            ids = torch.tensor([row["input_ids"]])
            total += float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
    # All that the Trainer may count as targets, and no more.
    assert int((batch["labels"] != ex.IGNORED).sum()) == count
    metrics = ex.language_model_metrics(hf.EvalPrediction(sums.numpy(), None))
    assert metrics["token_loss"] == pytest.approx(total / count, rel=1e-5)
    assert metrics["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-4)


def test_macro_f1_is_that_of_a_hand_calculation() -> None:
    prediction = hf.EvalPrediction(np.array([0, 0, 1, 1, 0]), np.array([0, 1, 1, 1, 2]))
    found = ex.classification_metrics(prediction)
    # class 0: 1 hit of 3 predicted, 1 true; 1: 2 hits of 2 and 3; 2: none
    assert found["macro_f1"] == pytest.approx((2 / 4 + 4 / 5 + 0) / 3)
    assert found["accuracy"] == pytest.approx(3 / 5)
