"""A model is given back as it was found, but for its weights."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from torch import nn

# What accelerate puts into a model: a mark, and for mixed precision another forward().
_WRAPPERS = ("forward", "_original_forward", "_is_accelerate_prepared")


class AsFound:
    """Remembers what training changes about a model; a context that undoes it after an error.

    Parameters
    ----------
    model
        Not yet prepared for training.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._trainable = {
            name: parameter.requires_grad
            for name, parameter in model.named_parameters(remove_duplicate=False)
        }
        self._modules = [(m, dict(m._modules), m.training) for m in model.modules()]
        self._attributes = set(vars(model))
        configs = {id(config): config for config in _configs(model)}.values()
        self._configs = [(config, dict(vars(config))) for config in configs]
        self._device = next(model.parameters()).device

    def settle(self) -> None:
        """What holds after success, too: as trainable as before, and so is the use of the cache.

        To be called before the model is saved, and after adapters are merged into it.
        """
        for name, parameter in self._model.named_parameters(remove_duplicate=False):
            parameter.requires_grad_(self._trainable.get(name, True))
        for config, before in self._configs:
            if "use_cache" in before:
                config.use_cache = before["use_cache"]
        for name in _WRAPPERS:
            if name not in self._attributes:
                vars(self._model).pop(name, None)

    def __enter__(self) -> AsFound:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._restore()

    def _restore(self) -> None:
        # Adapters, and copies of heads, stand in the places of the modules that were there.
        for module, children, mode in self._modules:
            module._modules.clear()
            module._modules.update(children)
            module.training = mode
        for name in set(vars(self._model)) - self._attributes:
            del vars(self._model)[name]
        for config, before in self._configs:
            vars(config).clear()
            vars(config).update(before)
        for parameter in self._model.parameters():
            parameter.grad = None
        self.settle()
        self._model.to(self._device)


def _configs(model: nn.Module) -> list[Any]:
    config: Any = model.config
    return [config, config.get_text_config()] if hasattr(config, "get_text_config") else [config]
