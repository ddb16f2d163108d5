"""A model's revision: the commit on the Hub, or what a folder holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ilo_fast._util.hashing import digest, hash_file
from ilo_fast.models.loading import ModelFiles

_LENGTH: Final = 40  # as long as a commit
_TOLD: Final = (
    ".json", ".txt", ".model", ".spm", ".tiktoken", ".bpe", ".codes", ".vocab", ".jinja", ".py",
)  # fmt: skip


def model_revision(files: ModelFiles, file_hash: Callable[[Path], str] = hash_file) -> str:
    """The Hub commit; of a folder a hash of its weights, configuration, tokenizer and code.

    Parameters
    ----------
    files
        As `ilo_fast.models.loading.open_files` found them.
    file_hash
        SHA-256 of a file; that of a cache remembers.

    Returns
    -------
    str
        40 hexadecimal digits. A folder that is trained on becomes another revision; one that is
        moved, or whose README changes, does not.
    """
    if files.revision is not None and files.adapter is None:
        return files.revision
    folders = [files.folder] if files.adapter is None else [files.folder, files.adapter]
    found = {path for folder in folders for path in folder.iterdir() if path.suffix in _TOLD}
    found |= set(files.weight_files())
    content = sorted((path.name, file_hash(path)) for path in found if path.is_file())
    return digest(content)[:_LENGTH]
