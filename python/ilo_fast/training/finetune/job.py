"""A fine-tuning run: what is trained on what, the model it starts from, the parts put together."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ilo_fast._util.checks import real_number, truth, whole_number
from ilo_fast._util.files import replace_folder
from ilo_fast._util.hashing import digest, hash_file
from ilo_fast.models.identity import hash_state
from ilo_fast.models.limits import length_limit, position_limit
from ilo_fast.models.loading import ModelFiles, load_tokenizer, open_files
from ilo_fast.models.source import ModelSource
from ilo_fast.representations.language_codes import speaking
from ilo_fast.training.finetune import examples as ex
from ilo_fast.training.finetune.data import CLASSIFICATION, LANGUAGE_MODEL, TrainingData
from ilo_fast.training.finetune.heads import Trainee, prepare
from ilo_fast.training.finetune.lora import add_lora
from ilo_fast.training.freezing import block_numbers, freeze, resolve_blocks
from ilo_fast.training.identity import config_hash, tokenizer_hash
from ilo_fast.training.model_state import preserve_model_state
from ilo_fast.training.options import TrainingOptions
from ilo_fast.training.run_folder import ADAPTER_FOLDER, MODEL_FOLDER, RunFolder
from ilo_fast.training.trainer import Evaluation, Training, divergence
from ilo_fast.training.watch import Watch

_LONGEST = 512  # tokens of an example, where max_length says nothing
_EVALUATIONS = 6  # in a run, after the one at the start, where `every` says nothing


@dataclass(frozen=True)
class Setup:
    """What is trained on what; the names are those of `finetune`, which documents them."""

    language: str
    task: str
    freeze: Any
    freeze_embeddings: bool
    freeze_head: bool
    lora: dict[str, Any] | None
    max_length: int | None
    eval_fraction: float | None

    def __post_init__(self) -> None:
        if self.max_length is not None:
            object.__setattr__(self, "max_length", whole_number("max_length", self.max_length))
        for name in ("freeze_embeddings", "freeze_head"):
            object.__setattr__(self, name, truth(name, getattr(self, name)))
        share = real_number("eval_fraction", self.eval_fraction)
        if not 0 <= share < 1:
            raise ValueError(f"eval_fraction={share!r}: wanted a share from 0 to below 1")
        if self.freeze is not None and not isinstance(self.freeze, str):
            object.__setattr__(self, "freeze", block_numbers(self.freeze, "freeze"))
        if self.lora is not None and not (self.freeze_embeddings and self.freeze_head):
            raise ValueError(
                "lora adapts linear layers of blocks alone, and trains neither the embeddings nor "
                "the output head: leave out freeze_embeddings=False and freeze_head=False, or lora"
            )
        # What has no effect is no setting: it makes no other run.
        if self.freeze is None:
            object.__setattr__(self, "freeze_embeddings", False)
            object.__setattr__(self, "freeze_head", False)
        if self.task == CLASSIFICATION:  # evaluated on a split of its own
            object.__setattr__(self, "eval_fraction", None)


class StartModel:
    """The model that a run starts from: told apart from others, loaded when it is needed."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        revision: str | None,
        trust_remote_code: bool,
        load: Callable[[ModelFiles], tuple[nn.Module, tuple[str, ...]]],
    ) -> None:
        self._load = load
        self._loaded: tuple[nn.Module, tuple[str, ...]] | None = None
        self.files: ModelFiles | None = None
        frozen: list[str] = []
        if isinstance(model, nn.Module):
            self._loaded = model, ()
            config: Any = model.config
            self.name = str(getattr(config, "_name_or_path", "") or type(model).__name__)
            self.tokenizer = ModelSource.open(model, tokenizer=tokenizer).tokenizer
            named = model.named_parameters(remove_duplicate=False)
            frozen = [name for name, parameter in named if not parameter.requires_grad]
            weights = hash_state(model)
        else:
            self.files = open_files(model, revision=revision, trust_remote_code=trust_remote_code)
            config = self.files.config
            self.name = self.files.name
            self.tokenizer = tokenizer or load_tokenizer(self.files, revision=revision)
            if not self.files.weight_files():  # on the Hub, not downloaded yet
                self.load()
            weights = digest([hash_file(path) for path in self.files.weight_files()])
        self.identity = {
            "weights_sha256": weights,
            "config_sha256": config_hash(config),
            "tokenizer_sha256": tokenizer_hash(self.tokenizer),
            "frozen_before": frozen,
        }

    def load(self) -> tuple[Any, tuple[str, ...]]:
        """The model with its head, and the modules that start at random."""
        if self._loaded is None:
            assert self.files is not None
            self._loaded = self._load(self.files)
        return self._loaded


@dataclass
class Job:
    """The parts of a run put together; `spoken`: what the tokenizer calls the language."""

    run: RunFolder
    start: StartModel
    text: TrainingData
    setup: Setup
    options: TrainingOptions
    watch: Watch
    callbacks: tuple[Any, ...]
    spoken: str | None

    def go(self) -> tuple[Any, Any]:
        """Train and save; the model and its tokenizer."""
        model, new_weights = self.start.load()
        folder, text, setup = self.run.path, self.text, self.setup
        with preserve_model_state(model):
            trainee = prepare(
                model, setup.task, self.start.tokenizer,
                labels=text.labels, name=self.start.name, new_weights=new_weights,
            )  # fmt: skip
            frozen, lora = self._restrict(trainee)
            # Calls leave truncation and padding behind, which saving would keep.
            reading = copy.deepcopy(trainee.tokenizer)
            train, held = self._examples(trainee, reading)
            training = self._training(trainee, reading, train, held)
            # Whatever is wrong with model, data or options has been said: now the folder changes.
            self.run.begin(self._metadata(trainee, frozen, lora, train, held))
            results = training.go()
            model = trainee.model
            if lora is not None:
                with replace_folder(folder / ADAPTER_FOLDER) as new:
                    model.save_pretrained(new, save_embedding_layers=False)
                model = model.merge_and_unload()
        with replace_folder(folder / MODEL_FOLDER) as new:
            model.save_pretrained(new)
            trainee.tokenizer.save_pretrained(new)
        self.run.finish(
            results,
            keep_checkpoints=self.options.keep_checkpoints,
            diverged=bool(divergence(results)),
        )
        return model.eval(), trainee.tokenizer

    def _restrict(self, trainee: Trainee) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Freeze, or add adapters to what is not to be frozen; what the metadata say of both."""
        setup = self.setup
        if setup.lora is not None:
            # peft freezes all of the model's own weights; the layers to be frozen get no adapter.
            layers = resolve_blocks(setup.freeze, trainee.parts)
            torch.manual_seed(self.options.seed)
            trainee.model, adapted, untrained = add_lora(trainee, setup.lora, layers, setup.task)
            return untrained, adapted
        frozen = None
        if setup.freeze is not None:
            frozen = freeze(
                trainee.model, setup.freeze,
                embeddings=setup.freeze_embeddings, head=setup.freeze_head,
            ).to_dict()  # fmt: skip
        if not any(parameter.requires_grad for parameter in trainee.model.parameters()):
            raise ValueError(
                "freeze: every parameter of the model is frozen, nothing is left to train"
            )
        return frozen, None

    def _examples(
        self, trainee: Trainee, tokenizer: Any
    ) -> tuple[list[ex.Example], list[ex.Example]]:
        text, asked = self.text, self.setup.max_length
        backbone: Any = trainee.parts.backbone
        allowed = position_limit(backbone, getattr(backbone, "config", None))
        limit = length_limit(tokenizer, allowed, asked)
        if asked is None or limit is None:
            limit = min(limit or _LONGEST, _LONGEST)
        with speaking(tokenizer, self.spoken):
            if self.setup.task == CLASSIFICATION:
                train = ex.labelled_examples(tokenizer, text.train, text.train_targets, limit)
                held = ex.labelled_examples(tokenizer, text.held, text.held_targets, limit)
            else:
                train = ex.text_examples(tokenizer, text.train, limit)
                held = ex.text_examples(tokenizer, text.held, limit)
        if not train:
            raise ValueError("data: no example of two tokens or more to train on")
        # The order of what is evaluated does not matter, but padding does.
        return train, sorted(held, key=lambda example: len(example["input_ids"]))

    def _training(
        self,
        trainee: Trainee,
        tokenizer: Any,
        train: Sequence[ex.Example],
        held: Sequence[ex.Example],
    ) -> Training:
        options = self.options
        total = options.max_steps or _count_steps(len(train), options)
        every = options.every or math.ceil(total / _EVALUATIONS)
        order = ex.LengthSampler(train, options.batch_size, options.seed)
        callbacks = self.watch.callbacks(
            self.run, tokenizer, None if held else every, trainee.parts.n_blocks
        )
        language_model = self.setup.task == LANGUAGE_MODEL
        evaluation = Evaluation(
            held,
            every,
            ex.language_model_loss if language_model else ex.predicted_class,
            ex.language_model_metrics if language_model else ex.classification_metrics,
        )
        return Training(
            trainee.model, self.run, options, total,
            data=train, collate=ex.Padding(trainee.pad_id), order=order,
            mean_loss=not language_model, evaluation=evaluation if held else None,
            callbacks=[order, *callbacks, *self.callbacks],
        )  # fmt: skip

    def _metadata(
        self,
        trainee: Trainee,
        frozen: dict[str, Any] | None,
        lora: dict[str, Any] | None,
        train: Sequence[ex.Example],
        held: Sequence[ex.Example],
    ) -> dict[str, Any]:
        """What the card says from the start, besides the settings."""
        files, parts = self.start.files, trainee.parts
        parameters = [(p.numel(), p.requires_grad) for p in trainee.model.parameters()]
        return {
            "model": {
                "name": self.start.name,
                "revision": None if files is None else files.revision,
                "architecture": type(parts.backbone).__name__,
                "kind": parts.kind,
                "n_blocks": parts.n_blocks,
                "new_weights": list(trainee.new_weights),
            },
            "data": {
                "name": self.text.name,
                "labels": list(self.text.labels),
                "train": _counts(train),
                "evaluation": _counts(held),
                "source": self.text.source,
            },
            **self.watch.metadata(self.text.train),
            "frozen": frozen,
            "lora": lora,
            "parameters": {
                "total": sum(size for size, _ in parameters),
                "trainable": sum(size for size, trained in parameters if trained),
            },
            **self.options.metadata(),
        }


def _count_steps(n_examples: int, options: TrainingOptions) -> int:
    """Steps that the epochs take."""
    batches = math.ceil(n_examples / options.batch_size)
    one = math.ceil(batches / options.gradient_accumulation_steps)
    return max(1, math.ceil((options.num_train_epochs or 0) * one))


def _counts(examples: Sequence[ex.Example]) -> dict[str, int]:
    return {"examples": len(examples), "tokens": sum(len(e["input_ids"]) for e in examples)}
