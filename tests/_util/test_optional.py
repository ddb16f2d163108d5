"""Packages that are missing are named with the command that installs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ilo_fast._util.optional import require


def test_missing_package_is_named_with_what_installs_it() -> None:
    require("json", "report")
    with pytest.raises(ImportError, match=r"needs nosuch: pip install 'ilo_fast\[hnsw\]'"):
        require("nosuch", "hnsw")
    with pytest.raises(ImportError, match=r"needs nosuch: pip install nosuch$"):
        require("nosuch")


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ("1.6", False),
        ("1.6.0", False),
        ("1.10.2", False),
        ("1.6rc1", False),
        ("1.5.9", True),
        ("1", True),
        ("2", True),
        ("2.0.0", True),
        ("2.0.0rc1", True),
        ("10.1", True),
        ("unknown", False),
        (None, False),
    ],
)
def test_versions_are_compared_as_numbers(
    monkeypatch: pytest.MonkeyPatch, found: str | None, wrong: bool
) -> None:
    monkeypatch.setattr("ilo_fast._util.optional.installed_version", lambda name: found)
    if wrong:
        with pytest.raises(ImportError, match=rf"this needs j-s >= 1\.6, < 2, found {found}: pip"):
            require("json", "x", distribution="j-s", at_least="1.6", below="2")
        with pytest.raises(ImportError, match=rf"< 2, found {found}: pip install j-s$"):
            require("json", distribution="j-s", at_least="1.6", below="2")
    else:
        require("json", "x", distribution="j-s", at_least="1.6", below="2")


def test_missing_package_is_named_with_its_versions() -> None:
    with pytest.raises(ImportError, match=r"needs nosuch >= 1.6: pip install 'ilo_fast\[x\]'"):
        require("nosuch", "x", at_least="1.6")
    with pytest.raises(ImportError, match=r"needs no-such < 2: pip install no-such"):
        require("nosuch", distribution="no-such", below="2")


def test_a_folder_of_that_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nosuch").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="needs nosuch"):
        require("nosuch", "x")


def test_a_name_of_the_package_says_what_it_needs() -> None:
    """Of an installation without torch, which is enough for graphs of arrays."""
    code = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "from ilo_fast import knn_graph\n"
        "from ilo_fast import extract\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last == "ModuleNotFoundError: ilo_fast.extract needs torch: pip install torch"
