"""One fine-tuning run: its settings, its parts put together, its results written down."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ilo_fast._util.hashing import digest, hash_file
from ilo_fast._util.messages import listed
from ilo_fast._util.versions import NUMERIC_PACKAGES, versions
from ilo_fast.corpora.opening import open_corpus
from ilo_fast.corpora.text import shared_lines
from ilo_fast.models.identity import hash_state
from ilo_fast.models.limits import length_limit, position_limit
from ilo_fast.models.loading import ModelFiles, load_tokenizer, open_files, resolve_dtype
from ilo_fast.models.source import ModelSource
from ilo_fast.training.callback import OverlapCallback
from ilo_fast.training.finetune import examples as ex
from ilo_fast.training.finetune.arguments import training_arguments
from ilo_fast.training.finetune.finetune import default_learning_rate, n_steps
from ilo_fast.training.finetune.found import AsFound
from ilo_fast.training.finetune.heads import (
    CLASSIFICATION,
    LANGUAGE_MODEL,
    Trainee,
    forget_calls,
    load_model,
    prepare,
)
from ilo_fast.training.finetune.identity import config_hash, frozen_names, tokenizer_hash
from ilo_fast.training.finetune.inputs import (
    check_overlap,
    read_data,
    task_of,
)
from ilo_fast.training.finetune.lora import add_lora, lora_settings
from ilo_fast.training.finetune.options import Options, precision, training_device
from ilo_fast.training.finetune.order import LengthTrainer
from ilo_fast.training.finetune.results import results
from ilo_fast.training.freezing import freeze, resolve_blocks
from ilo_fast.training.loop import (
    Bar,
    Checkpoints,
    own_randomness,
    quiet,
    saving_errors,
    silence,
)
from ilo_fast.training.run_folder import (
    ADAPTER_FOLDER,
    MODEL_FOLDER,
    OVERLAP_FILE,
    RunFolder,
    checkpoint_facts,
    put_in_place,
    replaced,
)

logger = logging.getLogger(__name__)

_LONGEST = 512  # tokens of an example, where max_length says nothing
_EVALUATIONS = 6  # in a run, after the one at the start, where evaluate_every says nothing


class Run:
    """A run that has not begun; made, it has looked at its arguments, data and model files.

    Raises: as :func:`~ilo_fast.finetune`.
    """

    def __init__(self, model: Any, data: Any, options: Options) -> None:
        self.options = options
        self.task = task_of(options.task, data)
        self.lora = lora_settings(options.lora)
        self.data = read_data(data, self.task, options)
        self.device = training_device(options.device)
        self.dtype = precision(options.dtype, self.device)
        self.corpus = None if options.corpus is None else open_corpus(options.corpus)
        self.files: ModelFiles | None = None
        self.frozen_before: list[str] = []
        self._module: Any = None
        self._fresh: tuple[str, ...] = ()
        with quiet(), own_randomness():
            if isinstance(model, nn.Module):
                self._module = model
                if self.lora is None:
                    _check_precision(model)
                self.frozen_before = frozen_names(model)
                config: Any = model.config
                self.tokenizer = ModelSource.open(model, tokenizer=options.tokenizer).tokenizer
                self.name = str(getattr(config, "_name_or_path", "") or type(model).__name__)
                self.weights_hash = hash_state(model)
            else:
                self.files = open_files(
                    model, revision=options.revision, trust_remote_code=options.trust_remote_code
                )
                self.name = self.files.name
                config = self.files.config
                if not self.files.weight_files():  # on the Hub, not downloaded yet
                    self._load()
                self.weights_hash = digest([hash_file(p) for p in self.files.weight_files()])
                self.tokenizer = options.tokenizer or load_tokenizer(
                    self.files, revision=options.revision
                )
            self.config_hash = config_hash(config)
            self.tokenizer_hash = tokenizer_hash(self.tokenizer)

    @property
    def _learning_rate(self) -> float:
        default = default_learning_rate(self.task, self.lora is not None)
        return self.options.learning_rate or default

    def settings(self) -> dict[str, Any]:
        """All that the result depends on, JSON-able."""
        options = self.options
        chosen = options.freeze
        dtype = resolve_dtype(options.dtype)
        return {
            "weights_sha256": self.weights_hash,
            "config_sha256": self.config_hash,
            "tokenizer_sha256": self.tokenizer_hash,
            "frozen_before": self.frozen_before,
            "data_sha256": self.data.fingerprint(),
            "language": options.language,
            "task": self.task,
            "freeze": chosen,
            "freeze_embeddings": options.freeze_embeddings if chosen is not None else False,
            "freeze_head": options.freeze_head if chosen is not None else False,
            "lora": self.lora,
            "epochs": options.epochs if options.max_steps is None else None,
            "max_steps": options.max_steps,
            "learning_rate": self._learning_rate,
            "weight_decay": options.weight_decay,
            "warmup": options.warmup,
            "batch_size": options.batch_size,
            "accumulate": options.accumulate,
            "max_length": options.max_length,
            "heldout": options.heldout if self.task == LANGUAGE_MODEL else None,
            "seed": options.seed,
            "dtype": None if dtype is None else str(dtype).removeprefix("torch."),
            "evaluate_every": options.evaluate_every,
            "corpus_sha256": None if self.corpus is None else self.corpus.sha256,
            "overlap_options": dict(options.overlap_options) if self.corpus is not None else None,
        }

    def go(self, folder: RunFolder, *, resumed: bool) -> tuple[dict[str, Any], Any, Any]:
        """Train; the finished card, the model and its tokenizer."""
        shared = self._warn_of_shared_lines()
        with contextlib.ExitStack() as stack:
            stack.enter_context(quiet())
            stack.enter_context(own_randomness())
            stack.enter_context(saving_errors(folder.path))
            if self._module is None:
                self._load()
            found = stack.enter_context(AsFound(self._module))
            trainee = prepare(
                self._module, self.task, self.tokenizer,
                labels=self.data.labels, name=self.name, fresh=self._fresh,
            )  # fmt: skip
            frozen, lora = self._restrict(trainee)
            train, held = self._examples(trainee)
            checkpoint = folder.last_checkpoint() if resumed else None
            spent = float(checkpoint_facts(checkpoint)["seconds"]) if checkpoint else 0.0
            saving = Checkpoints(self.options.save_every, spent)
            trainer = self._trainer(trainee, folder, train, held, saving, checkpoint)
            account = self._account(trainee, frozen, lora, train, held, shared)
            # Whatever is wrong with model, data or options has been said: now the folder changes.
            if checkpoint is None:
                started = folder.card.get("started")
                folder.clear()
                folder.card = {"started": started} if resumed and started else {}
            folder.begin(account)
            if checkpoint is not None:
                logger.info("%s: goes on from %s", folder.path, checkpoint.name)
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            model = self._save(folder.path, trainee, found, lora is not None)
        folder.finish(results(trainer.state, saving.seconds))
        if not self.options.keep_checkpoints:
            folder.drop_checkpoints()
        return folder.card, model, trainee.tokenizer

    # ---- before

    def _load(self) -> None:
        assert self.files is not None
        dtype: Any = torch.float32
        if self.lora is not None and self.device.type != "cpu":
            dtype = "auto"  # beneath adapters no weight is updated, so none needs the precision
        self._module, self._fresh = load_model(
            self.files,
            self.task,
            labels=self.data.labels,
            revision=self.options.revision,
            dtype=dtype,
            seed=self.options.seed,
        )

    def _restrict(self, trainee: Trainee) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """Freeze, or add adapters to what is not to be frozen; accounts of both for the card."""
        options = self.options
        if self.lora is None:
            if options.freeze is None:
                frozen = None
            else:
                frozen = freeze(
                    trainee.model,
                    options.freeze,
                    embeddings=options.freeze_embeddings,
                    head=options.freeze_head,
                ).to_dict()
            _check_trainable(trainee.model)
            return frozen, None
        # peft freezes all of the model's own weights; the layers to be frozen get no adapter.
        layers = resolve_blocks(options.freeze, trainee.parts)
        torch.manual_seed(options.seed)
        trainee.model, account, untrained = add_lora(trainee, self.lora, layers, self.task)
        return untrained, account

    def _examples(self, trainee: Trainee) -> tuple[list[ex.Example], list[ex.Example]]:
        data, tokenizer = self.data, trainee.tokenizer
        config = getattr(trainee.parts.backbone, "config", None)
        allowed = position_limit(trainee.parts.backbone, config)
        asked = self.options.max_length
        limit = length_limit(tokenizer, allowed, asked)
        if asked is None:
            limit = min(limit or _LONGEST, _LONGEST)
        assert limit is not None
        if self.task == CLASSIFICATION:
            train = ex.labelled_examples(tokenizer, data.train, data.train_targets, limit)
            held = ex.labelled_examples(tokenizer, data.held, data.held_targets, limit)
        else:
            train = ex.text_examples(tokenizer, data.train, limit)
            held = ex.text_examples(tokenizer, data.held, limit)
        if not train:
            raise ValueError("data: no example of two tokens or more to train on")
        return train, ex.by_length(held)

    def _warn_of_shared_lines(self) -> list[list[Any]]:
        if self.corpus is None:
            return []
        found = shared_lines(self.data.train, self.corpus)
        if found:
            where = listed([f"{code} line {number}" for code, number in found])
            logger.warning(
                "%d lines of the corpus that is measured are in the training text, too (%s): what "
                "is measured there is not what untrained text would show",
                len(found), where,
            )  # fmt: skip
        return [[code, number] for code, number in found]

    def _account(
        self,
        trainee: Trainee,
        frozen: dict[str, Any] | None,
        lora: dict[str, Any] | None,
        train: Sequence[ex.Example],
        held: Sequence[ex.Example],
        shared: list[list[Any]],
    ) -> dict[str, Any]:
        """What the card says from the start, besides the settings."""
        parameters = list(trainee.model.parameters())
        corpus = self.corpus
        return {
            "model": {
                "name": self.name,
                "revision": self.files.revision if self.files is not None else None,
                "weights_sha256": self.weights_hash,
                "architecture": type(trainee.parts.backbone).__name__,
                "kind": trainee.parts.kind,
                "n_blocks": trainee.parts.n_blocks,
                "new_weights": list(trainee.fresh),
            },
            "data": {
                "name": self.data.name,
                "language": self.options.language,
                "sha256": self.data.fingerprint(),
                "labels": list(self.data.labels),
                "train": ex.describe(train),
                "evaluation": ex.describe(held),
                "source": self.data.info,
            },
            "corpus": corpus.info if corpus is not None else None,
            "shared_lines": shared,
            "overlap": OVERLAP_FILE if corpus is not None else None,
            "frozen": frozen,
            "frozen_before": self.frozen_before,
            "lora": lora,
            "parameters": {
                "total": sum(p.numel() for p in parameters),
                "trainable": sum(p.numel() for p in parameters if p.requires_grad),
            },
            "device": str(self.device),
            "precision": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "versions": _versions(lora is not None),
        }

    # ---- training

    def _trainer(
        self,
        trainee: Trainee,
        folder: RunFolder,
        train: Sequence[ex.Example],
        held: Sequence[ex.Example],
        saving: Checkpoints,
        checkpoint: Path | None,
    ) -> LengthTrainer:
        options = self.options
        total = options.max_steps or n_steps(
            len(train), options.batch_size, options.accumulate, options.epochs
        )
        every = options.evaluate_every or math.ceil(total / _EVALUATIONS)
        arguments = training_arguments(
            options,
            folder.path,
            self.device,
            self.dtype,
            learning_rate=self._learning_rate,
            total=total,
            every=every if held else None,
            from_start=checkpoint is None,
        )
        callbacks: list[Any] = []
        if self.corpus is not None:
            callbacks.append(
                OverlapCallback(
                    self.corpus,
                    tokenizer=trainee.tokenizer,
                    every=None if held else every,
                    output=folder.path / OVERLAP_FILE,
                    **options.overlap_options,
                )
            )
            check_overlap(options.overlap_options, self.corpus, trainee.parts.n_blocks)
        callbacks += [*options.callbacks, saving]
        language_model = self.task == LANGUAGE_MODEL
        trainer = LengthTrainer(
            mean_loss=not language_model,
            model=trainee.model,
            args=arguments,
            train_dataset=train,
            eval_dataset=list(held) or None,
            data_collator=ex.Padding(trainee.pad_id),
            callbacks=callbacks,
            compute_metrics=(
                ex.language_model_metrics if language_model else ex.classification_metrics
            ),
            preprocess_logits_for_metrics=(
                ex.language_model_loss if language_model else ex.predicted_class
            ),
        )
        silence(trainer)
        if options.progress:
            trainer.add_callback(Bar("fine-tuning"))
        return trainer

    # ---- after

    def _save(self, folder: Path, trainee: Trainee, found: AsFound, adapted: bool) -> Any:
        """Write the model, whole or not at all."""
        model = trainee.model
        if adapted:
            model.save_pretrained(replaced(folder / ADAPTER_FOLDER), save_embedding_layers=False)
            put_in_place(folder / ADAPTER_FOLDER)
            model = model.merge_and_unload()
        found.settle()
        target = replaced(folder / MODEL_FOLDER)
        model.save_pretrained(target)
        forget_calls(trainee.tokenizer, self.tokenizer)
        trainee.tokenizer.save_pretrained(target)
        put_in_place(folder / MODEL_FOLDER)
        return model.eval()


def _check_precision(model: nn.Module) -> None:
    """Updates of a usual size are lost in the rounding of half-precision weights."""
    floating = [p for p in model.parameters() if p.requires_grad and p.is_floating_point()]
    other = sorted({str(p.dtype) for p in floating if p.dtype != torch.float32})
    if other:
        raise ValueError(
            f"model has trainable weights in {', '.join(other)}: load it with dtype=torch.float32; "
            "finetune(dtype='bfloat16') computes in half precision all the same"
        )


def _check_trainable(model: nn.Module) -> None:
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("freeze: every parameter of the model is frozen, nothing is left to train")


def _versions(with_peft: bool) -> dict[str, str]:
    names = ["accelerate", *(["peft"] if with_peft else [])]
    return versions(*NUMERIC_PACKAGES, *names)
