"""From the name of a model to its files, tokenizer and weights.

A folder or Hub name is opened in two steps: configuration and tokenizer first, weights only when
something must be computed, so that cached results come back without loading a single weight.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ilo_fast._util.messages import listed
from ilo_fast.errors import AccessError
from ilo_fast.models.output import hidden_bars

logger = logging.getLogger(__name__)

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}
_WEIGHTS = (".safetensors", ".bin")


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
    """

    name: str
    folder: Path
    config: Any
    revision: str | None
    trust_remote_code: bool

    def weight_files(self) -> list[Path]:
        """The files that transformers would load, safetensors before pickles; [] if not there."""
        for suffix in _WEIGHTS:
            files = sorted(p for p in self.folder.iterdir() if p.name.endswith(suffix))
            if files:
                return files
        return []

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
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device={str(device)!r} cannot be used here: {error}") from error
    return wanted


def open_files(
    model: str | os.PathLike[str], *, revision: str | None, trust_remote_code: bool
) -> ModelFiles:
    """Find a model's files and read its configuration.

    Raises
    ------
    AccessError
        The folder or repository is absent, gated, offline, or holds no model.
    """
    from transformers import AutoConfig

    name = os.fspath(model)
    folder = _local_folder(model)
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


def load_tokenizer(files: ModelFiles, *, revision: str | None) -> Any:
    """The model's own tokenizer.

    Raises
    ------
    AccessError
        The folder or repository has none.
    """
    from transformers import AutoTokenizer

    source = files.name if files.revision else str(files.folder)
    with access_errors(files.name, "tokenizer"):
        return AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=files.trust_remote_code
        )


def model_class(config: Any) -> type[nn.Module] | None:
    """The headless class that transformers has for a configuration.

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
    named = next(iter(getattr(config, "architectures", None) or ()), "")
    encoder = getattr(sys.modules[kind.__module__], str(named), None)
    if str(named).endswith(("Encoder", "EncoderModel")) and isinstance(encoder, type):
        return encoder
    return kind


def load_weights(
    files: ModelFiles,
    *,
    revision: str | None,
    dtype: torch.dtype | None,
    device: torch.device,
    progress: bool,
) -> tuple[nn.Module, list[str]]:
    """Load the headless model in evaluation mode.

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
    from transformers import AutoModel

    own: Any = torch.float32 if device.type == "cpu" else "auto"
    source = files.name if files.revision else str(files.folder)
    with access_errors(files.name, "weights"), hidden_bars(not progress):
        model, report = AutoModel.from_pretrained(
            source,
            config=files.config,
            revision=revision,
            trust_remote_code=files.trust_remote_code,
            dtype=dtype if dtype is not None else own,
            output_loading_info=True,
        )
    missing = sorted(str(key) for key in report.get("missing_keys", ()))
    missing += sorted(str(key) for key in report.get("mismatched_keys", ()))
    return model.to(device).eval(), missing


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


def _local_folder(model: str | os.PathLike[str]) -> Path | None:
    """The folder that holds config.json, or None if `model` reads as a Hub name."""
    path = Path(model).expanduser()
    if path.is_dir():
        folder = _transformer_folder(path)
        if not (folder / "config.json").is_file():
            raise AccessError(
                f"{path} has no config.json: a model folder is one that save_pretrained() wrote, "
                "with config.json, model.safetensors and tokenizer.json"
            )
        return folder
    text = os.fspath(model)
    looks_local = isinstance(model, Path) or path.is_absolute() or text.startswith((".", "~"))
    if looks_local or text.count("/") > 1 or "\\" in text:
        raise AccessError(f"model folder {text!r} does not exist (working folder: {Path.cwd()})")
    return None


def _transformer_folder(path: Path) -> Path:
    """The subfolder in which sentence-transformers keeps the transformer, where it does."""
    modules = path / "modules.json"
    if (path / "config.json").is_file() or not modules.is_file():
        return path
    try:
        first = json.loads(modules.read_text(encoding="utf-8"))[0]
        return path / str(first["path"])
    except (ValueError, LookupError, TypeError):
        return path


def _snapshot_folder(name: str, revision: str | None) -> Path:
    from transformers.utils.hub import cached_file

    with access_errors(name, "configuration"):
        found = cached_file(name, "config.json", revision=revision)
    if found is None:
        raise AccessError(
            f"{name!r} has no config.json on the Hub: it is no transformers model; check the name"
        )
    return Path(found).parent


@contextlib.contextmanager
def access_errors(name: str, what: str) -> Iterator[None]:
    """Turn what transformers and the Hub raise into one error that says what to do.

    Parameters
    ----------
    name
        The model, as the caller gave it.
    what
        What is being loaded, for the message.
    """
    try:
        yield
    except AccessError:
        raise
    except Exception as error:
        known = isinstance(error, (OSError, ValueError, ImportError, KeyError))
        if known or type(error).__name__ == "SafetensorError":
            raise _explain(name, what, error) from error
        raise


def _explain(name: str, what: str, error: BaseException) -> Exception:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    kinds = {type(link).__name__ for link in chain}
    text = " ".join(str(link) for link in chain)
    first = str(error).strip().split("\n")[0]
    if "trust_remote_code" in text:
        return AccessError(
            f"{name!r} runs Python code from its own repository. Read that code first; then pass "
            "trust_remote_code=True (command line: --trust-remote-code) to allow it"
        )
    if "GatedRepoError" in kinds or "gated repo" in text.lower() or "401 Client" in text:
        return AccessError(
            f"{name!r} is gated: accept its terms at https://huggingface.co/{name}, then run "
            "`hf auth login` (older: `huggingface-cli login`) or set HF_TOKEN; or pass the folder "
            "of a copy that you have"
        )
    if kinds & {"RevisionNotFoundError"}:
        return AccessError(f"{name!r} has no such revision: {first}")
    if kinds & {"RepositoryNotFoundError"}:
        return AccessError(
            f"{name!r} is no model on the Hub, or a private one that this login may not see: check "
            "the spelling (owner/name), run `hf auth login`, or pass a local folder"
        )
    offline = kinds & {
        "OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError", "ConnectError",
        "ConnectTimeout", "ReadTimeout", "MaxRetryError", "ProxyError",
    }  # fmt: skip
    if offline or "couldn't connect" in text or "offline" in text.lower():
        return AccessError(
            f"cannot reach the Hub for the {what} of {name!r}, and it is not in the local cache: "
            "go online (and unset HF_HUB_OFFLINE), download it elsewhere with `hf download "
            f"{name}`, or pass a local folder"
        )
    if "SafetensorError" in kinds:
        return ValueError(f"the weights of {name!r} are damaged: {first}. Download them again")
    if isinstance(error, OSError):
        return AccessError(f"cannot load the {what} of {name!r}: {first}")
    return ValueError(f"cannot load the {what} of {name!r}: {first}")
