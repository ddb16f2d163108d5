"""The figure of a training run: what is drawn of the records, and the files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from helpers.scores import overlap_records

pytest.importorskip("matplotlib")

from ilo_fast.report.trajectory import trajectory_figure, write_trajectory


def test_lines_are_means_over_languages_against_steps() -> None:
    records = overlap_records()
    upper, lower = trajectory_figure(records).axes
    for ax, score in ((upper, "ilo"), (lower, "translation_share")):
        for h in range(3):
            line = next(line for line in ax.lines if line.get_label() == f"layer {h}")
            assert line.get_xdata().tolist() == [0, 10, 25]
            wanted = [record.scores.values(score)[h].mean() for record in records]
            np.testing.assert_allclose(line.get_ydata(), wanted, rtol=1e-12)


def test_failed_measurements_are_gaps_in_every_line() -> None:
    ax = trajectory_figure(overlap_records(steps=(0, 5, 9, 12), failed=(5, 12))).axes[0]
    for line in ax.lines:
        assert np.isnan(line.get_ydata()).tolist() == [False, True, False, True]


def test_text_that_is_not_parallel_has_no_panel_of_translations() -> None:
    figure = trajectory_figure(overlap_records(parallel=False))
    assert len(figure.axes) == 1
    title, subtitle = (text.get_text() for text in figure.texts)
    assert title == "Interlingual Local Overlap during training"
    assert subtitle.startswith("org/model · text · 4 languages") and "3 measurements" in subtitle


def test_files_are_the_same_each_time(tmp_path: Path) -> None:
    records = overlap_records()
    png, svg, pdf = write_trajectory(records, tmp_path / "new")
    assert sorted(p.name for p in png.parent.iterdir()) == [
        "trajectory.pdf", "trajectory.png", "trajectory.svg",
    ]  # fmt: skip
    assert png.read_bytes().startswith(b"\x89PNG") and ET.parse(svg).getroot().tag.endswith("svg")
    again = write_trajectory(records, tmp_path)
    assert [p.read_bytes() for p in again] == [path.read_bytes() for path in (png, svg, pdf)]


def test_records_without_scores_or_of_different_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="0 measurements, none of which succeeded"):
        trajectory_figure([])
    with pytest.raises(ValueError, match="1 measurement, none of which succeeded"):
        trajectory_figure(overlap_records(steps=(3,), failed=(3,)))
    with pytest.raises(ValueError, match=r"layers \(0, 1\) and \(0, 1, 2\)"):
        trajectory_figure([*overlap_records(2), *overlap_records(3)])
