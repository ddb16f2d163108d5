"""The exact engine as tests run it: on every instruction set, and on paths forced from outside.

ILO_FAST_TEST_BLOCK_ROWS=8 python -m pytest tests/graph      # many small blocks
ILO_FAST_SIMD=amx_bf16_emulated python -m pytest tests/graph # or another level

Such runs leave out the tests marked ``independent_of_forcing``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from ilo_fast import _core
from ilo_fast.graph.exact import DEFAULT_MEMORY

try:
    from ilo_fast import _core_testing
except ImportError as error:
    raise pytest.UsageError(
        "the tests need ilo_fast._core_testing, which this build lacks: install with "
        "`SKBUILD_CMAKE_DEFINE=ILO_FAST_TESTING=ON pip install '.[test]'`"
    ) from error

# The kernels of amx_bf16, layout and arithmetic, on any processor.
EMULATED = "amx_bf16_emulated"
LEVELS = (*_core.simd_available(), EMULATED)

SIMD, BLOCK_ROWS = "ILO_FAST_SIMD", "ILO_FAST_TEST_BLOCK_ROWS"
# The package does not know the emulated level, so its name moves out of ILO_FAST_SIMD, to where the
# processes that pytest -n starts from this one find it.
_MOVED = "_ILO_FAST_TEST_SIMD"
if os.environ.get(SIMD) == EMULATED:
    os.environ[_MOVED] = os.environ.pop(SIMD)
FORCED = {name: os.environ[name] for name in (SIMD, BLOCK_ROWS) if os.environ.get(name)}
if _MOVED in os.environ:
    FORCED[SIMD] = os.environ[_MOVED]
independent_of_forcing = pytest.mark.independent_of_forcing

product_knn_graph = _core.knn_graph  # whatever is forced below


def every_level(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test on each of LEVELS, which it gets as ``simd``."""
    return independent_of_forcing(pytest.mark.parametrize("simd", LEVELS)(test))


def forced(core: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A ``knn_graph`` that takes these options where a call does not give them."""

    def knn_graph(*args: Any, **given: Any) -> Any:
        if given.get("simd") == "":
            del given["simd"]
        if "block_rows" in options and given.get("max_memory", DEFAULT_MEMORY) == DEFAULT_MEMORY:
            given["max_memory"] = 1  # of the packed rows, one block at a time
        return core(*args, **{**options, **given})

    return knn_graph


def force_from_environment() -> None:
    """Put what the variables above name in place of the package's engine, for the whole run."""
    options: dict[str, Any] = {}
    if BLOCK_ROWS in FORCED:
        options["block_rows"] = int(FORCED[BLOCK_ROWS])
    if FORCED.get(SIMD) == EMULATED:
        options["simd"] = EMULATED
    if options:
        _core_testing.knn_graph = forced(_core_testing.knn_graph, **options)
        _core.knn_graph = _core_testing.knn_graph


def use_level(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """Let the package work on this instruction set."""
    if level == EMULATED:
        monkeypatch.setattr(_core, "knn_graph", forced(_core_testing.knn_graph, simd=level))
    else:
        monkeypatch.setenv(SIMD, level)
