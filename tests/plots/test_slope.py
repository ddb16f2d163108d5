"""The slope chart: lines, bands, labels that keep apart."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ilo_fast.plots.slope import SlopeTable, slope_figure, spread
from ilo_fast.plots.style import png_bytes


def table(n: int = 4, bands: bool = True, **changes: object) -> SlopeTable:
    before = np.linspace(0.1, 0.4, n)
    after = before * np.linspace(0.5, 1.02, n)
    wide = np.stack([before / 1.1, before * 1.1], axis=1) if bands else None
    names = tuple(f"line {at}" for at in range(n))
    made: dict[str, object] = {"title": "Title", "subtitle": "below", **changes}
    return SlopeTable(names, before, after, wide, **made)  # type: ignore[arg-type]


def test_every_line_goes_from_its_share_before_to_that_after() -> None:
    given = table()
    figure = slope_figure(given)
    (ax,) = figure.axes
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    for line, before, after in zip(lines, given.before, given.after, strict=True):
        assert line.get_ydata().tolist() == [before, after]
    wide = [line.get_linewidth() > 2 for line in lines]
    assert wide == [True, True, True, False]  # the last one is within its band
    texts = {text.get_text() for text in ax.texts}
    assert {"line 0  10.0%", "5.0%  line 0", "before", "after"} <= texts
    assert any("bold: beyond" in text for text in texts)
    assert png_bytes(figure) == png_bytes(slope_figure(given))


def test_without_bands_nothing_is_said_of_chance() -> None:
    (ax,) = slope_figure(table(bands=False, ordered=True)).axes
    assert not ax.collections and not any("grey" in text.get_text() for text in ax.texts)


def test_labels_keep_apart_in_their_order() -> None:
    seed = random.randrange(2**31)
    print("seed", seed)
    rng = np.random.default_rng(seed)
    places = rng.normal(size=30)
    out = spread(places, 0.2)
    order = np.argsort(places)
    assert (np.diff(out[order]) >= 0.2 - 1e-9).all()
    assert out.mean() == pytest.approx(places.mean())
    far = np.arange(5.0)
    assert spread(far, 0.2) == pytest.approx(far)
    assert spread(np.array([0.0, 0.0]), 1.0).tolist() == [-0.5, 0.5]


def test_shares_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ValueError, match="shares above 0"):
        slope_figure(SlopeTable(("a",), np.zeros(1), np.ones(1), None, "", ""))
    with pytest.raises(ValueError, match="names has 0 lines"):
        slope_figure(SlopeTable((), np.ones(0), np.ones(0), None, "", ""))
