"""Write files and folders so that they are complete or absent.

The content is written under a temporary name and flushed to disk; then it is renamed, and the
rename is flushed too. Nothing is pickled.

Temporary names hold the computer and the process. What a killed process left is removed by the next
that writes there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

_FINISHED = ".finished"  # files that are complete, on their way into a folder


def _host(node: str) -> str:
    """A short name of a computer; with a hash, since those of a cluster may begin alike."""
    letters = re.sub(r"[^A-Za-z0-9]+", "", node)[:16]
    return letters + hashlib.sha256(node.encode(errors="replace")).hexdigest()[:8]


_HOST = _host(platform.node())


@contextlib.contextmanager
def replace_atomically(path: Path, needed: int = 0) -> Iterator[IO[bytes]]:
    """A file that appears under `path` when the block ends without an error, else not at all.

    Parameters
    ----------
    path
        Its folder must exist. A file of that name is replaced.
    needed
        Bytes that the block will write, for the message where the disk is full.

    Raises
    ------
    OSError
        The disk is full; names the path and the bytes needed.
    """
    temporary = _beside(path)
    try:
        with _naming(path, temporary), explain_full_disk(path, needed):
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which replaces `path` when the block ends without an error.

    After an error or an interruption, `path` is what it was before.
    """
    path = path.resolve()  # "." has no name, and of a link the folder is meant
    old = path.with_name(f".{path.name}.old")
    _recover_folder(path, old)
    new = _beside(path)
    try:
        with _naming(path, new), explain_full_disk(path, 0):
            new.mkdir(parents=True)
            yield new
        try:
            if path.exists():
                os.replace(path, old)
            os.replace(new, path)
        except BaseException:
            if old.exists() and not path.exists():
                os.replace(old, path)
            raise
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if path.exists():  # else `old` is the only copy
            shutil.rmtree(old, ignore_errors=True)


def _recover_folder(path: Path, old: Path) -> None:
    """After a kill between the two renames of :func:`replace_folder`: the folder as it was."""
    if old.is_symlink():
        raise OSError(errno.ELOOP, "is a symbolic link, where a folder of ours would be", str(old))
    if old.is_dir() and not path.exists():
        os.replace(old, path)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def add_to_folder(path: Path, *, last: str) -> Iterator[Path]:
    """An empty folder to fill, whose files move into `path` when the block ends without an error.

    Whatever else `path` holds stays; it may be a link or a mount point.

    Parameters
    ----------
    last
        The file that says that the others are complete: removed before the first of them is
        replaced, moved after the last.
    """
    finish_folder(path, last=last)
    new = _beside(path / "unfinished")
    try:
        with _naming(path, new), explain_full_disk(path, 0):
            new.mkdir()
            yield new
        os.replace(new, path / _FINISHED)
        finish_folder(path, last=last)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def finish_folder(path: Path, *, last: str) -> None:
    """Do what a killed process had left to do in :func:`add_to_folder`; most often nothing.

    Raises
    ------
    OSError
        Something of another's lies where the files would be.
    """
    if not path.is_dir():
        return
    _remove_leftovers(path / "unfinished")
    new = path / _FINISHED
    if new.is_symlink() or (new.exists() and not new.is_dir()):
        raise OSError(errno.ELOOP, "is no folder of ours: remove it", str(new))
    if not new.exists():
        return
    if (new / last).exists():  # else the others were all moved
        (path / last).unlink(missing_ok=True)
    for file in sorted(new.iterdir(), key=lambda file: file.name == last):
        os.replace(file, path / file.name)
    _sync_folder(path)
    shutil.rmtree(new, ignore_errors=True)


def is_leftover(path: Path) -> bool:
    """Whether a file or folder is of a process that was killed, or of one still at work."""
    return path.name == _FINISHED or re.fullmatch(r"\..+-[0-9a-f]{12}\.tmp", path.name) is not None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    data = text.encode()
    with replace_atomically(path, len(data)) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def finite_json(value: Any) -> Any:
    """The same with numbers that JSON has no word for (a loss that diverged) as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: finite_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_json(entry) for entry in value]
    return value


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where the file is absent or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def parse_json(source: str | os.PathLike[str]) -> Any:
    """Parse JSON from a string that begins with ``{``, or from a file.

    Raises
    ------
    ValueError
        It is no JSON, is not complete, or holds NaN or infinity, which JSON does not have.
    """
    if isinstance(source, str) and source.lstrip().startswith("{"):
        name, text = "the text", source
    else:
        name = str(source)
        try:
            text = Path(source).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} is no JSON: it is not UTF-8 text") from error
    try:
        return json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not complete JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(f"{name} is damaged: its JSON is nested without end") from error


def _no_number(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which is no number of JSON")


@contextlib.contextmanager
def explain_full_disk(path: Path, needed: int, hint: str = "") -> Iterator[None]:
    """Name the path and the bytes needed when the disk is full; `hint` as in :func:`full_disk`.

    So too where the file is larger than the system allows: writing names no file by itself.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.EFBIG and error.filename is None:
            size = f" of {needed:,} bytes" if needed else ""
            limit = f"the system allows no file{size} here: see 'ulimit -f', or choose another disk"
            raise OSError(errno.EFBIG, limit, str(path)) from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise full_disk(path, needed, hint) from error


def full_disk(path: Path, needed: int, hint: str = "") -> OSError:
    """The error for a disk without room for `needed` bytes (0: an unknown number).

    `hint` says after a space how another disk is chosen.
    """
    wanted = f"{needed:,} bytes are needed" if needed else "the files do not fit"
    return OSError(
        errno.ENOSPC,
        f"the disk is full: {wanted}. Free some space, or write to another disk{hint}",
        str(path),
    )


@contextlib.contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Name `path` where an error names what lies, or lay, under the temporary name."""
    try:
        yield
    except OSError as error:
        if error.filename is None or error.errno is None:
            raise
        if not str(error.filename).startswith(str(temporary)):
            raise
        inside = str(error.filename)[len(str(temporary)) :]
        raise OSError(error.errno, error.strerror, f"{path}{inside}") from error


def _beside(path: Path) -> Path:
    """A new temporary name beside `path`; leftovers under such names are removed."""
    _remove_leftovers(path)
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:12]}.tmp")


def _remove_leftovers(path: Path) -> None:
    name = re.compile(rf"\.{re.escape(path.name)}\.{_HOST}-(\d+)-[0-9a-f]{{12}}\.tmp")
    with contextlib.suppress(OSError):
        for other in os.scandir(path.parent):
            match = name.fullmatch(other.name)
            if match and not _runs(int(match[1])):
                if other.is_dir(follow_symlinks=False):
                    shutil.rmtree(other.path, ignore_errors=True)
                else:
                    os.unlink(other.path)


def _runs(pid: int) -> bool:
    """Whether a process of this computer is alive; "yes" where the system cannot tell."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Flush a rename to disk, where the system can (Windows cannot open folders)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
