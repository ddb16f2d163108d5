"""finetune(): train a model on one language with layers frozen, and watch the overlap meanwhile.

Everything that can be wrong is looked at before the first step: the data, the labels, the layers to
freeze, the output folder. The loop is the transformers ``Trainer``'s.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast._util.optional import require
from ilo_fast.training import need_one_process
from ilo_fast.training.run_folder import RunFolder
from ilo_fast.training.trained import Trained

if TYPE_CHECKING:
    import torch

    from ilo_fast.corpora.labelled.corpus import LabelledCorpus
    from ilo_fast.corpora.parallel import ParallelCorpus

logger = logging.getLogger(__name__)

# Where learning_rate is None. Large enough to learn something in a few epochs, as is usual for
# pretrained models of 100 million parameters and more; smaller models take more.
_RATES = {"causal-lm": 5e-5, "classification": 2e-5, "lora": 2e-4}


class FineTuned(Trained):
    """What `finetune` made; also of a run that was finished before.

    Attributes
    ----------
    path : Path
        The model with its tokenizer, as ``from_pretrained`` loads them. After LoRA the adapter is
        merged into it, and lies on its own in ``adapter`` beside it.
    card : dict
        The run card (``run_card.json``): settings, data, versions, what was frozen, losses,
        evaluations, seconds.
    """

    def _loader(self) -> Any:
        from ilo_fast.training.finetune.heads import auto_class

        return auto_class(self.card["settings"]["task"])

    @property
    def metrics(self) -> dict[str, float]:
        """The last evaluation: accuracy and macro_f1, or token_loss and perplexity; may be {}."""
        return {name: float(value) for name, value in self.card["metrics"].items()}

    @property
    def frozen(self) -> dict[str, Any] | None:
        """What the run froze, as ``Frozen.to_dict()`` says it; None for nothing.

        After LoRA: the layers without adapters, what else got no gradient, and its share. What the
        caller had frozen before is in ``card["frozen_before"]``.
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
    model: str | PathLike[str] | torch.nn.Module,
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
    overlap_options: Mapping[str, Any] | None = None,
    epochs: float = 3,
    max_steps: int | None = None,
    learning_rate: float | None = None,
    weight_decay: float = 0.01,
    warmup: float = 0.06,
    batch_size: int = 16,
    accumulate: int = 1,
    max_length: int | None = None,
    heldout: float = 0.05,
    seed: int = 0,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    evaluate_every: int | None = None,
    save_every: int | None = None,
    keep_checkpoints: bool = False,
    report_to: str | Sequence[str] = "none",
    callbacks: Sequence[Any] = (),
    revision: str | None = None,
    trust_remote_code: bool = False,
    resume: bool = True,
    overwrite: bool = False,
    progress: bool = True,
) -> FineTuned:
    """Fine-tune `model` on one language.

    AdamW with a linear warm-up and a linear decay to 0, by the transformers ``Trainer``. The same
    call again returns a finished run at once, and goes on with an interrupted one from its last
    checkpoint to the same weights, on a CPU to the bit. It runs in one process.

    Parameters
    ----------
    model
        A Hub name, a local folder, or a loaded transformers model with the head of the task, which
        is then trained in place. Afterwards, and after an error or Ctrl-C, it has neither adapters
        nor frozen parameters that it did not have before. But the weights of an interrupted one are
        half trained: load it anew to go on from a checkpoint; without a checkpoint, the same call
        with the same module starts from those.
    data
        A LabelledCorpus (its split "train"; evaluated on "dev" or "validation" if there is one) for
        a classifier. Else text for a causal language model, all that `read_text` takes: a file, a
        folder with ``<language>.txt``, sentences, ``"demo"``; one line is one example.
    output_dir
        Gets ``model/``, ``run_card.json``, ``overlap.jsonl``, checkpoints while it trains, and
        after LoRA ``adapter/``.
    language
        The language of `data` to train on.
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
        For that callback: ``layers``, ``n_neighbors``, ...
    epochs, max_steps
        `max_steps`, where given, alone decides how long.
    learning_rate
        None: 5e-5 for a language model, 2e-5 for a classifier, 2e-4 with LoRA. Models much smaller
        than 100 million parameters want more.
    weight_decay, warmup
        `warmup` is a share of the steps.
    batch_size, accumulate
        Examples in a batch, and batches to a step.
    max_length
        Tokens of an example. None: what the model allows, at most 512. A line of text that is
        longer goes on in another example; a labelled text is cut.
    heldout
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
    evaluate_every
        Steps between evaluations; None: six in the run. There is one at the start, too, and one at
        the end.
    save_every
        Steps between checkpoints; None: about a minute, and at most a twentieth of the time.
    keep_checkpoints
        Keep the last two when the run is finished.
    report_to
        Where the Trainer logs to: ``"tensorboard"``, ``"wandb"``, ...
    callbacks
        More ``TrainerCallback``.
    revision, trust_remote_code
        For a model on the Hub.
    resume
        False: begin again what is unfinished or finished in `output_dir`.
    overwrite
        Replace a run of other settings in `output_dir`.
    progress
        A bar on standard error.

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
        The disk is full.
    """
    require("accelerate", "train")
    need_one_process("finetune()")
    from ilo_fast.training.finetune.options import Options
    from ilo_fast.training.finetune.run import Run

    options = Options(
        language=language, task=task, tokenizer=tokenizer, freeze=freeze,
        freeze_embeddings=freeze_embeddings, freeze_head=freeze_head, lora=lora, corpus=corpus,
        overlap_options=overlap_options or {}, epochs=epochs, max_steps=max_steps,
        learning_rate=learning_rate, weight_decay=weight_decay, warmup=warmup,
        batch_size=batch_size, accumulate=accumulate, max_length=max_length, heldout=heldout,
        seed=seed, device=device, dtype=dtype, evaluate_every=evaluate_every,
        save_every=save_every, keep_checkpoints=keep_checkpoints, report_to=report_to,
        callbacks=tuple(callbacks), revision=revision, trust_remote_code=trust_remote_code,
        progress=progress,
    )  # fmt: skip
    run = Run(model, data, options)
    folder = RunFolder(Path(output_dir).expanduser(), run.settings())
    with folder.held():
        state = folder.examine(resume=resume, overwrite=overwrite)
        if state == "finished":
            logger.info("%s holds this run, finished %s", folder.path, folder.card["finished"])
            return FineTuned(folder.path, folder.card)
        card, trained, tokenizer = run.go(folder, resumed=state == "interrupted")
    return FineTuned(folder.path, card, trained, tokenizer)


def default_learning_rate(task: str, lora: bool) -> float:
    """The rate that None stands for."""
    return _RATES["lora" if lora else task]


def n_steps(examples: int, batch_size: int, accumulate: int, epochs: float) -> int:
    """Steps that so many epochs take."""
    one = math.ceil(math.ceil(examples / batch_size) / accumulate)
    return max(1, math.ceil(epochs * one))
