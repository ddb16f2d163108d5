"""Versions of ilo_fast and of what its numbers depend on."""

from __future__ import annotations

import platform

import numpy as np

import ilo_fast
from ilo_fast._util.versions import installed_version, versions


def test_versions_name_the_packages_asked_for() -> None:
    assert versions("numpy", "no-such-package") == {
        "ilo_fast": ilo_fast.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "no-such-package": "unknown",
    }


def test_missing_package_has_no_version() -> None:
    assert installed_version("no-such-package") is None
