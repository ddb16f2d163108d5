"""A model and its tokenizer: found cheaply, identified by content, loaded only when needed."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ilo_fast._util.hashing import digest
from ilo_fast._util.messages import listed
from ilo_fast._util.versions import versions
from ilo_fast.cache import FORMAT, Store
from ilo_fast.errors import AccessError
from ilo_fast.models.content import (
    UnknownContentError,
    attention_content,
    code_content,
    module_content,
)
from ilo_fast.models.folders import display_name
from ilo_fast.models.forward import is_offloaded, working_device
from ilo_fast.models.identity import NUMERIC_PACKAGES, config_content, hash_state
from ilo_fast.models.limits import position_limit
from ilo_fast.models.loading import (
    ModelFiles,
    check_complete,
    given_tokenizer,
    load_tokenizer,
    load_weights,
    open_files,
    resolve_device,
    resolve_dtype,
)
from ilo_fast.models.reached import reached_weights
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
    label: str | None = None
    _unknown: bool = field(default=False, init=False)  # no key can be made of the files
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
        label: str | None = None,
        elsewhere: bool = False,
    ) -> ModelSource:
        """Find the model and its tokenizer.

        Parameters
        ----------
        store
            Look results up here: the model gets a `key`. None: no cache.
        elsewhere
            It will run in other processes, on a `device` that need not be here.
        label
            What the model is called in titles; None: its name, or that of its run.
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
        if tokenizer is not None:
            tokenizer = given_tokenizer(tokenizer)
        if isinstance(model, nn.Module):
            return cls._open_module(model, tokenizer, device, wanted, store, label)
        if not isinstance(model, (str, os.PathLike)):
            raise TypeError(
                f"model is a {type(model).__name__}: wanted a Hub name, a folder or a torch module"
            )
        where = torch.device(device or "cpu") if elsewhere else resolve_device(device)
        files = open_files(
            model, revision=revision, trust_remote_code=trust_remote_code, adapters=True
        )
        return cls(
            name=files.name,
            tokenizer=load_tokenizer(files, revision=revision) if tokenizer is None else tokenizer,
            device=where,
            dtype=wanted,
            store=store,
            files=files,
            revision=revision,
            progress=progress,
            label=label,
        )

    @classmethod
    def _open_module(
        cls,
        module: nn.Module,
        tokenizer: Any,
        device: str | torch.device | None,
        dtype: torch.dtype | None,
        store: Store | None,
        label: str | None,
    ) -> ModelSource:
        weight = next((p for p in module.parameters() if p.is_floating_point()), None)
        if weight is None:
            raise ValueError(
                f"model is a {type(module).__name__} without parameters: pass one with its weights"
            )
        if all(p.is_meta for p in module.parameters()) and not is_offloaded(module):
            raise ValueError(
                f"model is a {type(module).__name__} on the meta device, which has no values: load "
                "its weights (from_pretrained without device_map='meta'), or pass its folder"
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
        return cls(name, tokenizer, where, weight.dtype, store, module=module, label=label)

    def check_languages(self, codes: Sequence[str]) -> None:
        """Refuse several languages where the model has parts for each (X-MOD) and is set to one.

        Raises
        ------
        ValueError
            Says how to go on.
        """
        config = self.files.config if self.files is not None else getattr(self.module, "config", 0)
        own = getattr(config, "languages", None)
        if not own or not hasattr(config, "default_language") or len(codes) < 2:
            return
        raise ValueError(
            f"{self.name} has an adapter for each language ({listed(list(own))}) and uses the same "
            f"for all {len(codes)} of the corpus: load it, and for one language after the other "
            "call model.set_default_language(...) and extract() with that language alone"
        )

    def info(self) -> ModelInfo:
        """Size, kind and dtype of the model; from the cache, without weights, where it has them."""
        found = self.known_info()
        if found is None:
            self.load()
            found = self._info
        assert found is not None
        return found

    def known_info(self) -> ModelInfo | None:
        """The same where it is known without weights, else None."""
        if self._info is None and self.files is not None and self.store is not None:
            self._identify_files()
            record = self.store.read_model(self.key) if self.key is not None else None
            if record is not None:
                names = [entry.name for entry in fields(ModelInfo)]
                self._info = ModelInfo(**{name: record[name] for name in names})
        return self._info

    def identify(self, info: ModelInfo, key: str, weights_hash: str) -> None:
        """Take over what another process found that loaded the weights.

        Raises
        ------
        ValueError
            It loaded something else than what lies here.
        """
        if self.key not in (None, key):
            raise ValueError(
                f"the model {self.name!r} is not the same everywhere: by its weights, "
                f"configuration and code and by {', '.join(NUMERIC_PACKAGES)} a worker has the key "
                f"{key[:12]}, here it is {str(self.key)[:12]}. Give all nodes the same files and "
                "versions"
            )
        self.key, self.weights_hash, self._info = key, weights_hash, info

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
        before = self.weights_hash
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
        if missing:
            check_complete(missing, reached_weights(parts, module), self.name)
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
                if before not in (None, digest(self._weights())):
                    raise ValueError(
                        f"the files of {self.name!r} changed while they were being read: run again "
                        "once they are complete"
                    )
            if self.files is not None and self.key is not None:
                self.store.write_model(
                    self.key, {"name": self.label or self.name, **asdict(self._info)}
                )
            if self.files is None:
                self._identify_module(parts)
        return parts

    def describe(self) -> dict[str, Any]:
        """What the model is, JSON-able."""
        info = self.info()
        return {
            "model": self.name,
            "model_name": self.label or display_name(self.name),
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
        if self.key is not None or self._unknown:
            return
        weights = self._weights()
        if not weights:
            return
        self.weights_hash = digest(weights)
        try:
            parts = {
                **self._environment(),
                "weights": weights,
                "adapter": self.files.adapter and versions("peft"),
                "code": [self.store.file_hash(path) for path in self.files.code_files()],
                "library": self._library_code(),
                "config": config_content(self.files.config),
                "dtype": str(self.dtype),
            }
        except UnknownContentError as unknown:
            self._unknown = True
            _remark_uncached(unknown)
        else:
            self.key = digest(parts)

    def _weights(self) -> list[str]:
        assert self.files is not None and self.store is not None
        return [self.store.file_hash(path) for path in self.files.weight_files()]

    def _library_code(self) -> Any:
        """What the code of transformers that will run is, where it is not as it was installed."""
        assert self.files is not None
        kind = self.files.model_class()
        attention = getattr(self.files.config, "_attn_implementation", None) or "sdpa"
        return [kind and code_content(kind), attention, attention_content(str(attention))]

    def _identify_module(self, parts: ModelParts) -> None:
        """Set `key` from the module in memory; None where it depends on what cannot be named."""
        try:
            content = module_content(parts.backbone)
        except UnknownContentError as unknown:
            _remark_uncached(unknown)
            return
        self.weights_hash = hash_state(parts.backbone)
        schedule = list(parts.schedule)
        self.key = digest(
            {
                **self._environment(),
                "weights": self.weights_hash,
                "content": content,
                "schedule": schedule,
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


def _remark_uncached(unknown: UnknownContentError) -> None:
    logger.warning(
        "the cache is not used: the hidden states may depend on %s, which cannot be part of a key",
        unknown,
    )


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
