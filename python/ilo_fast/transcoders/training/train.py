"""`train_transcoder`: a transcoder of a causal language model's MLPs, from text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ilo_fast._util.checks import truth
from ilo_fast._util.files import replace_folder
from ilo_fast._util.hashing import digest, hash_file
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.models.demo import DEMO, demo_model_path
from ilo_fast.models.identity import hash_state
from ilo_fast.models.output import suppress_output
from ilo_fast.models.source import ModelSource
from ilo_fast.training.identity import tokenizer_hash
from ilo_fast.training.pretrain.mixture import Texts
from ilo_fast.training.process import saving_errors
from ilo_fast.training.run_folder import RunFolder
from ilo_fast.transcoders.activations import Activation
from ilo_fast.transcoders.files.fitting import transcoded_model
from ilo_fast.transcoders.files.folder import (
    TRANSCODER_FOLDER,
    load_transcoder,
    save_transcoder,
    transcoder_path,
)
from ilo_fast.transcoders.info import TranscoderInfo
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.training.initial import (
    INITIAL,
    check_shape,
    opened_initial,
    shape_of,
)
from ilo_fast.transcoders.training.loop import SKIP_POSITIONS, TranscoderTraining
from ilo_fast.transcoders.training.options import TranscoderOptions
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder
from ilo_fast.transcoders.windows import BLOCK_LINES, Windows, read_windows, transcoder_texts


class TrainedTranscoder:
    """What `train_transcoder` made; also of a run that was finished before.

    Attributes
    ----------
    path : Path
        The transcoder as `load_transcoder` loads it: ``transcoder`` in the output folder, which
        will do, too.
    card : dict
        The run metadata, ``run_card.json``: settings, model, text, losses, metrics, versions.
    """

    def __init__(self, run: RunFolder, transcoder: CrossLayerTranscoder | None = None) -> None:
        self.path = run.result
        self.card = run.card
        self._transcoder = transcoder

    @property
    def transcoder(self) -> CrossLayerTranscoder:
        """On the CPU, in evaluation mode."""
        if self._transcoder is None:
            self._transcoder = load_transcoder(self.path)
        return self._transcoder

    @property
    def metrics(self) -> dict[str, Any]:
        """On held-out text, per layer: `explained_variance`, `l0`, `dead`; and its `tokens`."""
        return dict(self.card["metrics"])

    def __repr__(self) -> str:
        explained = self.metrics["explained_variance"]
        return (
            f"TrainedTranscoder({str(self.path)!r}: {self.card['tokens']:,} tokens, explained "
            f"variance {sum(explained) / len(explained):.3f})"
        )


def train_transcoder(
    model: str | os.PathLike[str] | nn.Module,
    text: Texts,
    output_dir: str | os.PathLike[str],
    *,
    languages: str | Sequence[str] | None = None,
    language: str | None = None,
    allow_unknown: bool = False,
    tokenizer: Any = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    initial: CrossLayerTranscoder | str | os.PathLike[str] | None = None,
    n_features: int | None = None,
    activation: Activation | None = None,
    cross_layer: bool | None = None,
    tokens: int = 1_000_000,
    context_length: int = 64,
    batch_tokens: int = 2048,
    buffer_tokens: int = 65_536,
    learning_rate: float = 5e-3,
    warmup_share: float = 0.05,
    decay_share: float = 0.3,
    max_grad_norm: float = 1.0,
    target_l0: float | None = None,
    sparsity_coefficient: float = 3e-3,
    sparsity_warmup_share: float = 0.3,
    dead_after: int = 100_000,
    auxiliary_coefficient: float = 1 / 32,
    auxiliary_features: int | None = None,
    eval_fraction: float = 0.05,
    eval_steps: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    save_steps: int | None = None,
    logging_steps: int | None = None,
    keep_checkpoints: bool = False,
    report_to: str | Sequence[str] = "none",
    overwrite: bool = False,
    progress: bool = False,
) -> TrainedTranscoder:
    """Train a cross-layer transcoder, or a per-layer one, on text.

    Windows of text go through the model; what its MLPs read and add is shuffled in memory, and
    nothing of it is written to disk. The same call goes on with an interrupted run, to the same
    bits on a CPU with the same number of threads.

    Parameters
    ----------
    model
        A causal language model: a Hub name, a folder, ``"demo"``, or a loaded module. It is not
        changed.
    text
        Language -> lines, a folder or table as for `ParallelCorpus.from_dir`, or several; or one
        plain text file.
    output_dir
        Folder of the run: ``transcoder``, ``run_card.json``, ``training.jsonl``, checkpoints.
    languages, allow_unknown
        Which languages of the text; as in `pretrain`.
    language
        That of one plain text file (None: undetermined, ``"und"``).
    tokenizer, revision, trust_remote_code
        As in `extract`.
    initial
        A transcoder, or its folder, to start from: its weights, thresholds and scales. So that of a
        model is refitted on a model that was fine-tuned from it, and features keep their numbers;
        `model` may be any of the same layers and width. None: random weights.
    n_features
        Of every layer. None: as `initial`, else 1024.
    activation
        `TopK`, `BatchTopK` or `JumpReLU`. None: as `initial`, else `TopK` with k = 16.
    cross_layer
        Features write into all later layers; False: into their own alone, the control. None: as
        `initial`, else True.
    tokens
        To train on; a text that is shorter comes several times.
    context_length
        Tokens of a window, all of one language. The first is neither trained on nor counted.
    batch_tokens, buffer_tokens
        About how many tokens make a step, and are mixed in memory.
    learning_rate, warmup_share, decay_share, max_grad_norm
        Of Adam; the rate rises over the first share of the steps and falls to zero over the last.
    target_l0
        Features of a layer that fire for a token when training begins (None: k; 16 for JumpReLU).
    sparsity_coefficient, sparsity_warmup_share
        Of the penalty that `JumpReLU` needs, and the share of the steps over which it rises.
    dead_after
        Tokens for which a feature is silent before it counts as dead, and is revived.
    auxiliary_coefficient, auxiliary_features
        Weight of the loss that revives dead features (0: none), and how many of them explain a
        token's residual in each layer (None: half the hidden size).
    eval_fraction
        Share of the lines that is held out, in blocks, the same of all languages.
    eval_steps
        Steps between evaluations on held-out text (None: five in all).
    seed
        Of the start weights, the order of the text and the lines held out.
    device, dtype
        Where, and what the language model computes in (None: bfloat16 on a GPU that has it). The
        transcoder is float32.
    save_steps, logging_steps, keep_checkpoints, report_to, overwrite, progress
        As in `finetune`.

    Returns
    -------
    TrainedTranscoder

    Raises
    ------
    ValueError
        A parameter that cannot be; a model whose MLPs are not found (says why); `output_dir` holds
        a run with other settings (says which).
    CorpusError, AccessError
        The text is wrong or too short; text or model are not to be read.
    FloatingPointError
        Training broke down; names the step and the checkpoint that is kept.
    """
    start = opened_initial(initial)
    n_features, activation, cross_layer = shape_of(start, n_features, activation, cross_layer)
    options = TranscoderOptions(
        n_features=n_features, activation=activation, cross_layer=cross_layer, tokens=tokens,
        context_length=context_length, batch_tokens=batch_tokens, buffer_tokens=buffer_tokens,
        learning_rate=learning_rate, warmup_share=warmup_share, decay_share=decay_share,
        max_grad_norm=max_grad_norm, target_l0=target_l0,
        sparsity_coefficient=sparsity_coefficient, sparsity_warmup_share=sparsity_warmup_share,
        dead_after=dead_after, auxiliary_coefficient=auxiliary_coefficient,
        auxiliary_features=auxiliary_features, eval_fraction=eval_fraction, eval_steps=eval_steps,
        seed=seed, device=device, dtype=dtype, save_steps=save_steps,
        logging_steps=logging_steps, keep_checkpoints=keep_checkpoints, report_to=report_to,
        progress=progress,
    )  # fmt: skip
    overwrite = truth("overwrite", overwrite)
    texts = transcoder_texts(text, languages, language=language, allow_unknown=allow_unknown)
    source = _open(model, tokenizer, options, revision, trust_remote_code)
    identity = options.identity()
    if start is not None:
        identity[INITIAL] = hash_state(start, computed=False)
    run = RunFolder(
        output_dir,
        {
            "task": "transcoder",
            "weights_sha256": _weights_hash(source),
            "tokenizer_sha256": tokenizer_hash(source.tokenizer),
            "text_sha256": {code: fingerprint({code: lines}) for code, lines in texts.items()},
            **identity,
        },
        result=TRANSCODER_FOLDER,
    )
    with run.held(overwrite=overwrite) as finished:
        if finished:
            return TrainedTranscoder(run)
        with suppress_output(), saving_errors(run.path):
            reader = MLPReader(source.load().backbone)
            _check_context(source, context_length)
            train, held_out = read_windows(
                source.tokenizer, texts,
                context_length=context_length, eval_fraction=options.eval_fraction, seed=seed,
            )  # fmt: skip
            _check_ids(reader, train, held_out)
            check_shape(start, reader)
            training = TranscoderTraining(reader, train, held_out, run, options, start)
            # Whatever is wrong with model, data or options has been said: now the folder changes.
            run.begin(
                {
                    "parameters": sum(p.numel() for p in training.transcoder.parameters()),
                    "model": source.describe(),
                    "text": {
                        "source": _named(text),
                        "allow_unknown": allow_unknown,
                        "language": language,
                        "languages": _counts(train, held_out),
                    },
                    "skip_positions": SKIP_POSITIONS,
                    "initial": _named_initial(initial),
                    **options.metadata(),
                }
            )
            results = training.go()
            transcoder = training.transcoder.cpu().eval().requires_grad_(False)
            transcoder.info = TranscoderInfo(
                model=transcoded_model(reader, source.label or source.name),
                context=context_length,
                skip_positions=SKIP_POSITIONS,
                languages=train.languages,
                tokens=results["tokens"],
                held_out=held_out_rule(options),
                options=identity,
                metrics=results["metrics"],
            )
            with replace_folder(run.result) as new:
                save_transcoder(transcoder, new)
        run.finish(results, keep_checkpoints=keep_checkpoints)
        return TrainedTranscoder(run, transcoder)


def _open(
    model: Any, tokenizer: Any, options: TranscoderOptions, revision: str | None, trusts: bool
) -> ModelSource:
    loaded = isinstance(model, nn.Module)
    return ModelSource.open(
        demo_model_path() if isinstance(model, str) and model == DEMO else model,
        tokenizer=tokenizer,
        device=options.device if loaded else options.place,
        dtype=None if loaded or options.autocast is not None else torch.float32,
        revision=revision,
        trust_remote_code=trusts,
        label=DEMO if isinstance(model, str) and model == DEMO else None,
    )


def _weights_hash(source: ModelSource) -> str:
    if source.module is not None:
        return hash_state(source.module)
    assert source.files is not None
    if not source.files.weight_files():  # on the Hub, not downloaded yet
        source.load()
    return digest([hash_file(path) for path in source.files.weight_files()])


def _check_context(source: ModelSource, context_length: int) -> None:
    limit = source.info().position_limit
    if limit is not None and context_length > limit:
        raise ValueError(
            f"context_length={context_length}, but the model takes {limit} positions: lower it"
        )


def _check_ids(reader: MLPReader, *windows: Windows) -> None:
    rows = reader.parts.vocabulary
    most = max(int(each.ids.max()) for each in windows)
    if rows is not None and most >= rows:
        raise ValueError(
            f"tokenizer gives the text token id {most}, and the model knows {rows}: it is of "
            "another model; pass the model's own"
        )


def _named(text: Texts) -> list[str] | None:
    """Where the text lies; None where it was passed itself."""
    paths = [text] if isinstance(text, (str, os.PathLike)) else text
    if not isinstance(paths, Sequence):
        return None
    return [str(Path(path).expanduser().resolve()) for path in paths]


def _named_initial(initial: Any) -> str | None:
    """Where it lies; None where there is none, or it was passed itself."""
    if initial is None or isinstance(initial, CrossLayerTranscoder):
        return None
    return str(transcoder_path(initial).resolve())


def _counts(train: Windows, held_out: Windows) -> dict[str, dict[str, int]]:
    """Tokens of each language, both kinds; those at the start of windows do not count."""
    context = train.ids.shape[1] - SKIP_POSITIONS
    kinds = {"tokens_to_train_on": train, "tokens_held_out": held_out}
    return {
        code: {name: int((w.language == i).sum()) * context for name, w in kinds.items()}
        for i, code in enumerate(train.languages)
    }


def held_out_rule(options: TranscoderOptions) -> str:
    """Which lines were never trained on, in words."""
    return (
        f"of every {round(1 / options.eval_fraction)} blocks of {BLOCK_LINES} lines one, the same "
        f"in every language, chosen by seed {options.seed}"
    )
