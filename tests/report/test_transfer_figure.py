"""The figure of a zero-shot evaluation: rows, colours, bars, groups."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.scores import overlap_scores, transfer_scores

pytest.importorskip("matplotlib")

from ilo_fast.report.transfer_figure import transfer_figure

ACCURACY = {"eng_Latn": 0.9, "deu_Latn": 0.8, "rus_Cyrl": 0.5, "fra_Latn": 0.6, "tha_Thai": 0.3}
CODES = tuple(ACCURACY)


def test_rows_show_overlap_and_accuracy_of_their_language() -> None:
    # The languages of `after` stand in another order.
    before, after = overlap_scores(codes=CODES), overlap_scores(codes=CODES[::-1], seed=8)
    figure = transfer_figure(before, after, transfer_scores(ACCURACY))
    maps = [ax for ax in figure.axes if ax.images]
    names = [label.get_text() for label in maps[0].get_yticklabels()]
    wanted = ["English", "German", "French", "Russian", "Thai", "mean of 4 languages"]
    assert [name.split("\N{EN SPACE}")[0] for name in names] == wanted
    cells = [ax.images[0].get_array().filled(np.nan) for ax in maps]
    assert len(cells) == 3
    place = int(maps[0].get_yticks()[2])
    first, second = before.ilo[:, 3], after.ilo[:, CODES[::-1].index("fra_Latn")]
    for found, expected in zip(cells, (first, second, second - first), strict=True):
        assert found[place] == pytest.approx(expected)
    # English was trained on: it is not in the mean.
    means = before.ilo[:, 1:].mean(axis=1), after.ilo[:, :-1].mean(axis=1)
    assert cells[2][-1] == pytest.approx(means[1] - means[0])
    low, high = maps[2].images[0].get_clim()  # no change is the middle of its map
    assert low == -high
    bars = {
        round(patch.get_y() + patch.get_height() / 2): patch.get_width()
        for patch in figure.axes[-1].patches
    }
    assert bars[place] == pytest.approx(0.6)
    assert bars[int(maps[0].get_yticks()[-1])] == pytest.approx(0.55)


def test_groups_are_named_beside_their_rows() -> None:
    scores = overlap_scores(33, CODES)
    figure = transfer_figure(scores, scores, transfer_scores(ACCURACY), by="script")
    texts = [text.get_text() for text in figure.axes[-1].texts]
    assert {"Latn", "Cyrl", "Thai"} <= set(texts)
    assert figure.texts[0].get_text() == "Interlingual Local Overlap and zero-shot transfer"
    assert figure.texts[1].get_text().endswith("test, 50 texts per language")


def test_the_source_alone_is_drawn_with_its_own_mean() -> None:
    scores = overlap_scores(codes=CODES)
    figure = transfer_figure(scores, scores, transfer_scores({"eng_Latn": 0.9}))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["English\N{EN SPACE}eng_Latn", "mean of 1 language"]
