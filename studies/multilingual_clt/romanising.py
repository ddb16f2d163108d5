"""The same verses in Latin script: what is then left of a difference is not the script's."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from ilo_fast._util.files import write_text
from ilo_fast.transcoders import romanised
from ilo_fast.transcoders.multilingual.rates.romanise import romanised_code
from multilingual_clt.verses import Verses


def romanised_verses(verses: Verses, folder: Path) -> Verses:
    """All languages in Latin script, codes with them: ``rus_Cyrl`` becomes ``rus_Latn``.

    folder: keeps them, for it takes minutes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for code, lines in verses.lines.items():
        new = romanised_code(code)
        path = folder / f"{new}.txt"
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                (latin,) = romanised({code: lines}).values()
                write_text(path, "".join(f"{line}\n" for line in latin))
            kept = path.read_text(encoding="utf-8").split("\n")[:-1]
        if len(kept) != len(lines):
            raise ValueError(f"{path} has {len(kept)} verses of {len(lines)}: remove it")
        found[new] = kept
    return Verses(found, verses.chapters)
