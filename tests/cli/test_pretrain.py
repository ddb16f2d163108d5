"""``ilo-fast pretrain``: from folders of text to a model, tables and figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tiny_models import SENTENCES

from ilo_fast.cli import build_parser, main
from ilo_fast.cli.pretrain import output_folder
from ilo_fast.training.records import read_overlap_log

pytest.importorskip("accelerate")

SIZES = [
    "--hidden-size=16", "--num-attention-heads=2", "--num-hidden-layers=2",
    "--intermediate-size=24", "--vocab-size=300",
    "--context=12", "--batch-size=4", "--max-steps=6", "--every=3", "--n-neighbors=2",
    "--threshold=2", "--n-threads=1", "--device=cpu", "--quiet",
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with training text in two folders, and a parallel corpus."""
    monkeypatch.chdir(tmp_path)
    for folder in ("old", "new", "parallel"):
        (tmp_path / folder).mkdir()
    for code, lines in SENTENCES.items():
        (tmp_path / "parallel" / f"{code}.txt").write_text("\n".join(lines) + "\n")
        for folder in ("old", "new"):
            text = "".join(f"{folder} {line}\n" for line in lines * 4)
            (tmp_path / folder / f"{code}.txt").write_text(text)
    (tmp_path / "new" / "nld_Latn.txt").write_text("het water is koud\n" * 9)
    return tmp_path


def command(*more: str) -> list[str]:
    return ["pretrain", "--text", "old", "new", "--corpus", "parallel", *SIZES, *more]


def test_run_writes_a_model_tables_and_figures(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("--mixture", "eng_Latn=0.5", "nld_Latn=0.25", "-o", "out")) == 0
    shown = capsys.readouterr().out
    assert "25.0%" in shown and "12.5%" in shown and "50.0%" in shown
    lines = shown.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("ILO at step"))
    assert lines[start].split()[3:] == ["0", "3", "6", "translations"]
    assert [line.split()[1] for line in lines[start + 1 : start + 4]] == ["0", "1", "2"]
    assert "means over 3 languages" in shown  # those of the corpus that have text
    for name in ("model", "run_card.json", "overlap.jsonl", "trajectory.png", "trajectory.svg"):
        assert (here / "out" / name).exists() and f"out/{name}" in shown

    # The numbers of the table are those of the records.
    records = read_overlap_log(here / "out" / "overlap.jsonl")
    assert records[0].settings["model"] == "out"
    ilo = [record.scores.ilo[1].mean() for record in records if record.scores is not None]
    assert lines[start + 2].split()[2:5] == [f"{value:.3f}" for value in ilo]

    assert main(command("--mixture", "eng_Latn=0.5", "nld_Latn=0.25", "-o", "out")) == 0
    assert capsys.readouterr().out == shown  # the finished run, shown again
    assert main(command("--mixture", "eng_Latn=0.2", "-o", "out")) == 1
    assert "mixture.deu_Latn was" in capsys.readouterr().err
    assert main(command("--mixture", "eng_Latn=0.2", "-o", "out", "--overwrite")) == 0
    assert "20.8%" in capsys.readouterr().out  # 5 of 24 rows


def test_run_without_a_corpus_measures_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command("-o", "out", "--languages", "eng_Latn"), "--corpus", "none"]) == 0
    shown = capsys.readouterr().out
    assert "100.0%" in shown and "ILO" not in shown
    assert not (here / "out" / "overlap.jsonl").exists()


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        (["--mixture", "tha_Thai=0.5"], 1, "no text for tha_Thai"),
        (["--mixture", "eng_Latn=0.5", "eng_Latn=0.2"], 2, "names eng_Latn more than once"),
        (["--mixture", "eng_Latn=0.9", "nld_Latn=0.2"], 1, "sum to 1.1"),
        (["--languages", "fin_Latn"], 1, "no text for fin_Latn"),
        (["--text", "nowhere"], 3, "nowhere"),
        (["--tokenizer", "nosuch/tok"], 3, "the tokenizer of 'nosuch/tok'"),
        (["--tokenizer", "nosuch/tok", "--text", "nowhere"], 3, "'nosuch/tok'"),  # comes first
        (["--tokenizer", "old"], 3, "folder 'old' holds no tokenizer"),
        (["--seed", "-1"], 1, "--seed -1"),
        (["--text", "old", "--languages", "englisch"], 1, "did you mean eng_Latn"),
    ],
)
def test_error_is_one_line_and_leaves_no_folder(
    here: Path, capsys: pytest.CaptureFixture[str], more: list[str], status: int, message: str
) -> None:
    assert main([*command("-o", "out"), *more]) == status
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1
    assert not (here / "out").exists()


def test_run_that_diverged_is_shown_with_a_warning(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [flag for flag in SIZES if flag != "--quiet"]
    diverging = [
        "pretrain", "--text", "old", "--corpus", "none", *sizes, "-o", "out", "--max-steps=12",
        "--learning-rate=1e30", "--decay-share=0", "--warmup-steps=1",
    ]  # fmt: skip
    for _ in range(2):  # the second time, the card is read
        assert main(diverging) == 0
        shown = capsys.readouterr()
        assert "12 steps, loss nan" in shown.out
        assert "training has diverged: the last loss is nan" in shown.err


@pytest.mark.parametrize("text", ["eng_Latn", "eng_Latn=x", "eng_Latn=50", "=0.5", "eng_Latn=nan"])
def test_text_that_is_no_share_is_wrong_usage(
    here: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(command("--mixture", text))
    assert left.value.code == 2
    assert "is no share" in capsys.readouterr().err


def test_output_folder_is_named_after_text_and_mixture(here: Path) -> None:
    args = build_parser().parse_args(command("--mixture", "eng_Latn=0.5"))
    assert output_folder(args) == Path("ilo_fast_results/pretrain__old+new__eng_Latn-0.5")
