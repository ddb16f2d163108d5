"""Train a small multilingual language model from nothing, at a chosen mixture of languages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig

from ilo_fast._util.checks import real_number, truth, whole_number
from ilo_fast._util.files import replace_folder
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.output import suppress_output
from ilo_fast.training.identity import config_hash, tokenizer_hash
from ilo_fast.training.measuring import OverlapOptions
from ilo_fast.training.model_state import preserve_model_state
from ilo_fast.training.options import TrainingOptions, checked_callbacks
from ilo_fast.training.pretrain.mixture import Texts, complete_shares, read_texts
from ilo_fast.training.pretrain.model import (
    build_model,
    default_optimizer,
    llama_sizes,
    optimizer_and_schedule,
)
from ilo_fast.training.pretrain.rows import rows_of, stack_rows
from ilo_fast.training.pretrain.tokenizer import SMALLEST, open_tokenizer, tokenizer_in
from ilo_fast.training.process import (
    check_can_train,
    preserve_random_state,
    saving_errors,
)
from ilo_fast.training.run_folder import MODEL_FOLDER, TOKENIZER_FOLDER, RunFolder
from ilo_fast.training.trained import Trained
from ilo_fast.training.trainer import Training, divergence
from ilo_fast.training.watch import Watch


class Pretrained(Trained):
    """What `pretrain` made; also of a run that was finished before.

    Attributes
    ----------
    path : Path
        Folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load: ``model`` in the output
        folder.
    card : dict
        The run metadata, ``run_card.json``: settings, what was used of each language's text,
        losses, versions, seconds.
    """

    @property
    def loss(self) -> float:
        """The last that was logged; nan or infinite where training diverged."""
        return float(self.card["losses"][-1]["loss"])  # JSON has no number for nan, but text

    def _loader(self) -> Any:
        return AutoModelForCausalLM

    def __repr__(self) -> str:
        card, languages = self.card, len(self.card["text"])
        return (
            f"Pretrained({str(self.path)!r}: {card['parameters']:,} parameters, {languages} "
            f"languages, {card['steps']} steps, loss {self.loss:.3f})"
        )


def pretrain(
    texts: Texts,
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
    num_hidden_layers: int = 6,
    num_attention_heads: int | None = None,
    num_key_value_heads: int | None = None,
    intermediate_size: int | None = None,
    max_length: int | None = None,
    max_steps: int = 1000,
    context: int = 64,
    batch_size: int = 64,
    gradient_accumulation_steps: int = 1,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    max_grad_norm: float = 1.0,
    warmup_steps: float = 0.05,
    decay_share: float = 0.3,
    seed: int = 0,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    corpus: ParallelCorpus | Mapping[str, Sequence[str]] | str | os.PathLike[str] | None = None,
    overlap_options: OverlapOptions | None = None,
    every: int | None = None,
    save_steps: int | None = None,
    logging_steps: int | None = None,
    keep_checkpoints: bool = False,
    report_to: str | Sequence[str] = "none",
    callbacks: Sequence[Any] = (),
    overwrite: bool = False,
    progress: bool = False,
) -> Pretrained:
    """Train a causal language model in several languages, with the transformers ``Trainer``.

    Every batch has the languages at their shares of the *tokens*: a row is `context` tokens of
    one language, lines running on with an end token between them, and the number of rows of each
    language is its share of all rows, exact to rounding, in the whole run and in every step. A
    language with little text repeats it; the card says how often. Batches depend on the seed and
    the number of the step alone, and a run that was interrupted goes on from its last checkpoint
    to the same weights (on the same machine, with the same number of threads).

    Parameters
    ----------
    texts
        Language -> lines; or a folder of ``<code>.txt``, or several, merged by language.
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
    hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, intermediate_size
        Of the Llama model, which ties its embeddings. By default a head has 32 dimensions (or as
        many as there are), keys and values have as many heads, and `intermediate_size` is 8/3 of
        `hidden_size`.
    max_length
        Positions that it takes; None: 512 or `context`, what is more.
    max_steps, context
        Optimizer steps, and tokens in a row.
    batch_size, gradient_accumulation_steps
        Rows in a batch, and batches to a step.
    learning_rate, weight_decay, betas, max_grad_norm
        Of AdamW (embeddings, norms and biases do not decay), and the norm at which gradients are
        clipped.
    warmup_steps, decay_share
        The rate rises for so many steps, or below 1 such a share of them, stays, and over the last
        share of the steps falls linearly to zero.
    seed
        Of the start weights, the order of the text and the lines for the tokenizer.
    device, dtype
        As in :func:`~ilo_fast.finetune`.
    corpus
        Parallel text to measure the overlap of every layer on, at the start, every `every` steps
        and at the end, see :class:`~ilo_fast.OverlapCallback`. Training is not changed.
    overlap_options, every
        How it is measured, and steps between measurements (None: ten times).
    save_steps, logging_steps, keep_checkpoints, report_to, callbacks, overwrite, progress
        As in :func:`~ilo_fast.finetune`.

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
    check_can_train("pretrain()")
    options = TrainingOptions(
        max_steps=max_steps, learning_rate=learning_rate, weight_decay=weight_decay,
        warmup_steps=warmup_steps, batch_size=batch_size,
        gradient_accumulation_steps=gradient_accumulation_steps, max_grad_norm=max_grad_norm,
        seed=seed, device=device, dtype=dtype,
        every=max(1, whole_number("max_steps", max_steps) // 10) if every is None else every,
        save_steps=save_steps, logging_steps=logging_steps, keep_checkpoints=keep_checkpoints,
        report_to=report_to, progress=progress,
    )  # fmt: skip
    whole_number("context", context, least=2)  # a token is predicted from those before it
    if not 0 <= real_number("decay_share", decay_share) <= 1:
        raise ValueError(f"decay_share={decay_share}: a share of the steps is 0 to 1")
    betas = _checked_betas(betas)
    overwrite = truth("overwrite", overwrite)
    own_callbacks = checked_callbacks(callbacks)
    if config is not None and not isinstance(config, PreTrainedConfig):
        raise TypeError(
            f"config must be a transformers configuration, LlamaConfig() say, got {config!r}"
        )
    if max_length is not None:
        max_length = whole_number("max_length", max_length)
    trains_tokenizer = tokenizer is None
    if trains_tokenizer:
        whole_number("vocab_size", vocab_size, least=SMALLEST)
        whole_number("tokenizer_lines", tokenizer_lines)
    tokenizer = open_tokenizer(tokenizer)
    lines = read_texts(texts, languages, allow_unknown=allow_unknown)
    shares = complete_shares(mixture, list(lines))
    positions: int | None
    if config is None:
        positions = max(512, context) if max_length is None else max_length
    else:  # it says so itself, or (None) knows no limit
        positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and positions < context:
        raise ValueError(f"context={context}, but the model takes {positions} positions")
    max_length = positions or max(512, context)  # also of a tokenizer that is trained
    sizes = llama_sizes(
        hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads,
        intermediate_size, max_length,
    )  # fmt: skip
    watch = Watch(corpus, overlap_options)
    run = RunFolder(
        output_dir,
        {
            "task": "pretraining",
            **options.identity(),
            "every": options.every if watch.measures else None,
            "context": context,
            "betas": betas,
            "decay_share": decay_share,
            "mixture": shares,
            "text_sha256": {code: fingerprint({code: found}) for code, found in lines.items()},
            "vocab_size": vocab_size if trains_tokenizer else None,
            "tokenizer_lines": tokenizer_lines if trains_tokenizer else None,
            "tokenizer_sha256": None if tokenizer is None else tokenizer_hash(tokenizer),
            **(sizes if config is None else {"config_sha256": config_hash(config)}),
            **watch.identity(),
        },
    )
    watch.name = run.path.resolve().name  # a model from nothing has no other
    with run.held(overwrite=overwrite) as finished:
        if finished:
            return Pretrained(run)
        run.begin({})  # from here on the folder is this run's
        with suppress_output(), preserve_random_state(), saving_errors(run.path):
            if trains_tokenizer:
                tokenizer = tokenizer_in(
                    run.path / TOKENIZER_FOLDER, lines, vocab_size=vocab_size,
                    n_lines=tokenizer_lines, max_length=max_length, seed=options.seed,
                )  # fmt: skip
            data, text = rows_of(lines, shares, tokenizer, options, context)
            model, n_blocks = build_model(config, sizes, tokenizer, options.seed)
            run.begin(
                {
                    "parameters": sum(p.numel() for p in model.parameters()),
                    "text": text,
                    **watch.metadata(line for found in lines.values() for line in found),
                    **options.metadata(),
                }
            )
            watching = watch.callbacks(run, tokenizer, options.every, n_blocks)
            with preserve_model_state(model):
                model.to(options.place)
                results = Training(
                    model, run, options, max_steps,
                    data=data, collate=stack_rows, callbacks=[*own_callbacks, *watching],
                    optimizers=optimizer_and_schedule(
                        default_optimizer(model, options, betas), options, decay_share
                    ),
                ).go()  # fmt: skip
            with replace_folder(run.path / MODEL_FOLDER) as new:
                model.save_pretrained(new)
                tokenizer.save_pretrained(new)
        tokens = sum(used["tokens"] for used in text.values())
        spent = results["seconds"] - results["seconds_measuring"]
        results["tokens_per_second"] = round(tokens / max(spent, 1e-9))
        run.finish(results, keep_checkpoints=keep_checkpoints, diverged=bool(divergence(results)))
        return Pretrained(run, model.eval(), tokenizer)


def _checked_betas(betas: Any) -> tuple[float, float]:
    """AdamW's decay rates, two numbers from 0 to below 1."""
    try:
        first, second = (real_number("betas", beta) for beta in betas)
    except (TypeError, ValueError):
        raise TypeError(f"betas={betas!r}: wanted two numbers, (0.9, 0.95) say") from None
    if not (0 <= first < 1 and 0 <= second < 1):
        raise ValueError(f"betas={betas!r}: wanted numbers from 0 to below 1")
    return first, second
