"""The small multilingual model that ships with the package."""

from __future__ import annotations

from pathlib import Path

from ilo_fast.errors import AccessError

DEMO = "demo"  # in place of a folder or a Hub name
DISPLAY_NAME = "demo model"  # in titles


def demo_model_path() -> Path:
    """Its folder.

    Raises
    ------
    AccessError
        The installation lacks it.
    """
    path = Path(__file__).resolve().parent.parent / "demo" / "model"
    if not (path / "config.json").is_file():
        raise AccessError(
            f"the embedded demo model is missing from this installation ({path} has no "
            "config.json): reinstall ilo_fast, or pass a model of your own"
        )
    return path
