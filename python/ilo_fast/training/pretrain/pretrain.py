"""Train a small multilingual language model from nothing, at a chosen mixture of languages."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM

from ilo_fast._util.optional import require
from ilo_fast._util.versions import NUMERIC_PACKAGES, versions
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.training import need_one_process
from ilo_fast.training.callback import OverlapCallback
from ilo_fast.training.loop import quiet, saving_errors
from ilo_fast.training.pretrain.loop import Plan, train
from ilo_fast.training.pretrain.mixture import complete_shares, read_texts, text_hash
from ilo_fast.training.pretrain.model import (
    build_model,
    check_causal,
    check_fit,
    llama_sizes,
    model_identity,
)
from ilo_fast.training.pretrain.rows import lines_shared, rows_of
from ilo_fast.training.pretrain.tokenizer import (
    check_n_lines,
    check_vocab_size,
    open_tokenizer,
    tokenizer_identity,
    tokenizer_in,
)
from ilo_fast.training.run_folder import (
    MODEL_FOLDER,
    OVERLAP_FILE,
    RunFolder,
    put_in_place,
    replaced,
)
from ilo_fast.training.trained import Trained

if TYPE_CHECKING:
    from ilo_fast.training.pretrain.loop import Batches, Loss, OptimizerOf

logger = logging.getLogger(__name__)

Texts = Mapping[str, Iterable[str]] | str | os.PathLike[str] | Sequence["str | os.PathLike[str]"]

TOKENIZER_FOLDER = "tokenizer"  # while the run is under way; then it stands with the model


class Pretrained(Trained):
    """What `pretrain` made; also of a run that was finished before.

    Attributes
    ----------
    path : Path
        Folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load: ``model`` in the output
        folder.
    card : dict
        The run card (``run_card.json``): settings, what was used of each language's text, losses,
        versions, seconds.
    """

    @property
    def loss(self) -> float:
        """The last that was logged; nan or infinite where training diverged."""
        return float(self.card["loss"][-1][1])  # the card holds what JSON has no number for as text

    def _loader(self) -> Any:
        return AutoModelForCausalLM

    def __repr__(self) -> str:
        card = self.card
        languages = len(card["text"]) or "given batches, no"
        return (
            f"Pretrained({str(self.path)!r}: {card['parameters']:,} parameters, {languages} "
            f"languages, {card['settings']['steps']} steps, loss {self.loss:.3f})"
        )


def pretrain(
    texts: Texts | None,
    output_dir: str | os.PathLike[str],
    *,
    mixture: Mapping[str, float] | None = None,
    languages: str | Sequence[str] | None = None,
    allow_unknown: bool = False,
    tokenizer: Any = None,
    vocab_size: int = 16384,
    tokenizer_lines: int = 5000,
    config: Any = None,
    hidden_size: int = 192,
    layers: int = 6,
    heads: int | None = None,
    kv_heads: int | None = None,
    mlp_size: int | None = None,
    max_length: int | None = None,
    steps: int = 1000,
    context: int = 64,
    batch_size: int = 64,
    accumulate: int = 1,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    clip: float = 1.0,
    warmup_steps: int | None = None,
    decay_share: float = 0.3,
    device: str | None = None,
    dtype: str | None = None,
    seed: int = 0,
    corpus: ParallelCorpus | str | os.PathLike[str] | None = None,
    measure_every: int | None = None,
    overlap_options: Mapping[str, Any] | None = None,
    save_every: int | None = None,
    keep_checkpoints: bool = False,
    log_every: int = 10,
    report_to: str | list[str] = "none",
    callbacks: Sequence[Any] = (),
    resume: bool = True,
    overwrite: bool = False,
    progress: bool = True,
    model: Any = None,
    batches: Batches | None = None,
    loss: Loss | None = None,
    optimizer: OptimizerOf | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Pretrained:
    """Train a causal language model in several languages, with the transformers ``Trainer``.

    Every batch has the languages at their shares of the *tokens*: a row is `context` tokens of
    one language, lines running on with an end token between them, and the number of rows of each
    language is its share of all rows, exact to rounding, in the whole run and in every batch. A
    language with little text repeats it; the card says how often. Batches depend on the seed and
    the number of the step alone, and a run that was interrupted goes on from its last checkpoint
    to the same weights (on the same machine, with the same number of threads).

    Parameters
    ----------
    texts
        Language -> lines; or a folder of ``<code>.txt``, or several, merged by language. None
        with `batches`.
    output_dir
        Gets ``model/`` (with its tokenizer), ``run_card.json``, ``overlap.jsonl`` and, while it
        runs, checkpoints. A finished run with the same settings is returned at once.
    mixture
        Language -> share of the tokens; the rest is shared equally by all other languages.
        ``{"eng_Latn": 0.5}``, or ``{"eng_Latn": 0}`` for none of it. None: equal shares.
    languages
        Codes or named sets to take of `texts`; None takes all.
    allow_unknown
        Take files whose name is no known language code.
    tokenizer
        A transformers tokenizer, or its name or folder. None trains one (byte-level BPE) of
        `vocab_size` tokens on `tokenizer_lines` lines of *every* language, whatever its share, so
        that models at different mixtures of the same texts have the same tokenizer.
    vocab_size, tokenizer_lines
        See there.
    config
        A transformers configuration, for another architecture than Llama; its vocabulary size and
        special tokens are set from the tokenizer. The sizes below are then unused.
    hidden_size, layers, heads, kv_heads, mlp_size, max_length
        Of the Llama model, which ties its embeddings. By default a head has 32 dimensions (or as
        many as there are), `kv_heads` is `heads`, `mlp_size` 8/3 of `hidden_size`, and
        `max_length`, the positions it takes, 512 or `context`, what is more.
    steps, context, batch_size
        Optimizer steps, tokens in a row, rows in a step.
    accumulate
        Parts in which a step's rows are gone through, where memory is short.
    learning_rate, weight_decay, betas, clip
        Of AdamW (embeddings, norms and biases do not decay), and the norm at which gradients are
        clipped.
    warmup_steps, decay_share
        The rate rises for so many steps (None: 5 % of them), stays, and over the last share of the
        steps falls linearly to zero.
    device
        ``"cpu"``, ``"cuda"``, ...; None: a GPU where there is one.
    dtype
        ``"float32"``, or ``"bfloat16"`` (mixed precision; weights stay float32). None: bfloat16 on
        a GPU that has it.
    seed
        Of the start weights, the order of the text and the lines for the tokenizer.
    corpus
        Parallel text, a ParallelCorpus or its folder or name: measures ILO of every layer at the
        start, every `measure_every` steps (None: ten times) and at the end, see
        :class:`~ilo_fast.OverlapCallback`. Training is not changed.
    measure_every, overlap_options
        See there; options are ``n_neighbors``, ``layers``, ....
    save_every, keep_checkpoints
        Steps between checkpoints (None: about one a minute), and whether all are kept. Otherwise
        only the last is, until the run is finished.
    log_every, report_to, callbacks
        Steps between logs of the loss; the Trainer's reports (``"tensorboard"``, ``"wandb"``);
        further ``TrainerCallback``.
    resume
        False: begin anew where there is a run with the same settings.
    overwrite
        Replace whatever run `output_dir` holds.
    progress
        Show a bar on standard error.
    model
        Start weights, a transformers model, which is trained in place; with `texts`, its own
        `tokenizer` is needed, too. None makes one.
    batches
        Called with the step (from 0): a dict of tensors or arrays, or a list of such dicts, whose
        losses add up (each is gone through, backward too, before the next). In place of `texts`.
    loss
        Called with the model and such a dict: the loss, a tensor. None: the model's own.
    optimizer
        Called with the model: a torch optimizer, in place of AdamW as above. The schedule scales
        the rate of each of its groups.
    settings
        JSON-able: what `model`, `batches`, `loss` and `optimizer` depend on. Kept in the card, and
        compared when a run is resumed.

    Returns
    -------
    Pretrained

    Raises
    ------
    ValueError
        A mixture, size or combination that cannot be; a model that sees the tokens it is to
        predict; `output_dir` holds a run with other settings (says which).
    CorpusError, AccessError
        The text is wrong, or text or tokenizer are not to be read.
    ImportError
        ``accelerate`` is missing: ``pip install 'ilo_fast[train]'``.
    """
    require("accelerate", "train")
    need_one_process("pretrain()")
    _check_seams(texts, model, batches, mixture, accumulate, tokenizer)
    tenth = max(1, steps // 10)
    plan = Plan(
        steps=steps, context=context, batch_size=batch_size, accumulate=accumulate,
        learning_rate=learning_rate, weight_decay=weight_decay, betas=betas, clip=clip,
        warmup_steps=max(1, steps // 20) if warmup_steps is None else warmup_steps,
        decay_share=decay_share, device=device, dtype=dtype, seed=seed,
        save_every=save_every, keep_checkpoints=keep_checkpoints,
        log_every=log_every, report_to=report_to, progress=progress,
    )  # fmt: skip
    if texts is not None and tokenizer is None:
        check_vocab_size(vocab_size)
        check_n_lines(tokenizer_lines)
    tokenizer = open_tokenizer(tokenizer)
    if model is not None:
        check_causal(model)
    lines = None if texts is None else read_texts(texts, languages, allow_unknown=allow_unknown)
    shares = {} if lines is None else complete_shares(mixture, list(lines))
    max_length = max_length or max(512, context)
    sizes = llama_sizes(hidden_size, layers, heads, kv_heads, mlp_size, max_length)
    every = measure_every or tenth
    if isinstance(corpus, (str, os.PathLike)):
        corpus = ParallelCorpus.load(corpus)
    run = RunFolder(
        Path(output_dir).expanduser(),
        {
            "task": "pretraining",
            **plan.identity(own_batches=lines is None, own_optimizer=optimizer is not None),
            "own": {
                name: own is not None
                for name, own in (("batches", batches), ("loss", loss), ("optimizer", optimizer))
            }
            | {"settings": dict(settings or {})},
            "mixture": shares,
            "text_sha256": {code: text_hash(found) for code, found in (lines or {}).items()},
            "tokenizer": {"vocab_size": vocab_size, "lines": tokenizer_lines}
            if lines is not None and tokenizer is None
            else None
            if tokenizer is None
            else tokenizer_identity(tokenizer),
            "model": model_identity(model, config, sizes),
            "corpus_sha256": None if corpus is None else corpus.fingerprint(),
            "overlap": None if corpus is None else {"every": every, **(overlap_options or {})},
        },
    )
    # Made before anything is replaced, for it refuses options that cannot be.
    measuring = (
        [] if corpus is None else [OverlapCallback(corpus, every=every, **(overlap_options or {}))]
    )
    with run.held():
        state = run.examine(resume=resume, overwrite=overwrite)
        if state == "finished":
            logger.info("%s holds this run, finished %s", run.path, run.card["finished"])
            return _noted(Pretrained(run.path, run.card))
        if state == "new":
            run.clear()
            shutil.rmtree(run.path / TOKENIZER_FOLDER, ignore_errors=True)
        run.begin({})  # from here on the folder is this run's
        shared = [] if lines is None or corpus is None else lines_shared(lines, corpus)
        with quiet(), saving_errors(run.path):
            if lines is not None and tokenizer is None:
                tokenizer = tokenizer_in(
                    run.path / TOKENIZER_FOLDER, lines, vocab_size=vocab_size,
                    n_lines=tokenizer_lines, max_length=max_length, seed=seed,
                )  # fmt: skip
            data, use = (None, {}) if lines is None else rows_of(lines, shares, tokenizer, plan)
            if model is None:
                model = build_model(config, sizes, tokenizer, seed)
                check_causal(model)
            if lines is not None:
                check_fit(model, tokenizer, context)
            run.begin(
                {
                    "parameters": sum(p.numel() for p in model.parameters()),
                    "text": use,
                    "corpus": None if corpus is None else corpus.info,
                    "overlap": None if corpus is None else OVERLAP_FILE,
                    "shared_lines": shared,
                    "threads": torch.get_num_threads(),
                    "versions": versions(*NUMERIC_PACKAGES, "accelerate"),
                }
            )
            for callback in measuring:
                callback.tokenizer = tokenizer
            results = train(
                model, run, plan, data=data, batches=batches, loss=loss, optimizer=optimizer,
                callbacks=[*callbacks, *measuring],
            )  # fmt: skip
            folder = replaced(run.path / MODEL_FOLDER)
            model.save_pretrained(folder)
            if tokenizer is not None:
                tokenizer.save_pretrained(folder)
            put_in_place(run.path / MODEL_FOLDER)
        run.finish(results)
        shutil.rmtree(run.path / TOKENIZER_FOLDER, ignore_errors=True)
        if not keep_checkpoints:
            run.drop_checkpoints()
    return _noted(Pretrained(run.path, run.card, model.eval(), tokenizer))


def _noted(made: Pretrained) -> Pretrained:
    """The same; logs that training diverged."""
    if not math.isfinite(made.loss):
        logger.warning(
            "%s: training diverged, its last loss is %s, and the model is of no use: train again "
            "with a lower learning_rate, or more warmup_steps",
            made.path.parent, made.loss,
        )  # fmt: skip
    return made


def _check_seams(
    texts: Texts | None, model: Any, batches: Any, mixture: Any, accumulate: int, tokenizer: Any
) -> None:
    if (texts is None) == (batches is None):
        raise ValueError(
            "give either texts or batches, got "
            + ("neither" if texts is None else "both")
            + ": batches=, a function of the step, stands in place of text"
        )
    if batches is None:
        if model is not None and tokenizer is None:
            raise ValueError(
                "model= without tokenizer=: text would be cut into tokens that the model does not "
                "know; pass the model's own tokenizer="
            )
        return
    if model is None:
        raise ValueError("batches= needs model=: without text nothing says how large a vocabulary")
    if mixture is not None:
        raise ValueError("mixture= is for texts; batches= already says what is trained on")
    if accumulate != 1:
        raise ValueError(
            f"accumulate={accumulate}: with batches=, return a list of the parts instead"
        )
