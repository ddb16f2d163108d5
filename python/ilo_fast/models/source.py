"""The model under study: opened cheaply, identified by content, loaded only when needed."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ilo_fast._util.hashing import digest
from ilo_fast._util.versions import NUMERIC_PACKAGES, versions
from ilo_fast.cache import FORMAT, Store
from ilo_fast.errors import AccessError
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
from ilo_fast.representations.tokens import position_limit

logger = logging.getLogger(__name__)

# Configuration entries that say where a model came from and not what it computes.
_PROVENANCE = ("_name_or_path", "transformers_version", "_commit_hash")


@dataclass(frozen=True)
class Facts:
    """What must be known of a model before its cached results can be looked up."""

    n_blocks: int
    dim: int
    kind: str
    architecture: str
    position_limit: int | None
    dtype: str
    attention: str


class Subject:
    """A model, its tokenizer and its identity.

    Attributes
    ----------
    tokenizer
        The tokenizer.
    device
        Where the model runs.
    key
        SHA-256 over all that the hidden states depend on besides the tokens; None without a cache.
    """

    def __init__(
        self,
        *,
        name: str,
        tokenizer: Any,
        device: torch.device,
        dtype: torch.dtype | None,
        files: ModelFiles | None = None,
        module: nn.Module | None = None,
        revision: str | None = None,
        store: Store | None = None,
        progress: bool = True,
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.device = device
        self.key: str | None = None
        self.weights_hash: str | None = None
        self._dtype = dtype
        self._files = files
        self._module = module
        self._revision = revision
        self._store = store
        self._progress = progress
        self._parts: ModelParts | None = None
        self._facts: Facts | None = None

    @classmethod
    def open(
        cls,
        model: str | os.PathLike[str] | nn.Module,
        *,
        tokenizer: Any,
        device: str | torch.device | None,
        dtype: str | torch.dtype | None,
        revision: str | None,
        trust_remote_code: bool,
        store: Store | None,
        progress: bool,
    ) -> Subject:
        """Find the model and its tokenizer.

        Raises
        ------
        AccessError
            One of them is absent, gated or offline.
        TypeError
            `model` is neither a name, nor a path, nor a module.
        ValueError
            A device or dtype that does not exist, or that a loaded module is not in.
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
            files=files,
            revision=revision,
            store=store,
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
    ) -> Subject:
        weight = next((p for p in module.parameters() if p.is_floating_point()), None)
        if weight is None:
            raise ValueError("model has no parameters")
        config = getattr(module, "config", None)
        name = str(getattr(config, "_name_or_path", "") or type(module).__name__)
        if device is not None and torch.device(device).type != weight.device.type:
            raise ValueError(
                f"device={str(device)!r}, but the loaded model is on {weight.device}: move it "
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
        return cls(
            name=name,
            tokenizer=tokenizer,
            device=weight.device,
            dtype=weight.dtype,
            module=module,
            store=store,
        )

    def facts(self) -> Facts:
        """The facts; from the cache where they are known, without loading weights."""
        if self._facts is None and self._files is not None and self._store is not None:
            self._identify_files()
            record = self._store.read_model(self.key) if self.key is not None else None
            if record is not None:
                try:
                    self._facts = Facts(**{name: record[name] for name in Facts.__annotations__})
                except KeyError:
                    logger.warning("cache: the record of %s is damaged; read anew", self.name)
        if self._facts is None:
            self.load()
        assert self._facts is not None
        return self._facts

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
        module = self._module
        if module is None:
            assert self._files is not None
            module, missing = load_weights(
                self._files,
                revision=self._revision,
                dtype=self._dtype,
                device=self.device,
                progress=self._progress,
            )
        parts = find_parts(module)
        check_complete(missing, _needed(parts), self.name)
        weight = next(p for p in parts.backbone.parameters() if p.is_floating_point())
        config = getattr(parts.backbone, "config", None) or getattr(module, "config", None)
        self._parts = parts
        self._facts = Facts(
            n_blocks=parts.n_blocks,
            dim=parts.dim,
            kind=parts.kind,
            architecture=type(parts.backbone).__name__,
            position_limit=position_limit(parts.backbone, config),
            dtype=str(weight.dtype).removeprefix("torch."),
            attention=str(getattr(config, "_attn_implementation", None) or "unknown"),
        )
        if self._store is not None:
            if self._files is not None:
                self._identify_files()
                assert self.key is not None
                self._store.write_model(self.key, asdict(self._facts))
            else:
                self._identify_module(parts, config)
        return parts

    def describe(self) -> dict[str, Any]:
        """JSON-able account of the model, for ``info``."""
        facts = self.facts()
        return {
            "model": self.name,
            "revision": self._files.revision if self._files is not None else None,
            "weights_sha256": self.weights_hash,
            "architecture": facts.architecture,
            "kind": facts.kind,
            "n_blocks": facts.n_blocks,
            "dtype": facts.dtype,
            "device": str(self.device),
            "attention": facts.attention,
            "tokenizer": type(self.tokenizer).__name__,
            "versions": versions(*NUMERIC_PACKAGES),
        }

    def _identify_files(self) -> None:
        """Set `key` from the files' content, once they are all there."""
        assert self._files is not None and self._store is not None
        if self.key is not None:
            return
        weights = [self._store.file_hash(path) for path in self._files.weight_files()]
        if not weights:
            return
        self.weights_hash = digest(weights)
        self.key = digest(
            {
                **self._circumstances(),
                "weights": weights,
                "code": [self._store.file_hash(path) for path in self._files.code_files()],
                "config": _content(self._files.config),
                "dtype": str(self._dtype),
            }
        )

    def _identify_module(self, parts: ModelParts, config: Any) -> None:
        """Set `key` from the module in memory."""
        foreign = _foreign_hooks(parts.backbone)
        if foreign:
            logger.warning(
                "the cache is not used: the model carries hooks of yours (on %s), which may change "
                "its hidden states and cannot be part of a key", foreign,
            )  # fmt: skip
            return
        self.weights_hash = hash_state(parts.backbone)
        self.key = digest(
            {
                **self._circumstances(),
                "weights": self.weights_hash,
                "class": f"{type(parts.backbone).__module__}.{type(parts.backbone).__qualname__}",
                "config": _content(config),
                "attention": self._facts.attention if self._facts is not None else None,
            }
        )

    def _circumstances(self) -> dict[str, Any]:
        found = versions(*NUMERIC_PACKAGES)
        return {
            "format": FORMAT,
            "torch": found["torch"],
            "transformers": found["transformers"],
            "device": self.device.type,
        }


def hash_state(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers.

    Raises
    ------
    ValueError
        For weights that are not in memory (a meta device).
    """
    sha = hashlib.sha256()
    state: Mapping[str, Any] = {**module.state_dict(), **dict(module.named_buffers())}
    for name in sorted(state):
        value = state[name]
        if not isinstance(value, torch.Tensor):
            sha.update(f"{name}={value!r};".encode())
            continue
        if value.is_meta:
            raise ValueError(f"weight {name} is on the meta device: its values are not in memory")
        sha.update(f"{name}:{value.dtype}:{tuple(value.shape)};".encode())
        flat = value.detach().contiguous().reshape(-1).cpu()
        sha.update(np.ascontiguousarray(flat.view(torch.uint8).numpy()).data)
    return sha.hexdigest()


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


def _content(config: Any) -> Any:
    """A configuration without its provenance."""
    if config is None or not hasattr(config, "to_dict"):
        return repr(config)
    return without_provenance(config.to_dict())


def without_provenance(value: Any) -> Any:
    """A configuration's entries but those that say where it came from."""
    if isinstance(value, Mapping):
        return {str(k): without_provenance(v) for k, v in value.items() if k not in _PROVENANCE}
    return value


def _needed(parts: ModelParts) -> set[str]:
    """Names, within the backbone, of the parameters that the hidden states depend on."""
    owners = [parts.embeddings, *parts.blocks]
    if parts.final_norm is not None:
        owners.append(parts.final_norm)
    wanted = {id(p) for owner in owners for p in owner.parameters()}
    return {name for name, p in parts.backbone.named_parameters() if id(p) in wanted}


def _foreign_hooks(module: nn.Module) -> str | None:
    """The first submodule with a forward hook that is not transformers' own."""
    for name, child in module.named_modules():
        hooks = [*child._forward_pre_hooks.values(), *child._forward_hooks.values()]
        for hook in hooks:
            if not str(getattr(hook, "__module__", "")).startswith("transformers."):
                return name or type(child).__name__
    return None
