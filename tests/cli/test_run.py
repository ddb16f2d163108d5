"""The command line: exit status, files, what a second run does, clean errors."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast.cli import build_parser, flags, main
from ilo_fast.cli.output import folder_name
from ilo_fast.report import files
from ilo_fast.scores.overlap import OverlapScores

ALL_FILES = {files.SCORES_FILE, files.TABLE_FILE, *files.DRAWN_FILES}
TEXT = {
    "eng_Latn": "The cat sleeps.|Rain is falling.|We eat bread.|She reads a book.|He runs home.",
    "deu_Latn": "Die Katze schläft.|Es regnet.|Wir essen Brot.|Sie liest ein Buch.|Er rennt heim.",
    "fra_Latn": "Le chat dort.|Il pleut.|Nous mangeons du pain.|Elle lit un livre.|Il court.",
    "spa_Latn": "El gato duerme.|Llueve.|Comemos pan.|Ella lee un libro.|Él corre a casa.",
}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of two blocks and random weights, with a tokenizer of single bytes."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<s>": 0, **{letter: i for i, letter in enumerate(letters, start=1)}}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="<s>")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(vocabulary), n_embd=16, n_layer=2, n_head=2, n_positions=64,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "tiny"
    GPT2Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "text"
    folder.mkdir()
    for code, lines in TEXT.items():
        (folder / f"{code}.txt").write_text(lines.replace("|", "\n") + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a cache of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ILO_FAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


Run = Callable[..., int]


@pytest.fixture
def drawing_run(here: Path, model: Path, corpus: Path) -> Run:
    """``ilo-fast run`` on the small model and text, with more flags."""

    def call(*more: str, command: str = "run") -> int:
        base = [command, "-m", str(model), "--corpus", str(corpus), "--device", "cpu"]
        return main([*base, *more])

    return call


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures, which take most of the time, where a test is not about them."""
    monkeypatch.setattr(files, "write_drawn", lambda scores, folder: [])


@pytest.fixture
def run(drawing_run: Run, undrawn: None) -> Run:
    """The same without figures."""
    return drawing_run


def read(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return data


def python(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


# --- run


def test_run_writes_everything_and_prints_the_tables(
    drawing_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawing_run() == 0
    out, err = capsys.readouterr()
    folder = here / "ilo_fast_results" / "tiny__text"
    assert {p.name for p in folder.iterdir()} == ALL_FILES
    assert "tiny · text · 4 languages" in out
    assert "French" in out
    assert str(Path("ilo_fast_results") / "tiny__text" / "report.html") in out
    assert "4 languages x 5 sentences" in err

    data = read(folder)
    assert (data["schema_version"], data["kind"]) == (1, "ilo_fast.scores")
    assert {"n_neighbors": 5, "threshold": 3, "metric": "cosine"}.items() <= data[
        "settings"
    ].items()
    assert len(data["rows"]) == 3 * 4
    assert set(data["rows"][0]) == {
        "layer", "language", "bridge", "reach", "ilo", "translation_share", "translation_chance",
        "n_sentences",
    }  # fmt: skip
    settings = data["info"]["run"]
    assert settings["corpus_name"] == "text"
    assert len(settings["corpus_sha256"]) == 64
    assert settings["languages"] == sorted(TEXT)
    assert settings["special_tokens"] == "include"
    assert data["info"]["representations"]["weights_sha256"] == settings["weights_sha256"]
    numbers = [v for row in data["rows"] for v in row.values() if isinstance(v, float)]
    assert np.isfinite(numbers).all()


def test_run_equals_measure_in_python(run: Run, here: Path, model: Path, corpus: Path) -> None:
    from ilo_fast import measure

    assert run("-q", "-k", "4", "--threshold", "2", "--layers", "0,-1", "-o", "out") == 0
    written = OverlapScores.from_json(here / "out" / "scores.json")
    options = {"n_neighbors": 4, "threshold": 2, "layers": [0, -1], "progress": False}
    scores = measure(model, corpus, device="cpu", **options)
    assert written.layers == scores.layers == (0, 2)
    np.testing.assert_allclose(written.ilo, scores.ilo, atol=1e-12)
    np.testing.assert_allclose(written.translation_share, scores.translation_share, atol=1e-12)


def test_quiet_says_nothing_but_the_result(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-q") == 0
    out, err = capsys.readouterr()
    assert "layer" in out
    assert "extract:" not in err
    assert "text:" not in err


def test_a_second_run_keeps_the_scores_and_rebuilds_the_rest(
    drawing_run: Run,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert drawing_run("-o", "out") == 0
    before = (here / "out" / "scores.json").read_bytes()
    (here / "out" / "report.html").unlink()
    (here / "out" / "scores.csv").unlink()

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr("ilo_fast.scores.overlap.overlap", fail)
    assert drawing_run("-o", "out") == 0
    assert "kept" in capsys.readouterr().err
    assert (here / "out" / "scores.json").read_bytes() == before
    assert {p.name for p in (here / "out").iterdir()} == ALL_FILES


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (("-k", "4"), "n_neighbors was 5, now 4"),
        (("--special-tokens", "exclude"), "special_tokens was include, now exclude"),
        (("--layers", "1"), "layers was all, now 1"),
        (("--limit", "4"), "corpus_sha256"),
    ],
)
def test_other_settings_are_refused_before_any_work(
    run: Run,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changed: tuple[str, ...],
    named: str,
) -> None:
    assert run("-q", "-o", "out") == 0
    before = (here / "out" / "scores.json").read_bytes()
    monkeypatch.setattr("ilo_fast.representations.extraction.extract", None)
    assert run("-q", "-o", "out", *changed) == 1
    err = capsys.readouterr().err
    assert named in err
    assert "--overwrite-strategy always" in err
    assert (here / "out" / "scores.json").read_bytes() == before


def test_other_weights_under_the_same_name_are_refused(
    run: Run, here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    assert run("-q", "-o", "out") == 0
    twin = here / "elsewhere" / model.name
    shutil.copytree(model, twin)
    assert run("-q", "-o", "out", "-m", str(twin)) == 0  # moved, but the same
    weights = load_file(twin / "model.safetensors")
    save_file(
        {k: 1.1 * v for k, v in weights.items()}, twin / "model.safetensors", {"format": "pt"}
    )
    assert run("-q", "-o", "out", "-m", str(twin)) == 1
    assert "weights_sha256 was" in capsys.readouterr().err


def test_always_replaces_and_never_refuses(run: Run, here: Path) -> None:
    assert run("-q", "-o", "out", "--overwrite-strategy", "never") == 0
    assert run("-q", "-o", "out", "--overwrite-strategy", "never") == 1
    assert run("-q", "-o", "out", "-k", "4", "--overwrite-strategy", "always") == 0
    assert read(here / "out")["settings"]["n_neighbors"] == 4


def test_damaged_scores_are_not_taken_for_results(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").mkdir()
    (here / "out" / "scores.json").write_text('{"kind": "ilo_')
    assert run("-q", "-o", "out") == 1
    assert "cannot be read" in capsys.readouterr().err
    assert run("-q", "-o", "out", "--overwrite-strategy", "always") == 0


def test_without_matplotlib_scores_are_written_and_the_cure_is_named(
    drawing_run: Run,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise files.ReportDependencyError("need matplotlib: pip install 'ilo_fast[report]'")

    monkeypatch.setattr(files, "check_can_draw", missing)
    assert drawing_run("-o", "out") == 0
    assert {p.name for p in (here / "out").iterdir()} == {files.SCORES_FILE, files.TABLE_FILE}
    err = capsys.readouterr().err
    assert "pip install 'ilo_fast[report]'" in err
    assert "ilo-fast report out" in err
    assert main(["report", "out"]) == 1


# --- errors


def test_what_cannot_be_reached_ends_in_3(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["-m", "nobody/nothing"], ["-m", "./nowhere"], ["--corpus", "./nowhere"]):
        assert run("-q", *more) == 3
        err = capsys.readouterr().err
        assert err.startswith("ilo-fast: error: ")
        assert len(err.splitlines()) == 1


def test_errors_are_one_line_and_leave_nothing_behind(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in (["-l", "eng_Lat"], ["-k", "99"], ["--threshold", "4"], ["--layers", "7"]):
        assert run("-q", *more) == 1
        err = capsys.readouterr().err
        assert err.startswith("ilo-fast: error: ")
        assert len(err.splitlines()) == 1
        assert "Traceback" not in err
    assert not (here / "ilo_fast_results").exists()


def test_verbose_shows_the_traceback(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-v", "-l", "eng_Lat") == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused_before_the_work(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").write_text("mine")
    assert run("-q", "-o", "out") == 1
    assert "is a file" in capsys.readouterr().err
    assert (here / "out").read_text() == "mine"


def test_a_full_disk_is_a_clean_error_and_loses_nothing(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("-q", "-o", "out") == 0
    before = {p.name: p.read_bytes() for p in (here / "out").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "scores.json")

    monkeypatch.setattr(OverlapScores, "to_json", full)
    capsys.readouterr()
    assert run("-q", "-o", "out", "--overwrite-strategy", "always") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in (here / "out").iterdir()} == before


def test_a_bug_is_reported_as_one(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise LookupError("odd")

    monkeypatch.setattr("ilo_fast.scores.overlap.overlap", bug)
    assert run("-q") == 1
    assert "unexpected LookupError: odd. This is a bug" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["bogus"],
        ["run", "--bogus"],
        ["run", "--lim", "3"],
        ["run", "-k", "0"],
        ["run", "--layers", "a"],
        ["run", "--layers", "5-2"],
        ["run", "--cache", "x", "--no-cache"],
        ["run", "-q", "-v"],
        ["run", "--dtype", "int8"],
        ["score"],
        ["languages", "--resource-class", "6"],
    ],
)
def test_wrong_usage_ends_in_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2
    assert "usage: ilo-fast" in capsys.readouterr().err


# --- interruption


def test_an_interrupt_ends_in_130_and_says_what_is_kept(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ilo_fast.scores.overlap.overlap", interrupted)
    assert run("-q") == 130
    err = capsys.readouterr().err
    assert str(here / "cache") in err
    assert "goes on from there" in err
    assert not (here / "ilo_fast_results").exists()
    assert run("-q", "--no-cache") == 130
    assert "nothing is kept" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_real_ctrl_c_ends_in_130(here: Path, model: Path, corpus: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ilo_fast", "run", "-m", str(model), "--corpus", str(corpus)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("model:"):
            break
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 130, rest
    assert time.monotonic() - sent < 10
    assert "ilo-fast: interrupted." in rest
    assert "Traceback" not in rest


# --- extract and score


def test_extract_then_score_is_run(
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


def test_extract_never_overwrites_unasked(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-q", "-o", "reps", command="extract") == 0
    assert run("-q", "-o", "reps", command="extract") == 1
    assert "--overwrite-strategy always" in capsys.readouterr().err
    always = ("--overwrite-strategy", "always", "--layers", "1")
    assert run("-q", "-o", "reps", *always, command="extract") == 0
    assert np.load(here / "reps" / "eng_Latn.npy").shape[0] == 1
    (here / "other").mkdir()
    (here / "other" / "thesis.txt").write_text("mine")
    assert run("-q", "-o", "other", *always, command="extract") == 1
    assert (here / "other" / "thesis.txt").read_text() == "mine"
    assert not [p.name for p in here.iterdir() if p.name.startswith(".")]


def arrays(parallel_rows: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    sizes = (20, 20, 20, 20) if parallel_rows else (20, 15, 12, 9)
    return {
        code: rng.normal(size=(2, n, 8)).astype(np.float32)
        for code, n in zip(TEXT, sizes, strict=True)
    }


def test_score_takes_npz_and_folders_of_npy(here: Path, undrawn: None) -> None:
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
    np.testing.assert_array_equal(first.ilo, np.take(second.ilo, columns(first, second), axis=1))
    assert first.translation_share is not None


def columns(wanted: OverlapScores, has: OverlapScores) -> list[int]:
    return [has.languages.index(code) for code in wanted.languages]


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


# --- report, languages, help


def test_report_rebuilds_from_scores_alone(
    drawing_run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drawing_run("-q", "-o", "out") == 0
    pictures = {name: (here / "out" / name).read_bytes() for name in ALL_FILES}
    for name in ALL_FILES - {files.SCORES_FILE}:
        (here / "out" / name).unlink()
    assert main(["report", "out"]) == 0
    assert {name: (here / "out" / name).read_bytes() for name in ALL_FILES} == pictures


def test_report_elsewhere_never_mixes_with_other_scores(
    run: Run, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-q", "-o", "out") == 0
    assert run("-q", "-o", "other", "-k", "4") == 0
    assert main(["report", "-q", "out/scores.json", "-o", "copy"]) == 0
    assert {p.name for p in (here / "copy").iterdir()} == {files.TABLE_FILE}
    capsys.readouterr()
    assert main(["report", "-q", "out", "-o", "other"]) == 1
    assert "scores of its own" in capsys.readouterr().err
    assert main(["report", "nowhere"]) == 3
    (here / "bad.json").write_text("{}")
    assert main(["report", "bad.json"]) == 1
    assert "not a file of scores" in capsys.readouterr().err


def test_languages_are_listed_and_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    def listed(*argv: str) -> str:
        assert main(["languages", *argv]) == 0
        return capsys.readouterr().out

    assert "\n31 languages\n" in listed("--set", "paper31")
    assert listed("swahili", "--codes") == "swh_Latn\n"
    dravidian = json.loads(listed("--family", "dravidian", "--json"))
    assert {"tam_Taml", "tel_Telu"} <= {entry["code"] for entry in dravidian}
    thai = listed("--script", "Thai", "--region", "Southeast Asia", "--resource-class", "3")
    assert "tha_Thai" in thai
    assert "\n0 languages\n" in listed("no such language")
    assert main(["languages", "--set", "bogus"]) == 1
    assert "paper31" in capsys.readouterr().err


def test_help_of_every_command_renders(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "extract", "score", "report", "languages", "doctor"):
        with pytest.raises(SystemExit) as exit_:
            main([command, "--help"])
        assert exit_.value.code == 0
        assert "-q, --quiet" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ilo_fast.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'numpy', 'matplotlib', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "usage: ilo-fast" in done.stdout


def test_a_reader_that_leaves_is_no_error() -> None:
    head = "import sys; sys.exit(len(sys.stdin.readline()) == 0)"
    process = subprocess.Popen(
        [sys.executable, "-m", "ilo_fast", "languages"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    subprocess.run([sys.executable, "-c", head], stdin=process.stdout, check=True)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=30) == 0


def test_letters_that_the_terminal_lacks_are_replaced() -> None:
    done = python("-m", "ilo_fast", "languages", "--codes", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr


def test_version() -> None:
    done = python("-m", "ilo_fast", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("ilo-fast 0.")


# --- small parts


@pytest.mark.parametrize(
    ("text", "layers"),
    [("0", (0,)), ("0,4,8-11", (0, 4, 8, 9, 10, 11)), ("-1, 2,2", (-1, 2)), ("3-3", (3,))],
)
def test_layer_lists(text: str, layers: tuple[int, ...]) -> None:
    assert flags.layer_list(text) == layers


def test_folder_names_are_safe() -> None:
    assert folder_name("org/model-1.5", "flores+") == "org__model-1.5__flores+"
    assert folder_name("../../etc", "a b\n<c>") == "etc__a_b_c"
    assert folder_name("...") == "unnamed"
    assert len(folder_name("x" * 999)) <= 150


def test_every_flag_reaches_the_functions() -> None:
    """A flag without effect would be a lie; so would an option of the API without its flag."""
    import inspect

    from ilo_fast import extract, overlap

    args = build_parser().parse_args(["run"])
    assert isinstance(args, argparse.Namespace)
    given = set(flags.extract_options(args))
    assert set(inspect.signature(extract).parameters) - given == {
        "model", "corpus", "tokenizer", "verify",
    }  # fmt: skip
    given = set(flags.overlap_options(args))
    assert set(inspect.signature(overlap).parameters) - given == {"representations", "parallel"}


def test_measure_names_unknown_options(model: Path, corpus: Path) -> None:
    from ilo_fast import measure

    with pytest.raises(TypeError, match=r"unknown options: neighbours\..*n_neighbors"):
        measure(model, corpus, neighbours=3)
