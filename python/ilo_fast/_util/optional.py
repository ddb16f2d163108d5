"""Packages that an installation may lack."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any


def require(package: str, extra: str | None = None) -> None:
    """Raise an ImportError that says how to install `package`, where it is missing.

    Parameters
    ----------
    extra
        The extra of ilo_fast that installs it; None: it is installed by its own name.
    """
    if importlib.util.find_spec(package) is None:
        wanted = package if extra is None else f"'ilo_fast[{extra}]'"
        raise ImportError(f"this needs {package}: pip install {wanted}")


def require_release(package: str, release: str, extra: str) -> None:
    """Raise an ImportError where `package` is missing, or not of the release that is understood.

    Parameters
    ----------
    release
        How its version begins: ``"2"`` takes 2.26.24, ``"0.4"`` takes 0.4.13.
    extra
        The extra of ilo_fast that installs it.
    """
    require(package, extra)
    version = metadata.version(package)
    wanted = release.split(".")
    if version.split(".")[: len(wanted)] != wanted:
        raise ImportError(
            f"this needs {package} {release}.*, but {version} is installed: "
            f"pip install 'ilo_fast[{extra}]'"
        )


def data_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A pandas DataFrame with a row for each mapping.

    Raises
    ------
    ImportError
        pandas is missing.
    """
    require("pandas")
    import pandas

    return pandas.DataFrame(rows)
