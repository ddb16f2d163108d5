"""What the values of a module in memory depend on besides its weights: code and plain attributes.

A cache may answer for a module only where all of it can be named. Whatever cannot (a function of
the caller's in place of the library's, a hook, an object of unknown content) ends in
:class:`UnknownContentError`, which says what it is.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import importlib
import logging
import os
import sys
import sysconfig
import types
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ilo_fast._util.hashing import digest, hash_file
from ilo_fast._util.versions import installed_version
from ilo_fast.models.forward import callers_hooks

# What torch and transformers keep on a module that no hidden state depends on.
_BOOKKEEPING = frozenset(
    {
        "smart_apply", "_buffers", "_can_record_outputs", "_commit_hash", "_ep_plan",
        "_forward_hooks_always_called", "_forward_hooks_with_kwargs",
        "_forward_pre_hooks_with_kwargs", "_fsdp_plan", "_gradient_checkpointing_func", "_hf_hook",
        "_is_full_backward_hook", "_is_hf_initialized", "_keep_in_fp32_modules",
        "_keep_in_fp32_modules_strict", "_loss_function", "_modules", "_name_or_path",
        "_no_split_modules", "_non_persistent_buffers_set", "_old_forward",
        "_output_capturing_hooks_installed", "_parameters", "_peft_loaded_adapters", "_pp_plan",
        "_skip_keys_device_placement", "_tied_weights_keys", "_tp_plan", "_use_hf_fsdp",
        "all_tied_weights_keys", "architectures", "generation_config", "gradient_checkpointing",
        "hf_device_map", "is_gradient_checkpointing", "loss_type", "model_tags", "name_or_path",
        "training", "transformers_version", "warnings_issued",
    }
)  # fmt: skip
# Where forward passes look functions up by name, besides the files of a model's own classes.
_SHARED_MODULES = (
    "torch.nn.functional", "transformers.masking_utils", "transformers.modeling_utils",
    "transformers.activations", "transformers.modeling_rope_utils", "transformers.pytorch_utils",
    "transformers.integrations.sdpa_attention",
)  # fmt: skip
_LIBRARIES = ("torch", "transformers", "accelerate", "peft", "sentence_transformers")


class UnknownContentError(Exception):
    """Something that values depend on and that cannot be part of a key; the message names it."""


def module_content(module: nn.Module) -> str:
    """SHA-256 over the classes and plain attributes of a module and all its submodules.

    Parts that the module's weights have are not in it: see ``hash_state``.

    Raises
    ------
    UnknownContentError
        A part of it cannot be known.
    """
    _check_hooks(module)
    content = _Content({id(child): name for name, child in module.named_modules()})
    parts: list[Any] = []
    for name, child in module.named_modules():
        where = name or type(child).__name__
        parts.append([name, content.class_of(type(child), where)])
        for key, value in sorted(vars(child).items()):
            if key not in _BOOKKEEPING and not key.endswith(("_hooks", "_hook")):
                parts.append([key, content.of(value, f"{key} of {where}")])
    for implementation in sorted(_attention_names(module)):
        parts.append([implementation, attention_content(implementation)])
    return digest([parts, content.classes, content.files, shared_code()])


def code_content(kind: type) -> str:
    """SHA-256 over what a class from a library, not yet built, would run.

    Raises
    ------
    UnknownContentError
        One of its functions, or of those beside it, was replaced.
    """
    content = _Content({})
    for name, found in sorted(vars(sys.modules[kind.__module__]).items()):
        if isinstance(found, type) and issubclass(found, nn.Module):
            content.class_of(found, name)
    return digest([content.classes, content.files, shared_code()])


def shared_code() -> list[Any]:
    """The functions that all models share, checked; for the key, those that are not their own.

    Raises
    ------
    UnknownContentError
        One was replaced by another's.
    """
    if torch.nn.modules.module._global_forward_hooks or (
        torch.nn.modules.module._global_forward_pre_hooks
    ):
        raise UnknownContentError("a forward hook on all modules")
    content = _Content({})
    for name in _SHARED_MODULES:
        importlib.import_module(name)  # so that the content is not of what happens to be loaded
        content.namespace(name)
    return content.moved


def _attention_names(module: nn.Module) -> set[str]:
    """The attention implementations that the configurations within a module ask for."""
    configs = [getattr(child, "config", None) for child in module.modules()]
    names = {getattr(config, "_attn_implementation", None) for config in configs}
    return {name for name in names if isinstance(name, str)}


def attention_content(implementation: str) -> Any:
    """The function behind the name of an attention implementation.

    Raises
    ------
    UnknownContentError
        It was registered by the caller.
    """
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    where = f"the attention function {implementation!r}"
    tables: list[Any] = [ALL_ATTENTION_FUNCTIONS, ALL_MASK_ATTENTION_FUNCTIONS]
    return [_Content({}).of(dict(table).get(implementation), where) for table in tables]


class _Content:
    """Names what objects hold, JSON-able; remembers the classes and files that it met.

    Parameters
    ----------
    names
        Name of each known submodule, by id().
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = dict(names)
        self.classes: dict[str, Any] = {}
        self.files: dict[str, str] = {}
        self.moved: list[Any] = []
        self._namespaces: set[str] = set()
        self._open: dict[int, int] = {}
        self._functions: dict[int, list[Any]] = {}

    def of(self, value: Any, where: str) -> Any:
        """What `value` holds."""
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, (float, complex, bytes, torch.dtype, torch.device, np.generic)):
            return repr(value)
        if isinstance(value, (logging.Logger, types.ModuleType)):
            return None
        if isinstance(value, enum.Enum):
            return [type(value).__qualname__, value.name]
        if isinstance(value, (torch.Tensor, np.ndarray)):
            return self._array(value, where)
        if id(value) in self.names:
            return ["submodule", self.names[id(value)]]
        if id(value) in self._open:
            return ["seen", self._open[id(value)]]
        if isinstance(value, type):
            return self.class_of(value, where)
        if callable(value) and not isinstance(value, nn.Module):
            found = self._callable(value, where)
            if found is not None:
                return found
        self._open[id(value)] = len(self._open)
        return self._composite(value, where)

    def class_of(self, kind: type, where: str) -> str:
        """The full name of a class; its code is checked, and remembered in `classes`."""
        for base in kind.__mro__:
            name = f"{base.__module__}.{base.__qualname__}"
            if name not in self.classes and base is not object:
                self.classes[name] = None  # a class whose functions name it
                self.classes[name] = self._class_code(base, where)
        return f"{kind.__module__}.{kind.__qualname__}"

    def namespace(self, module: str) -> None:
        """Check the functions that a library's code looks up by name."""
        library = module.partition(".")[0] in _LIBRARIES
        if module in self._namespaces or not library or module not in sys.modules:
            return
        self._namespaces.add(module)
        for name, value in sorted(vars(sys.modules[module]).items()):
            if isinstance(value, types.FunctionType):
                found = self._function(value, f"{name} of {module}", None)
                if value.__name__ != name:
                    self.moved.append([module, name, found])

    def _class_code(self, kind: type, where: str) -> Any:
        if not self._file(kind.__module__, f"{kind.__qualname__} of {where}"):
            return None
        self.namespace(kind.__module__)
        found = []
        for name, value in sorted(vars(kind).items()):
            if name.startswith("__") and name not in ("__call__", "__init__"):
                continue
            if name in _BOOKKEEPING or name.endswith("_cached_value"):
                continue
            value = getattr(value, "__func__", value)
            if isinstance(value, types.FunctionType):
                label = f"{name} of {kind.__qualname__}"
                function = self._function(value, label, kind.__module__)
                # Of a library's own methods its version says enough.
                if len(function) > 3 or value.__qualname__ != f"{kind.__qualname__}.{name}":
                    found.append([name, function])
            elif isinstance(value, (bool, int, float, str)):
                found.append([name, repr(value)])
        return found

    def _callable(self, value: Any, where: str) -> Any:
        if isinstance(value, functools.partial):
            return [self.of(part, where) for part in (value.func, value.args, value.keywords)]
        if isinstance(value, types.MethodType):
            return [self.of(value.__self__, where), self.of(value.__func__, where)]
        if isinstance(value, types.FunctionType):
            return self._function(value, where, None)
        if type(value).__name__ in (
            "builtin_function_or_method", "method_descriptor", "OpOverloadPacket", "OpOverload",
        ):  # fmt: skip
            return [str(getattr(value, "__module__", None)), str(value)]
        return None

    def _function(self, function: types.FunctionType, where: str, home: str | None) -> Any:
        """What an installed function is, or one that stands in the file of its class, `home`."""
        known = self._functions.get(id(function))
        if known is not None:
            return known
        code = function.__code__
        name = str(function.__globals__.get("__name__"))
        inner = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
        found: list[Any] = [name, function.__qualname__, _code_digest(code)]
        self._functions[id(function)] = found
        if _is_installed(code.co_filename, name):
            # A decorator's wrapper: what it wraps may be anyone's.
            for part in inner:
                if isinstance(part, types.FunctionType) and part is not function:
                    found.append(self._function(part, where, home))
                elif isinstance(part, (bool, int, float, str)):
                    found.append(repr(part))
            return found
        if home is None or name != home or not all(isinstance(part, type) for part in inner):
            raise UnknownContentError(f"{where} (a function of yours, {code.co_filename})")
        for key in _names(code):
            value = function.__globals__.get(key)
            if not isinstance(value, (type, types.ModuleType)):
                at_home = getattr(value, "__module__", None) == home
                found.append(
                    self._function(value, key, home)
                    if isinstance(value, types.FunctionType) and at_home
                    else [key, self.of(value, f"{key} of {home}")]
                )
        return found

    def _composite(self, value: Any, where: str) -> Any:
        if isinstance(value, Mapping):
            return [
                type(value).__name__,
                [[self.of(k, where), self.of(v, where)] for k, v in value.items()],
            ]
        if isinstance(value, (set, frozenset)):
            return ["set", sorted((self.of(part, where) for part in value), key=repr)]
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, [self.of(part, where) for part in value]]
        if isinstance(value, weakref.ref):
            return self.of(value(), where)
        if isinstance(value, nn.Module):
            raise UnknownContentError(f"{where} (a module outside of the model)")
        if type(value).__module__ == "builtins" or not hasattr(value, "__dict__"):
            if isinstance(value, range) or dataclasses.is_dataclass(value):
                return repr(value)
            raise UnknownContentError(f"{where} (a {type(value).__name__})")
        # A configuration, an adapter's variant, a table of masks: an object with plain entries.
        entries = [
            [key, self.of(entry, f"{key} of {where}")]
            for key, entry in sorted(vars(value).items())
            if key not in _BOOKKEEPING
        ]
        return [self.class_of(type(value), where), entries]

    def _array(self, value: Any, where: str) -> Any:
        if isinstance(value, torch.Tensor):
            if value.is_meta or value.layout is not torch.strided:
                raise UnknownContentError(f"{where} (a tensor whose values are not in memory)")
            flat = value.detach().contiguous().reshape(-1).cpu().view(torch.uint8)
            value, dtype = flat.numpy(), str(value.dtype)
        else:
            value, dtype = np.ascontiguousarray(value), str(value.dtype)
            if value.dtype.hasobject:
                raise UnknownContentError(f"{where} (an array of objects)")
        return [dtype, hashlib.sha256(value.reshape(-1).view(np.uint8).data).hexdigest()]

    def _file(self, module: str, where: str) -> bool:
        """Remember the file, or the version of the package, in which a class is written.

        False for classes of Python itself.
        """
        package = module.partition(".")[0]
        if package in sys.stdlib_module_names and package != "__main__":
            return False
        path = getattr(sys.modules.get(module), "__file__", None)
        if package in _LIBRARIES:
            if package not in self.files:  # to ask takes milliseconds
                self.files[package] = installed_version(package.replace("_", "-")) or "unknown"
        elif path is None or module == "__main__":
            raise UnknownContentError(f"{where} (a class of yours that is in no importable file)")
        else:
            self.files[module] = hash_file(Path(path))
        return True


def _check_hooks(module: nn.Module) -> None:
    hooked = callers_hooks(module)
    if hooked:
        raise UnknownContentError(f"a hook of yours on {hooked[0]}")
    for name, child in module.named_modules():
        where = name or type(child).__name__
        for kind, tensor in _own_tensors(child):
            if type(tensor) not in (torch.Tensor, nn.Parameter, nn.Buffer):
                raise UnknownContentError(f"{kind} of {where} (a {type(tensor).__name__})")
            if tensor.is_meta:
                raise UnknownContentError(f"{kind} of {where} (not in memory: offloaded)")


def _own_tensors(module: nn.Module) -> Iterable[tuple[str, torch.Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


@functools.lru_cache(maxsize=4096)
def _is_installed(filename: str, module: str) -> bool:
    """Whether code lies in Python's own folders, or in those that packages are installed in."""
    if filename.startswith("<"):  # made at run time: dataclasses, torch.fx
        return module.partition(".")[0] in {*_LIBRARIES, *sys.stdlib_module_names} - {"__main__"}
    return any(filename.startswith(folder) for folder in _installed_folders())


@functools.lru_cache(maxsize=1)
def _installed_folders() -> tuple[str, ...]:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    for name in _LIBRARIES:  # wherever else they were installed
        file = getattr(sys.modules.get(name), "__file__", None)
        if file:
            package = Path(file).parent  # its own dependencies lie beside it
            beside = package.parent.name in ("site-packages", "dist-packages")
            folders.add(str(package.parent if beside else package))
    return tuple(f"{folder}{os.sep}" for folder in folders if folder)


def _code_digest(code: types.CodeType) -> str:
    def content(part: types.CodeType) -> list[Any]:
        constants = [
            content(c) if isinstance(c, types.CodeType)
            else sorted(map(repr, c)) if isinstance(c, frozenset)
            else repr(c)
            for c in part.co_consts
        ]  # fmt: skip
        return [part.co_code.hex(), list(part.co_names), constants]

    return digest(content(code))


def _names(code: types.CodeType) -> list[str]:
    """The names that a function looks up, also in functions within it."""
    names = {*code.co_names}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(_names(constant))
    return sorted(names)


def _filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
