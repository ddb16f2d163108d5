"""Tables of texts on a terminal: columns, notes, odd widths."""

from __future__ import annotations

from ilo_fast.report.text_table import Table, wrapped


def test_words_stand_left_numbers_right_and_the_note_is_wrapped() -> None:
    table = Table(("name", "n", "what"), [("日本", "5", "a"), ("xyz", "10", "")], "note " * 30,
                  (0, 2), "Title")  # fmt: skip
    lines = table.text().splitlines()
    assert lines[:4] == ["Title", "name   n  what", "日本   5  a", "xyz   10"]
    assert len(lines) > 5 and max(map(len, lines)) <= 96 and lines[5].startswith("  note")


def test_control_characters_are_not_printed() -> None:
    assert "\x1b" not in Table(("\x1b[31mred", "b"), [("\x1b[2J", "1")], "\x1b").text()
    assert "\x1b" not in wrapped("\x1b[31m")
