"""``ilo-fast score``: from representations, ours or anyone's, to scores, tables and figures."""

from __future__ import annotations

import argparse
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast._util.folders import made_folder
from ilo_fast.cli import common, flags
from ilo_fast.cli.output import (
    OVERWRITE_SCORES,
    RESULTS_FOLDER,
    folder_name,
    kept_scores,
    settings_names,
    show,
)
from ilo_fast.cli.parser import Commands
from ilo_fast.errors import AccessError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ilo_fast.representations.result import Representations


# What NumPy raises of files that are damaged, or never were arrays; of archives that are encrypted
# (RuntimeError) or packed in a way that Python does not know (NotImplementedError).
_DAMAGED = (
    ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


def add_parser(commands: Commands) -> None:
    parser = flags.new_command(
        commands,
        "score",
        "score representations that are on disk",
        run,
        description="Score representations that `ilo-fast extract` wrote, or arrays of your own: "
        "a folder of <code>.npy files or an .npz file, each array (sentences, dim) or "
        "(layers, sentences, dim).",
        examples=(
            "ilo-fast score representations",
            "ilo-fast score representations -k 10 --threshold 5 -o results/ten",
            "ilo-fast score my-arrays.npz --parallel --metric euclidean",
        ),
    )
    parser.add_argument("input", type=Path, metavar="INPUT", help="folder, or .npz file")
    parser.add_argument(
        "--parallel",
        action="store_true",
        help="row i of every array means the same (known already of what extract wrote)",
    )
    parser.add_argument(
        "--name", metavar="NAME", help="what to call the model in titles, tables and folders"
    )
    flags.add_overlap_flags(parser)
    flags.add_certainty_flags(parser)
    flags.add_thread_flag(parser)
    flags.add_text_flag(parser)
    flags.add_output_flags(
        parser,
        f"beside INPUT where extract put it, else {RESULTS_FOLDER}/NAME",
        OVERWRITE_SCORES,
    )


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    representations = read_representations(args.input)
    common.check_unit(args, representations)
    path = args.output or default_output(args.input, settings_names(args))
    settings = origin(representations, args.input)
    settings |= {"model_name": args.name} if args.name else {}
    settings |= common.overlap_settings(args) | {"command": "score", "input": str(args.input)}
    settings["parallel"] = args.parallel or bool(getattr(representations, "parallel", False))
    with made_folder(path, "-o"):
        kept_scores(path, settings, overwrite=args.overwrite)
        # None leaves it to what the representations say of themselves.
        parallel = True if args.parallel else None
        scores, written = common.score_into(
            path, representations, settings, args, began, parallel=parallel
        )
    show(scores, written)
    return 0


def read_representations(path: Path) -> Representations | dict[str, NDArray[Any]]:
    """What ``path`` holds: our own folder, a folder of ``.npy`` files, or an ``.npz`` file.

    Raises
    ------
    AccessError
        There is nothing at ``path``.
    ValueError
        There is no array in it, or something that only pickle could read.
    """
    from ilo_fast.representations.result import MANIFEST, Representations

    if (path / MANIFEST).is_file():
        return Representations.load(path)
    if path.is_dir():
        files = sorted(path.glob("*.npy"))
        if not files:
            raise ValueError(
                f"{path} holds neither {MANIFEST} (as `ilo-fast extract` writes it) nor <code>.npy "
                "files"
            )
        return {file.stem: _array(_load(file), file) for file in files}
    if not path.exists():
        raise AccessError(f"INPUT {path} does not exist")
    if path.suffix != ".npz":
        raise ValueError(f"INPUT {path} is neither a folder nor an .npz file")
    archive = _load(path)
    try:
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except _DAMAGED as error:  # what is inside is read only here
        raise ValueError(f"{path} cannot be read as numbers: {error}") from error
    if not arrays:
        raise ValueError(f"{path} holds no arrays")
    return {name: _array(array, path) for name, array in arrays.items()}


def _load(path: Path) -> Any:
    import numpy as np

    try:
        return np.load(path, mmap_mode="r" if path.suffix == ".npy" else None, allow_pickle=False)
    except (OSError, *_DAMAGED) as error:
        raise ValueError(f"{path} cannot be read as numbers: {error}") from error


def _array(array: NDArray[Any], path: Path) -> NDArray[Any]:
    if array.ndim not in (2, 3):
        raise ValueError(
            f"{path} holds an array of shape {array.shape}; wanted (sentences, dim) or "
            "(layers, sentences, dim)"
        )
    return array


def default_output(path: Path, settings: Sequence[str]) -> Path:
    """The folder above what extract wrote by default, else one named after ``path``.

    Settings that are not the default make it another.
    """
    from ilo_fast.representations.result import MANIFEST

    resolved = path.resolve()
    if resolved.name == "representations" and (path / MANIFEST).is_file():
        if not settings:
            return path.parent
        return resolved.parent.with_name(folder_name(resolved.parent.name, *settings))
    name = resolved.stem if path.is_file() else resolved.name
    return RESULTS_FOLDER / folder_name(name, *settings)


def origin(representations: Mapping[str, NDArray[Any]], path: Path) -> dict[str, Any]:
    """The settings of the extraction where they are known, else the name of the file."""
    info = getattr(representations, "info", {})
    run = info.get("run") if isinstance(info, Mapping) else None
    return dict(run) if isinstance(run, Mapping) else {"model_name": path.resolve().stem}
