"""Packages that an installation may lack, or have in a version that will not do."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ilo_fast._util.versions import installed_version


def require(
    package: str,
    extra: str | None = None,
    *,
    distribution: str | None = None,
    at_least: str | None = None,
    below: str | None = None,
) -> None:
    """Raise an ImportError that says how to install `package`, where it is missing or unsuitable.

    Parameters
    ----------
    package
        As it is imported.
    extra
        The extra of ilo_fast that installs it; None: it is installed by its own name.
    distribution
        As it is installed, where that is another name.
    at_least, below
        Versions such as ``"1.6"``; numbers are compared, one after the other. A version that
        cannot be told passes.
    """
    name = distribution or package
    wanted = name
    if at_least is not None:
        wanted += f" >= {at_least}"
    if below is not None:
        wanted += f"{',' if at_least is not None else ''} < {below}"
    install = "pip install " + (name if extra is None else f"'ilo_fast[{extra}]'")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:  # a folder of that name is no package
        raise ImportError(f"this needs {wanted}: {install}")
    found = installed_version(name)
    numbers = _numbers(found or "")
    if not numbers:
        return
    if (at_least is not None and numbers < _numbers(at_least)) or (
        below is not None and numbers >= _numbers(below)
    ):
        raise ImportError(f"this needs {wanted}, found {found}: {install}")


def missing_package(error: Exception) -> str | None:
    """The package that is not installed, where `error` says no more than that."""
    if isinstance(error, ModuleNotFoundError) and str(error) == f"No module named {error.name!r}":
        return (error.name or "").partition(".")[0]
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """(1, 6) for "1.6", "1.6.0" and "1.6rc1": trailing zeros and what is no number are left out."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


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


def xarray_dataset(
    variables: Mapping[str, tuple[Any, ...]],
    coordinates: Mapping[str, Any],
    attributes: Mapping[str, Any],
) -> Any:
    """An xarray Dataset of name -> (dimensions, values, attributes if any).

    Values are copied; where they are None, the variable is left out.

    Raises
    ------
    ImportError
        xarray is missing.
    """
    require("xarray", "xarray")
    import xarray

    there = {name: variable for name, variable in variables.items() if variable[1] is not None}
    whole = xarray.Dataset(there, coords=dict(coordinates), attrs=dict(attributes))
    return whole.copy(deep=True)
