"""From text to what a ``Trainer`` takes: examples, their order, batches, scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers import TrainerCallback

from ilo_fast.errors import CorpusError
from ilo_fast.evaluation.statistics import confusion_matrix, macro_f1

logger = logging.getLogger(__name__)

Example = dict[str, Any]  # "input_ids": list of int; "labels": int, for a classifier
IGNORED = -100  # the label of what is no target, in transformers
# Batches are made from this many batches' worth of neighbours in the shuffled order.
_POOL = 50


def text_examples(tokenizer: Any, lines: Sequence[str], limit: int) -> list[Example]:
    """One line per example, with the special tokens that the tokenizer adds.

    A line of more than `limit` tokens goes on in further examples; a piece of a single token,
    which predicts nothing, is left out.
    """
    if not lines:
        return []
    encoded: list[list[int]] = tokenizer(list(lines))["input_ids"]
    long = sum(len(row) > limit for row in encoded)
    if long:
        logger.info("%d of %d lines are longer than %d tokens: cut in pieces",
                    long, len(lines), limit)  # fmt: skip
    pieces = (row[i : i + limit] for row in encoded for i in range(0, len(row), limit))
    return [{"input_ids": list(piece)} for piece in pieces if len(piece) > 1]


def labelled_examples(
    tokenizer: Any, texts: Sequence[str], targets: Sequence[int], limit: int
) -> list[Example]:
    """One text per example, cut at `limit` tokens by the tokenizer."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
    empty = [number for number, row in enumerate(encoded, start=1) if len(row) == 0]
    if empty:
        raise CorpusError(f"data: text {empty[0]} yields no tokens: {texts[empty[0] - 1]!r}")
    cut = sum(len(row) == limit for row in encoded)
    if cut:
        logger.info("%d of %d texts fill or exceed %d tokens and may be cut",
                    cut, len(texts), limit)  # fmt: skip
    return [
        {"input_ids": list(row), "labels": target}
        for row, target in zip(encoded, targets, strict=True)
    ]


class LengthSampler(Sampler[int], TrainerCallback):
    """Indices so ordered that the batches cut from them hold examples of about one length.

    The order depends on the seed and the epoch alone: a resumed run finds it again. Every example
    comes once an epoch; batches come in random order, the incomplete one last. As a callback it is
    told of the epoch by the Trainer.
    """

    def __init__(self, examples: Sequence[Example], batch_size: int, seed: int) -> None:
        self._lengths = np.array([len(example["input_ids"]) for example in examples])
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self._epoch = int(state.epoch or 0)

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self._epoch])
        shuffled = rng.permutation(len(self))
        size = self._batch_size
        full = len(self) - len(self) % size
        batches = []
        for start in range(0, full, _POOL * size):
            part = shuffled[start : min(start + _POOL * size, full)]
            part = part[np.argsort(self._lengths[part], kind="stable")]
            batches += [part[i : i + size] for i in range(0, len(part), size)]
        order = [batches[position] for position in rng.permutation(len(batches))]
        return (int(index) for batch in [*order, shuffled[full:]] for index in batch)


@dataclass(frozen=True)
class Padding:
    """Collates examples: padded on the right, padding neither attended to nor a target.

    Targets of a language model are its tokens but the first, which nothing predicts; whether one
    is padding is known from where it stands, not from its id, so an end-of-sentence token that also
    serves to pad is learned.
    """

    pad_id: int

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        width = max(len(example["input_ids"]) for example in examples)
        ids = torch.full((len(examples), width), self.pad_id, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, example in enumerate(examples):
            tokens = torch.tensor(example["input_ids"], dtype=torch.long)
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        if "labels" in examples[0]:
            labels = torch.tensor([example["labels"] for example in examples])
        else:
            labels = ids.masked_fill(mask == 0, IGNORED)
            labels[:, 0] = IGNORED  # else some versions of the Trainer count it among the targets
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def language_model_loss(logits: Any, labels: torch.Tensor) -> torch.Tensor:
    """Summed negative log-likelihood in nats and number of targets, float64 (examples, 2)."""
    scores = logits[0] if isinstance(logits, (tuple, list)) else logits
    targets = labels[:, 1:]
    losses = torch.nn.functional.cross_entropy(
        scores[:, :-1].transpose(1, 2).float(), targets, ignore_index=IGNORED, reduction="none"
    )
    return torch.stack([losses.double().sum(dim=1), (targets != IGNORED).double().sum(dim=1)], 1)


def predicted_class(logits: Any, labels: torch.Tensor) -> torch.Tensor:
    """The most likely class of each example."""
    scores: torch.Tensor = logits[0] if isinstance(logits, (tuple, list)) else logits
    return scores.argmax(dim=-1)


def language_model_metrics(prediction: Any) -> dict[str, float]:
    """Mean loss of a target token in nats, and its exponential."""
    total, count = np.asarray(prediction.predictions, np.float64).sum(axis=0)
    loss = float(total / max(count, 1.0))
    return {"token_loss": loss, "perplexity": float(np.exp(min(loss, 700.0)))}


def classification_metrics(prediction: Any) -> dict[str, float]:
    """Accuracy, and F1 as the plain mean over the classes that occur or are predicted."""
    predicted = np.asarray(prediction.predictions, np.int64)
    true = np.asarray(prediction.label_ids, np.int64)
    n_classes = int(max(predicted.max(), true.max())) + 1
    confusion = confusion_matrix(true, predicted, n_classes)
    return {"accuracy": float((predicted == true).mean()), "macro_f1": macro_f1(confusion)}
