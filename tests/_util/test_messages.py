"""Words for messages."""

from __future__ import annotations

from ilo_fast._util.messages import (
    byte_size,
    counted,
    differences,
    elide,
    listed,
    plain,
    printable,
)


def test_long_list_is_cut_and_the_rest_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(range(10), lambda n: f"<{n}>").endswith("<7> and 2 more")


def test_noun_follows_its_number() -> None:
    assert [counted(n, "layer") for n in (0, 1, 2)] == ["0 layers", "1 layer", "2 layers"]


def test_long_text_keeps_both_ends() -> None:
    assert elide("abc", 3) == "abc"
    assert elide("abcdefghij", 5) == "ab…ij" and len(elide("x" * 99, 8)) == 8


def test_control_characters_become_spaces() -> None:
    assert plain("a\x1b[31m b\n\u202ec") == "a [31m b c"


def test_what_a_terminal_would_obey_is_shown_escaped() -> None:
    assert printable("a\x1b[31m\tb\n\x9b\u202e\r") == "a\\x1b[31m\tb\n\\x9b\\u202e\\r"
    assert printable("\u061c\u2028\u2029") == "\\u061c\\u2028\\u2029"
    kept = "日本語 \u0915\u094d\u200d\u0937 é…█"  # a joiner is part of words
    assert printable(kept) == kept


def test_sizes_have_three_figures_and_a_unit() -> None:
    found = [byte_size(n) for n in (0, 999, 1000, 99_400, 123_456_789, 10**13)]
    assert found == ["0 B", "999 B", "1.0 kB", "99.4 kB", "123 MB", "10.0 TB"]


def test_differences_name_old_and_new_values() -> None:
    before, now = {"a": 1, "b": "x", "gone": True}, {"a": 2, "b": "x", "new": "y" * 50}
    assert differences(before, now) == [
        "a was 1, now 2",
        f"new was null, now {'y' * 16}…",
        "gone was true, now null",
    ]


def test_differences_within_an_inner_mapping_are_named_by_its_entry() -> None:
    before = {"overlap_options": {"layers": [0, -1], "n_neighbors": 5}, "corpus": None}
    now = {"overlap_options": {"layers": [0, -1], "n_neighbors": 4}, "corpus": {"a": 1}}
    assert differences(before, now) == [
        "overlap_options.n_neighbors was 5, now 4",
        "corpus.a was null, now 1",
    ]
