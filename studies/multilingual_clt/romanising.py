"""The same verses in Latin script: what is then left of a difference is not the script's."""

from __future__ import annotations

from multilingual_clt.verses import Verses


def romanised_verses(verses: Verses) -> Verses:
    """All languages in Latin script, codes with them: ``rus_Cyrl`` becomes ``rus_Latn``."""
    from ilo_fast.transcoders import romanised

    return Verses(dict(romanised(verses.lines)), verses.chapters)
