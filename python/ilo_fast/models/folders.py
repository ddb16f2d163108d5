"""From the name of a model to its folder (in a run, beside checkpoints), and to its title."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from ilo_fast._util.messages import listed
from ilo_fast.errors import AccessError
from ilo_fast.models.demo import DEMO, DISPLAY_NAME, demo_model_path

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
_RUN_CARD = "run_card.json"  # of finetune() and pretrain()
INSIDE_RUN = ("model", "adapter")


def local_folder(model: str | os.PathLike[str]) -> Path | None:
    """The folder that holds config.json or adapter_config.json; None if `model` is a Hub name.

    ``"demo"`` is the embedded model.

    Raises
    ------
    AccessError
        A folder that does not exist, or that holds no model.
    """
    text = os.fspath(model)
    if not text:
        raise AccessError("model is empty: pass a Hub name, a folder or a loaded module")
    if model == DEMO:
        return demo_model_path()
    path = Path(model).expanduser()
    if path.is_dir():
        return _model_folder(path)
    looks_local = isinstance(model, Path) or path.is_absolute() or text.startswith((".", "~"))
    if path.is_file():
        raise AccessError(f"model {text!r} is a file: pass the folder that holds its config.json")
    if looks_local or text.count("/") > 1 or "\\" in text:
        raise AccessError(f"model folder {text!r} does not exist (working folder: {Path.cwd()})")
    return None


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds a PEFT adapter, not a whole model."""
    return (folder / ADAPTER_CONFIG).is_file()


def run_of(path: Path) -> Path | None:
    """The training run to which a model's folder belongs; itself, or the one around it."""
    for folder in (path, path.parent):
        if (folder / _RUN_CARD).is_file():
            return folder
    return None


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


def _model_folder(path: Path) -> Path:
    if (path / CONFIG).is_file() or is_adapter(path):
        return path
    if (path / _RUN_CARD).is_file():
        for name in INSIDE_RUN:
            if (path / name / CONFIG).is_file() or is_adapter(path / name):
                return path / name
        raise AccessError(
            f"the training run in {path} has no model yet: it is not finished; start it again "
            "with the same settings and it goes on"
        )
    found = _transformer_folder(path)
    if found is not None:
        return found
    checkpoints = sorted(
        (p.parent for p in path.glob(f"checkpoint-*/{CONFIG}")),
        key=lambda p: (len(p.name), p.name),
    )
    if checkpoints:
        raise AccessError(
            f"{path} holds checkpoints of a training run and no model of its own: pass one of "
            f"them ({listed([p.name for p in checkpoints])}), such as {checkpoints[-1]}"
        )
    inside = sorted(p.parent.name for p in path.glob(f"*/{CONFIG}"))
    hint = f"; there are models in {listed(inside)} inside" if inside else ""
    raise AccessError(
        f"{path} has no config.json: a model folder is one that save_pretrained() wrote, "
        f"with config.json, model.safetensors and tokenizer.json{hint}"
    )


def _transformer_folder(path: Path) -> Path | None:
    """The subfolder in which sentence-transformers keeps the transformer, where it does."""
    try:
        first = json.loads((path / "modules.json").read_text(encoding="utf-8"))[0]
        folder = path / str(first["path"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return folder if (folder / CONFIG).is_file() else None
