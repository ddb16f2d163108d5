"""``ilo-fast score``: arrays of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast.cli import main
from ilo_fast.scores.result import OverlapScores

CODES = ("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn")


def arrays(parallel_rows: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    sizes = (20, 20, 20, 20) if parallel_rows else (20, 15, 12, 9)
    return {
        code: rng.normal(size=(2, n, 8)).astype(np.float32)
        for code, n in zip(CODES, sizes, strict=True)
    }


def test_npz_and_folders_of_npy_give_the_same_scores(here: Path, undrawn: None) -> None:
    np.savez(here / "mine.npz", **arrays())
    (here / "folder").mkdir()
    for code, array in arrays().items():
        np.save(here / "folder" / f"{code}.npy", array)
    assert main(["score", "-q", "mine.npz", "--parallel"]) == 0
    assert main(["score", "-q", "folder", "--parallel"]) == 0
    first, second = (
        OverlapScores.from_json(here / "ilo_fast_results" / name / "scores.json")
        for name in ("mine", "folder")
    )
    order = [second.languages.index(code) for code in first.languages]
    np.testing.assert_array_equal(first.ilo, second.ilo[:, order])
    assert first.translation_share is not None


def test_score_of_other_values_is_refused_where_scores_are(
    here: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(here / "mine.npz", **arrays())
    assert main(["score", "-q", "mine.npz"]) == 0
    np.savez(here / "mine.npz", **{c: 2 + a for c, a in arrays().items()})
    assert main(["score", "-q", "mine.npz"]) == 1
    assert "values_sha256" in capsys.readouterr().err


def test_score_of_unequal_languages_has_no_translations(
    here: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(here / "mine.npz", **arrays(parallel_rows=False))
    assert main(["score", "-q", "mine.npz"]) == 0
    assert "9 to 20 sentences" in capsys.readouterr().out
    assert main(["score", "-q", "mine.npz", "--parallel", "-o", "other"]) == 1
    assert "same number of sentences" in capsys.readouterr().err


def test_score_refuses_what_it_cannot_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(here / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    (here / "objects").mkdir()
    (here / "pickled.npy").rename(here / "objects" / "eng_Latn.npy")
    (here / "empty").mkdir()
    np.savez(here / "flat.npz", eng_Latn=np.zeros(3))
    (here / "note.txt").write_text("x")
    for name, status, says in (
        ("nowhere", 3, "does not exist"),
        ("empty", 1, "neither manifest.json"),
        ("objects", 1, "eng_Latn.npy cannot be read"),
        ("flat.npz", 1, "shape (3,)"),
        ("note.txt", 1, "neither a folder nor"),
    ):
        assert main(["score", "-q", name]) == status
        assert says in capsys.readouterr().err


def test_score_of_an_array_of_another_shape_says_the_shape_alone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(here / "flat.npz", eng_Latn=np.ones(3), deu_Latn=np.ones(3))
    assert main(["score", "flat.npz"]) == 1
    said = capsys.readouterr().err
    assert "holds an array of shape (3,)" in said and "cannot be read" not in said
