"""Leaves out the tests that no forced path changes: see helpers/engine.py."""

from __future__ import annotations

import pytest
from helpers import engine

LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not engine.FORCED:
        return
    name = engine.independent_of_forcing.name
    left_out = [item for item in items if item.get_closest_marker(name)]
    config.stash[LEFT_OUT] = len(left_out)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker(name)]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if engine.FORCED:
        forced = " and ".join(f"{name}={value}" for name, value in engine.FORCED.items())
        terminalreporter.write_line(
            f"{forced}: left out {config.stash.get(LEFT_OUT, 0)} tests that no forcing changes"
        )
