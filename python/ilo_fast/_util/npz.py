"""Arrays of an ``.npz`` file, which may be damaged or something else."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.schema import DAMAGE

_DAMAGE: Final = (
    *DAMAGE, zipfile.BadZipFile, zlib.error, EOFError, KeyError,
    MemoryError,  # a header that claims more than there can be
)  # fmt: skip


@contextmanager
def opened_npz(path: Path, what: str) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays of a file; nothing in it is executed. Check them within the block.

    Parameters
    ----------
    what
        ``"replicates"``, for the message.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is damaged, or the block says that it is something else; names the file.
    """
    try:
        with open(path, "rb") as file:
            if file.read(2) != b"PK":  # else NumPy takes it for a pickle, and advises to trust it
                raise zipfile.BadZipFile("it is no .npz file")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                yield arrays
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged: {str(error) or type(error).__name__}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not a file of {what}: {error}") from error
