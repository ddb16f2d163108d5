"""The file behind ``--config``: what it may say, and what is said of what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ilo_fast.cli import main
from ilo_fast.cli.parser import UsageError
from ilo_fast.cli.run_config import RunConfig, read_config


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Not the working folder."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "configs").mkdir()
    return tmp_path / "configs"


def read(folder: Path, text: str) -> RunConfig:
    (folder / "many.yaml").write_text(text, encoding="utf-8")
    return read_config(folder / "many.yaml")


def refused(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as raised:
        read(folder, text)
    message = str(raised.value)
    assert message.startswith(str(folder / "many.yaml"))
    return message


def test_every_model_meets_every_corpus_in_the_words_of_the_flags(folder: Path) -> None:
    config = read(
        folder,
        """
        defaults: {layers: [0, -1], n_neighbors: 4, languages: [eng_Latn, deu_Latn], quick: true}
        models:
          - demo
          - {model: org/e5, name: e5, prefix: "query: ", layers: 1-3, dtype: bfloat16,
             batch_tokens: 99, pooling: last, tokenizer_languages: {eng_Latn: en_XX},
             trust_remote_code: true}
        corpora: [flores200, {corpus: demo, name: mine, limit: 5, n_neighbors: 3}]
        """,
    )
    found = [(j.args.model, j.args.corpus, j.args.n_neighbors, j.args.limit) for j in config.jobs]
    assert found == [
        ("demo", "flores200", 4, None), ("demo", "demo", 3, 5),
        ("org/e5", "flores200", 4, None), ("org/e5", "demo", 3, 5),
    ]  # fmt: skip
    assert [job.corpus_name for job in config.jobs] == [None, "mine"] * 2
    first, last = config.jobs[0].args, config.jobs[-1].args
    assert (first.layers, first.quick, first.languages) == ((0, -1), True, "eng_Latn,deu_Latn")
    assert (first.prefix, first.dtype, first.pooling) == ("", None, "mean")
    assert (last.layers, last.prefix, last.name) == ((1, 2, 3), "query: ", "e5")
    assert (last.dtype, last.batch_tokens, last.pooling) == ("bfloat16", 99, "last")
    assert last.tokenizer_languages == {"eng_Latn": "en_XX"}
    assert last.trust_remote_code and not first.trust_remote_code
    assert config.output is None and config.reports


def test_a_null_takes_a_default_back(folder: Path) -> None:
    config = read(
        folder,
        "{reports: , defaults: {limit: 9, quick: true}, models: [{model: demo, dtype: }],"
        " corpora: [{corpus: demo, limit: , quick: false}]}",
    )
    assert config.jobs[0].args.limit is None and config.reports
    assert not config.jobs[0].args.quick


def test_anchors_and_merged_keys_that_are_replaced_are_no_keys_that_stand_twice(
    folder: Path,
) -> None:
    config = read(
        folder,
        """
        models: [{<<: &own {<<: &all {layers: 1, pooling: last}, layers: 2}, model: demo}]
        corpora: [{corpus: demo, limit: &n 5, n_neighbors: *n}]
        """,
    )
    args = config.jobs[0].args
    assert (args.layers, args.pooling, args.limit, args.n_neighbors) == ((2,), "last", 5, 5)


def test_paths_are_seen_from_the_file(folder: Path) -> None:
    (folder / "model").mkdir()
    config = read(
        folder, "{output: out, models: [model, ../other, org/name], corpora: [text, ./demo]}"
    )
    models = [job.args.model for job in config.jobs[::2]]
    assert models == [str(folder / "model"), str(folder / ".." / "other"), "org/name"]
    corpora = [job.args.corpus for job in config.jobs[:2]]
    assert corpora == [str(folder / "text"), str(folder / "demo")]
    assert config.output == folder / "out"


def test_a_folder_of_the_working_folder_is_not_taken_for_one_beside_the_file(folder: Path) -> None:
    Path("model").mkdir()
    assert "paths are relative to the file" in refused(folder, "{models: [model], corpora: [demo]}")


BASE = "models: [demo]\ncorpora: [demo]\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("model: [demo]\ncorpora: [demo]", "'model' is not known, did you mean models?"),
        (BASE + "defaults: {poolin: last}", "defaults: 'poolin' is not known, did you mean pool"),
        (BASE + "defaults: {model: demo}", "defaults: 'model' is not known"),
        ("models: [{model: demo, batch_size: 8}]\ncorpora: [demo]", "did you mean batch_tokens?"),
        ("models: [demo]\ncorpora: [{corpus: demo, pooling: last}]", "corpora, entry 1: 'pooling'"),
        ("models: [demo, {name: x}]\ncorpora: [demo]", "models, entry 2: model must be a name"),
        ("models: []\ncorpora: [demo]", "models must be a list of at least one model"),
        ("models: [demo]", "corpora must be a list"),
        ("models: [demo, demo]\ncorpora: [demo]", "entry 2 is the same as entry 1"),
        (BASE + "defaults: {pooling: lest}", "pooling: 'lest' is not known, did you mean last?"),
        (BASE + "defaults: {n_neighbors: 0}", "n_neighbors: 0 is too small"),
        (BASE + "defaults: {layers: [0, two]}", "layers: 'two' is no layer"),
        (BASE + "defaults: {layers: []}", "layers is empty"),
        (BASE + "defaults: {languages: [no, se]}", "languages holds false: YAML takes yes, no"),
        (BASE + "defaults: {prefix: [a, b]}", "prefix holds ['a', 'b'], wanted one value"),
        (BASE + "defaults: {split: {dev: 1}}", "split holds {'dev': 1}, wanted one value"),
        ("models: [~nobody-of-that-name/x]\ncorpora: [demo]", "a user who is not known"),
        (BASE + "defaults: {quick: 1}", "quick must be true or false, got 1"),
        ("models: [{model: demo, revision: 0123}]\ncorpora: [demo]", "put it in quotes"),
        (BASE + "defaults: {limit: 2026-01-01}", "limit holds datetime.date(2026, 1, 1)"),
        (BASE + "reports: maybe", "reports must be true or false"),
        (BASE + "output: 3", "output must be a folder"),
        (BASE + "models: [x]", "models stands twice, the second time in line 3"),
        ("models: [demo\n", "it is not YAML"),
        ("- demo", "the file must be a mapping"),
        ("", "models must be a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(folder: Path, text: str, named: str) -> None:
    assert named in refused(folder, text)


def test_errors_of_the_file_are_wrong_usage(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "many.yaml").write_text("models: [{model: demo, batch_size: 8}]\ncorpora: [demo]")
    assert main(["run", "--config", str(folder / "many.yaml")]) == 2
    assert "'batch_size' is not known, did you mean batch_tokens?" in capsys.readouterr().err
    assert main(["run", "--config", str(folder / "none.yaml")]) == 3
    assert "none.yaml does not exist" in capsys.readouterr().err


def test_flags_of_one_measurement_do_not_fit_beside_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "many.yaml").write_text(BASE)
    assert main(["run", "--config", str(folder / "many.yaml"), "--limit", "3"]) == 2
    assert "--limit does not fit --config: write `limit` into" in capsys.readouterr().err
