"""A neighbour graph in a file: an ``.npz`` archive, not compressed, without pickles."""

from __future__ import annotations

import io
import json
import os
import zipfile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import path_of
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.schema import check_schema
from ilo_fast.graph.checks import check_indices

_KIND: Final = "ilo_fast.neighbor_graph"
_VERSION: Final = 1


def write_graph(
    path: str | os.PathLike[str],
    indices: NDArray[np.int64],
    distances: NDArray[np.float32],
    about: dict[str, Any],
) -> None:
    """Write a graph, whole or not at all. `about` is JSON-able; folders are made."""
    file = path_of("path", path)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"kind": _KIND, "schema_version": _VERSION, **about}, default=str)
    with replace_atomically(file, indices.nbytes + distances.nbytes + len(text)) as out:
        np.savez(
            out, indices=indices, distances=distances, about=np.frombuffer(text.encode(), np.uint8)
        )


def read_graph(
    path: str | os.PathLike[str],
) -> tuple[NDArray[np.int64], NDArray[np.float32], dict[str, Any]]:
    """What `write_graph` wrote; nothing of the file is executed, nor believed.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is something else, or damaged, or holds what can be no graph.
    """
    file = path_of("path", path)
    try:
        with zipfile.ZipFile(file) as archive:
            about = json.loads(_member(archive, "about", np.uint8).tobytes())
            check_schema(about, _KIND, _VERSION, "make the graph again")
            indices = _member(archive, "indices", np.int64)
            distances = _member(archive, "distances", np.float32)
        _check(indices, distances, about)
    except FileNotFoundError:
        raise
    except (
        ValueError, TypeError, KeyError, EOFError, RuntimeError, MemoryError, OverflowError,
        RecursionError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise ValueError(
            f"{file} is no saved NeighborGraph, or is damaged ({error}): make the graph again"
        ) from error
    return indices, distances, about


def _member(archive: zipfile.ZipFile, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    """One array of the archive; its checksum is compared on the way."""
    found = archive.getinfo(f"{name}.npy")
    if found.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")  # and might be of any size
    array: NDArray[Any] = np.load(io.BytesIO(archive.read(found)), allow_pickle=False)
    if array.dtype != dtype:
        raise ValueError(f"{name} has dtype {array.dtype}, wanted {np.dtype(dtype).name}")
    return array


def _check(indices: NDArray[np.int64], distances: NDArray[np.float32], about: Any) -> None:
    """Raise ValueError unless this can be a graph."""
    n_rows, of_queries = about["n_rows"], about["of_queries"]
    if not isinstance(about["info"], dict) or not isinstance(of_queries, bool):
        raise ValueError("info and of_queries are a dict and a bool")
    if indices.shape != distances.shape:
        raise ValueError(f"indices {indices.shape} and distances {distances.shape}")
    check_indices(indices, n_rows, of_queries)
    if not (distances[..., 0] >= 0).all() or (indices.shape[-1] > 1 and not _ascend(distances)):
        raise ValueError("distances are not ascending numbers from 0")


def _ascend(distances: NDArray[np.float32]) -> bool:
    return bool((distances[..., 1:] >= distances[..., :-1]).all())
