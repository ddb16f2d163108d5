"""A model is given back as its caller had it, but for its weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

# What accelerate puts into a model: a mark, and for mixed precision another forward().
_WRAPPERS = ("forward", "_original_forward", "_is_accelerate_prepared")


@contextlib.contextmanager
def preserve_model_state(model: Any) -> Iterator[None]:
    """Undo after the block what training changes about `model`.

    Parameters are as trainable as before, the configuration's ``use_cache`` is as it was, and
    what accelerate attached is gone. After an error so is all else, adapters and labels included.
    """
    trainable = {n: p.requires_grad for n, p in model.named_parameters(remove_duplicate=False)}
    modules = [(module, dict(module._modules), module.training) for module in model.modules()]
    attributes = set(vars(model))
    configs = [(config, dict(vars(config))) for config in configurations(model)]
    device = next(model.parameters()).device
    try:
        yield
    except BaseException:
        # Adapters, and copies of heads, stand in the places of the modules that were there.
        for module, children, mode in modules:
            module._modules.clear()
            module._modules.update(children)
            module.training = mode
        for name in set(vars(model)) - attributes:
            del vars(model)[name]
        for config, before in configs:
            vars(config).clear()
            vars(config).update(before)
        for parameter in model.parameters():
            parameter.grad = None
        model.to(device)
        raise
    finally:
        for name, parameter in model.named_parameters(remove_duplicate=False):
            parameter.requires_grad_(trainable.get(name, True))
        for config, before in configs:
            if "use_cache" in before:
                config.use_cache = before["use_cache"]
        for name in _WRAPPERS:
            if name not in attributes:
                vars(model).pop(name, None)


def configurations(model: Any) -> list[Any]:
    """The model's configuration, and that of its text part where it is another."""
    found = [model.config]
    if hasattr(model.config, "get_text_config"):
        found.append(model.config.get_text_config())
    return list({id(config): config for config in found}.values())
