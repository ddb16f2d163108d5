"""From the name of a model to its files, tokenizer and weights.

A folder or Hub name is opened in two steps: configuration and tokenizer first, weights only when
something must be computed, so that cached results come back without loading a single weight.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ilo_fast._util.files import read_json
from ilo_fast._util.messages import elide, listed, plain
from ilo_fast._util.optional import require
from ilo_fast.errors import AccessError
from ilo_fast.models.access import access_errors
from ilo_fast.models.adapters import adapted_class, load_adapter
from ilo_fast.models.folders import ADAPTER_CONFIG, is_adapter, local_folder
from ilo_fast.models.output import hidden_bars, without_load_report

logger = logging.getLogger(__name__)

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}
_WEIGHTS = (".safetensors", ".bin")
_TOKENIZERS = ("*token*", "vocab*", "*.model", "*.spm", "*.py", "special_tokens_map.json")


@dataclass(frozen=True)
class ModelFiles:
    """A model on disk or on the Hub, its weights not yet loaded.

    Attributes
    ----------
    name
        As the caller gave it.
    folder
        Where its files lie; for a Hub name the snapshot folder.
    config
        The transformers configuration.
    revision
        The Hub commit; None for a local folder.
    trust_remote_code
        Whether Python code from the repository may run.
    adapter
        The folder of a PEFT adapter on top of it; None: the model alone.
    """

    name: str
    folder: Path
    config: Any
    revision: str | None
    trust_remote_code: bool
    adapter: Path | None = None

    @property
    def source(self) -> str:
        """What transformers is to load from: the name of a model on the Hub, else the folder."""
        return self.name if self.revision and self.adapter is None else str(self.folder)

    def weight_files(self) -> list[Path]:
        """The files that transformers would load, safetensors before pickles; [] if not there."""
        base = _weights_in(self.folder)
        if self.adapter is None or not base:
            return base
        return [*base, *_weights_in(self.adapter), self.adapter / ADAPTER_CONFIG]

    def model_class(self) -> type[nn.Module] | None:
        """The class that transformers builds; None for code from the repository."""
        return model_class(self.config) if not self.trust_remote_code else None

    def code_files(self) -> list[Path]:
        """Python files that take part in the result when remote code is trusted."""
        return sorted(self.folder.glob("*.py")) if self.trust_remote_code else []


def resolve_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """A torch dtype from its name; None stays None.

    Raises
    ------
    ValueError
        No floating-point type has that name.
    """
    if dtype is None:
        return None
    found = DTYPES.get(dtype.removeprefix("torch.")) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ValueError(f"dtype={dtype!r} is unknown: choose one of {', '.join(DTYPES)}, or None")
    return found


def resolve_device(device: str | torch.device | None) -> torch.device:
    """The device to run on: the one asked for, else a GPU where there is one, else the CPU.

    Raises
    ------
    ValueError
        This machine, or this build of torch, has no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(device, bool) or not isinstance(device, (str, int, torch.device)):
        raise TypeError(f"device={device!r} is no device: pass a name such as 'cpu' or 'cuda:1'")
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError, ValueError) as error:
        said = elide(plain(error), 200)
        raise ValueError(f"device={str(device)!r} cannot be used here: {said}") from error
    return wanted


def open_files(
    model: str | os.PathLike[str],
    *,
    revision: str | None,
    trust_remote_code: bool,
    adapters: bool = False,
) -> ModelFiles:
    """Find a model's files and read its configuration.

    Parameters
    ----------
    adapters
        Take the folder of a PEFT adapter, too, for its base model with the adapter.

    Raises
    ------
    AccessError
        The folder or repository is absent, gated, offline, or holds no model.
    ValueError
        Its configuration is damaged.
    """
    from transformers import AutoConfig

    name = os.fspath(model)
    folder = local_folder(model)
    if folder is not None and is_adapter(folder):
        return _open_adapter(name, folder, trust_remote_code, allowed=adapters)
    source = str(folder) if folder is not None else name
    with access_errors(name, "configuration"):
        config = AutoConfig.from_pretrained(
            source, revision=revision, trust_remote_code=trust_remote_code
        )
    if folder is None:
        folder = _snapshot_folder(name, revision)
    return ModelFiles(
        name=name,
        folder=folder,
        config=config,
        revision=getattr(config, "_commit_hash", None),
        trust_remote_code=trust_remote_code,
    )


def _open_adapter(name: str, folder: Path, trust_remote_code: bool, *, allowed: bool) -> ModelFiles:
    """The base model that an adapter names."""
    settings = read_json(folder / ADAPTER_CONFIG) or {}
    base = settings.get("base_model_name_or_path")
    if not allowed:
        raise AccessError(
            f"{name!r} is a PEFT adapter, no model: merge it into its base {base!r} "
            "(merge_and_unload, then save_pretrained), and pass that folder"
        )
    require("peft", "lora")
    if not isinstance(base, str) or not base:
        raise AccessError(
            f"{folder / ADAPTER_CONFIG} names no base model (base_model_name_or_path): load the "
            "model with its adapter yourself, and pass the loaded module"
        )
    try:
        files = open_files(
            base, revision=settings.get("revision"), trust_remote_code=trust_remote_code
        )
    except AccessError as error:
        raise AccessError(f"the base model of the adapter in {folder}: {error}") from error
    return dataclasses.replace(files, name=name, adapter=folder)


def load_tokenizer(files: ModelFiles, *, revision: str | None) -> Any:
    """The model's own tokenizer.

    Raises
    ------
    AccessError
        The folder or repository has none.
    """
    from transformers import AutoTokenizer

    source = files.source
    if files.adapter is not None and (files.adapter / "tokenizer_config.json").is_file():
        source = str(files.adapter)
    elif not any(path for shape in _TOKENIZERS for path in files.folder.glob(shape)) and (
        files.revision is None
    ):
        raise AccessError(
            f"{files.name!r} has no tokenizer (tokenizer.json, vocab.txt, ...): save one beside "
            "the model with tokenizer.save_pretrained(), or pass tokenizer="
        )
    with access_errors(files.name, "tokenizer"):
        return AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=files.trust_remote_code
        )


def given_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer that a caller passed: itself, in a processor, or by its name or folder.

    Raises
    ------
    TypeError
        It is no tokenizer of transformers.
    """
    from transformers import AutoTokenizer

    if isinstance(tokenizer, (str, os.PathLike)):
        with access_errors(os.fspath(tokenizer), "tokenizer"):
            return AutoTokenizer.from_pretrained(tokenizer)
    inner = getattr(tokenizer, "tokenizer", None)  # of a processor
    found = inner if callable(inner) else tokenizer
    if not callable(found) or not hasattr(found, "convert_tokens_to_ids"):
        kind = f"{type(tokenizer).__module__.partition('.')[0]}.{type(tokenizer).__name__}"
        raise TypeError(
            f"tokenizer is a {kind}: pass a tokenizer of transformers, its name or its folder (of "
            "a tokenizers.Tokenizer: PreTrainedTokenizerFast(tokenizer_object=...))"
        )
    return found


def model_class(config: Any) -> type[nn.Module] | None:
    """The headless class that transformers has for a configuration; None where it has none.

    Where the checkpoint is of the encoder alone (T5EncoderModel, M2M100Encoder), that class: the
    whole model would miss its decoder.
    """
    from transformers import MODEL_MAPPING

    mapping: Any = MODEL_MAPPING
    try:
        found = mapping[type(config)]
    except KeyError:
        return None
    kind: type[nn.Module] = found[0] if isinstance(found, tuple) else found
    named = getattr(sys.modules[kind.__module__], _architecture(config), None)
    return named if is_encoder_class(config) and isinstance(named, type) else kind


def is_encoder_class(config: Any) -> bool:
    """Whether the configuration names a class that is an encoder alone, by transformers' naming."""
    return _architecture(config).endswith(("Encoder", "EncoderModel"))


def _architecture(config: Any) -> str:
    return str(next(iter(getattr(config, "architectures", None) or ()), ""))


def _weights_in(folder: Path) -> list[Path]:
    for suffix in _WEIGHTS:
        files = sorted(p for p in folder.iterdir() if p.name.endswith(suffix))
        if files:
            return files
    return []


def load_weights(
    files: ModelFiles,
    *,
    revision: str | None,
    dtype: torch.dtype | None,
    device: torch.device,
    progress: bool,
) -> tuple[nn.Module, list[str]]:
    """Load the headless model in evaluation mode, with its adapter if it has one.

    Parameters
    ----------
    dtype
        None: the checkpoint's own on an accelerator, float32 on a CPU: half precision is seldom
        faster there, and widening changes no value.

    Returns
    -------
    model, missing
        The module on `device`, and the names of the weights that the checkpoint lacks. A missing
        pooler does no harm: see :func:`check_complete`.
    """
    own: Any = torch.float32 if device.type == "cpu" else "auto"
    options = {"revision": revision, "dtype": dtype if dtype is not None else own}
    with access_errors(files.name, "weights"), hidden_bars(not progress), without_load_report():
        model, report = _from_pretrained(files, options)
        prefix = _other_prefix(report)
        if prefix is not None:
            logger.info("%s: weights are named with the prefix %r", files.name, prefix)
            model, report = _from_pretrained(files, options, {f"^{re.escape(prefix)}": ""})
    # transformers fills weights of other shapes with random numbers, too, when told to go on.
    missing = {str(key) for key in report.get("missing_keys", ())}
    missing |= {str(entry[0]) for entry in report.get("mismatched_keys", ())}
    if files.adapter is not None:
        model = load_adapter(model, files.adapter, files.name)
        missing = {f"base_model.model.{key}" for key in missing}
    return model.to(device).eval(), sorted(missing)


def _from_pretrained(
    files: ModelFiles, options: dict[str, Any], renamed: dict[str, str] | None = None
) -> tuple[Any, dict[str, Any]]:
    from transformers import AutoModel

    kind: Any = AutoModel
    if files.adapter is not None:
        kind = adapted_class(files.adapter)
    elif not files.trust_remote_code and is_encoder_class(files.config):
        kind = model_class(files.config)
    model, report = kind.from_pretrained(
        files.source,
        config=files.config,
        trust_remote_code=files.trust_remote_code,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **({"key_mapping": renamed} if renamed else {}),
        **options,
    )
    return model, report


def _other_prefix(report: Mapping[str, Any]) -> str | None:
    """What stands before the names of all missing weights in the checkpoint; None: nothing does."""
    missing = sorted(map(str, report.get("missing_keys", ())))
    unexpected = set(map(str, report.get("unexpected_keys", ())))
    for name in missing:
        ends = sorted(key for key in unexpected if key.endswith(f".{name}"))
        for key in ends:
            prefix = key.removesuffix(name)
            if all(f"{prefix}{other}" in unexpected for other in missing):
                return prefix
    return None


def check_complete(missing: list[str], used: set[str], name: str) -> None:
    """Refuse a checkpoint that lacks weights on which the hidden states depend.

    transformers fills them with random numbers and continues; scores of noise look like scores.

    Parameters
    ----------
    missing
        Names of the weights that the checkpoint lacks.
    used
        Names of all parameters that the representations depend on.

    Raises
    ------
    ValueError
        A weight among `used` is missing; names the first few.
    """
    harmful = [key for key in missing if any(key == u or key.endswith(f".{u}") for u in used)]
    if harmful:
        raise ValueError(
            f"the checkpoint of {name!r} lacks {len(harmful)} weights that its representations "
            f"depend on ({listed(harmful)}): they would be random. Is it the right folder, and "
            "complete?"
        )
    if missing:
        logger.debug("%s: weights not in the checkpoint and not needed: %s", name, missing)


def _snapshot_folder(name: str, revision: str | None) -> Path:
    from transformers.utils.hub import cached_file

    with access_errors(name, "configuration"):
        found = cached_file(name, "config.json", revision=revision)
    if found is None:
        raise AccessError(
            f"{name!r} has no config.json on the Hub: it is no transformers model; check the name"
        )
    return Path(found).parent
