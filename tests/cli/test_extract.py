"""``ilo-fast extract``: the folder, and what a second run does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ilo_fast.cli import main
from ilo_fast.scores.result import OverlapScores

Run = Callable[..., int]


def test_scores_of_extract_then_score_are_those_of_run(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-q", command="extract") == 0
    folder = Path("ilo_fast_results") / "tiny__text" / "representations"
    assert capsys.readouterr().out == f"{folder}\n"
    assert main(["score", "-q", str(folder)]) == 0
    scored = OverlapScores.from_json(folder.parent / "scores.json")
    assert run("-q", "-o", "out") == 0
    direct = OverlapScores.from_json(here / "out" / "scores.json")
    np.testing.assert_array_equal(scored.ilo, direct.ilo)
    np.testing.assert_array_equal(scored.translation_share, direct.translation_share)
    assert scored.info["run"]["model_name"] == "tiny"
    # The same weights, text and settings: run finds its scores there and keeps them.
    assert run() == 0
    assert "kept" in capsys.readouterr().err


def extracted(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_second_extract_keeps_representations_of_the_same_settings(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-q", "-o", "reps", command="extract") == 0
    before = extracted(here / "reps")
    assert run("-o", "reps", command="extract") == 0
    assert "has these representations already; they are kept" in capsys.readouterr().err
    assert extracted(here / "reps") == before


def test_extract_of_other_settings_is_refused_before_any_work(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("-q", "-o", "reps", command="extract") == 0
    before = extracted(here / "reps")
    with monkeypatch.context() as patch:
        patch.setattr("ilo_fast.representations.extraction.extract", None)
        assert run("-q", "-o", "reps", "--layers", "1", command="extract") == 1
    message = "holds representations of other settings (layers was all, now [1])"
    assert message in capsys.readouterr().err
    assert extracted(here / "reps") == before
    assert run("-q", "-o", "reps", "--layers", "1", "--overwrite", command="extract") == 0
    assert np.load(here / "reps" / "eng_Latn.npy").shape[0] == 1
    assert not [p.name for p in here.iterdir() if p.name.startswith(".")]


def test_extract_never_replaces_a_folder_that_is_not_its_own(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "other").mkdir()
    (here / "other" / "thesis.txt").write_text("mine")
    assert run("-q", "-o", "other", "--overwrite", command="extract") == 1
    assert "holds no representations" in capsys.readouterr().err
    assert (here / "other" / "thesis.txt").read_text() == "mine"


def test_representations_that_do_not_say_how_they_were_made_are_refused(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "reps").mkdir()
    (here / "reps" / "manifest.json").write_text('{"info": {}}')
    assert run("-q", "-o", "reps", command="extract") == 1
    assert "does not say how its representations were made" in capsys.readouterr().err
    assert run("-q", "-o", "reps", "--overwrite", command="extract") == 0
