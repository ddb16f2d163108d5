"""Packages that an installation may lack."""

from __future__ import annotations

import importlib.util


def require(package: str, extra: str) -> None:
    """Raise an ImportError that says how to install `package`, where it is missing.

    Parameters
    ----------
    extra
        The extra of ilo_fast that installs it.
    """
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"this needs {package}: pip install 'ilo_fast[{extra}]'")
