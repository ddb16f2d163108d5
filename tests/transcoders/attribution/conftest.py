from __future__ import annotations

from functools import lru_cache

import pytest

from ilo_fast.transcoders.sites import find_sites

once = lru_cache(maxsize=2)(find_sites)


@pytest.fixture(autouse=True)
def sites_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each model: that takes longer than what is tested here, and has tests of its own."""
    monkeypatch.setattr("ilo_fast.transcoders.replacement.find_sites", once)
