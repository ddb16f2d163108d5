"""Packages that are missing are named with the command that installs them."""

from __future__ import annotations

from importlib import metadata

import pytest

from ilo_fast._util.optional import require, require_release


def test_missing_package_is_named_with_what_installs_it() -> None:
    require("json", "report")
    with pytest.raises(ImportError, match=r"needs nosuch: pip install 'ilo_fast\[hnsw\]'"):
        require("nosuch", "hnsw")
    with pytest.raises(ImportError, match=r"needs nosuch: pip install nosuch$"):
        require("nosuch")


def test_another_release_is_named_with_what_installs_the_right_one() -> None:
    version = metadata.version("pytest")
    major = version.split(".")[0]
    require_release("pytest", major, "test")
    require_release("pytest", version, "test")
    with pytest.raises(ImportError, match=rf"needs pytest 0\.1\.\*, but {version} is installed"):
        require_release("pytest", "0.1", "test")
    # "9" is not the beginning of "91.2".
    with pytest.raises(ImportError, match=r"pip install 'ilo_fast\[test\]'"):
        require_release("pytest", major[:-1] or "0", "test")
    with pytest.raises(ImportError, match=r"needs nosuch: pip install 'ilo_fast\[mteb\]'"):
        require_release("nosuch", "2", "mteb")
