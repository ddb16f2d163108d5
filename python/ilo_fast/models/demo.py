"""The small multilingual model that ships with the package, and the names of models in titles."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ilo_fast.errors import AccessError
from ilo_fast.models.folders import INSIDE_RUN, run_of

DEMO = "demo"  # in place of a folder or a Hub name
DISPLAY_NAME = "demo model"


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


def display_name(model: str | os.PathLike[str]) -> str:
    """A model's name for titles: a Hub name as it is, of a folder the last part.

    A folder within a training run is known by the run: every run has a ``model`` inside.
    """
    if model == DEMO:
        return DISPLAY_NAME
    path = Path(model).expanduser()
    if not path.is_dir():
        return os.fspath(model)
    with contextlib.suppress(AccessError):  # an installation may lack the demo model
        if path.resolve() == demo_model_path():
            return DISPLAY_NAME
    folder, run = path.resolve(), run_of(path.resolve())
    if run is not None and run != folder and folder.name in INSIDE_RUN:
        return run.name
    if folder.name.startswith("checkpoint-"):
        return f"{folder.parent.name}/{folder.name}"
    return folder.name
