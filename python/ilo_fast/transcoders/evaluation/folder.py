"""`evaluate_folder`: a transcoder in a folder, on the text that its training held out."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ilo_fast._util.checks import real_number, whole_number
from ilo_fast._util.messages import listed
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.loading import resolve_device
from ilo_fast.training.pretrain.mixture import Texts
from ilo_fast.transcoders.evaluation.metrics import evaluate_transcoder
from ilo_fast.transcoders.evaluation.result import SCORES_FILE, TranscoderScores
from ilo_fast.transcoders.files.fitting import check_fits
from ilo_fast.transcoders.files.folder import is_demo, load_transcoder, transcoder_path
from ilo_fast.transcoders.files.opening import (
    Setting,
    open_model,
    run_card,
    training_texts,
    transcoder_name,
)
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.windows import (
    Windows,
    all_windows,
    draw_windows,
    read_windows,
)

logger = logging.getLogger(__name__)


def evaluate_folder(
    folder: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | nn.Module | None = None,
    tokenizer: Any = None,
    text: Texts | None = None,
    languages: str | Sequence[str] | None = None,
    language: str | None = None,
    allow_unknown: bool = False,
    windows: int | None = 128,
    seed: int = 0,
    n_boot: int = 2000,
    batch_tokens: int | None = None,
    allow_other_weights: bool = False,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    progress: bool = False,
) -> TranscoderScores:
    """Evaluate a transcoder on held-out lines, and write ``metrics.json`` beside it.

    Where that cannot be written, a warning says so.

    ``"demo"`` and ``"demo-per-layer"`` are the transcoders that ship with the package: their text
    is the demo corpus, and nothing is written.

    Parameters
    ----------
    folder
        Of a transcoder, or the output folder of `train_transcoder`.
    model
        A causal language model with its head: a Hub name, a folder or a loaded module. None: the
        one that the run names.
    tokenizer
        None: the model's own; needed for a loaded module.
    text
        As for `train_transcoder`. None: what the run was trained on. Of every language whose lines
        are those of the training only held-out ones are used; of another text all.
    languages, language, allow_unknown
        As for `train_transcoder`.
    windows
        At most so many, drawn in equal shares of the languages. None: all.
    seed, n_boot
        Of what is drawn, and of the bootstrap.
    batch_tokens
        As for `evaluate_transcoder`.
    allow_other_weights
        The model may have been fine-tuned since.
    device, dtype, revision, trust_remote_code
        As in `extract`; dtype None: that in which the transcoder's training read the weights.
    progress
        A bar on stderr.

    Raises
    ------
    AccessError, FileNotFoundError
        Transcoder, model or text are not to be found.
    CorpusError
        The text is wrong or too short.
    ValueError
        The transcoder is of another model, or does not say what it was trained on.
    """
    if windows is not None:
        whole_number("windows", windows)
    where = resolve_device(device)
    place = transcoder_path(folder)
    transcoder = load_transcoder(folder)
    unseen = is_demo(folder) and text is None
    if unseen:
        trained = None if transcoder.info is None else transcoder.info.languages
        text, languages = ParallelCorpus.demo().sentences, languages or trained
    if transcoder.info is None:
        raise ValueError(
            f"{place} does not say what it was trained on: call evaluate_transcoder() with the "
            "model and with windows of text that it has not seen"
        )
    setting = Setting(transcoder.info, run_card(place))
    texts = training_texts(setting, text, languages, language, allow_unknown)
    name, module, tokenizer = open_model(
        setting, model, tokenizer, where, dtype, revision, trust_remote_code
    )
    check_fits(transcoder, MLPReader(module), allow_other_weights=allow_other_weights)
    same, other = setting.told_apart(texts)
    if other and not unseen:
        logger.warning(
            "%s: not the text that the transcoder was trained on, so all of it is used; see that "
            "none of it was trained on",
            listed([*other]),
        )
    held_out = draw_windows(_held_out(setting, tokenizer, same, other, tuple(texts)), windows, seed)
    kind = "cross-layer" if transcoder.cross_layer else "per-layer"
    scores = evaluate_transcoder(
        module,
        transcoder.to(where),
        held_out,
        batch_tokens=batch_tokens,
        seed=seed,
        n_boot=n_boot,
        info={
            "title": f"{name}, {kind} transcoder {transcoder_name(folder)}",
            "model": name,
            "weights_sha256": transcoder.info.model.weights_sha256,
            "transcoder": str(place.resolve()),
            "trained_tokens": transcoder.info.tokens,
            "windows_sha256": _windows_hash(held_out),
            "other_weights_allowed": allow_other_weights,
            "other_text": [] if unseen else list(other),
        },
        progress=progress,
    )
    if not is_demo(folder):  # a package is not written into
        try:
            scores.to_json(place / SCORES_FILE)
        except OSError as error:  # somebody else's folder, or a full disk: the scores are here
            logger.warning("%s was not written: %s", place / SCORES_FILE, error)
    return scores


def _held_out(
    setting: Setting,
    tokenizer: Any,
    same: Mapping[str, Sequence[str]],
    other: Mapping[str, Sequence[str]],
    languages: tuple[str, ...],
) -> Windows:
    """Windows of the lines that were held out, and of all lines of other text."""
    context = setting.info.context
    parts = []
    if same:
        _, held_out = read_windows(
            tokenizer, same,
            context_length=context,
            eval_fraction=real_number("eval_fraction", setting.option("eval_fraction")),
            seed=whole_number("seed", setting.option("seed"), least=0),
        )  # fmt: skip
        parts.append(held_out)
    if other:
        parts.append(all_windows(tokenizer, other, context_length=context))
    return _joined(parts, languages)


def _joined(parts: Sequence[Windows], languages: tuple[str, ...]) -> Windows:
    places = [torch.tensor([languages.index(code) for code in part.languages]) for part in parts]
    found = [place[part.language] for place, part in zip(places, parts, strict=True)]
    return Windows(
        torch.cat([part.ids for part in parts]),
        torch.cat(found),
        torch.cat([part.document for part in parts]),
        languages,
    )


def _windows_hash(windows: Windows) -> str:
    sha = hashlib.sha256(repr(windows.languages).encode())
    for values in (windows.ids, windows.language, windows.document):
        sha.update(values.numpy().tobytes())
    return sha.hexdigest()
