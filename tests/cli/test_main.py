"""The command as a whole: exit status, one-line errors, interruption, help."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ilo_fast.cli import main
from ilo_fast.cli.failures import explained

Run = Callable[..., int]


def python(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_models_and_text_that_cannot_be_reached_end_in_3(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_unexpected_error_is_reported_as_a_bug(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise LookupError("odd")

    monkeypatch.setattr("ilo_fast.scores.overlap.overlap", bug)
    assert run("-q") == 1
    assert "unexpected LookupError: odd. This is a bug" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (pickle.UnpicklingError("Re-running with weights_only=False"), "save them as safetensors"),
        (zipfile.BadZipFile("no"), "damaged or not what its name says (BadZipFile: no)"),
        (RecursionError("deep"), "damaged or not what its name says"),
        (zlib.error("bad"), "damaged or not what its name says"),
        (Exception("expected value at line 1"), "error: expected value at line 1"),
        (EOFError("no data left"), "error: no data left"),
        (OSError(28, "the disk is full", "out/a\x1b[2J"), "the disk is full: out/a\\x1b[2J"),
        (OSError(28, "No space left on device"), "the disk is full: free some space"),
        (ValueError("batch_tokens=3 is odd"), "error: --batch-tokens 3 is odd"),
    ],
)
def test_damaged_files_and_hostile_names_end_in_a_plain_line(
    run: Run,
    error: Exception,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ilo_fast.representations.extraction.extract_from", fail)
    assert run("-q") == 1
    printed = capsys.readouterr().err
    assert said in printed and len(printed.splitlines()) == 1
    assert "bug" not in printed and "\x1b" not in printed and "weights_only" not in printed


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
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and " --help`" in error


def test_interrupt_before_the_first_batch_does_not_claim_that_something_is_kept(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ilo_fast.representations.extraction.extract_from", interrupted)
    assert run("-q") == 130
    assert "Nothing was extracted yet" in capsys.readouterr().err


def test_what_cannot_be_measured_is_refused_before_the_model_is_opened(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ilo_fast.models.source.ModelSource.open", None)
    for flags, said in (
        (["-l", "eng_Latn"], "corpus has 1 language(s) (eng_Latn)"),
        (["--threshold", "4"], "--threshold 4 cannot be reached with 4 languages"),
        (["-k", "20"], "--n-neighbors 20 needs at least 21 sentences over all languages, got 20"),
    ):
        assert run("-q", *flags) == 1
        assert said in capsys.readouterr().err


def test_interrupt_ends_in_130_and_says_what_is_kept(
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
def test_ctrl_c_from_outside_ends_in_130(tmp_path: Path, model: Path, corpus: Path) -> None:
    # In the folder that pytest was started in: a relative PYTHONPATH leads nowhere from another.
    process = subprocess.Popen(
        [
            sys.executable, "-m", "ilo_fast", "run", "-m", str(model), "--corpus", str(corpus),
            "--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "out"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    while "model:" not in said:
        line = process.stderr.readline()
        assert line, f"it ended by itself, saying: {said}"
        said += line
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 130, rest
    assert "ilo-fast: interrupted." in rest
    assert "Traceback" not in rest


def test_error_where_python_has_no_docstrings_names_the_setting() -> None:
    code = (
        "from ilo_fast.cli import common, main\n"
        "def load(*_): raise ValueError('`X` has no docstring')\n"
        "common.load_corpus = load\n"
        "raise SystemExit(main(['run']))"
    )
    done = python("-OO", "-c", code)
    assert done.returncode == 1
    assert "no docstring (transformers reads docstrings, which PYTHONOPTIMIZE=2" in done.stderr
    assert "transformers" not in python("-c", code).stderr


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


def test_reader_that_leaves_is_no_error() -> None:
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


def test_version_flag_prints_the_version() -> None:
    done = python("-m", "ilo_fast", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("ilo-fast 0.")


def test_a_missing_package_is_named_with_its_command() -> None:
    missing = ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    assert explained(missing, str) == ("this needs torch: pip install torch", 1)
    said = ModuleNotFoundError("torch is broken: reinstall it", name="torch")
    assert explained(said, str) == ("torch is broken: reinstall it", 1)
