"""Results of many models: their files, tables, page and data frame."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.html import Page
from helpers.runs import companions_of, measured
from helpers.scores import HOSTILE, overlap_scores

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from ilo_fast import AccessError, load_results
from ilo_fast.report.leaderboard.folder import find_results, result_path, safe_name
from ilo_fast.report.leaderboard.page import leaderboard_page
from ilo_fast.report.leaderboard.record import Result
from ilo_fast.report.leaderboard.table import (
    leaderboard_csv,
    leaderboard_markdown,
    leaderboard_text,
)
from ilo_fast.report.page import read_template
from ilo_fast.scores.flat import layer_means


def result(model: str = "org/model", corpus: str = "text", **changed: Any) -> Result:
    scores = changed.pop("scores", None) or overlap_scores(certain=True)
    settings = {"n_neighbors": 5, "threshold": 3, "metric": "cosine", "corpus_sha256": "abc"}
    return Result.of_scores(
        scores,
        changed.pop("companions", None),
        model=model,
        revision=changed.pop("revision", "0123456789ab"),
        corpus=corpus,
        experiment=changed.pop("experiment", {}),
        settings={**settings, "seconds": 1.5, **changed},
    )


def write(folder: Path, *given: Result) -> list[Path]:
    paths = []
    for one in given:
        path = result_path(folder, one.model, one.revision, one.experiment, one.corpus)
        path.parent.mkdir(parents=True, exist_ok=True)
        one.write(path)
        paths.append(path)
    return paths


def test_a_result_comes_back_from_its_file_and_says_what_the_scores_say(tmp_path: Path) -> None:
    scores = measured(intervals=True)
    one = result(scores=scores, companions=companions_of(scores))
    (path,) = write(tmp_path, one)
    assert path.relative_to(tmp_path).as_posix() == "org__model/0123456789ab/text.json"
    assert Result.read(path) == one == find_results(tmp_path)[0]
    best = int(scores.translation_share.mean(axis=1).argmax())
    row = one.row()
    for name, value in layer_means(scores, best, companions_of(scores)).items():
        assert row[name] == value
    assert row["ilo_highest"] == scores.ilo.mean(axis=1).max()
    np.testing.assert_allclose(row["ilo_mean_over_layers"], scores.ilo.mean(), atol=1e-15)
    assert {"retrieval_p1", "translation_share_low", "ilo_under_mixing"} < row.keys()


def test_file_and_model_are_named_as_mteb_has_them(tmp_path: Path) -> None:
    (path,) = write(tmp_path, result(experiment={"pooling": "last"}))
    assert path.parent.name == "pooling_last" and path.parent.parent.name == "experiments"
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data["task_name"] == "InterlingualOverlap-text"
    (only,) = data["scores"]["test"]
    assert only["main_score"] == only["translation_share"] == find_results(tmp_path)[0].row()[
        "translation_share"
    ]  # fmt: skip
    assert only["languages"] == ["eng-Latn", "fra-Latn", "zho-Hans", "ceb-Latn"]
    meta = json.loads((path.parent / "model_meta.json").read_text(encoding="utf-8"))
    assert meta["name"] == "org/model" and meta["experiment_kwargs"] == {"pooling": "last"}


def test_names_are_safe_and_stay_distinct() -> None:
    assert safe_name("org/model") == "org__model"
    assert safe_name("demo model") == "demo_model"
    odd = ["../../etc", "..", ".", ".hidden", "a:b", "a?b", "a<b>", "x" * 199, "x" * 198, "é", " "]
    found = [safe_name(name) for name in odd]
    assert len(set(found)) == len(odd)
    for name in found:
        assert re.fullmatch(r"[\w,=+-][\w.,=+-]{0,159}", name), name
    place = Path("out")
    for corpus in ("model_meta", "experiments"):
        assert result_path(place, "m", "r", {}, corpus).name == f"{corpus}_.json"
    assert result_path(place, "leaderboard.md", "r", {}, "c").parts[1] == "leaderboard.md_"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.update(schema_version=9), "schema_version=9"),
        (lambda data: data.pop("layers"), "incomplete: there is no 'layers'"),
        (lambda data: data.update(layers=[]), "layers is empty"),
        (lambda data: data["layers"][0].update(ilo=7.5), "ilo is 7.5, wanted a share"),
        (lambda data: data["layers"][0].update(ilo="1"), "damaged: ilo must be a number"),
        (lambda data: data.update(shared=3), "shared=3 must be at most 2"),
        (lambda data: data.update(model=3), "damaged: model must be a text"),
    ],
)
def test_a_file_that_makes_no_sense_is_left_out_with_a_warning(
    change: Any, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = write(tmp_path, result(), result("other"))
    data = json.loads(bad.read_text(encoding="utf-8"))
    change(data)
    bad.write_text(json.dumps(data), encoding="utf-8")
    assert list(load_results(tmp_path).model) == ["org/model"]
    assert said in caplog.text and str(bad) in caplog.text
    assert str(good) not in caplog.text


def test_files_of_other_programs_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = write(tmp_path, result())
    (path.parent / "STS12.json").write_text('{"task_name": "STS12", "scores": {}}')
    (path.parent / "STS13.json").write_text('{"task_name": "STS13", "scores": NaN}')
    (path.parent / "other.json").write_bytes(b"\xff\xfe")
    (path.parent / ".text.json.host-1-0123456789ab.tmp").write_text("{")
    assert len(load_results(tmp_path)) == 1
    assert not caplog.text


def test_data_frame_by_run_and_by_layer(tmp_path: Path) -> None:
    unparallel = result("b", scores=overlap_scores(2, parallel=False))
    write(tmp_path, result("b", "a text"), result("a"), unparallel)
    frame = load_results(tmp_path)
    assert list(zip(frame.corpus, frame.model, strict=True)) == [
        ("a text", "b"), ("text", "a"), ("text", "b")
    ]  # fmt: skip
    assert np.isnan(frame.translation_share[2]) and frame.layer[2] == unparallel.highest["layer"]
    layers = load_results(str(tmp_path), by="layer")
    assert list(layers.layer) == [0, 1, 2, 0, 1, 2, 0, 1]
    with pytest.raises(ValueError, match="by='language' is not known: use 'run' or 'layer'"):
        load_results(tmp_path, by="language")


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="does not exist"):
        load_results(tmp_path / "none")
    with pytest.raises(AccessError, match="holds no results"):
        load_results(tmp_path)


def test_without_pandas_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, result())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="this needs pandas: pip install pandas"):
        load_results(tmp_path)


def two() -> list[Result]:
    low = result("low", scores=overlap_scores(seed=1, certain=True))
    high = result("high|<b>", scores=overlap_scores(seed=2, certain=True))
    return sorted((low, high), key=lambda one: one.row()["translation_share"])


def test_tables_go_from_the_highest_share_and_say_what_noise_gives() -> None:
    results = two()
    text, markdown = leaderboard_text(results), leaderboard_markdown(results)
    for table in (text, markdown):
        words = " ".join(table.split())
        assert "a raw ILO near 1 is also what unstructured noise gives" in words
    first, second = text.splitlines()[1:3]
    assert first.startswith(results[1].model) and second.startswith(results[0].model)
    row = results[1].row()
    ends = f"{row['translation_share_low']:.4f} - {row['translation_share_high']:.4f}"
    assert f"{row['translation_share']:.4f}" in first and ends in first
    assert "high\\|\\<b\\>" in markdown
    assert {line.count("|") - line.count("\\|") for line in markdown.splitlines()[:4]} == {14}


def test_csv_has_all_columns_of_all_rows_in_full_precision() -> None:
    results = [*two(), result("plain", scores=overlap_scores(parallel=False))]
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv(results))))
    by_model = {row["model"]: row for row in rows}
    for one in results:
        wanted = one.row()
        for name, value in by_model[one.model].items():
            assert value == ("" if wanted.get(name) is None else str(wanted[name]))


def test_page_asks_for_nothing_and_shows_every_number() -> None:
    results = two()
    failed = [{"model": "m", "corpus": "c", "error": "out of memory", "when": "2026"}]
    text = leaderboard_page(results, failed, pages={0: "low/x/text/report.html"}, title="mine")
    page = Page(text)
    assert set(page.addresses) == {"#failed", "low/x/text/report.html"}
    assert "default-src 'none'" in text and len(page.ids) == len(set(page.ids))
    assert "a raw ILO near 1 is also what unstructured noise gives" in text
    for one in results:
        row = one.row()
        for name, digits in (("ilo", 3), ("translation_share", 4)):
            for end in ("", "_low", "_high"):
                assert f"{row[name + end]:.{digits}f}" in text
    assert "out of memory" in text
    assert page.elements.count("svg") == 4
    assert leaderboard_page([]).count("Nothing is measured yet") == 1


def test_page_speaks_of_bands_where_there_are_some() -> None:
    assert "Bands are intervals of 95 %" in leaderboard_page(two())
    few = overlap_scores(certain=True)
    about = dataclasses.replace(few.intervals, mean_low={}, mean_high={}, reason="too few")
    without = result(scores=dataclasses.replace(few, intervals=about))
    assert without.intervals is not None
    assert "Bands are" not in leaderboard_page([without])


def test_names_from_outside_are_escaped_in_the_page() -> None:
    names = [HOSTILE, 'a" onmouseover="x', "</script><!--", "\u202e\x1b[31m"]
    results = [
        dataclasses.replace(result(name, name, metric=name), experiment={"prefix": name})
        for name in names
    ]
    failed = [dict.fromkeys(("model", "corpus", "error", "when"), name) for name in names]
    hostile = Page(
        leaderboard_page(results, failed, pages={0: 'x"><img>/report.html'}, title=HOSTILE)
    )
    harmless = [
        dataclasses.replace(result(str(at), str(at)), experiment={"prefix": "x"}) for at in range(4)
    ]
    fine = [dict.fromkeys(("model", "corpus", "error", "when"), "x") for _ in range(4)]
    plain = Page(leaderboard_page(harmless, fine, pages={0: "report.html"}))
    assert sorted(hostile.elements) == sorted(plain.elements)
    text = leaderboard_page(results, failed)
    assert "\x1b" not in text and "\u202e" not in text


def test_script_sorts_numbers_and_words_and_puts_what_is_missing_last() -> None:
    quickjs = pytest.importorskip("quickjs", reason="pip install quickjs runs the script")
    context = quickjs.Context()
    context.eval(read_template("leaderboard.js").replace("const ", "var "))

    def ordered(values: list[str], *, down: bool) -> list[str]:
        down_text = "true" if down else "false"
        call = f"JSON.stringify({json.dumps(values)}.sort((a, b) => order(a, b, {down_text})))"
        found: list[str] = json.loads(context.eval(call))
        return found

    assert ordered(["0.5", "", "10", "9"], down=True) == ["10", "9", "0.5", ""]
    assert ordered(["0.5", "", "10", "9"], down=False) == ["0.5", "9", "10", ""]
    shows = "JSON.stringify([shows('E5 small', 'a', ' e5', ''), shows('E5', 'a', '', 'b')])"
    assert json.loads(context.eval(shows)) == [True, False]
