"""Means over groups of languages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Languages that share something; means over them, each language counting once.

    Attributes
    ----------
    name : str
    languages : tuple of str
    accuracy, macro_f1, majority : float
    accuracy_interval, macro_f1_interval : (low, high), or None for one language
        95 %, bootstrap over the languages: how much the mean hangs on which languages were at hand.
        Of two or three languages it is too narrow, as any bootstrap of so few is.
    """

    name: str
    languages: tuple[str, ...]
    accuracy: float
    accuracy_interval: tuple[float, float] | None
    macro_f1: float
    macro_f1_interval: tuple[float, float] | None
    majority: float
