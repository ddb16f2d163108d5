"""Languages in groups, by what they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ilo_fast.corpora.languages import GROUPINGS, REGIONS, find_language

UNKNOWN: Final = "unknown"


def group_languages(languages: Sequence[str], by: str) -> dict[str, tuple[str, ...]]:
    """Languages by what they share.

    Parameters
    ----------
    languages
        Codes. One that `LANGUAGES` does not know has its script from its code and is
        "unknown" else.
    by
        One of `GROUPINGS`.

    Returns
    -------
    dict
        Name of the group -> its languages in the order given. Resource classes from low to high,
        regions in the order of `REGIONS`, others from large to small; what is
        not known comes last.

    Raises
    ------
    ValueError
        An unknown `by`.
    """
    if by not in GROUPINGS:
        raise ValueError(f"by={by!r} is not known; use one of {', '.join(GROUPINGS)}")
    groups: dict[str, list[str]] = {}
    for code in languages:
        groups.setdefault(_group_of(code, by), []).append(code)

    def rank(name: str) -> tuple[bool, int, str]:
        if by == "region" and name in REGIONS:
            return False, REGIONS.index(name), name
        size = 0 if by == "resource_class" else -len(groups[name])
        return name == UNKNOWN, size, name

    return {name: tuple(groups[name]) for name in sorted(groups, key=rank)}


def _group_of(code: str, by: str) -> str:
    known = find_language(code)
    if known is None:
        _, _, script = code.partition("_")
        return script[:4] if by == "script" and script else UNKNOWN
    value = getattr(known, by)
    return UNKNOWN if value is None else str(value)
