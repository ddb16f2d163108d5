"""The version of ilo_fast, and those of what its numbers depend on: the one place that knows."""

from __future__ import annotations

import platform
from importlib import metadata

__version__ = "0.1.0"

# What representations and trained weights depend on.
NUMERIC_PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


def versions(*packages: str) -> dict[str, str]:
    """Version of ilo_fast, of Python and of each of the packages; "unknown" where there is none."""
    return {
        "ilo_fast": __version__,
        "python": platform.python_version(),
        **{name: installed_version(name) or "unknown" for name in packages},
    }


def installed_version(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
