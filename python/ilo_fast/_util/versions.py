"""The versions of ilo_fast and of other packages."""

from __future__ import annotations

__version__ = "0.1.0"


def versions(*packages: str) -> dict[str, str]:
    """Versions of ilo_fast, of Python and of `packages`; "unknown" for one that is missing."""
    import platform

    return {
        "ilo_fast": __version__,
        "python": platform.python_version(),
        **{name: installed_version(name) or "unknown" for name in packages},
    }


def installed_version(package: str) -> str | None:
    """The version of an installed package, or None."""
    from importlib import metadata  # slower than the rest of `import ilo_fast`

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
