"""Packages that an installation may lack."""

from __future__ import annotations

import importlib.util


def require(package: str, extra: str) -> None:
    """Say how to install a package that is missing.

    Raises
    ------
    ImportError
        Where it is.
    """
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"this needs {package}: pip install 'ilo_fast[{extra}]'")
