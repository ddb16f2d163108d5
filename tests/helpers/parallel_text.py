"""Small parallel texts, and folders of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EN = ["One.", "Two.", "Three."]
DE = ["Eins.", "Zwei.", "Drei."]
FR = ["Un.", "Deux.", "Trois."]


def write(folder: Path, **files: str | bytes) -> Path:
    """Files named <code>.txt with the given content."""
    for code, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{code}.txt").write_bytes(data)
    return folder


def as_text(lines: list[str]) -> str:
    """One sentence per line."""
    return "".join(f"{line}\n" for line in lines)


def flores_plus(lines: list[str], code: str, ids: list[int] | None = None) -> dict[str, Any]:
    """One configuration of FLORES+, as columns."""
    iso, script = code.split("_")[:2]
    n = len(lines)
    return {
        "id": ids or list(range(n)),
        "iso_639_3": [iso] * n,
        "iso_15924": [script] * n,
        "glottocode": ["abcd1234"] * n,
        "text": lines,
        "url": ["https://example.org"] * n,
        "last_updated": ["1.0"] * n,
    }
