"""Pages of sections: what is in them, nothing from elsewhere, everything escaped."""

from __future__ import annotations

import pytest
from helpers.html import Page
from matplotlib.figure import Figure

from ilo_fast.report.sections import Section, sections_page
from ilo_fast.report.text_table import Table


def figure() -> Figure:
    made = Figure(figsize=(3, 2))
    made.subplots().plot([1, 2, 3])
    return made


def test_a_page_holds_its_sections_and_escapes_what_came_from_outside() -> None:
    bad = "<script>alert(1)</script>"
    page = sections_page(
        bad,
        [
            Section("First", ["A paragraph."], [(figure(), bad), (figure(), "second")]),
            Section("Second", tables=[Table(("language", "rate"), [(bad, "0.5")], note=bad)]),
        ],
        kicker="Features and languages",
        subtitle=bad,
        notes=[bad],
        settings={"model": {"name": bad}},
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 6
    assert page.count("<figure>") == 2 and "A paragraph." in page
    assert '<th scope="col" class="number">rate</th>' in page
    assert "default-src 'none'" in page and "model.name" in page
    read = Page(page)
    assert len(read.ids) == len(set(read.ids))
    assert all(address.startswith(("#", "data:")) for address in read.addresses)


def test_a_row_that_lacks_a_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 has 1 cells, wanted 2"):
        Table(("a", "b"), [("1", "2"), ("1",)])
