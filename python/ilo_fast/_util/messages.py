"""Words for messages: lists, counts, differences, and text that is safe to show."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_SHOWN: Final = 8  # items of a list that a message shows before "and n more"
_LONGEST: Final = 40  # characters of a value in a message


def listed(items: Sequence[Any], show: Callable[[Any], str] = str) -> str:
    """The first few items with commas between, and how many more there are."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(show(item) for item in items[:_SHOWN]) + more


def counted(n: int, noun: str) -> str:
    """``"1 layer"``, ``"2 layers"``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


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
