"""How values are written on a page."""

from __future__ import annotations

import pytest


def test_interval_that_there_is_none_of_is_left_empty() -> None:
    pytest.importorskip("jinja2")
    from ilo_fast.report.page import environment

    text = environment().from_string("[{{ known|range(3) }}|{{ row.get('ilo')|range(3) }}]")
    assert text.render(known=(0.1, 0.25), row={}) == "[0.100 \N{EN DASH} 0.250|]"
