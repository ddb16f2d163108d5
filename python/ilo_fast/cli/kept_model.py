"""The model of ``run --config``: one at a time, loaded once for all results that follow on it."""

from __future__ import annotations

import argparse
import gc
import sys
from typing import TYPE_CHECKING, Any

from ilo_fast.cli import common

if TYPE_CHECKING:
    from ilo_fast.models.source import ModelSource


def model_settings(args: argparse.Namespace) -> tuple[Any, ...]:
    """What makes other weights, or puts them elsewhere."""
    return args.model, args.revision, args.dtype, args.device, args.trust_remote_code


class KeptModel:
    """At most one model, which stays loaded until another is asked for or it is let go."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[Any, ...], ModelSource] | None = None

    def source(self, args: argparse.Namespace, revision: str) -> ModelSource:
        """The model that the flags name; that of the last call, if it is the same one.

        Parameters
        ----------
        revision
            What its files hold now: a model that is trained on is another.
        """
        wanted = (*model_settings(args), revision)
        if self._kept is None or self._kept[0] != wanted:
            if self._kept is not None:  # gone before the next one comes
                self.let_go()
            self._kept = wanted, common.open_source(args)
        source = self._kept[1]
        source.label = args.name
        return source

    def let_go(self) -> None:
        """Free the memory of the model, and what else the last result left."""
        self._kept = None
        _free_memory()


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
