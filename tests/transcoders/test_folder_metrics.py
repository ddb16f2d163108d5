"""A transcoder in a folder, evaluated by what the folder says; and the command that prints it."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from helpers.clt_models import random_transcoder
from helpers.tiny_models import VOCABULARY, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from ilo_fast.cli import main
from ilo_fast.corpora.fingerprint import fingerprint
from ilo_fast.errors import AccessError, CorpusError
from ilo_fast.transcoders.evaluation.folder import evaluate_folder
from ilo_fast.transcoders.evaluation.metrics import evaluate_transcoder
from ilo_fast.transcoders.evaluation.result import TranscoderScores
from ilo_fast.transcoders.evaluation.tables import comparison_table, text_report, verdict
from ilo_fast.transcoders.files.fitting import transcoded_model
from ilo_fast.transcoders.files.folder import load_transcoder, save_transcoder
from ilo_fast.transcoders.info import TranscoderInfo
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.windows import all_windows, read_windows

_WORDS = ("water", "river", "winter", "cold", "station", "book", "bread", "cat", "rain", "snow")


def _lines(seed: int, n: int = 60) -> list[str]:
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(_WORDS), (n, 6), generator=random).tolist()
    return [" ".join(_WORDS[i] for i in row) for row in drawn]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, text, and two runs, as if trained: ``clt`` and ``plt``."""
    root = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, initializer_range=0.2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    model.save_pretrained(root / "model")
    tokenizer().save_pretrained(root / "model")
    texts = {"deu_Latn": _lines(1), "eng_Latn": _lines(2)}
    (root / "text").mkdir()
    for code, lines in texts.items():
        (root / "text" / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    info = TranscoderInfo(
        model=transcoded_model(MLPReader(model), "model"),
        context=16, skip_positions=1, languages=tuple(texts), tokens=1000, held_out="some",
        options={"eval_fraction": 0.2, "seed": 3},
    )  # fmt: skip
    for name in ("clt", "plt"):
        coder = random_transcoder(5, n_layers=2, cross_layer=name == "clt").float()
        coder.info = info
        save_transcoder(coder, root / name / "transcoder")
        card = {
            "settings": {
                "task": "transcoder",
                "text_sha256": {c: fingerprint({c: lines}) for c, lines in texts.items()},
            },
            "model": {"model": str(root / "model"), "revision": None},
            "text": {
                "source": [str(root / "text")], "languages": {code: {} for code in texts},
                "language": None, "allow_unknown": False,
            },
        }  # fmt: skip
        (root / name / "run_card.json").write_text(json.dumps(card), encoding="utf-8")
    return root


def _texts(made: Path) -> dict[str, list[str]]:
    return {p.stem: p.read_text().splitlines() for p in sorted((made / "text").iterdir())}


def test_held_out_lines_of_the_run_are_evaluated_on(made: Path) -> None:
    found = evaluate_folder(made / "clt", windows=None, n_boot=20, device="cpu")
    model = LlamaForCausalLM.from_pretrained(made / "model").eval()
    _, held_out = read_windows(
        tokenizer(), _texts(made), context_length=16, eval_fraction=0.2, seed=3
    )
    coder = random_transcoder(5, n_layers=2).float()
    wanted = evaluate_transcoder(model, coder, held_out, n_boot=20)
    assert found == wanted
    assert TranscoderScores.from_json(made / "clt" / "transcoder") == found
    fewer = evaluate_folder(made / "clt" / "transcoder", windows=11, n_boot=20, device="cpu")
    assert fewer.n_windows.tolist() == [11, 5, 6]


def test_of_another_text_all_lines_are_used(made: Path, caplog) -> None:
    texts = _texts(made) | {"eng_Latn": _lines(9)}
    found = evaluate_folder(made / "clt", text=texts, windows=None, n_boot=20, device="cpu")
    _, held_out = read_windows(tokenizer(), texts, context_length=16, eval_fraction=0.2, seed=3)
    every = all_windows(tokenizer(), {"eng_Latn": texts["eng_Latn"]}, context_length=16)
    assert set(range(59)) <= set(every.document.flatten().tolist()) <= set(range(60))
    german = int((held_out.language == 0).sum())
    assert found.n_windows.tolist() == [german + len(every), german, len(every)]
    assert "eng_Latn: not the text that the transcoder was trained on" in caplog.text
    assert "deu_Latn" not in caplog.text
    assert found.info["other_text"] == ["eng_Latn"]
    assert "other text: 2 languages" in text_report(found)
    assert "not the text of the training: eng_Latn" in text_report(found)
    # Also of so few that none would be held out.
    few = evaluate_folder(made / "clt", text={"eng_Latn": _lines(8, 6)}, n_boot=20, device="cpu")
    assert few.n_documents.tolist() == [6, 6]
    with pytest.raises(CorpusError, match=r"eng_Latn: its text is \d+ tokens in 1 lines, less"):
        evaluate_folder(made / "clt", text={"eng_Latn": ["a"]}, n_boot=20, device="cpu")


@pytest.mark.parametrize("language", [None, "deu_Latn"])
def test_a_run_on_one_plain_file(made: Path, tmp_path: Path, language: str | None) -> None:
    run = tmp_path / "run"
    shutil.copytree(made / "clt", run)
    card = json.loads((run / "run_card.json").read_text())
    code, lines = language or "und", _lines(1)
    card["settings"]["text_sha256"] = {code: fingerprint({code: lines})}
    source = [str(made / "text" / "deu_Latn.txt")]
    card["text"] |= {"source": source, "languages": {code: {}}, "language": language}
    (run / "run_card.json").write_text(json.dumps(card), encoding="utf-8")
    found = evaluate_folder(run, n_boot=20, device="cpu")
    whole = evaluate_folder(made / "clt", languages=["deu_Latn"], n_boot=20, device="cpu")
    assert found.languages == (code,)
    assert found.n_windows.tolist() == whole.n_windows.tolist()
    assert (found.kl == whole.kl).all()


def test_what_is_not_there_any_more_is_named(made: Path, tmp_path: Path) -> None:
    coder = random_transcoder(5, n_layers=2).float()
    save_transcoder(coder, tmp_path / "bare")
    with pytest.raises(ValueError, match="does not say what it was trained on: call evaluate_tran"):
        evaluate_folder(tmp_path / "bare")
    run = tmp_path / "run"
    (made / "text").rename(made / "gone")
    try:
        with pytest.raises(ValueError, match=r"not there any more \(.*text\): pass text="):
            evaluate_folder(made / "clt")
    finally:
        (made / "gone").rename(made / "text")
    with pytest.raises(
        AccessError, match=r"does not exist.*; the transcoder's run names this model"
    ):
        (made / "model").rename(made / "moved")
        try:
            evaluate_folder(made / "clt")
        finally:
            (made / "moved").rename(made / "model")
    save_transcoder(load_transcoder(made / "clt" / "transcoder"), run)
    with pytest.raises(ValueError, match="does not say where its text lies: pass text="):
        evaluate_folder(run)
    other = LlamaForCausalLM.from_pretrained(made / "model")
    with torch.no_grad():
        other.model.norm.weight.mul_(1.1)
    with pytest.raises(ValueError, match="allow_other_weights=True"):
        evaluate_folder(made / "clt", model=other, tokenizer=tokenizer())
    options = {"tokenizer": tokenizer(), "windows": 4, "n_boot": 20}
    tuned = evaluate_folder(made / "clt", model=other, allow_other_weights=True, **options)
    assert tuned.info["other_weights_allowed"] is True


def test_the_command_prints_tables_words_and_a_comparison(made: Path, capsys) -> None:
    argv = ["clt", "eval", str(made / "clt"), f"control={made / 'plt'}", "--windows", "8", "-q"]
    assert main([*argv, "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    for text in (
        "model, cross-layer transcoder clt", "per-layer · 2 layers of 40 features", "German",
        "Is it any good? Poor", "Side by side", "control", "EV, layer 1", "fewer than 20 documents",
        str(made / "plt" / "transcoder" / "metrics.json"),
    ):  # fmt: skip
        assert text in shown
    assert "not comparable" not in shown
    assert max(map(len, shown.splitlines()[:-2])) < 120
    assert main(["clt", "eval", str(made / "clt"), "--windows", "4", "-q", "--json"]) == 0
    found = TranscoderScores.from_dict(json.loads(capsys.readouterr().out))
    assert found == TranscoderScores.from_json(made / "clt" / "transcoder")
    assert main(["clt", "eval", str(made / "model")]) == 1
    assert "holds no transcoder: there is no transcoder.json" in capsys.readouterr().err
    shutil.copytree(made / "clt", made / "begun", ignore=shutil.ignore_patterns("transcoder"))
    (made / "file.txt").write_text("a line\n")
    for name, why in (
        ("absent", "no such folder"), ("file.txt", "is a file"), ("begun", "has not ended"),
    ):  # fmt: skip
        assert main(["clt", "eval", str(made / name)]) == 1
        assert why in capsys.readouterr().err


def test_examples_of_the_help_run_as_printed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "clt", "results/mine")
    with pytest.raises(SystemExit):
        main(["clt", "eval", "--help"])
    lines = capsys.readouterr().out.partition("\nexamples:\n")[2].splitlines()
    assert len(lines) == 2
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ilo-fast" and main([*arguments, "--quiet"]) == 0


def test_words_follow_the_bounds(made: Path) -> None:
    """Good, fair and poor at the bounds that are printed; unknown where nothing is measured."""
    scores = evaluate_folder(made / "clt", windows=4, n_boot=20, device="cpu")

    def changed(ev: float, back: float) -> TranscoderScores:
        mean = scores.ce_model[:, None] + torch.ones(3, 3).numpy()
        interval = scores.recovered_mean_interval * 0 + back
        interval[:] = back
        return dataclasses.replace(
            scores,
            explained_variance=scores.explained_variance * 0 + ev,
            ce_mean=mean,
            ce_replacement=mean - back,
            recovered_mean_interval=interval,
        )

    for ev, back, word in (
        (0.81, 0.81, "Good"), (0.79, 0.81, "Fair"), (0.81, 0.79, "Fair"), (0.59, 0.9, "Poor"),
        (0.9, 0.49, "Poor"),
    ):  # fmt: skip
        assert verdict(changed(ev, back))[0].startswith(f"Is it any good? {word}:")
    unknown = changed(0.9, float("nan"))
    assert "not known" in " ".join(verdict(unknown))
    assert "nan" not in text_report(unknown).lower().split()


def test_other_text_is_not_compared_in_silence(made: Path) -> None:
    one, other = (
        evaluate_folder(made / "clt", windows=4, n_boot=20, seed=seed, device="cpu")
        for seed in (0, 1)
    )
    assert "not comparable" not in comparison_table({"a": one, "b": one})
    assert "not comparable" in comparison_table({"a": one, "b": other})
    fewer = dataclasses.replace(other, explained_variance=other.explained_variance[:, :1])
    with pytest.raises(ValueError, match="a: 2 layers, b: 1 layer"):
        comparison_table({"a": one, "b": fewer})


def test_scores_are_saved_and_shown(made: Path) -> None:
    scores = evaluate_folder(made / "clt", windows=6, n_boot=20, device="cpu")
    data = json.loads(scores.to_json())
    assert TranscoderScores.from_dict(data) == scores
    frame = scores.to_dataframe()
    assert len(frame) == 3 * 3
    row = frame[(frame.language == "eng_Latn") & (frame.layer == "cascade")].iloc[0]
    assert row.kl == scores.kl[2, -1] and row.l0 == pytest.approx(scores.l0[2].sum())
    figure = scores.plot()
    assert len(figure.axes) == 6
    for change, match in (
        ({"kind": "other"}, "kind"), ({"n_layers": 3}, "explained_variance has shape"),
        ({"tables": {}}, "incomplete"), ({"schema_version": 2}, "schema_version"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            TranscoderScores.from_dict({**data, **change})


def test_scores_are_not_lost_where_the_folder_takes_none(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(made / "clt", tmp_path / "clt")
    (tmp_path / "clt" / "transcoder" / "metrics.json").unlink(missing_ok=True)
    (tmp_path / "clt" / "transcoder" / "metrics.json").mkdir()  # as good as a read-only disk
    scores = evaluate_folder(tmp_path / "clt", windows=4, n_boot=2)
    assert scores.n_layers == 2 and "metrics.json was not written" in caplog.text
    assert main(["clt", "eval", str(tmp_path / "clt"), "--windows", "4", "-q"]) == 0
    assert "metrics.json" not in capsys.readouterr().out
