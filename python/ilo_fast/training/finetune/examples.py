"""From text to what a ``Trainer`` takes: examples, held-out lines, batches, scores."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast.corpora.text import normalised
from ilo_fast.errors import CorpusError
from ilo_fast.evaluation.statistics import confusion_matrix, macro_f1

logger = logging.getLogger(__name__)

Example = dict[str, Any]  # "input_ids": list of int; "labels": int, for a classifier
IGNORED = -100  # the label of what is no target, in transformers


def hold_out(lines: Sequence[str], share: float) -> tuple[list[str], list[str]]:
    """Set some lines aside, the same ones whatever the seed of the training.

    Lines that are the same (see `normalised`) stay together, so nothing held out is trained on.

    Parameters
    ----------
    lines
        The text.
    share
        Of the distinct lines, 0 to below 1; 0 sets nothing aside, else at least one line is.

    Returns
    -------
    kept, held : list of str
        Both in the order of `lines`.
    """
    keys = [normalised(line) for line in lines]
    distinct = list(dict.fromkeys(keys))
    if share == 0 or len(distinct) < 2:
        return list(lines), []
    wanted = min(max(1, round(share * len(distinct))), len(distinct) - 1)
    chosen = np.random.default_rng(0).choice(len(distinct), wanted, replace=False)
    held = {distinct[i] for i in chosen}
    kept = [line for line, key in zip(lines, keys, strict=True) if key not in held]
    return kept, [line for line, key in zip(lines, keys, strict=True) if key in held]


def text_examples(tokenizer: Any, lines: Sequence[str], limit: int) -> list[Example]:
    """One line an example, with the special tokens that the tokenizer adds.

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
    tokenizer: Any, texts: Sequence[str], targets: NDArray[np.int64], limit: int
) -> list[Example]:
    """One text an example, cut at `limit` tokens by the tokenizer."""
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
        {"input_ids": list(row), "labels": int(target)}
        for row, target in zip(encoded, targets, strict=True)
    ]


def by_length(examples: Sequence[Example]) -> list[Example]:
    """The examples from short to long: for evaluation, where order does not matter but padding."""
    return sorted(examples, key=lambda example: len(example["input_ids"]))


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


def describe(examples: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Numbers of examples and tokens, for the run card."""
    return {
        "examples": len(examples),
        "tokens": sum(len(example["input_ids"]) for example in examples),
    }
