"""A transcoder in a folder, with the model that it is of: what the folder says, opened."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from ilo_fast._util.files import read_json
from ilo_fast._util.messages import listed
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.errors import AccessError
from ilo_fast.models.demo import DEMO
from ilo_fast.models.folders import display_name
from ilo_fast.models.loading import load_tokenizer, open_files, resolve_device, resolve_dtype
from ilo_fast.models.output import suppress_output
from ilo_fast.training.finetune.data import LANGUAGE_MODEL
from ilo_fast.training.finetune.heads import load_model
from ilo_fast.training.pretrain.mixture import Texts
from ilo_fast.training.process import preserve_random_state
from ilo_fast.training.run_folder import CARD_FILE
from ilo_fast.transcoders.files.fitting import check_fits
from ilo_fast.transcoders.files.folder import (
    TRANSCODER_FOLDER,
    is_demo,
    load_transcoder,
    transcoder_path,
)
from ilo_fast.transcoders.info import TranscoderInfo
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder
from ilo_fast.transcoders.windows import UNKNOWN, transcoder_texts

_ELSEWHERE: Final = "pass text= (command line: --text)"


@dataclass(frozen=True)
class Setting:
    """What a folder says about the training of its transcoder.

    Attributes
    ----------
    info
        The transcoder's own.
    card
        The run's; empty where the transcoder lies alone.
    """

    info: TranscoderInfo
    card: Mapping[str, Any]

    def option(self, name: str) -> Any:
        if name not in self.info.options:
            raise ValueError(f"the transcoder's info does not say its {name}: train it again")
        return self.info.options[name]

    @property
    def model(self) -> str:
        described = self.card.get("model") or {}
        if described.get("model_name") == DEMO:  # wherever it is installed now
            return DEMO
        return str(described.get("model") or self.info.model.name)

    @property
    def text(self) -> Mapping[str, Any]:
        return dict(self.card.get("text") or {})

    def told_apart(
        self, texts: Mapping[str, Sequence[str]]
    ) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
        """The languages whose lines are those of the training, and the others."""
        known = (self.card.get("settings") or {}).get("text_sha256") or {}
        of_training = {c for c, t in texts.items() if known.get(c) == fingerprint({c: t})}
        same = {code: lines for code, lines in texts.items() if code in of_training}
        return same, {code: lines for code, lines in texts.items() if code not in of_training}


def transcoder_name(folder: str | os.PathLike[str]) -> str:
    """What a transcoder is called: its folder, or that of its run."""
    if is_demo(folder):
        return str(folder)
    path = transcoder_path(folder).resolve()
    return path.parent.name if path.name == TRANSCODER_FOLDER else path.name


def run_card(place: Path) -> Mapping[str, Any]:
    """What the run of a transcoder says of itself; empty where it lies alone."""
    for folder in (place, place.resolve().parent):
        card = read_json(folder / CARD_FILE)
        if card is not None and (card.get("settings") or {}).get("task") == "transcoder":
            return card
    return {}


@dataclass(frozen=True)
class Opened:
    """A transcoder and its model, on one device, ready to run.

    Attributes
    ----------
    name : str
        Of the model.
    model, tokenizer, transcoder
    place : Path
        Where the transcoder lies.
    setting : Setting
        What its folder says of the training.
    """

    name: str
    model: nn.Module
    tokenizer: Any
    transcoder: CrossLayerTranscoder
    place: Path
    setting: Setting


def open_transcoder(
    folder: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | nn.Module | None = None,
    tokenizer: Any = None,
    allow_other_weights: bool = False,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Opened:
    """A transcoder, the model that it is of, and its tokenizer.

    Parameters
    ----------
    folder
        Of a transcoder or of a `train_transcoder` run; ``"demo"`` or ``"demo-per-layer"``.
    model
        A causal language model with its head: a Hub name, a folder or a loaded module, which needs
        a `tokenizer`. None: the model of the training.
    allow_other_weights
        The model may have been trained on since.
    device, dtype
        None: a GPU if there is one; the type of the training's weights.

    Raises
    ------
    AccessError, FileNotFoundError
        Transcoder or model are not to be found.
    ValueError
        The transcoder is of another model, or does not say of which.
    """
    where = resolve_device(device)
    place = transcoder_path(folder)
    transcoder = load_transcoder(folder)
    if transcoder.info is None:
        raise ValueError(
            f"{place} does not say which model it is of: load it with load_transcoder(), its model "
            "with transformers, and pass both"
        )
    setting = Setting(transcoder.info, run_card(place))
    name, module, tokenizer = open_model(
        setting, model, tokenizer, where, dtype, revision, trust_remote_code
    )
    check_fits(transcoder, MLPReader(module), allow_other_weights=allow_other_weights)
    weight = next(p for p in module.parameters() if p.is_floating_point())
    kind = weight.dtype if weight.dtype == torch.float64 else torch.float32
    return Opened(name, module, tokenizer, transcoder.to(where, kind).eval(), place, setting)


def open_model(
    setting: Setting,
    model: str | os.PathLike[str] | nn.Module | None,
    tokenizer: Any,
    device: torch.device,
    dtype: str | torch.dtype | None,
    revision: str | None,
    trust_remote_code: bool,
) -> tuple[str, nn.Module, Any]:
    """Name, model with its head, and tokenizer: of the training where `model` is None."""
    if isinstance(model, nn.Module):
        if tokenizer is None:
            raise ValueError("tokenizer is needed for a loaded model: pass it")
        return type(model).__name__, model, tokenizer
    of_run = model is None
    if model is None:
        model = setting.model
        described = setting.card.get("model") or {}
        revision = revision or described.get("revision")
    try:
        files = open_files(model, revision=revision, trust_remote_code=trust_remote_code)
    except AccessError as error:
        if not of_run:
            raise
        raise AccessError(
            f"{error}; the transcoder's run names this model: if it lies elsewhere, pass model= "
            "(command line: --model)"
        ) from error
    wanted = resolve_dtype(setting.info.model.dtype if dtype is None else dtype)
    assert wanted is not None
    with suppress_output(), preserve_random_state():
        found, fresh = load_model(
            files, LANGUAGE_MODEL, labels=(), revision=revision, dtype=wanted, seed=0
        )
    if fresh:
        raise ValueError(
            f"the checkpoint of {files.name!r} lacks weights of {listed(fresh)}: they would be "
            "random, and so would its predictions; pass a causal language model with its head"
        )
    if tokenizer is None:
        tokenizer = load_tokenizer(files, revision=revision)
    return display_name(model), found.to(device).eval(), tokenizer


def training_texts(
    setting: Setting,
    text: Texts | None,
    languages: str | Sequence[str] | None,
    language: str | None,
    allow_unknown: bool,
) -> dict[str, list[str]]:
    """The text that is given, or that of the training; see `transcoder_texts`.

    Raises
    ------
    ValueError
        The run does not say where its text lies, or it is not there any more.
    """
    if text is not None:
        return transcoder_texts(text, languages, language=language, allow_unknown=allow_unknown)
    known = setting.text
    source = known.get("source")
    if not source:
        raise ValueError(f"the run does not say where its text lies: {_ELSEWHERE}")
    absent = [path for path in source if not Path(path).exists()]
    if absent:
        raise ValueError(
            f"the text of the run is not there any more ({listed(absent)}): {_ELSEWHERE}"
        )
    one = source[0] if len(source) == 1 else source
    own = known.get("language")  # of one plain text file, which has no languages to choose
    trained = list(known.get("languages") or ())
    plain = own is not None or trained == [UNKNOWN]
    codes: Any = trained if languages is None and trained and not plain else languages
    return transcoder_texts(
        one,
        codes,
        language=own if language is None else language,
        allow_unknown=bool(known.get("allow_unknown")) or allow_unknown,
    )
