"""Open a trained classifier: weights with their head, tokenizer, and the names of its classes."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ilo_fast._util.messages import listed
from ilo_fast._util.optional import require
from ilo_fast.errors import AccessError
from ilo_fast.models.access import access_errors
from ilo_fast.models.loading import (
    ModelFiles,
    load_tokenizer,
    open_files,
    resolve_device,
    resolve_dtype,
)
from ilo_fast.models.source import ModelSource

_ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Classifier:
    """A model that gives one score per class.

    Attributes
    ----------
    labels
        The classes in the order of the model's scores.
    pad_id
        What its configuration says padding is; None where it says nothing.
    """

    name: str
    module: nn.Module
    tokenizer: Any
    labels: tuple[str, ...]
    pad_id: int | None
    device: torch.device


def open_classifier(
    model: str | os.PathLike[str] | nn.Module,
    *,
    tokenizer: Any,
    labels: Sequence[str] | None,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    revision: str | None,
    trust_remote_code: bool,
    progress: bool,
) -> Classifier:
    """The classifier and what belongs to it; parameters and errors as `transfer` has them."""
    if not isinstance(model, (str, os.PathLike)):
        source = ModelSource.open(
            model,
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
            revision=revision,
            trust_remote_code=trust_remote_code,
            progress=progress,
        )
        return _classifier(source.name, model, source.tokenizer, labels, source.device)
    where, wanted = resolve_device(device), resolve_dtype(dtype)
    if wanted is None and where.type == "cpu":
        wanted = torch.float32
    adapter = _adapter_folder(model, revision)
    # Layers without weights of their own may be drawn at random before the weights come.
    with torch.random.fork_rng(devices=[]):
        if adapter is None:
            files = open_files(model, revision=revision, trust_remote_code=trust_remote_code)
            module, missing = _load(files, files.config, wanted, revision=revision)
            if missing:
                raise _without_head(files, missing)
            tokenizer = tokenizer or load_tokenizer(files, revision=revision)
        else:
            module, own = _load_adapter(adapter, labels, wanted, trust_remote_code)
            tokenizer = tokenizer or own
    return _classifier(os.fspath(model), module.to(where).eval(), tokenizer, labels, where)


def _classifier(
    name: str,
    module: nn.Module,
    tokenizer: Any,
    labels: Sequence[str] | None,
    device: torch.device,
) -> Classifier:
    config: Any = getattr(module, "config", None)
    if config is None:
        raise ValueError(
            f"model is a {type(module).__name__} without a configuration: wanted a transformers "
            "model with a classification head, or its folder"
        )
    problem = getattr(config, "problem_type", None)
    if problem not in (None, "single_label_classification"):
        raise ValueError(
            f"model {name!r} is trained for {problem}; only one class per text can be evaluated "
            "(problem_type='single_label_classification')"
        )
    own = _config_labels(config)
    if labels is not None and len(labels) != len(own):
        raise ValueError(
            f"labels: {len(labels)} names ({listed(list(labels))}), but model {name!r} has "
            f"{len(own)} classes"
        )
    pad_id = getattr(config, "pad_token_id", None)
    if pad_id is None and hasattr(config, "get_text_config"):
        pad_id = getattr(config.get_text_config(), "pad_token_id", None)
    names = own if labels is None else tuple(map(str, labels))
    return Classifier(name, module, tokenizer, names, pad_id, device)


def _config_labels(config: Any) -> tuple[str, ...]:
    own = dict(getattr(config, "id2label", None) or {})
    return tuple(str(own[number]) for number in sorted(own, key=int))


def _load(
    files: ModelFiles, config: Any, dtype: torch.dtype | None, *, revision: str | None
) -> tuple[nn.Module, list[str]]:
    """The model with a classification head, and the names of weights that the checkpoint lacks."""
    from transformers import AutoModelForSequenceClassification

    auto: Any = AutoModelForSequenceClassification
    remote = auto.__name__ in (getattr(config, "auto_map", None) or {}) and files.trust_remote_code
    if type(config) not in auto._model_mapping and not remote:
        raise ValueError(
            f"model {files.name!r} has no classification head: transformers has none for "
            f"{getattr(config, 'model_type', type(config).__name__)}"
        )
    with access_errors(files.name, "weights"):
        model, report = auto.from_pretrained(
            files.name if files.revision else str(files.folder),
            config=config,
            revision=revision,
            trust_remote_code=files.trust_remote_code,
            dtype=dtype if dtype is not None else "auto",
            ignore_mismatched_sizes=True,  # named by us, below
            output_loading_info=True,
        )
    missing = {str(key) for key in report.get("missing_keys", ())}
    for key in report.get("mismatched_keys", ()):
        missing.add(str(key[0] if isinstance(key, tuple) else key))
    return model, sorted(missing)


def _without_head(files: ModelFiles, missing: Iterable[str]) -> ValueError:
    shown = listed(list(missing))
    kinds = [str(kind) for kind in getattr(files.config, "architectures", None) or ()]
    if any("SequenceClassification" in kind for kind in kinds):
        return ValueError(
            f"the checkpoint of {files.name!r} is not complete: it lacks {shown}, which would be "
            "random. Save it again, or download it again"
        )
    return ValueError(
        f"model {files.name!r} has no trained classification head: its checkpoint "
        f"({', '.join(kinds) or 'of an unknown class'}) lacks {shown}. Train one first: "
        "ilo_fast.finetune() on labelled data, or ilo-fast finetune --task classification"
    )


def _adapter_folder(model: str | os.PathLike[str], revision: str | None) -> Path | None:
    """The folder with a PEFT adapter's files, or None if `model` is no adapter."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path if (path / _ADAPTER_CONFIG).is_file() else None
    from transformers.utils.peft_utils import find_adapter_config_file

    text = os.fspath(model)
    if isinstance(model, Path) or path.is_absolute() or text.startswith((".", "~")):
        return None  # a folder that is not there: open_files says so
    with access_errors(text, "configuration"):
        found = find_adapter_config_file(text, revision=revision)
    if found is None:
        return None
    from huggingface_hub import snapshot_download

    with access_errors(text, "adapter"):
        return Path(
            snapshot_download(text, revision=revision, allow_patterns=["*.json", "*adapter*"])
        )


def _load_adapter(
    folder: Path, labels: Sequence[str] | None, dtype: torch.dtype | None, trust_remote_code: bool
) -> tuple[nn.Module, Any]:
    """The base model with the adapter in `folder`, and the tokenizer."""
    require("peft", "lora")  # the folder is an adapter
    from peft import PeftConfig, PeftModel
    from transformers import AutoConfig, AutoTokenizer

    with access_errors(str(folder), "configuration"):
        adapter = PeftConfig.from_pretrained(str(folder))
    base = adapter.base_model_name_or_path
    if not base:
        raise ValueError(
            f"{folder / _ADAPTER_CONFIG} names no base model (base_model_name_or_path)"
        )
    try:
        files = open_files(base, revision=adapter.revision, trust_remote_code=trust_remote_code)
    except AccessError as error:
        raise AccessError(f"the base model of the adapter in {folder}: {error}") from error
    config = copy.deepcopy(files.config)
    if (folder / "config.json").is_file():
        with access_errors(str(folder), "configuration"):
            config = AutoConfig.from_pretrained(str(folder), trust_remote_code=trust_remote_code)
    elif labels is not None:
        config.num_labels = len(labels)
        config.id2label = dict(enumerate(map(str, labels)))
    model, missing = _load(files, config, dtype, revision=adapter.revision)
    known = _adapter_weights(folder)
    lacking = [name for name in missing if not any(key.endswith(name) for key in known)]
    if lacking:
        raise ValueError(
            f"the adapter in {folder} has no trained classification head: neither it nor its base "
            f"{base!r} holds {listed(lacking)}. Save the head with the adapter (modules_to_save)"
        )
    try:
        wrapped: nn.Module = PeftModel.from_pretrained(model, str(folder))
    except RuntimeError as error:
        if "size mismatch" not in str(error):
            raise
        raise ValueError(
            f"the adapter in {folder} does not fit {base!r} with {len(_config_labels(config))} "
            "classes: give the names of its classes with labels= (command line: --labels), in "
            "their order, or put the classifier's config.json beside it"
        ) from error
    if (folder / "tokenizer_config.json").is_file():
        with access_errors(str(folder), "tokenizer"):
            return wrapped, AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=trust_remote_code
            )
    return wrapped, load_tokenizer(files, revision=adapter.revision)


def _adapter_weights(folder: Path) -> list[str]:
    """Names of the weights in an adapter's file."""
    from peft.utils import load_peft_weights

    return list(load_peft_weights(str(folder), device="cpu"))
