"""Read the text of a corpus from files: what the layout found, as sentences by language.

Which layouts there are is decided by `ilo_fast.corpora.layouts`, which name is which language by
`ilo_fast.corpora.choosing`, and whether the languages fit together by `ilo_fast.corpora.checks`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

from ilo_fast._util.messages import plain
from ilo_fast.corpora.choosing import Languages, choose
from ilo_fast.corpora.layouts import find_layout
from ilo_fast.corpora.lines import Readable, read_lines
from ilo_fast.corpora.parts import Layout, Part
from ilo_fast.errors import AccessError, CorpusError


@dataclass(frozen=True)
class CorpusFiles:
    """The chosen parts of a corpus, in order, by code.

    Attributes
    ----------
    parts
        Code -> where its text is.
    layout
        What they were found in.
    """

    parts: dict[str, Part]
    layout: Layout

    def read(self, code: str) -> Sequence[Any]:
        """The sentences of one language; cells of a table as they are, None where one is missing.

        Raises
        ------
        AccessError, CorpusError
            As `ilo_fast.corpora.lines.read_lines`.
        """
        part = self.parts[code]
        if part.column is None:
            return read_lines(part.path)
        return [row.values.get(part.column) for row in self.layout.rows[part.path]]

    def check_ids(self) -> None:
        """Raise a CorpusError where tables of one language each have other ids in other order."""
        if self.layout.kind != "table per language":
            return
        ids = {
            code: [row.values.get("id") for row in self.layout.rows[part.path]]
            for code, part in self.parts.items()
        }
        first = next(iter(ids))
        for code, own in ids.items():
            pairs = enumerate(zip(ids[first], own, strict=False), 1)
            odd = next(((n, a, b) for n, (a, b) in pairs if None not in (a, b) and a != b), None)
            if odd is not None:
                raise CorpusError(
                    f"not parallel: row {odd[0]} has id {odd[1]!r} in {self.parts[first].place} "
                    f"and {odd[2]!r} in {self.parts[code].place}; sort them alike"
                )

    @property
    def info(self) -> dict[str, Any]:
        """``layout``, and where they tell more ``split`` and ``names`` (code -> name there)."""
        splits = {part.split for part in self.parts.values()}
        names = {code: plain(part.name) for code, part in self.parts.items() if part.name != code}
        found: dict[str, Any] = {"layout": self.layout.kind}
        if len(splits) == 1 and None not in splits:
            found["split"] = plain(splits.pop())
        return found | ({"names": names} if names else {})


def find_texts(
    path: Path,
    languages: Languages = None,
    *,
    split: str | None = None,
    allow_unknown: bool = False,
    text_only: bool = False,
) -> CorpusFiles:
    """The text that lies at a path, by language.

    Parameters
    ----------
    path
        See `ilo_fast.corpora.layouts`.
    languages
        Take only these codes, in this order. None: all, sorted by code.
    split
        Which of several.
    allow_unknown
        Take names that are no known code as well.
    text_only
        Look for text files alone, no tables.

    Raises
    ------
    AccessError
        There is nothing, or it cannot be read.
    CorpusError
        No corpus; two files for one language; a name that is no known code, or may be several; no
        file for one of `languages`.
    """
    layout = find_layout(path, split, text_only=text_only)
    chosen = choose(
        layout.parts,
        languages,
        repr(str(path)),
        allow_unknown=allow_unknown,
        skip_unknown=layout.kind == "table",
    )
    return CorpusFiles(dict(chosen), layout)


def find_files(
    folder: Path, languages: Languages = None, *, allow_unknown: bool = False
) -> dict[str, Path]:
    """The text files of a folder, by language; parameters and errors as `find_texts`."""
    found = find_texts(folder, languages, allow_unknown=allow_unknown, text_only=True)
    return {code: part.path for code, part in found.parts.items()}


def as_path(path: object) -> Path:
    """A path that a caller names, with ``~`` expanded.

    Raises
    ------
    AccessError
        It is empty, or no path.
    """
    if not isinstance(path, (str, PathLike)) or not str(path).strip():
        raise AccessError(f"path={path!r} names no folder or file")
    try:
        return Path(path).expanduser()
    except (TypeError, RuntimeError) as error:  # a path of bytes, a home that is not known
        raise AccessError(f"path={path!r}: {error}") from error


def display_path(path: Path) -> str:
    """A path as text that can be written: bytes of its name that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def demo_files(kind: str) -> dict[str, Readable]:
    """The text files that ship with the package, by language, sorted.

    Parameters
    ----------
    kind
        ``"corpus"`` or ``"training"``.

    Raises
    ------
    AccessError
        The installation lacks them.
    """
    folder = resources.files("ilo_fast") / "demo" / kind
    found = folder.iterdir() if folder.is_dir() else ()
    files: dict[str, Readable] = {
        file.name.removesuffix(".txt"): file for file in found if file.name.endswith(".txt")
    }
    if not files:
        raise AccessError(
            f"the demo text ({kind}) is not in this installation of ilo_fast; install it again"
        )
    return dict(sorted(files.items()))
