"""The functions of the page's script that ask for no page."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jinja2")

from helpers.javascript import Script

NONE = "\N{EN DASH}"
LANGUAGES = [
    {"name": "English", "code": "eng", "family": "IE", "script": "Latn", "region": "Europe",
     "resource": 5, "sentences": 10},
    {"name": "Zulu", "code": "zul", "family": "AC", "script": "Latn", "region": "Africa",
     "resource": 2, "sentences": 7},
    {"name": "Hindi", "code": "hin", "family": "IE", "script": "Deva", "region": "South Asia",
     "resource": 4, "sentences": 10},
    {"name": "Klingon", "code": "xxx", "family": "", "script": "", "region": "",
     "resource": None, "sentences": 1},
]  # fmt: skip


@pytest.fixture(scope="module")
def script() -> Script:
    return Script("bytes", "scales", "orders", "runs")


def test_largest_group_is_first_and_classes_go_down(script: Script) -> None:
    names = script("GROUPINGS.map(([by]) => groupNames(languages, by))", languages=LANGUAGES)
    assert names[0] == ["IE", "AC", "unknown"]
    assert names[2] == ["Latn", "Deva", "unknown"]
    assert names[3] == ["5", "4", "2", "unknown"]


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("name", [0, 2, 3, 1]),
        ("score", [1, 2, 0, 3]),
        ("group", [2, 0, 1, 3]),
        ("tree", [3, 1, 0, 2]),
    ],
)
def test_languages_are_ordered(script: Script, order: str, wanted: list[int]) -> None:
    options = {"order": order, "by": "family", "only": "", "leaves": [3, 1, 0, 2],
               "means": [0.2, 0.9, 0.5, None]}  # fmt: skip
    assert script("ordered(languages, options)", languages=LANGUAGES, options=options) == wanted


def test_filter_leaves_one_group_in_the_same_order(script: Script) -> None:
    options = {"order": "tree", "by": "family", "only": "IE", "leaves": [3, 2, 0, 1], "means": None}
    assert script("ordered(languages, options)", languages=LANGUAGES, options=options) == [2, 0]


def test_groups_end_where_another_begins(script: Script) -> None:
    found = script("groupEnds(languages, [0, 2, 1, 3], 'family')", languages=LANGUAGES)
    assert found == [2, 3]


def test_search_looks_at_names_codes_and_groups(script: Script) -> None:
    found = script("['KLI', ' deva ', 'south', 'q'].map(w => languages.map(l => matches(l, w)))",
                   languages=LANGUAGES)  # fmt: skip
    assert [row.index(True) if any(row) else None for row in found] == [3, 2, 2, None]


def test_what_is_missing_is_sorted_last_in_both_directions(script: Script) -> None:
    values = [0.5, None, 2.0, -1.0]
    up, down = script("[false, true].map(d => sortRows([0,1,2,3], r => v[r], d))", v=values)
    assert (up, down) == ([3, 0, 2, 1], [2, 0, 3, 1])
    words = script("sortRows([0,1,2], r => ['b','a','c'][r], false)")
    assert words == [1, 0, 2]


def test_arms_of_the_tree_meet_between_their_leaves(script: Script) -> None:
    arms = script("treeArms([0, 2, 1, 3], [0.1, 0.4], [1, 0, 2])")
    assert arms == [[0.1, 1.5, 2.5, 0, 0], [0.4, 0.5, 2, 0, 0.1]]


def test_points_and_texts_are_found_where_they_were_packed(script: Script) -> None:
    found = script(
        "(t => [t.size, t.most, t.point(0, 4), t.point(1, 6), t.point(0, 3), t.point(3, 2),"
        " t.text(1, 5), Array.from(t.language), Array.from(t.sentence)])"
        "(pointTable(languages, 2, 1))",
        languages=LANGUAGES,
    )
    assert found[:7] == [15, 10, 2, 8, -1, -1, 15]
    assert found[7] == [0] * 5 + [1] * 4 + [2] * 5 + [3]
    assert found[8] == [0, 2, 4, 6, 8, 0, 2, 4, 6, 0, 2, 4, 6, 8, 0]


def test_ticks_are_round_and_inside(script: Script) -> None:
    rng = np.random.default_rng(0)
    for low, width in zip(rng.normal(size=50) * 10, 10 ** rng.uniform(-3, 3, 50), strict=True):
        high = low + width
        marks = script("ticks(low, high, 5)", low=low, high=high)
        assert 2 <= len(marks) <= 8
        assert marks[0] >= low - 1e-6 * width and marks[-1] <= high + 1e-6 * width
    assert script("ticks(1, 1, 5)") == [1]
    assert script("tickTexts([0, 0.25, 0.5])") == ["0.00", "0.25", "0.50"]


def test_colours_go_from_end_to_end_and_grow_lighter(script: Script) -> None:
    grey = script("Array.from({length: 20}, (_, i) => sequential(0, 1)(i / 19))"
                  ".map(([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b)")  # fmt: skip
    assert np.all(np.diff(grey) > 0)
    assert script("[sequential(0, 1)(-5), sequential(0, 1)(9), sequential(0, 1)(NaN)]") == [
        [68, 1, 84], [253, 231, 37], None,
    ]  # fmt: skip
    assert script("diverging(4, false)(0)") == [243, 243, 241]


def test_values_as_words(script: Script) -> None:
    assert script("[times(0), times(3.5), times(-2), times(-6), times(NaN)]") == [
        *(f"{number}\N{MULTIPLICATION SIGN}" for number in ("1.0", "11", "0.3", "0.02")), NONE,
    ]  # fmt: skip
    assert script("[percent(0.5), percent(0.031), percent(0)]") == ["50 %", "3.1 %", "0 %"]
    assert script("[fixed(-0.0001, 2), fixed(NaN, 2)]") == ["0.00", NONE]
    assert script("[layerAt(0.5, 13), layerAt(1, 7), layerAt(0.3, 1)]") == [6, 6, 0]


def test_labels_are_thinned_to_their_room(script: Script) -> None:
    assert script("[everyOf(7, 20), everyOf(33, 10), everyOf(204, 3)]") == [1, 4, 204]
