"""What the terminal says of a graph."""

from __future__ import annotations

from ilo_fast.transcoders.attribution.tables import _short


def test_descriptions_without_room_lose_their_support_and_not_their_middle() -> None:
    said = "token “the” (7 of 10); English (83% of rates, 164 firings)"
    assert _short(said, 80) == said
    assert _short(said, 30) == "token “the”; English"
    assert len(_short(said, 12)) <= 12
