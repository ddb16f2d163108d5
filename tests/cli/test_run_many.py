"""``ilo-fast run --config``: layout, resuming, failures, several processes."""

from __future__ import annotations

import gc
import json
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast import load_results, measure
from ilo_fast._util.locks import acquire
from ilo_fast.cli import common, kept_model, main
from ilo_fast.models import source
from ilo_fast.report import files
from ilo_fast.scores.result import OverlapScores

Many = Callable[..., int]

TWO_BY_TWO = """
defaults: {quick: true, device: cpu}
models: [MODEL, {model: MODEL, name: org/last, pooling: last, layers: [0, -1]}]
corpora:
  - TEXT
  - {corpus: TEXT, name: three, languages: [eng_Latn, deu_Latn, fra_Latn], threshold: 2}
"""
TWO_CORPORA = """
defaults: {quick: true, device: cpu}
models: MODEL
corpora:
  - TEXT
  - {corpus: TEXT, name: three, languages: [eng_Latn, deu_Latn, fra_Latn], threshold: 2}
"""
ONE_MISSING = """
defaults: {quick: true, device: cpu}
models: [./later, MODEL]
corpora: [TEXT]
"""


COMMAND = ("run", "--config", "many.yaml", "-o", "out")


@pytest.fixture(autouse=True)
def freed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often memory was freed, not done here: half a second each beside all that tests load."""
    times: list[int] = []
    monkeypatch.setattr(kept_model, "_free_memory", lambda: times.append(1))
    return times


@pytest.fixture
def write(here: Path, model: Path, corpus: Path) -> Callable[[str], None]:
    """Write a file in which MODEL and TEXT stand for the small model and text."""

    def call(text: str) -> None:
        text = text.replace("MODEL", str(model)).replace("TEXT", str(corpus))
        (here / "many.yaml").write_text(f"reports: false\n{text}", encoding="utf-8")

    return call


@pytest.fixture
def many(write: Callable[[str], None]) -> Many:
    """``run --config`` on such a file."""

    def call(text: str, *more: str) -> int:
        write(text)
        return main([*COMMAND, *more])

    return call


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that are run over text, in order."""
    found: list[str] = []
    extract = common.extract_representations

    def note(args: Any, *given: Any) -> Any:
        found.append(common.model_name(args))
        return extract(args, *given)

    monkeypatch.setattr(common, "extract_representations", note)
    return found


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders whose weights are loaded, in order; no two are ever there at once."""
    found: list[str] = []
    there: list[weakref.ref[Any]] = []
    load = source.load_weights

    def note(files: Any, **options: Any) -> Any:
        assert [one for one in there if one() is not None] == []
        model, missing = load(files, **options)
        found.append(files.folder.name)
        there.append(weakref.ref(model))
        return model, missing

    monkeypatch.setattr(source, "load_weights", note)
    monkeypatch.setattr(kept_model, "_free_memory", gc.collect)
    return found


def train_on(folder: Path) -> None:
    """Give a model other weights."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights = {name: 1.1 * value for name, value in load_file(file).items()}
    save_file(weights, file, {"format": "pt"})


def results(folder: Path) -> list[str]:
    """The files of results, without hashes."""
    files = [path.relative_to(folder) for path in folder.rglob("*.json")]
    shown = [path for path in files if path.name in ("text.json", "three.json")]
    return sorted("/".join((path.parts[0], *path.parts[2:])) for path in shown)


def test_every_model_and_corpus_has_a_file_and_a_row(
    many: Many, here: Path, model: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert many(TWO_BY_TWO) == 0
    out = here / "out"
    last = "org__last/experiments/layers_0,-1__pooling_last"
    assert results(out) == [
        f"{last}/text.json", f"{last}__threshold_2/three.json",
        "tiny/experiments/threshold_2/three.json", "tiny/text.json",
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert "4 measured; leaderboard in 3 files in out" in printed
    assert "a raw ILO near 1 is also what unstructured noise gives" in " ".join(printed.split())
    for name in ("leaderboard.csv", "leaderboard.md", "leaderboard.html"):
        assert "org/last" in (out / name).read_text(encoding="utf-8")

    frame = load_results(out)
    assert list(zip(frame.model, frame.corpus, frame.n_languages, strict=True)) == [
        ("org/last", "text", 4), ("tiny", "text", 4), ("org/last", "three", 3), ("tiny", "three", 3)
    ]  # fmt: skip
    row = frame[(frame.model == "tiny") & (frame.corpus == "text")].iloc[0]
    scores = measure(model, corpus, device="cpu")
    best = int(scores.translation_share.mean(axis=1).argmax())
    assert row.layer == best and row.n_layers == 3
    np.testing.assert_allclose(row.ilo, scores.ilo[best].mean(), atol=1e-12)
    np.testing.assert_allclose(row.ilo_highest, scores.ilo.mean(axis=1).max(), atol=1e-12)
    np.testing.assert_allclose(row.ilo_mean_over_layers, scores.ilo.mean(), atol=1e-12)
    layers = load_results(out, by="layer")
    assert len(layers) == 2 * (3 + 2)
    assert list(layers[layers.model == "org/last"].layer) == [0, 2, 0, 2]
    # What lies beside a file is a folder of results like any other.
    (inside,) = out.glob("tiny/*/text")
    assert OverlapScores.from_json(inside) == scores


TWO_MODELS = """
defaults: {quick: true, device: cpu}
models:
  - MODEL
  - {model: ./other, name: deep, layers: LAYER}
  - {model: MODEL, name: last, pooling: last}
  - ./other
corpora:
  - TEXT
  - {corpus: TEXT, name: three, languages: [eng_Latn, deu_Latn, fra_Latn], threshold: 2}
"""


@pytest.fixture
def other(here: Path, model: Path) -> None:
    """Another model, in ./other."""
    shutil.copytree(model, here / "other")
    train_on(here / "other")


@pytest.mark.usefixtures("other")
def test_a_model_is_loaded_once_for_all_its_results_and_never_beside_another(
    many: Many, here: Path, corpus: Path, loaded: list[str], measured: list[str]
) -> None:
    assert many(TWO_MODELS.replace("LAYER", "1")) == 0
    assert loaded == ["tiny", "other"]
    assert measured == ["tiny", "tiny", "last", "last", "deep", "deep", "other", "other"]
    # Each as if it had been measured alone.
    found = load_results(here / "out", by="layer").set_index(["model", "corpus", "layer"]).ilo
    for name, at in (("deep", 1), ("other", 1), ("other", 2)):
        scores = measure(here / "other", corpus, device="cpu", layers=at)
        np.testing.assert_allclose(found[name, "text", at], scores.ilo.mean(), atol=1e-12)


@pytest.mark.usefixtures("other")
def test_after_a_failure_the_model_is_loaded_anew(
    many: Many, here: Path, loaded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert many(TWO_MODELS.replace("LAYER", "99")) == 1
    assert "6 measured, 2 failed" in capsys.readouterr().out
    assert len(load_results(here / "out")) == 6
    assert loaded == ["tiny", "other", "other"]


def test_what_failed_before_is_scored_without_the_model_in_memory(
    many: Many, freed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(common, "score_into", None)
        assert many(TWO_CORPORA) == 1
    freed.clear()
    assert many(TWO_CORPORA) == 0
    assert len(freed) == 2  # once in each, where others keep it for the next


def test_a_model_that_changes_between_two_results_is_loaded_anew(
    many: Many, here: Path, model: Path, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model, here / "mine")
    score = common.score_into

    def train_after_the_first(*given: Any, **options: Any) -> Any:
        monkeypatch.setattr(common, "score_into", score)
        found = score(*given, **options)
        train_on(here / "mine")
        return found

    monkeypatch.setattr(common, "score_into", train_after_the_first)
    assert many(TWO_CORPORA.replace("MODEL", "./mine")) == 0
    assert loaded == ["mine", "mine"]
    assert len(set(load_results(here / "out").revision)) == 2


def test_second_start_measures_nothing(
    many: Many, measured: list[str], freed: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert many(TWO_CORPORA) == 0
    assert len(measured) == 2 and len(freed) == 1
    assert many(TWO_CORPORA) == 0
    assert len(measured) == 2 and len(freed) == 1
    assert "2 there already" in capsys.readouterr().out


def test_a_model_that_fails_loses_no_other_and_is_tried_again(
    many: Many, here: Path, model: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = ONE_MISSING + "  # and a layer that no model has\n"
    bad = bad.replace("MODEL]", "MODEL, {model: MODEL, name: deep, layers: 99}]")
    assert many(bad) == 1
    printed = capsys.readouterr()
    assert "1 measured, 2 failed" in printed.out
    assert "deep on text failed: layers holds 99, but this model has 2 blocks" in printed.err
    page = (here / "out" / "leaderboard.html").read_text(encoding="utf-8")
    assert "2 more could not be measured" in page
    assert "later" in page and "layers holds 99" in page
    assert list(load_results(here / "out").model) == ["tiny"]

    shutil.copytree(model, here / "later")
    measured.clear()
    assert many(ONE_MISSING) == 0
    assert measured == ["later"]
    assert "could not be measured" not in (here / "out" / "leaderboard.html").read_text("utf-8")
    assert sorted(load_results(here / "out").model) == ["later", "tiny"]


def test_a_name_that_is_no_utf8_loses_no_other_model(many: Many, here: Path) -> None:
    assert many(ONE_MISSING.replace("./later", '"./\\udcff"')) == 3
    assert list(load_results(here / "out").model) == ["tiny"]
    assert "Not measured" in (here / "out" / "leaderboard.html").read_text(encoding="utf-8")


def test_status_says_that_only_access_failed(many: Many) -> None:
    assert many(ONE_MISSING) == 3


@pytest.mark.parametrize("error", [MemoryError("4 GB"), RuntimeError("CUDA error"), KeyError("x")])
def test_whatever_a_model_raises_the_next_is_measured(
    error: Exception,
    many: Many,
    here: Path,
    freed: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    score = common.score_into

    def fail_first(*given: Any, **options: Any) -> Any:
        monkeypatch.setattr(common, "score_into", score)
        raise error

    monkeypatch.setattr(common, "score_into", fail_first)
    assert many(TWO_CORPORA) == 1
    assert len(load_results(here / "out")) == 1
    assert len(freed) == 2  # also after the failure
    (record,) = (here / "out" / ".ilo_fast" / "attempts").iterdir()
    noted = json.loads(record.read_text(encoding="utf-8"))
    assert (noted["model"], noted["corpus"], noted["status"]) == ("tiny", "text", 1)
    assert many(TWO_CORPORA) == 0
    assert len(load_results(here / "out")) == 2


@pytest.mark.parametrize("wrapped", [False, True])
def test_ctrl_c_leaves_what_is_finished(
    wrapped: bool,
    many: Many,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    score, calls = common.score_into, []

    def stop_second(*given: Any, **options: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            return score(*given, **options)
        if not wrapped:
            raise KeyboardInterrupt
        try:  # as a library that knows no better
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("broken off") from None

    monkeypatch.setattr(common, "score_into", stop_second)
    assert many(TWO_CORPORA) == 130
    assert "What is finished stays in out; the same command does the rest." in (
        capsys.readouterr().err
    )
    assert len(calls) == 2
    assert list(load_results(here / "out").model) == ["tiny"]
    assert "tiny" in (here / "out" / "leaderboard.html").read_text(encoding="utf-8")
    assert not list((here / "out" / ".ilo_fast" / "attempts").iterdir())
    monkeypatch.setattr(common, "score_into", score)
    assert many(TWO_CORPORA) == 0
    assert len(load_results(here / "out")) == 2


KILLED = """
import os, signal, sys
from ilo_fast.cli import common, main
score, calls = common.score_into, []
def kill_second(*given, **options):
    calls.append(given)
    found = score(*given, **options)
    if len(calls) == 2:  # scored, and the result not yet written
        os.kill(os.getpid(), signal.SIGKILL)
    return found
common.score_into = kill_second
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_start_goes_on_and_tries_last_what_killed_it(
    write: Callable[[str], None], many: Many, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(TWO_BY_TWO)
    killed = subprocess.run([sys.executable, "-c", KILLED, *COMMAND], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len(load_results(here / "out")) == 1
    assert (here / "out" / "leaderboard.csv").read_text(encoding="utf-8").count("\n") == 2
    assert many(TWO_BY_TWO) == 0
    printed = capsys.readouterr()
    assert "3 measured, 1 there already" in printed.out
    assert "[4/4] tiny on three" in printed.err
    assert len(load_results(here / "out")) == 4
    assert not list((here / "out" / ".ilo_fast" / "attempts").iterdir())


def test_what_another_process_measures_is_left_to_it(
    many: Many, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert many(TWO_CORPORA) == 0
    shutil.rmtree(here / "out" / "tiny")
    held = [acquire(path) for path in (here / "out" / ".ilo_fast" / "locks").iterdir()]
    assert len(held) == 2 and None not in held
    capsys.readouterr()
    assert many(TWO_CORPORA) == 0
    assert "2 being measured by another process" in capsys.readouterr().out
    assert results(here / "out") == []
    for lock in held:
        assert lock is not None
        lock.release()
    assert many(TWO_CORPORA) == 0
    assert len(results(here / "out")) == 2


def test_other_text_under_the_same_name_is_refused_unless_it_shall_replace(
    many: Many, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = TWO_CORPORA.replace("fra_Latn", "spa_Latn")
    assert many(TWO_CORPORA) == 0
    assert many(other) == 1
    error = capsys.readouterr().err
    assert "holds scores of other settings (corpus_sha256 was" in error
    assert "give the corpus or the model a `name` of its own" in error
    assert many(other, "--overwrite") == 0
    assert len(load_results(here / "out")) == 2


def test_more_than_was_measured_is_measured_again(
    many: Many, here: Path, measured: list[str]
) -> None:
    one = "defaults: {quick: QUICK, device: cpu, permutations: 9}\nmodels: MODEL\ncorpora: TEXT"
    for quick, expected in (("true", 1), ("false", 2), ("true", 2)):
        assert many(one.replace("QUICK", quick)) == 0
        assert len(measured) == expected
    (row,) = load_results(here / "out").to_dict("records")
    assert "translation_ilo_chance" in row and "retrieval_p1" in row


def test_a_damaged_result_is_measured_again_and_another_programs_file_stays(
    many: Many, here: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    one = "defaults: {quick: true, device: cpu}\nmodels: MODEL\ncorpora: TEXT"
    assert many(one) == 0
    (file,) = (here / "out").glob("tiny/*/text.json")
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert many(one) == 0
    assert json.loads(file.read_text(encoding="utf-8"))["layers"] == json.loads(whole)["layers"]
    assert len(measured) == 2
    other = '{"task_name": "text", "scores": NaN}'
    file.write_text(other)
    assert many(one) == 1
    assert "a file of another program" in capsys.readouterr().err
    assert file.read_text() == other


def test_a_model_that_changes_is_another_revision(
    many: Many, here: Path, model: Path, measured: list[str]
) -> None:
    shutil.copytree(model, here / "mine")
    one = "defaults: {quick: true, device: cpu}\nmodels: ./mine\ncorpora: TEXT"
    assert many(one) == 0
    (here / "mine" / "README.md").write_text("says nothing of the weights")
    assert many(one) == 0
    assert len(measured) == 1
    train_on(here / "mine")
    assert many(one) == 0
    frame = load_results(here / "out")
    assert list(frame.model) == ["mine", "mine"]
    assert len(set(frame.revision)) == 2 and all(map(len, frame.revision))


def test_prefix_is_part_of_what_was_measured(
    many: Many, here: Path, model: Path, corpus: Path
) -> None:
    text = """
defaults: {quick: true, device: cpu}
models: [MODEL, {model: MODEL, prefix: "query: "}]
corpora: TEXT
"""
    assert many(text) == 0
    rows = load_results(here / "out", by="layer")
    for prefix in ("", "query: "):
        scores = measure(model, corpus, device="cpu", prefix=prefix)
        found = rows[rows.experiment == (f"prefix={prefix}" if prefix else "")]
        np.testing.assert_allclose(found.ilo, scores.ilo.mean(axis=1), atol=1e-12)


def test_two_of_one_file_that_would_replace_each_other_are_refused(
    many: Many, here: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
defaults: {quick: true, device: cpu}
models: MODEL
corpora: [{corpus: TEXT}, {corpus: TEXT, quick: false, permutations: 9}]
"""
    assert many(text) == 1
    printed = capsys.readouterr()
    assert "1 measured, 1 failed" in printed.out
    assert "intervals was false, now true" in printed.err and "`name` of its own" in printed.err
    assert many(text.replace("quick: false", "name: mine, quick: false")) == 0
    assert sorted(load_results(here / "out").corpus) == ["mine", "text"]
    assert len(measured) == 2


def test_pages_that_are_wanted_later_are_drawn_from_what_is_there(
    many: Many, here: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(run: Any, folder: Path, **options: Any) -> list[Path]:
        (folder / files.REPORT_FILE).write_text(str(run.texts["eng_Latn"]))
        return [folder / files.REPORT_FILE]

    monkeypatch.setattr(files, "write_drawn", draw)
    one = "defaults: {quick: true, device: cpu}\nmodels: MODEL\ncorpora: TEXT"
    assert many(one) == 0
    page = here / "out" / "leaderboard.html"
    assert "report.html" not in page.read_text(encoding="utf-8")
    settings = here / "many.yaml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("false", "true", 1))
    assert main([*COMMAND]) == 0
    assert len(measured) == 1
    assert "report.html" in page.read_text(encoding="utf-8")
    (drawn,) = (here / "out").glob("tiny/*/text/report.html")
    assert "The cat sleeps." in drawn.read_text(encoding="utf-8")
