"""A model and its tokenizer: found cheaply, identified by content, loaded only when needed."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ilo_fast._util.hashing import digest
from ilo_fast._util.versions import versions
from ilo_fast.cache import FORMAT, Store
from ilo_fast.errors import AccessError
from ilo_fast.models.forward import working_device
from ilo_fast.models.identity import NUMERIC_PACKAGES, config_content, foreign_hook, hash_state
from ilo_fast.models.limits import position_limit
from ilo_fast.models.loading import (
    ModelFiles,
    check_complete,
    load_tokenizer,
    load_weights,
    open_files,
    resolve_device,
    resolve_dtype,
)
from ilo_fast.models.structure import ModelParts, find_parts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo:
    """What looking up cached results needs to know of a model; stored in the cache itself."""

    n_blocks: int
    dim: int
    kind: str
    architecture: str
    position_limit: int | None
    dtype: str
    attention: str


@dataclass
class ModelSource:
    """Where a model comes from: a Hub name, a folder, or a module in memory.

    Made by `open`.

    Attributes
    ----------
    device
        Where the model runs.
    key
        SHA-256 over all that the hidden states depend on besides the tokens; None without a cache.
    weights_hash
        SHA-256 over the weights; None without a cache.
    """

    name: str
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype | None
    store: Store | None
    files: ModelFiles | None = None
    module: nn.Module | None = None
    revision: str | None = None
    progress: bool = False
    key: str | None = field(default=None, init=False)
    weights_hash: str | None = field(default=None, init=False)
    _parts: ModelParts | None = field(default=None, init=False)
    _info: ModelInfo | None = field(default=None, init=False)

    @classmethod
    def open(
        cls,
        model: str | os.PathLike[str] | nn.Module,
        *,
        tokenizer: Any = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        store: Store | None = None,
        progress: bool = False,
    ) -> ModelSource:
        """Find the model and its tokenizer.

        Parameters
        ----------
        store
            Look results up here: the model gets a `key`. None: no cache.
        tokenizer, device, dtype, revision, trust_remote_code, progress
            As :func:`~ilo_fast.extract`.

        Raises
        ------
        AccessError
            One of them is absent, gated or offline.
        TypeError
            `model` is neither a name, nor a path, nor a module.
        ValueError
            A device or dtype that does not exist, or that differs from a loaded module's.
        """
        wanted = resolve_dtype(dtype)
        if isinstance(model, nn.Module):
            return cls._open_module(model, tokenizer, device, wanted, store)
        if not isinstance(model, (str, os.PathLike)):
            raise TypeError(
                f"model is a {type(model).__name__}: wanted a Hub name, a folder or a torch module"
            )
        where = resolve_device(device)
        files = open_files(model, revision=revision, trust_remote_code=trust_remote_code)
        return cls(
            name=files.name,
            tokenizer=tokenizer or load_tokenizer(files, revision=revision),
            device=where,
            dtype=wanted,
            store=store,
            files=files,
            revision=revision,
            progress=progress,
        )

    @classmethod
    def _open_module(
        cls,
        module: nn.Module,
        tokenizer: Any,
        device: str | torch.device | None,
        dtype: torch.dtype | None,
        store: Store | None,
    ) -> ModelSource:
        weight = next((p for p in module.parameters() if p.is_floating_point()), None)
        if weight is None:
            raise ValueError(
                f"model is a {type(module).__name__} without parameters: pass one with its weights"
            )
        config = getattr(module, "config", None)
        name = str(getattr(config, "_name_or_path", "") or type(module).__name__)
        where = working_device(module)
        if device is not None and torch.device(device).type != where.type:
            raise ValueError(
                f"device={str(device)!r}, but the loaded model is on {where}: move it "
                f"yourself with model.to({str(device)!r}), or pass its folder"
            )
        if dtype is not None and dtype != weight.dtype:
            raise ValueError(
                f"dtype={str(dtype).removeprefix('torch.')!r}, but the loaded model is in "
                f"{str(weight.dtype).removeprefix('torch.')}, and converting would change it for "
                "you too: convert it yourself with model.to(dtype), or pass its folder"
            )
        if tokenizer is None:
            tokenizer = _tokenizer_of(module, name)
        return cls(name, tokenizer, where, weight.dtype, store, module=module)

    def info(self) -> ModelInfo:
        """Size, kind and dtype of the model; from the cache, without weights, where it has them."""
        if self._info is None and self.files is not None and self.store is not None:
            self._identify_files()
            record = self.store.read_model(self.key) if self.key is not None else None
            if record is not None:
                try:
                    names = [entry.name for entry in fields(ModelInfo)]
                    self._info = ModelInfo(**{name: record[name] for name in names})
                except KeyError:
                    logger.warning(
                        "cache: the record of %s is damaged; it is made again", self.name
                    )
        if self._info is None:
            self.load()
        assert self._info is not None
        return self._info

    def load(self) -> ModelParts:
        """The parts, with weights; loaded once.

        Raises
        ------
        AccessError, ValueError
            The weights are absent or incomplete, or the architecture is not understood.
        """
        if self._parts is not None:
            return self._parts
        missing: list[str] = []
        module = self.module
        if module is None:
            assert self.files is not None
            module, missing = load_weights(
                self.files,
                revision=self.revision,
                dtype=self.dtype,
                device=self.device,
                progress=self.progress,
            )
        parts = find_parts(module)
        check_complete(missing, _needed(parts), self.name)
        weight = next(p for p in parts.backbone.parameters() if p.is_floating_point())
        config = getattr(parts.backbone, "config", None) or getattr(module, "config", None)
        self._parts = parts
        self._info = ModelInfo(
            n_blocks=parts.n_blocks,
            dim=parts.dim,
            kind=parts.kind,
            architecture=type(parts.backbone).__name__,
            position_limit=position_limit(parts.backbone, config),
            dtype=str(weight.dtype).removeprefix("torch."),
            attention=str(getattr(config, "_attn_implementation", None) or "unknown"),
        )
        if self.store is not None:
            if self.files is not None:
                self._identify_files()
                assert self.key is not None
                self.store.write_model(self.key, {"name": self.name, **asdict(self._info)})
            else:
                self._identify_module(parts, config)
        return parts

    def describe(self) -> dict[str, Any]:
        """What the model is, JSON-able."""
        info = self.info()
        return {
            "model": self.name,
            "revision": self.files.revision if self.files is not None else None,
            "weights_sha256": self.weights_hash,
            "architecture": info.architecture,
            "kind": info.kind,
            "n_blocks": info.n_blocks,
            "dtype": info.dtype,
            "device": str(self.device),
            "attention": info.attention,
            "tokenizer": type(self.tokenizer).__name__,
            "versions": versions(*NUMERIC_PACKAGES),
        }

    def _identify_files(self) -> None:
        """Set `key` from the content of the files; None where there are no weight files."""
        assert self.files is not None and self.store is not None
        if self.key is not None:
            return
        weights = [self.store.file_hash(path) for path in self.files.weight_files()]
        if not weights:
            return
        self.weights_hash = digest(weights)
        self.key = digest(
            {
                **self._environment(),
                "weights": weights,
                "code": [self.store.file_hash(path) for path in self.files.code_files()],
                "config": config_content(self.files.config),
                "dtype": str(self.dtype),
            }
        )

    def _identify_module(self, parts: ModelParts, config: Any) -> None:
        """Set `key` from the module in memory."""
        foreign = foreign_hook(parts.backbone)
        if foreign:
            logger.warning(
                "the cache is not used: the model carries hooks of yours (on %s), which may change "
                "its hidden states and cannot be part of a key", foreign,
            )  # fmt: skip
            return
        self.weights_hash = hash_state(parts.backbone)
        self.key = digest(
            {
                **self._environment(),
                "weights": self.weights_hash,
                "class": f"{type(parts.backbone).__module__}.{type(parts.backbone).__qualname__}",
                "config": config_content(config),
                "attention": self._info.attention if self._info is not None else None,
            }
        )

    def _environment(self) -> dict[str, Any]:
        found = versions(*NUMERIC_PACKAGES)
        return {
            "format": FORMAT,
            "torch": found["torch"],
            "transformers": found["transformers"],
            "device": self.device.type,
        }


def _tokenizer_of(module: nn.Module, name: str) -> Any:
    try:
        files = open_files(
            Path(name) if os.path.isdir(name) else name, revision=None, trust_remote_code=False
        )
        return load_tokenizer(files, revision=None)
    except AccessError as error:
        raise ValueError(
            f"tokenizer is needed for a loaded {type(module).__name__}: its name_or_path "
            f"({name!r}) gives none ({error})"
        ) from error


def _needed(parts: ModelParts) -> set[str]:
    """Names, within the backbone, of the parameters that the hidden states depend on."""
    owners = [parts.embeddings, *parts.blocks]
    if parts.final_norm is not None:
        owners.append(parts.final_norm)
    wanted = {id(p) for owner in owners for p in owner.parameters()}
    return {name for name, p in parts.backbone.named_parameters() if id(p) in wanted}
