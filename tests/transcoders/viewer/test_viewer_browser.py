"""Clicks, keys, files and widths in a real browser; skipped where there is none."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2")

from helpers.browser import Browser
from helpers.shown_graphs import random_graph, random_notes, random_supernodes

from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.viewer.page import ShownGraph, graph_page

PANEL = "document.getElementById('panel').textContent"
SAID = "document.getElementById('said').textContent"
SCORES = "[...document.querySelectorAll('[data-score]')].map(e => Number(e.textContent))"
PICTURE = "document.querySelector('.plane canvas').toDataURL()"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    graph = random_graph(1, rest=True)
    notes, groups = random_notes(graph), random_supernodes(graph)
    other = random_graph(2, vocabulary=300, prompt="Der Tag vor Sonntag ist")
    pages = {
        "one": graph_page(graph, notes=notes, supernodes=groups),
        "two": graph_page(graph, notes=notes, other=ShownGraph(other, random_notes(other))),
        "bare": graph_page(graph),
        "short": graph_page(random_graph(3, n_layers=1, tokens=("a",), n_features=1)),
        "none": graph_page(_nothing(), notes={}),
    }
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


def _nothing() -> GraphData:
    """No feature is active, and nothing adds anything."""
    graph = random_graph(4, n_layers=2, n_features=0)
    zero = np.zeros_like(graph.adjacency)
    return dataclasses.replace(graph, adjacency=zero, values=zero.sum(axis=1))


@pytest.fixture
def opened(browser: Browser, pages: Path) -> Iterator[Browser]:
    browser.open(pages / "one.html")
    yield browser
    _is_quiet(browser)


def _is_quiet(browser: Browser) -> None:
    assert browser.complaints == []
    assert [a for a in browser.addresses if not a.startswith(("file:", "blob:"))] == []


def _press(browser: Browser, *keys: str) -> None:
    for key in keys:
        browser.run(
            "(c => { c.focus(); c.dispatchEvent(new KeyboardEvent('keydown',"
            f" {{key: {key!r}, bubbles: true, cancelable: true}})); }})"
            "(document.querySelector('.plane canvas'))"
        )


def _click(browser: Browser, text: str, within: str = "body") -> None:
    found = browser.run(
        f"(b => {{ if (b) b.click(); return !!b; }})([...document.querySelectorAll({within + ' button'!r})]"  # noqa: E501
        f".find(b => b.textContent.startsWith({text!r})))"
    )
    assert found, text


def _search(browser: Browser, text: str) -> list[str]:
    browser.run(
        f"(f => {{ f.value = {text!r}; f.dispatchEvent(new Event('input')); }})"
        "(document.getElementById('find'))"
    )
    found: list[str] = browser.run(
        "[...document.querySelectorAll('#found button')].map(b => b.textContent)"
    )
    return found


def _slide(browser: Browser, name: str, value: float) -> None:
    browser.run(
        f"(s => {{ s.value = {value}; s.dispatchEvent(new Event('input')); }})"
        f"(document.getElementById({name!r}))"
    )


def test_arrows_lead_and_enter_selects_and_escape_lets_go(opened: Browser) -> None:
    assert "Nothing selected" in opened.run(PANEL)
    _press(opened, "ArrowUp")
    assert opened.run(SAID).startswith("Output")
    _press(opened, "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown")
    there = opened.run(SAID)
    assert not there.startswith("Output")
    _press(opened, "Enter")
    assert opened.run(SAID) == f"Selected: {there}"
    assert "Goes to" in opened.run(PANEL)
    _press(opened, "Escape")
    assert "Nothing selected" in opened.run(PANEL)


def test_a_click_on_a_node_selects_it_and_a_drag_pans(opened: Browser) -> None:
    found = opened.run(
        "(() => { const c = document.querySelector('.plane canvas'), box = c.getBoundingClientRect();"  # noqa: E501
        " for (let y = box.top + 20; y < box.bottom - 60; y += 4)"
        " for (let x = box.left + 120; x < box.right - 40; x += 4) {"
        " c.dispatchEvent(new PointerEvent('pointermove', {clientX: x, clientY: y, pointerId: 1, bubbles: true}));"  # noqa: E501
        " if (c.style.cursor === 'pointer') return [x, y]; } })()"
    )
    assert found
    assert not opened.run("document.getElementById('tip').hidden")
    at = f"clientX: {found[0]}, clientY: {found[1]}, pointerId: 1, bubbles: true"
    fire = "document.querySelector('.plane canvas').dispatchEvent(new {1}Event('{0}', {{{{{2}}}}}))"
    for kind, maker in (("pointerdown", "Pointer"), ("pointerup", "Pointer"), ("click", "Mouse")):
        opened.run(fire.format(kind, maker, at).replace("{{", "{").replace("}}", "}"))
    assert opened.run(SAID).startswith("Selected: ")


def test_keys_and_wheel_zoom_and_zero_shows_all(opened: Browser) -> None:
    opened.run("document.querySelector('.plane canvas').focus()")
    whole = opened.run(PICTURE)
    _press(opened, "+", "+")
    near = opened.run(PICTURE)
    assert near != whole
    _press(opened, "0")
    assert opened.run(PICTURE) == whole
    opened.run(
        "(c => { const box = c.getBoundingClientRect(); c.dispatchEvent(new WheelEvent('wheel',"
        " {deltaY: -300, clientX: box.left + 300, clientY: box.top + 200, cancelable: true})); })"
        "(document.querySelector('.plane canvas'))"
    )
    assert opened.run(PICTURE) != whole
    _click(opened, "Show all")
    assert opened.run(PICTURE) == whole


def test_search_finds_labels_tokens_and_features(opened: Browser) -> None:
    assert opened.run("document.activeElement.id") != "find"
    opened.run("document.dispatchEvent(new KeyboardEvent('keydown', {key: '/'}))")
    assert opened.run("document.activeElement.id") == "find"
    assert _search(opened, "saturday")
    found = _search(opened, "2/")
    assert found and all(name.startswith("2/") for name in found)
    assert _search(opened, "no such thing") == []
    _search(opened, found[0])
    _click(opened, found[0], "#found")
    assert opened.run(SAID) == f"Selected: {found[0]}"
    assert opened.run("document.getElementById('found').hidden")


def test_panel_shows_contexts_with_languages_and_proposals_as_such(opened: Browser) -> None:
    _search(opened, "after")
    opened.run("document.querySelector('#found button').click()")
    assert opened.run("document.querySelector('#panel h2 .chip').textContent") == "proposed"
    assert opened.run("document.querySelectorAll('.contexts li').length") == 5
    _click(opened, "Show 1 more", "#panel")
    assert opened.run("document.querySelectorAll('.contexts .language').length") == 6
    strengths = opened.run(
        "[...document.querySelectorAll('.contexts .peak')].map(s => s.style.getPropertyValue('--strength'))"  # noqa: E501
    )
    assert len(strengths) == 6 and all(strength.endswith("%") for strength in strengths)
    marks = opened.run("[...document.querySelectorAll('.rates span')].map(s => s.textContent)")
    assert marks
    assert re.search(r"clt intervene PROMPT --feature \d+/\d+=0", opened.run(PANEL))
    for word in ("Activation", "More likely", "Less likely", "Comes from", "Goes to"):
        assert word in opened.run(PANEL)


def test_edges_sort_and_lead_to_their_nodes(opened: Browser) -> None:
    _press(opened, "ArrowUp", "Enter")
    column = "[...document.querySelectorAll('.edges tbody tr')].map(r => r.cells[{}].textContent)"
    numbers = "[...document.querySelectorAll('.edges tbody tr')].map(r => parseFloat(r.cells[{}].textContent.replace('\u2212', '-')))"  # noqa: E501
    shares = opened.run(numbers.format(2))
    assert shares == sorted(shares, reverse=True) and len(shares) == 12
    _click(opened, "Weight", ".edges")
    weights = opened.run(numbers.format(1))
    assert weights == sorted(weights, reverse=True) and weights != sorted(weights)
    _click(opened, "Weight", ".edges")
    assert opened.run(numbers.format(1)) == sorted(opened.run(numbers.format(1)))
    name = opened.run(column.format(0))[0]
    opened.run("document.querySelector('.edges tbody button').click()")
    assert opened.run(SAID)[len("Selected: ") :] in name


def test_sliders_drop_nodes_and_say_what_is_left(opened: Browser) -> None:
    before, features = opened.run(SCORES), opened.run("document.querySelector('[data-count]').textContent")  # fmt: skip  # noqa: E501
    _slide(opened, "nodes", 0.4)
    assert opened.run("document.getElementById('nodes-value').textContent") == "40 %"
    fewer = opened.run("document.querySelector('[data-count]').textContent")
    assert int(fewer.split()[0]) < int(features.split()[0])
    after = opened.run(SCORES)
    assert all(0 < a < b <= 1 for a, b in zip(after, before, strict=True))
    _slide(opened, "nodes", 0.8)
    assert opened.run(SCORES) == before
    picture = opened.run(PICTURE)
    _slide(opened, "edges", 0.3)
    assert opened.run(PICTURE) != picture


def test_pins_become_a_supernode_that_can_be_renamed_and_dissolved(opened: Browser) -> None:
    _press(opened, "ArrowUp", "ArrowDown", "ArrowDown", "ArrowDown", "p", "ArrowDown", "p")
    assert opened.run(SAID).startswith("Pinned: ")
    assert opened.run("document.querySelectorAll('.pinned li').length") == 2
    opened.run("document.querySelector('.pinned input[type=text]').value = 'weekdays <b>'")
    _click(opened, "Group into", ".pinned")
    first = "document.querySelector('.group')"
    assert opened.run(f"{first}.querySelector('input').value") == "weekdays <b>"
    assert opened.run("document.querySelectorAll('.pinned li').length") == 0
    opened.run(
        f"(i => {{ i.value = 'days'; i.dispatchEvent(new Event('change')); }})({first}.querySelector('input'))"  # noqa: E501
    )
    assert "days" in opened.run("document.querySelector('.summary').textContent")
    _click(opened, "Dissolve", ".group")
    assert opened.run("document.querySelectorAll('.pinned li').length") == 2


def test_proposed_supernodes_are_accepted_or_dropped(opened: Browser) -> None:
    count = "document.querySelectorAll('.group').length"
    assert opened.run(count) == opened.run("document.querySelectorAll('.group.proposed').length")
    _click(opened, "Drop", ".group")
    assert opened.run(count) == 2
    _click(opened, "Accept", ".group")
    assert opened.run(count) == 2
    assert opened.run("document.querySelectorAll('.group.proposed').length") == 1


def test_state_is_saved_and_read_back(opened: Browser) -> None:
    _press(opened, "ArrowUp", "p")
    _slide(opened, "nodes", 0.55)
    opened.run(
        "(() => { URL.createObjectURL = (blob) => { blob.text().then(t => { window.saved = t; });"
        " return '#'; }; document.getElementById('save').click(); })()"
    )
    while not opened.run("window.saved || ''"):
        pass
    state = json.loads(opened.run("window.saved"))
    assert state["thresholds"] == {"nodes": 0.55, "edges": 0.98}
    assert len(state["graphs"][0]["pins"]) == 1
    state["graphs"][0]["supernodes"] = [
        {"name": "mine", "proposed": False, "members": state["graphs"][0]["pins"]}
    ]
    state["graphs"][0]["pins"] = []
    state["thresholds"]["nodes"] = 0.9
    _give_file(opened, json.dumps(state))
    assert opened.run(SAID) == "Opened"
    names = "[...document.querySelectorAll('.group input')].map(i => i.value)"
    assert opened.run(names) == ["mine"]
    assert opened.run("document.getElementById('nodes').value") == "0.9"
    _give_file(opened, "no JSON")
    assert "not JSON" in opened.run(SAID)
    assert opened.run(names) == ["mine"]


def _give_file(browser: Browser, text: str) -> None:
    browser.run("(() => { document.getElementById('said').textContent = ''; })()")
    browser.run(
        f"(i => {{ const t = new DataTransfer(); t.items.add(new File([{text!r}], 'state.json'));"
        " i.files = t.files; i.dispatchEvent(new Event('change')); })"
        "(document.getElementById('file'))"
    )
    while not browser.run(SAID):
        pass


def test_two_prompts_share_features_and_a_selection_shows_in_both(
    browser: Browser, pages: Path
) -> None:
    browser.open(pages / "two.html", width=1400)
    assert browser.run("document.querySelectorAll('.plane canvas').length") == 2
    both = "document.querySelectorAll('.plane canvas')[1].toDataURL()"
    layer, feature = min(_features(random_graph(1, rest=True)) & _features(random_graph(2)))
    found = _search(browser, f"{layer}/{feature} ")
    assert {name[-8:] for name in found} == {"prompt 1", "prompt 2"}
    browser.run("document.querySelector('#found button').click()")
    assert "Active in the other prompt" in browser.run(PANEL)
    _slide(browser, "nodes", 1.0)
    before = browser.run(both)
    browser.run(
        "[...document.querySelectorAll('#panel .link')].find(b => b.parentElement.textContent"
        ".startsWith('Active in the other')).click()"
    )
    assert browser.run(both) != before
    assert "Active in the other prompt" in browser.run(PANEL)
    _is_quiet(browser)


def _features(graph: GraphData) -> set[tuple[int, int]]:
    sources, n = graph.sources, graph.n_features
    return set(zip(map(int, sources.layer[:n]), map(int, sources.feature[:n]), strict=True))


def test_page_without_notes_says_so(browser: Browser, pages: Path) -> None:
    browser.open(pages / "bare.html")
    _search(browser, "/")
    browser.run("document.querySelector('#found button').click()")
    assert "not on this page" in browser.run(PANEL)
    assert browser.run("document.getElementById('colours').disabled")
    _is_quiet(browser)


@pytest.mark.parametrize("page", ["short", "none"])
def test_the_smallest_graphs_have_a_page(browser: Browser, pages: Path, page: str) -> None:
    browser.open(pages / f"{page}.html")
    _press(browser, "ArrowUp", "Enter")
    assert browser.run(SAID).startswith("Selected: ")
    _is_quiet(browser)


@pytest.mark.parametrize("width", [400, 800, 1400])
@pytest.mark.parametrize("page", ["one", "two"])
def test_no_page_is_wider_than_its_window(
    browser: Browser, pages: Path, page: str, width: int
) -> None:
    browser.open(pages / f"{page}.html", width=width)
    _search(browser, "after")
    browser.run("document.querySelector('#found button').click()")
    _press(browser, "p")
    wide, window = browser.run("[document.documentElement.scrollWidth, innerWidth]")
    assert window <= width and wide <= window
    _is_quiet(browser)


def test_every_control_has_a_name(opened: Browser) -> None:
    _press(opened, "ArrowUp", "p")
    nameless = opened.run(
        "[...document.querySelectorAll('button, input, select, canvas')].filter(e =>"
        " !(e.textContent.trim() || e.getAttribute('aria-label') || (e.labels && e.labels.length)))"
        ".map(e => e.outerHTML)"
    )
    assert nameless == []
    assert opened.run("document.getElementById('said').getAttribute('aria-live')") == "polite"


def test_features_and_influence_are_said_as_in_the_terminal(opened: Browser) -> None:
    """The name that ``clt intervene`` takes, and the share of what is predicted."""
    name = _search(opened, "2/")[0].split(" ")[0]
    opened.run("document.querySelector('#found button').click()")
    panel = opened.run(PANEL)
    assert f"Feature {name} " in panel
    assert f"ilo-fast clt intervene PROMPT --feature {name}=0" in panel
    terms = "[...document.querySelectorAll('#panel dt')].find(t => t.textContent === 'Influence')"
    assert " % (number " in opened.run(f"{terms}.nextSibling.textContent")
