"""OverlapScores: its file, its names for titles, its figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.scores import overlap_scores

from ilo_fast import OverlapScores
from ilo_fast.scores.result import language_label


def test_scores_read_back_from_text_or_file_are_the_same(tmp_path):
    scores = overlap_scores()
    text = scores.to_json(tmp_path / "scores.json")
    data = json.loads(text)
    assert data["schema_version"] == 2
    assert len(data["rows"]) == 3 * 4
    for back in (
        OverlapScores.from_json(text),
        OverlapScores.from_json(tmp_path / "scores.json"),
        OverlapScores.from_json(str(tmp_path / "scores.json")),
    ):
        for name in ("bridge", "reach", "ilo", "translation_share", "translation_chance"):
            np.testing.assert_array_equal(getattr(back, name), getattr(scores, name))
        assert back.layers == scores.layers
        assert back.languages == scores.languages
        assert back.info == scores.info
    assert (
        OverlapScores.from_json(overlap_scores(parallel=False).to_json()).translation_share is None
    )
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "scores.json"
    text = overlap_scores(parallel=False).to_json(path)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="not complete JSON"):
        OverlapScores.from_json(path)
    data = json.loads(text)
    with pytest.raises(ValueError, match="schema_version=99 cannot be read"):
        OverlapScores.from_dict({**data, "schema_version": 99})
    with pytest.raises(ValueError, match="kind=None, wanted"):
        OverlapScores.from_dict({})
    with pytest.raises(ValueError, match="incomplete: 11 rows"):
        OverlapScores.from_dict({**data, "rows": data["rows"][:-1]})
    with pytest.raises(ValueError, match="incomplete: 12 rows"):
        OverlapScores.from_dict(
            {**data, "rows": [data["rows"][1], data["rows"][0], *data["rows"][2:]]}
        )
    with pytest.raises(ValueError, match="incomplete: no rows"):
        OverlapScores.from_dict({**data, "rows": []})


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    scores = overlap_scores(parallel=False)
    path = tmp_path / "scores.json"
    path.mkdir()  # os.replace of a file onto a folder fails, even for root
    with pytest.raises(OSError, match=r"scores\.json"):
        scores.to_json(path)
    assert [p.name for p in tmp_path.iterdir()] == ["scores.json"]


def test_dataframe_has_a_row_per_layer_and_language():
    pytest.importorskip("pandas")
    scores = overlap_scores(parallel=False)
    frame = scores.to_dataframe()
    assert frame.shape[0] == 12
    assert (
        frame.loc[(frame.layer == 1) & (frame.language == "fra_Latn"), "ilo"].item()
        == scores.ilo[1, 1]
    )
    assert "3 layers x 4 languages" in repr(scores)


def test_subtitle_names_what_the_run_recorded() -> None:
    scores = overlap_scores()
    wanted = "org/model · text · 4 languages \N{MULTIPLICATION SIGN} 10 sentences"
    assert scores.subtitle == f"{wanted} · k = 5, t = 3, cosine"
    unknown = overlap_scores(info={"run": "something else"})
    assert unknown.subtitle.startswith("4 languages")


def test_layer_0_is_the_embeddings_only_if_representations_are_recorded() -> None:
    assert not overlap_scores(info={}).starts_at_embeddings
    assert overlap_scores(info={"representations": {"model": "m"}}).starts_at_embeddings


def test_language_labels_have_the_name_if_it_is_known() -> None:
    assert language_label("fra_Latn") == "French\N{EN SPACE}fra_Latn"
    assert language_label("xx\x1b") == "xx"


def test_plot_draws_on_axes_of_the_caller_or_on_its_own() -> None:
    figure = pytest.importorskip("matplotlib.figure")
    scores = overlap_scores()
    for kind in ("heatmap", "curve"):
        own = figure.Figure().add_subplot()
        assert scores.plot(kind, ax=own) is own
        assert scores.plot(kind, ax=own) is own


@pytest.mark.parametrize("kind", ["heatmap", "curve"])
def test_plot_is_a_figure_that_a_notebook_shows(kind: str) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    found = overlap_scores().plot(kind)
    assert isinstance(found, figure.Figure)
    assert found._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("score", ["ilo", "bridge", "reach", "translation_share"])
def test_curve_of_one_score_shows_that_one_alone(score: str) -> None:
    pytest.importorskip("matplotlib")
    scores = overlap_scores()
    (ax,) = scores.plot("curve", score=score).axes
    (line,) = [line for line in ax.lines if line.get_label().endswith("mean")]
    np.testing.assert_allclose(line.get_ydata(), scores.values(score).mean(axis=1))
    with pytest.raises(ValueError, match="use one of ilo, bridge"):
        scores.plot("curve", score="bogus")


def test_plot_of_unknown_kinds_or_scores_is_refused() -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=r"bogus.*use one of ilo, bridge"):
        overlap_scores().plot(score="bogus")
    with pytest.raises(ValueError, match="kind='bogus' is not known"):
        overlap_scores().plot("bogus")
    with pytest.raises(ValueError, match="not parallel"):
        overlap_scores(parallel=False).plot(score="translation_share")
