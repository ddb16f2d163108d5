"""``ilo-fast extract``: the folder, and what a second run does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ilo_fast._util import files
from ilo_fast.cli import main
from ilo_fast.representations.result import Representations
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
        patch.setattr("ilo_fast.models.source.ModelSource.open", None)
        assert run("-q", "-o", "reps", "--layers", "1", command="extract") == 1
    message = "holds representations of other settings (layers was all, now [1])"
    assert message in capsys.readouterr().err
    assert extracted(here / "reps") == before
    assert run("-q", "-o", "reps", "--layers", "1", "--overwrite", command="extract") == 0
    assert np.load(here / "reps" / "eng_Latn.npy").shape[0] == 1
    assert not [p.name for p in here.iterdir() if p.name.startswith(".")]


def test_documents_are_written_and_are_those_of_the_corpus_now(
    run: Run, here: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = here / "text"
    shutil.copytree(corpus, text)
    (text / "groups.txt").write_text("a\na\nb\nb\nc\n")
    flags = ("-q", "-o", "reps", "--corpus", str(text))
    assert run(*flags, command="extract") == 0
    assert Representations.load(here / "reps").groups == ("a", "a", "b", "b", "c")
    assert run(*flags[1:], command="extract") == 0
    assert "text: text, 4 languages x 5 sentences of 3 documents" in capsys.readouterr().err
    assert main(["score", "-q", "reps", "-o", "out"]) == 0
    (text / "groups.txt").write_text("a\nb\nc\nd\ne\n")
    assert run(*flags, command="extract") == 1
    assert "holds representations of other settings (documents_sha256" in capsys.readouterr().err
    assert run(*flags, "--overwrite", command="extract") == 0
    assert Representations.load(here / "reps").groups == tuple("abcde")
    assert main(["score", "-q", "reps", "-o", "out"]) == 1
    assert "holds scores of other settings (documents_sha256" in capsys.readouterr().err


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
    (here / "reps" / "manifest.json").write_text('{"kind": "ilo_fast.representations", "info": {}}')
    assert run("-q", "-o", "reps", command="extract") == 1
    assert "does not say how its representations were made" in capsys.readouterr().err
    assert run("-q", "-o", "reps", "--overwrite", command="extract") == 0


def test_manifest_of_something_else_is_not_replaced(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "web").mkdir()
    manifest = '{"name": "extension", "manifest_version": 3}'
    (here / "web" / "manifest.json").write_text(manifest)
    assert run("-q", "-o", "web", "--overwrite", command="extract") == 1
    assert "holds no representations" in capsys.readouterr().err
    assert (here / "web" / "manifest.json").read_text() == manifest


def test_overwrite_keeps_what_is_not_of_the_representations(run: Run, here: Path) -> None:
    assert run("-q", "-o", "reps", command="extract") == 0
    (here / "reps" / "notes.txt").write_text("mine")
    languages = sorted(path.stem for path in (here / "reps").glob("*.npy"))
    some = ",".join(languages[:2])
    assert run("-q", "-o", "reps", "-l", some, "--overwrite", command="extract") == 0
    names = {"manifest.json", "notes.txt", *(f"{code}.npy" for code in languages[:2])}
    assert set(extracted(here / "reps")) == names


@pytest.mark.parametrize("harm", ["flip", "remove"])
def test_damaged_representations_are_written_again(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    assert run("-q", "-o", "reps", command="extract") == 0
    before = extracted(here / "reps")
    victim = here / "reps" / "eng_Latn.npy"
    if harm == "remove":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(data)
    assert run("-o", "reps", command="extract") == 0
    assert "it is written again" in capsys.readouterr().err
    assert victim.read_bytes() == before["eng_Latn.npy"]


def test_extract_into_a_link_fills_the_folder_that_is_meant(run: Run, here: Path) -> None:
    (here / "real").mkdir()
    (here / "link").symlink_to("real")
    assert run("-q", "-o", "link", command="extract") == 0
    assert (here / "link").is_symlink()
    assert (here / "real" / "manifest.json").is_file()


def test_extract_after_a_kill_clears_what_was_unfinished(run: Run, here: Path) -> None:
    no_process = 2**22 + 1
    left = here / "reps" / f".unfinished.{files._HOST}-{no_process}-0123456789ab.tmp"
    left.mkdir(parents=True)
    (left / "eng_Latn.npy").write_bytes(b"half")
    assert run("-q", "-o", "reps", command="extract") == 0
    assert not left.exists()
