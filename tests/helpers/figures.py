"""Figures that are not drawn, for tests of everything else that a command does."""

from __future__ import annotations

from typing import Any

import pytest

from ilo_fast.report import files


def leave_out_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of figures have their names and no picture; `tests/report` and `test_run` draw them."""

    def named(name: str, figure: Any, column: Any = None) -> dict[str, bytes]:
        return {f"{name}.{kind}": b"left out by a test" for kind in ("png", "svg", "pdf")}

    monkeypatch.setattr(files, "rendered", named)
