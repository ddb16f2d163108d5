"""The curves: means over languages, bands, and the panel of translations."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scores import overlap_scores

pytest.importorskip("matplotlib")

from ilo_fast.plots.curve import curve_figure


def test_lines_are_means_over_languages() -> None:
    scores = overlap_scores()
    upper, lower = curve_figure(scores.layer_curves()).axes
    lines = {line.get_label(): line for line in upper.lines}
    for name, values in (("ILO", scores.ilo), ("bridge", scores.bridge), ("reach", scores.reach)):
        line = lines[f"{name}, mean"]
        assert line.get_xdata().tolist() == [0, 1, 2]
        np.testing.assert_allclose(line.get_ydata(), values.mean(axis=1), rtol=1e-12)
    lines = {line.get_label(): line for line in lower.lines}
    share = scores.translation_share.mean(axis=1)
    np.testing.assert_allclose(lines["mean"].get_ydata(), share, rtol=1e-12)
    np.testing.assert_allclose(lines["chance"].get_ydata(), 0.05)


def test_text_that_is_not_parallel_has_no_panel_of_translations() -> None:
    assert len(curve_figure(overlap_scores(parallel=False).layer_curves()).axes) == 1


@pytest.mark.parametrize(("n_languages", "bands"), [(1, 0), (4, 2)])
def test_spread_is_drawn_for_several_languages_only(n_languages: int, bands: int) -> None:
    codes = ("eng_Latn", "fra_Latn", "zho_Hans", "ceb_Latn")[:n_languages]
    scores = overlap_scores(codes=codes)
    assert len(curve_figure(scores.layer_curves()).axes[0].collections) == bands
