"""Words for messages: lists, counts, differences, and text that is safe to show."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_SHOWN: Final = 8  # items of a list that a message shows before "and n more"
_LONGEST: Final = 40  # characters of a value in a message
_DIRECTIONS: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def listed(items: Sequence[Any], show: Callable[[Any], str] = str) -> str:
    """The first few items with commas between, and how many more there are."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(show(item) for item in items[:_SHOWN]) + more


def counted(n: int, noun: str) -> str:
    """``"1 layer"``, ``"2 layers"``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def byte_size(n: int) -> str:
    """``"512 B"``, ``"3.4 MB"``: decimal units, as disks are sold and `df -H` counts."""
    size = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def elide(text: str, length: int) -> str:
    """`text` with its middle left out where it is longer than `length` characters."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def plain(text: object) -> str:
    """`text` on one line, without the control characters a terminal or a figure would obey.

    Names come from other people's files; an escape sequence in one must not reach the terminal.
    """
    return " ".join(
        "".join(
            " " if unicodedata.category(c) in {"Cc", "Cf", "Cs"} else c for c in str(text)
        ).split()
    )


def printable(text: str) -> str:
    """`text` as it may go to a terminal: what a terminal would obey is shown as an escape.

    Line feeds and tabs stay. Control characters and marks that turn the direction of writing come
    from names of files and models, and from other people's text.
    """
    return "".join(
        c if c in "\n\t" or not _is_obeyed(c) else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def _is_obeyed(c: str) -> bool:
    return unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in _DIRECTIONS


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """``"name was x, now y"`` for every entry that is not the same in both.

    Entries of inner mappings have names with dots: ``"overlap_options.n_neighbors was 5, now 4"``.
    """
    before, now = _flat(before), _flat(now)
    keys = [*now, *(key for key in before if key not in now)]
    return [
        f"{key} was {_shown(before.get(key))}, now {_shown(now.get(key))}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:16]}…"
