"""finetune(): train a model on one language with layers frozen, and watch the overlap meanwhile.

Everything that can be wrong is looked at before the first step: the data, the labels, the layers to
freeze, the output folder. Then the folder becomes this run's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from typing import Any

import torch
from torch import nn

from ilo_fast._util.checks import truth
from ilo_fast.corpora.checks import check_code
from ilo_fast.corpora.labelled.corpus import LabelledCorpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.loading import ModelFiles
from ilo_fast.models.output import suppress_output
from ilo_fast.representations.language_codes import language_codes
from ilo_fast.training.finetune.data import CLASSIFICATION, LANGUAGE_MODEL, read_data, task_of
from ilo_fast.training.finetune.heads import auto_class, load_model
from ilo_fast.training.finetune.job import Job, Setup, StartModel
from ilo_fast.training.finetune.lora import lora_settings
from ilo_fast.training.measuring import OverlapOptions
from ilo_fast.training.options import TrainingOptions, checked_callbacks
from ilo_fast.training.process import (
    check_can_train,
    preserve_random_state,
    saving_errors,
)
from ilo_fast.training.run_folder import RunFolder
from ilo_fast.training.trained import Trained
from ilo_fast.training.watch import Watch

# Where learning_rate is None. Large enough to learn something in a few epochs, as is usual for
# pretrained models of 100 million parameters and more; smaller models take more.
_RATES = {LANGUAGE_MODEL: 5e-5, CLASSIFICATION: 2e-5, "lora": 2e-4}


class FineTuned(Trained):
    """What `finetune` made; also of a run that was finished before.

    Attributes
    ----------
    path : Path
        The model with its tokenizer, as ``from_pretrained`` loads them. After LoRA the adapter is
        merged into it, and lies on its own in ``adapter`` beside it.
    card : dict
        The run metadata, ``run_card.json``: settings, data, versions, what was frozen, losses,
        evaluations, seconds.
    """

    def _loader(self) -> Any:
        return auto_class(self.card["settings"]["task"])

    @property
    def metrics(self) -> dict[str, float]:
        """The last evaluation: accuracy and macro_f1, or token_loss and perplexity; may be {}."""
        return {name: float(value) for name, value in self.card["metrics"].items()}

    @property
    def frozen(self) -> dict[str, Any] | None:
        """What the run froze, as ``Frozen.to_dict()`` says it; None for nothing.

        After LoRA: the layers without adapters, what else got no gradient, and its share. What the
        caller had frozen before is in ``card["settings"]["frozen_before"]``.
        """
        found: dict[str, Any] | None = self.card["frozen"]
        return found

    def __repr__(self) -> str:
        card = self.card
        shown = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        return (
            f"FineTuned({str(self.path)!r}: {card['model']['name']}, {card['settings']['task']} on "
            f"{card['settings']['language']}, {card['steps']} steps{'; ' + shown if shown else ''})"
        )


def finetune(
    model: str | PathLike[str] | nn.Module,
    data: LabelledCorpus | Any,
    output_dir: str | PathLike[str],
    *,
    language: str = "eng_Latn",
    task: str = "auto",
    tokenizer: Any = None,
    freeze: Iterable[int] | int | str | None = None,
    freeze_embeddings: bool = True,
    freeze_head: bool = True,
    lora: int | Mapping[str, Any] | None = None,
    corpus: ParallelCorpus | Mapping[str, Sequence[str]] | str | PathLike[str] | None = None,
    overlap_options: OverlapOptions | None = None,
    num_train_epochs: float = 3,
    max_steps: int | None = None,
    learning_rate: float | None = None,
    weight_decay: float = 0.01,
    warmup_steps: float = 0.06,
    batch_size: int = 16,
    gradient_accumulation_steps: int = 1,
    max_grad_norm: float = 1.0,
    max_length: int | None = None,
    eval_fraction: float = 0.05,
    seed: int = 0,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    every: int | None = None,
    save_steps: int | None = None,
    logging_steps: int | None = None,
    keep_checkpoints: bool = False,
    report_to: str | Sequence[str] = "none",
    callbacks: Sequence[Any] = (),
    revision: str | None = None,
    trust_remote_code: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    name: str | None = None,
) -> FineTuned:
    """Fine-tune `model` on one language.

    AdamW with a linear warm-up and a linear decay to 0, by the transformers ``Trainer``. The same
    call again returns a finished run at once, and goes on with an interrupted one from its last
    checkpoint to the same weights, on a CPU to the bit. It runs in one process.

    Parameters
    ----------
    model
        A Hub name, a local folder, ``"demo"``, or a loaded transformers model with the head of the
        task, which is then trained in place. Afterwards, and after an error or Ctrl-C, it has
        neither adapters nor frozen parameters that it did not have before. But the weights of an
        interrupted one are half trained: load it anew to go on from a checkpoint; without a
        checkpoint, the same call with the same module starts from those.
    data
        A LabelledCorpus (its split "train"; evaluated on "dev" or "validation" if there is one) for
        a classifier. Else text for a causal language model, all that `read_text` takes: a file, a
        folder with ``<language>.txt``, sentences, ``"demo"``; one line is one example.
    output_dir
        Gets ``model/``, ``run_card.json``, ``overlap.jsonl``, checkpoints while it trains, and
        after LoRA ``adapter/``.
    language
        The language of `data` to train on. A tokenizer that marks it (NLLB, mBART-50) is told it,
        by `overlap_options.tokenizer_languages` where its code is not found by itself.
    task
        ``"causal-lm"``, ``"classification"``, or ``"auto"`` by the type of `data`.
    tokenizer
        Needed for a loaded model whose ``name_or_path`` names none; else the model's own.
    freeze
        None: nothing. Else blocks as in :func:`~ilo_fast.freeze`: ``range(8)``,
        ``"published"``, ``()`` for no block, and then the embeddings and the output head with the
        final norm, too, unless `freeze_embeddings` or `freeze_head` is False.
    lora
        A rank, or keywords of ``peft.LoraConfig`` with ``r``: adapters on the linear layers of
        the blocks that are not frozen. All else stays as it is, but for a classifier's head; so
        `freeze_embeddings` and `freeze_head` cannot be False.
    corpus
        Parallel text to measure the overlap on, at the start, at every evaluation and at the end,
        by an :class:`~ilo_fast.OverlapCallback`. A warning names lines that the training
        text has, too.
    overlap_options
        How it is measured: layers, k, t, ...
    num_train_epochs, max_steps
        `max_steps`, where given, alone decides how long.
    learning_rate
        None: 5e-5 for a language model, 2e-5 for a classifier, 2e-4 with LoRA. Models much smaller
        than 100 million parameters want more.
    weight_decay, max_grad_norm
        Of AdamW, and the norm at which gradients are clipped.
    warmup_steps
        Steps, or below 1 a share of them.
    batch_size, gradient_accumulation_steps
        Examples in a batch, and batches to a step.
    max_length
        Tokens of an example. None: what the model allows, at most 512. A line of text that is
        longer goes on in another example; a labelled text is cut.
    eval_fraction
        Share of the distinct lines of text that is evaluated on and not trained on; the same lines
        for every `seed`.
    seed
        Of the order of the data, dropout, and the weights of a new head. Runs that differ only in
        what is frozen start from the same head and see the same batches.
    device
        None: a GPU where there is one, else the CPU.
    dtype
        None: bfloat16 (autocast over float32 weights) on a GPU that has it, else float32. With LoRA
        on a GPU the weights beneath the adapters keep the checkpoint's own type.
    every
        Steps between evaluations; None: six in the run. There is one at the start, too, and one at
        the end.
    save_steps
        Steps between checkpoints; None: about a minute, and at most a twentieth of the time.
    logging_steps
        Steps between logs of the loss; None: twenty in a short run, else every tenth.
    keep_checkpoints
        Keep the last two when the run is finished.
    report_to
        Where the Trainer logs to: ``"tensorboard"``, ``"wandb"``, ...
    callbacks
        More ``TrainerCallback``.
    revision, trust_remote_code
        For a model on the Hub.
    overwrite
        Begin anew, whatever run `output_dir` holds.
    progress
        A bar on standard error.
    name
        What records and figures call the model; None: the name of its folder or on the Hub.

    Returns
    -------
    FineTuned

    Raises
    ------
    ImportError
        accelerate, or for LoRA peft, is not installed.
    AccessError
        The model or the data cannot be reached.
    CorpusError
        A language without data (names those that have), or wrong text.
    ValueError
        Text for a model that is no decoder, layers that do not exist, a number out of range, a
        loaded model to be trained whole in half precision; an `output_dir` with another run (names
        the settings that differ) or with something else.
    RuntimeError
        Several processes, as torchrun starts them.
    OSError
        The disk is full, or `output_dir` is a file.
    """
    check_can_train("finetune()")
    check_code(language)
    overwrite = truth("overwrite", overwrite)
    own_callbacks = checked_callbacks(callbacks)
    if revision is not None and not isinstance(revision, str):
        raise TypeError(f"revision must be a name on the Hub, got {revision!r}")
    task = task_of(task, data)
    adapters = lora_settings(lora)
    rate = _RATES["lora" if adapters else task] if learning_rate is None else learning_rate
    setup = Setup(
        language=language, task=task, freeze=freeze, freeze_embeddings=freeze_embeddings,
        freeze_head=freeze_head, lora=adapters, max_length=max_length, eval_fraction=eval_fraction,
    )  # fmt: skip
    options = TrainingOptions(
        max_steps=max_steps, num_train_epochs=num_train_epochs, learning_rate=rate,
        weight_decay=weight_decay, warmup_steps=warmup_steps, batch_size=batch_size,
        gradient_accumulation_steps=gradient_accumulation_steps, max_grad_norm=max_grad_norm,
        seed=seed, device=device, dtype=dtype, every=every, save_steps=save_steps,
        logging_steps=logging_steps, keep_checkpoints=keep_checkpoints, report_to=report_to,
        progress=progress,
    )  # fmt: skip
    text = read_data(data, language, setup.eval_fraction or 0.0)
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be what to call the model, got {name!r}")
    watch = Watch(corpus, overlap_options, name)
    trust_remote_code = truth("trust_remote_code", trust_remote_code)

    def load(files: ModelFiles) -> tuple[nn.Module, tuple[str, ...]]:
        # Beneath adapters no weight is updated, so none needs the precision.
        own = adapters is not None and options.place.type != "cpu"
        return load_model(
            files, task, labels=text.labels, revision=revision,
            dtype="auto" if own else torch.float32, seed=options.seed,
        )  # fmt: skip

    with suppress_output(), preserve_random_state():
        start = StartModel(model, tokenizer, revision, trust_remote_code, load)
    if isinstance(model, nn.Module) and adapters is None:
        _check_precision(model)
    spoken = language_codes(start.tokenizer, [language], watch.tokenizer_languages).get(language)
    run = RunFolder(
        output_dir,
        {
            **start.identity,
            "tokenizer_language": spoken,
            "data_sha256": text.fingerprint(),
            **asdict(setup),
            **options.identity(),
            "every": options.every if text.held or watch.measures else None,
            **watch.identity(),
        },
    )
    with run.held(overwrite=overwrite) as finished:
        if finished:
            return FineTuned(run)
        with suppress_output(), preserve_random_state(), saving_errors(run.path):
            job = Job(run, start, text, setup, options, watch, own_callbacks, spoken)
            return FineTuned(run, *job.go())


def _check_precision(model: nn.Module) -> None:
    """Updates of a usual size are lost in the rounding of half-precision weights."""
    floating = [p for p in model.parameters() if p.requires_grad and p.is_floating_point()]
    other = sorted({str(p.dtype) for p in floating if p.dtype != torch.float32})
    if other:
        raise ValueError(
            f"model has trainable weights in {', '.join(other)}: load it with dtype=torch.float32; "
            "finetune(dtype='bfloat16') computes in half precision all the same"
        )
