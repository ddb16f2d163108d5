"""Words for messages."""

from __future__ import annotations

from ilo_fast._util.messages import counted, differences, elide, listed, plain


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
