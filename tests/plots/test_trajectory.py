"""Trajectories: the numbers drawn, the names beside the lines, the files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from ilo_fast.plots import trajectory as curves
from ilo_fast.plots.figures import png_bytes
from ilo_fast.scores.overlap import OverlapScores
from ilo_fast.training.records import OverlapRecord


def make_records(
    n_layers: int = 3,
    steps: tuple[int, ...] = (0, 10, 25),
    *,
    failed: tuple[int, ...] = (),
    parallel: bool = True,
) -> list[OverlapRecord]:
    rng = np.random.default_rng(3)
    records = []
    for step in steps:
        bridge, reach = rng.random((2, n_layers, 4))
        scores = OverlapScores(
            bridge=bridge,
            reach=reach,
            ilo=2 * bridge * reach / (bridge + reach),
            layers=tuple(range(n_layers)),
            languages=("eng_Latn", "fra_Latn", "zho_Hans", "ceb_Latn"),
            n_sentences=(10,) * 4,
            n_neighbors=5,
            threshold=3,
            metric="cosine",
            translation_share=rng.random((n_layers, 4)) * 0.5 if parallel else None,
            translation_chance=np.full(4, 0.05) if parallel else None,
            info={"run": {"model_name": "org/model", "corpus_name": "text"}},
        )
        bad = step in failed
        records.append(
            OverlapRecord(
                step, step / 10, "step", 1.0, None if bad else scores, "x" if bad else None
            )
        )
    return records


def layer_lines(ax: Any) -> dict[str, Any]:
    return {
        line.get_label(): line for line in ax.lines if str(line.get_label()).startswith("layer ")
    }


@pytest.mark.parametrize("score", ["ilo", "bridge", "reach", "translation_share"])
def test_lines_are_means_over_languages_against_steps(score: str) -> None:
    records = make_records()
    lines = layer_lines(curves.trajectory(records, score))
    assert list(lines) == ["layer 0", "layer 1", "layer 2"]
    for h, line in enumerate(lines.values()):
        assert line.get_xdata().tolist() == [0, 10, 25]
        wanted = [getattr(r.scores, score)[h].mean() for r in records]
        np.testing.assert_allclose(line.get_ydata(), wanted, rtol=1e-12)


def test_a_failed_measurement_is_a_gap_in_every_line() -> None:
    ax = curves.trajectory(make_records(steps=(0, 5, 9, 12), failed=(5, 12)))
    for line in layer_lines(ax).values():
        assert np.isnan(line.get_ydata()).tolist() == [False, True, False, True]


def test_it_draws_into_axes_that_are_given() -> None:
    figure = Figure()
    ax = figure.add_subplot()
    assert curves.trajectory(make_records(), ax=ax) is ax
    assert len(layer_lines(ax)) == 3 and ax.get_xlabel() == "optimizer step"
    assert len(figure.axes) == 1
    png_bytes(figure)


@pytest.mark.parametrize(("n_layers", "named"), [(1, True), (14, True), (33, False)])
def test_layers_are_told_apart_by_name_or_by_a_bar(n_layers: int, named: bool) -> None:
    figure = curves.trajectory_figure(make_records(n_layers))
    names = [text.get_text() for text in figure.axes[0].texts]
    numbers = sorted(int(name.removeprefix("layer ")) for name in names)
    assert numbers == (list(range(n_layers)) if named else [])
    assert len(figure.axes) == (2 if named else 3)  # ILO, translations, and the bar
    if not named:
        assert figure.axes[2].get_ylabel() == "layer"
    lines = layer_lines(figure.axes[0]).values()
    assert len({line.get_color() for line in lines}) == n_layers
    # Lightness grows with depth, so that colour alone gives the order.
    light = [np.dot(line.get_color()[:3], (0.2126, 0.7152, 0.0722)) for line in lines]
    assert light == sorted(light)


def test_names_do_not_lie_on_each_other_and_keep_the_order_of_the_lines() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        wanted = rng.random(rng.integers(1, 15)).round(1)
        places = curves._apart(wanted, 0.06, 0.0, 1.0)
        gaps = np.diff(np.sort(places))
        assert (gaps > 0.06 - 1e-9).all()
        assert places.min() > -1e-9 and places.max() < 1 + 1e-9
        order = np.argsort(wanted, kind="stable")
        assert (np.diff(places[order]) > 0).all()
    # Where nothing is too close, nothing moves.
    np.testing.assert_array_equal(
        curves._apart(np.array([0.9, 0.1, 0.5]), 0.1, 0, 1), [0.9, 0.1, 0.5]
    )
    # More than there is room for: evenly over all of it.
    np.testing.assert_allclose(curves._apart(np.zeros(5), 1.0, 0, 1), [0, 0.25, 0.5, 0.75, 1])


def test_files_are_written_and_the_same_each_time(tmp_path: Path) -> None:
    records = make_records()
    png, svg = curves.write_trajectory(records, tmp_path / "new")
    assert (png.name, svg.name) == ("trajectory.png", "trajectory.svg")
    assert sorted(p.name for p in png.parent.iterdir()) == [png.name, svg.name]
    assert png.read_bytes().startswith(b"\x89PNG") and ET.parse(svg).getroot().tag.endswith("svg")
    again = curves.write_trajectory(records, tmp_path)
    assert [p.read_bytes() for p in again] == [png.read_bytes(), svg.read_bytes()]


def test_text_that_is_not_parallel_has_one_panel(tmp_path: Path) -> None:
    records = make_records(parallel=False)
    assert len(curves.trajectory_figure(records).axes) == 1
    curves.write_trajectory(records, tmp_path)
    with pytest.raises(ValueError, match="not parallel"):
        curves.trajectory(records, "translation_share")


def test_one_measurement_can_be_drawn(tmp_path: Path) -> None:
    curves.write_trajectory(make_records(steps=(7,)), tmp_path)
    ax = curves.trajectory(make_records(steps=(7,)))
    assert ax.get_xticks().tolist() == [7]


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="0 measurements, none of which succeeded"):
        curves.trajectory([])
    with pytest.raises(ValueError, match="1 measurement, none of which succeeded"):
        curves.trajectory(make_records(steps=(3,), failed=(3,)))
    with pytest.raises(ValueError, match=r"layers \(0, 1\) and \(0, 1, 2\)"):
        curves.trajectory([*make_records(2), *make_records(3)])
    with pytest.raises(ValueError, match="score='beauty'"):
        curves.trajectory(make_records(), "beauty")
