"""What `ilo_fast.transcoders` exports: every name is where the table says."""

from __future__ import annotations

import pytest

from ilo_fast import transcoders


@pytest.mark.parametrize("name", transcoders.__all__)
def test_a_name_that_is_exported_is_there(name: str) -> None:
    assert getattr(transcoders, name).__name__ == name
    assert name in dir(transcoders)
