"""Packages that are missing are named with the command that installs them."""

from __future__ import annotations

import pytest

from ilo_fast._util.optional import require


def test_missing_package_is_named_with_what_installs_it() -> None:
    require("json", "report")
    with pytest.raises(ImportError, match=r"needs nosuch: pip install 'ilo_fast\[hnsw\]'"):
        require("nosuch", "hnsw")
    with pytest.raises(ImportError, match=r"needs nosuch: pip install nosuch$"):
        require("nosuch")
