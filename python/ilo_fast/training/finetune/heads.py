"""The model to be trained: loaded with the head that its task needs."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import transformers

from ilo_fast.models.access import access_errors
from ilo_fast.models.loading import ModelFiles, check_complete
from ilo_fast.models.structure import ModelParts, find_parts
from ilo_fast.representations.pooling import choose_pad_id
from ilo_fast.training.finetune.data import CLASSIFICATION, LANGUAGE_MODEL
from ilo_fast.training.model_state import configurations

logger = logging.getLogger(__name__)

_AUTO: Final = {
    LANGUAGE_MODEL: "AutoModelForCausalLM",
    CLASSIFICATION: "AutoModelForSequenceClassification",
}


@dataclass
class Trainee:
    """A model with its head.

    Attributes
    ----------
    model, parts, tokenizer
        The tokenizer has a padding token.
    pad_id
        What batches are padded with.
    new_weights
        Modules whose weights no checkpoint gave: they start at random, from the seed alone.
    """

    model: Any
    parts: ModelParts
    tokenizer: Any
    pad_id: int
    new_weights: tuple[str, ...] = ()


def load_model(
    files: ModelFiles,
    task: str,
    *,
    labels: Sequence[str],
    revision: str | None,
    dtype: torch.dtype | str,
    seed: int,
) -> tuple[Any, tuple[str, ...]]:
    """The model of `files` with the head of `task`, and the modules that start at random.

    Raises
    ------
    AccessError
        The weights are absent or damaged.
    ValueError
        An architecture without such a head, or a checkpoint that lacks what its hidden states
        depend on.
    """
    config = copy.deepcopy(files.config)
    auto = auto_class(task)
    _check_architecture(auto, config, task, files)
    if task == CLASSIFICATION:
        trained = any("SequenceClassification" in str(a) for a in config.architectures or ())
        _set_labels(config, labels, files.name, trained=trained)
    # The head that no checkpoint has is drawn from here: the same whatever is frozen later.
    transformers.set_seed(seed)
    source = files.name if files.revision else str(files.folder)
    with access_errors(files.name, "weights"):
        model, report = auto.from_pretrained(
            source,
            config=config,
            revision=revision,
            trust_remote_code=files.trust_remote_code,
            dtype=dtype,
            ignore_mismatched_sizes=task == CLASSIFICATION,
            output_loading_info=True,
        )
    missing = [str(key) for key in report.get("missing_keys", ())]
    missing += [str(key[0] if isinstance(key, tuple) else key)
                for key in report.get("mismatched_keys", ())]  # fmt: skip
    return model, tuple(sorted({key.rpartition(".")[0] for key in missing}))


def prepare(
    model: Any,
    task: str,
    tokenizer: Any,
    *,
    labels: Sequence[str],
    name: str,
    new_weights: Sequence[str] = (),
) -> Trainee:
    """Check that `model` fits the task, and settle the padding.

    Raises
    ------
    ValueError
        A language-model task for a model that sees what comes next, a model without the head, or
        with another number of classes, or with the classes in another order.
    """
    parts = find_parts(model)
    _check_new_weights(parts, new_weights, name)
    if task == LANGUAGE_MODEL:
        if parts.kind != "decoder":
            raise ValueError(_not_causal(name, parts.kind))
        if parts.head is None:
            raise ValueError(
                f"model is a {type(model).__name__} without an output head: load it with "
                "AutoModelForCausalLM, or pass its folder"
            )
    elif int(getattr(model.config, "num_labels", 0)) != len(labels) or parts.head is not None:
        raise ValueError(
            f"model is a {type(model).__name__} with "
            f"{getattr(model.config, 'num_labels', 'no')} classes, the data has {len(labels)} "
            f"({', '.join(labels)}): load it with AutoModelForSequenceClassification and "
            f"num_labels={len(labels)}, or pass its folder"
        )
    if task == CLASSIFICATION:
        _set_labels(model.config, labels, name, trained=True)
    if new_weights:
        logger.info("starts at random, not being in the checkpoint: %s", ", ".join(new_weights))
    pad_id = choose_pad_id(parts, tokenizer)
    tokenizer = copy.deepcopy(tokenizer)  # the caller's stays as it is
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad_id)
    if task == CLASSIFICATION:
        # Where the last token of a text is the one that is classified, this is how it is found.
        for config in configurations(model):
            config.pad_token_id = pad_id
    return Trainee(model, parts, tokenizer, pad_id, tuple(new_weights))


def auto_class(task: str) -> Any:
    """The transformers class that loads a model with the head of `task`."""
    return getattr(transformers, _AUTO[task])


def _check_architecture(auto: Any, config: Any, task: str, files: ModelFiles) -> None:
    known = type(config) in auto._model_mapping
    remote = _AUTO[task] in (getattr(config, "auto_map", None) or {}) and files.trust_remote_code
    if known or remote:
        return
    kind = str(getattr(config, "model_type", type(config).__name__))
    if task == LANGUAGE_MODEL:
        raise ValueError(_not_causal(files.name, kind))
    raise ValueError(
        f"transformers has no {_AUTO[task]} for {files.name!r} ({kind}): choose another model"
    )


def _not_causal(name: str, kind: str) -> str:
    return (
        f"{name!r} is no causal language model ({kind}), so it cannot learn to continue text: "
        "train it on labelled data (a LabelledCorpus; command line: --data with a folder of "
        "<code>.jsonl, .csv or .tsv files), or choose a decoder"
    )


def _set_labels(config: Any, labels: Sequence[str], name: str, *, trained: bool) -> None:
    """Write the names of the data's classes into `config`, as far as its head can have them."""
    before = [str(label) for label in (getattr(config, "id2label", None) or {}).values()]
    is_named = before != [f"LABEL_{number}" for number in range(len(before))]
    if trained and is_named and len(before) == len(labels) and before != list(labels):
        if set(before) == set(labels):
            names = dict(enumerate(labels))
            raise ValueError(
                f"{name} is a classifier of {', '.join(before)}, and the data has these classes in "
                f"the order {', '.join(labels)}: reorder the rows of its head and set "
                f"config.id2label = {names}, or take a model without this head"
            )
        logger.warning(
            "%s is a classifier already: its head, trained for %s, is where training for %s starts",
            name, ", ".join(before), ", ".join(labels),
        )  # fmt: skip
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = "single_label_classification"


def _check_new_weights(parts: ModelParts, new_weights: Sequence[str], name: str) -> None:
    """Refuse a checkpoint that lacks weights which hidden states depend on."""
    owners = [parts.embeddings, *parts.blocks]
    owners += [] if parts.final_norm is None else [parts.final_norm]
    used = {id(module) for owner in owners for module in owner.modules()}
    names = {path for path, module in parts.backbone.named_modules() if id(module) in used}
    check_complete(list(new_weights), names, name)
