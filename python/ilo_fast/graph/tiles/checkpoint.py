"""Finished tiles on disk: one file each, whole or absent, and a file that says of which graph.

Any process may write any tile: the bytes are the same. So folders of two runs of one graph may be
put together, and a graph goes on from whatever tiles there are, on any number of nodes.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.files import read_json, replace_atomically, write_json
from ilo_fast._util.folders import refuse_other
from ilo_fast._util.hashing import digest
from ilo_fast._util.npz import opened_npz
from ilo_fast._util.schema import check_schema
from ilo_fast.graph.tiles.work import Found

_TILE: Final = "ilo_fast.graph_tile"
_PLAN: Final = "ilo_fast.graph_tiles"
_VERSION: Final = 1
_OTHER: Final = "give another folder, or delete it"

TILE_FILES: Final = re.compile(
    r"(graph\.json|tile-\d{3,}-\d{5,}-\d{5,}\.npz)|\.(graph\.json|tile-[\d-]+\.npz)\..*\.tmp|\.lock"
)
"""Names of files that may be in the folder, also when a process was killed."""

Lists = list[tuple[NDArray[np.int64], NDArray[np.float64]]]


def saved_blocks(folder: Path) -> int | None:
    """Into how many blocks the rows of the graph in a folder are cut; None where it holds none."""
    about = read_json(folder / "graph.json")
    blocks = None if about is None else about.get("n_blocks")
    return blocks if isinstance(blocks, int) and blocks > 0 else None


class TileFiles:
    """The tiles of one graph.

    Parameters
    ----------
    folder
        Exists, and no other process works in it.
    about
        All that the tiles depend on, JSON-able: the content of the rows, and the options.

    Raises
    ------
    ValueError
        The folder holds tiles of another graph; says what differs.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self._folder = folder
        self._key = digest(dict(about))
        self._can_write = True
        file = folder / "graph.json"
        before = read_json(file)
        if before is None:
            write_json(file, {"kind": _PLAN, "schema_version": _VERSION, **about})
            return
        try:
            check_schema(before, _PLAN, _VERSION, _OTHER)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        before = {k: v for k, v in before.items() if k not in ("kind", "schema_version")}
        refuse_other(folder, before, about, holds="tiles of a graph", remedy=_OTHER)

    def load(self, layer: int, i: int, j: int) -> Lists | None:
        """The lists of a tile; None where it is not there, or damaged (warns of that).

        Raises
        ------
        ValueError
            It is of another graph.
        """
        file = self._file(layer, i, j)
        try:
            with opened_npz(file, "a graph's tile") as arrays:
                about = json.loads(arrays["about"].tobytes())
                check_schema(about, _TILE, _VERSION, _OTHER)
                key = about["key"]
                lists = [
                    (_typed(arrays[f"indices_{side}"], np.int64),
                     _typed(arrays[f"squared_{side}"], np.float64))
                    for side in range(1 if i == j else 2)
                ]  # fmt: skip
        except FileNotFoundError:
            return None
        except ValueError as error:
            warnings.warn(f"{error}: the tile is computed again", RuntimeWarning, stacklevel=2)
            return None
        if key != self._key:
            raise ValueError(f"{file} is of other data or options: {_OTHER}")
        return lists

    def save(self, found: Found) -> None:
        """Write a tile; where that fails, warn once, and go on without."""
        if not self._can_write:
            return
        blocks = found.task.blocks
        file = self._file(blocks[0].layer, blocks[0].number, blocks[-1].number)
        about = {"kind": _TILE, "schema_version": _VERSION, "key": self._key}
        arrays: dict[str, NDArray[Any]] = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8)
        }
        for side, (indices, squared) in enumerate(found.lists):
            arrays |= {f"indices_{side}": indices, f"squared_{side}": squared}
        size = sum(array.nbytes for array in arrays.values())
        try:
            with replace_atomically(file, size) as out:
                np.savez(out, allow_pickle=False, **arrays)
        except OSError as error:
            self._can_write = False
            warnings.warn(
                f"the checkpoint cannot be written: {error}", RuntimeWarning, stacklevel=2
            )

    def _file(self, layer: int, i: int, j: int) -> Path:
        return self._folder / f"tile-{layer:03d}-{i:05d}-{j:05d}.npz"


def _typed(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    if array.dtype != dtype or array.ndim != 2:
        raise ValueError(f"an array of {array.dtype} with {array.ndim} dimensions")
    return array
