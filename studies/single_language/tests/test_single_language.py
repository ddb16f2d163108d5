"""The study of studies/single_language: its split, its statistics, its rule, its memory."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

STUDY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(STUDY.parent))
sys.path.insert(0, str(STUDY.parent.parent / "tests"))

from single_language import analysis, report
from single_language.journal import Journal, MismatchError, Progress
from single_language.plan import (
    CLASSIFICATION,
    LM,
    Run,
    bands,
    frozen_blocks,
    runs,
    shared_articles,
    spread,
    unseen_lines,
)
from single_language.stats import Interval, decide, interval

LANGUAGES = ["deu_Latn", "eng_Latn", "fra_Latn", "tha_Thai"]


# ---- which sentences


def test_no_line_that_sib_has_in_any_split_is_measured_on() -> None:
    kept, info = unseen_lines(["dev:1", "devtest:0", "devtest:3", "devtest:3"], 6)
    assert kept == [1, 2, 4, 5]
    assert info == {"lines": 6, "of_sib": 2, "left": 4}


def test_nor_a_line_of_an_article_that_sib_has_a_sentence_of() -> None:
    kept, info = unseen_lines(["devtest:0"], 5, ["a", "a", "b", "b", "a"])
    assert kept == [2, 3]
    assert info["of_an_article_of_sib"] == 2


@pytest.mark.parametrize("identifier", ["devtest:6", "test:1", "devtest:x", "7"])
def test_an_identifier_that_names_no_line_is_an_error(identifier: str) -> None:
    with pytest.raises(ValueError, match="devtest"):
        unseen_lines([identifier], 6)


def test_spread_lines_are_distinct_and_reach_both_ends() -> None:
    lines = list(range(100, 397))
    chosen = spread(lines, 100)
    assert len(set(chosen)) == 100
    assert (chosen[0], chosen[-1]) == (100, 396)
    assert max(np.diff(chosen)) <= 3
    assert spread(lines, 1000) == lines


def test_real_corpora_are_split_without_a_shared_sentence(corpora: Path) -> None:
    from single_language.data import read_data

    from ilo_fast.corpora.text import shared_lines

    data = read_data(corpora, limit=None, test_limit=20, lm_text="nllb_seed", lm_lines=50)
    sib = [
        json.loads(line)["text"]
        for path in sorted((corpora / "sib200").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert data.flores.n_sentences > 200
    assert shared_lines(sib, data.flores.sentences) == []
    assert data.testing.n("deu_Latn", "test") == 20
    assert data.training.languages == ("eng_Latn",)
    assert data.training.splits == ("train",)


def test_test_sentences_of_articles_that_have_training_sentences_are_counted() -> None:
    articles = ["a", "a", "b", "b", "c"]
    train, test = ["devtest:0", "dev:2"], ["devtest:1", "devtest:2", "devtest:4", "dev:0"]
    assert shared_articles(train, test, articles) == {"known": 3, "of_training": 1}
    assert shared_articles(train, test, None) == {"known": 0, "of_training": 0}


# ---- what is frozen


def test_first_last_and_random_freeze_as_many_blocks_and_random_is_neither() -> None:
    drawn = set()
    for seed in range(20):
        first, last, random = (
            frozen_blocks(name, 6, 3, seed) for name in ("first", "last", "random")
        )
        assert (first, last) == ((0, 1, 2), (3, 4, 5))
        assert random is not None
        assert len(set(random)) == 3
        assert random not in (first, last)
        drawn.add(random)
        assert frozen_blocks("random", 6, 3, seed) == random
    assert len(drawn) > 5
    assert frozen_blocks("none", 6, 3, 0) is None
    assert frozen_blocks("embeddings", 6, 3, 0) == ()
    assert frozen_blocks("head", 6, 3, 0) == tuple(range(6))


def test_bands_are_the_outputs_of_the_first_and_last_blocks() -> None:
    assert bands(7, 3) == {
        "embeddings": (0,),
        "early": (1, 2, 3),
        "late": (4, 5, 6),
        "above": (4, 5, 6),
    }
    assert bands(13, 4)["middle"] == (5, 6, 7, 8)
    assert bands(13, 4)["above"] == tuple(range(5, 13))
    with pytest.raises(ValueError, match="at most 3"):
        bands(7, 4)
    with pytest.raises(ValueError, match="at least 1"):
        bands(7, 0)


def test_the_plan_pairs_every_condition_with_every_seed() -> None:
    tasks = {CLASSIFICATION: ("none", "head"), LM: ("none", "first")}
    plan = runs({"a": "path/a", "b": "path/b"}, tasks, 2, ["b"])
    assert len(plan) == len({run.name for run in plan}) == 2 * (4 + 2)
    assert {run.label for run in plan if run.task == LM} == {"b"}
    assert [run.seed for run in plan] == [0] * 6 + [1] * 6


# ---- intervals and the rule


def test_the_bootstrap_is_the_one_over_all_grids_of_seeds_and_languages() -> None:
    x = np.random.default_rng(0).normal(size=(3, 3))
    # Every way to draw three seeds and three languages: the exact distribution.
    draws = list(itertools.product(range(3), repeat=3))
    exact = np.sort([x[np.ix_(s, c)].mean() for s in draws for c in draws])
    found = interval(x)
    assert found.mean == pytest.approx(x.mean())
    low, high = np.quantile(exact, [0.025, 0.975]) - x.mean()
    assert found.lower < x.mean() + low
    assert (found.lower - x.mean()) / low == pytest.approx((found.upper - x.mean()) / high, rel=0.1)


def test_an_interval_over_two_seeds_reaches_beyond_them() -> None:
    # Two seeds, a distance of 2 apart: the quantiles of the draws are the seeds themselves. The
    # bootstrap's variance is half the unbiased one, t of one degree of freedom reaches to 12.706.
    found = interval(np.array([[-1.0], [1.0]]))
    assert found.upper == pytest.approx(math.sqrt(2) * 12.706 / 1.960, rel=1e-3)
    assert found.lower == -found.upper


@pytest.mark.parametrize(
    ("n", "seeds", "languages", "least"),
    [
        # Nothing but the seeds: percentiles further out cover 51, 75 and 92 % of the truths.
        (2, 1.0, None, 0.93),
        (3, 1.0, None, 0.93),
        (5, 1.0, None, 0.93),
        (2, 1.0, 0.0, 0.86),
        (3, 1.0, 0.0, 0.92),
        (5, 1.0, 0.0, 0.93),
        # Two seeds tell little of how much they differ.
        (2, 1.0, 1.0, 0.84),
        (3, 1.0, 1.0, 0.92),
        (5, 1.0, 1.0, 0.93),
        (2, 0.3, 1.0, 0.91),
        (3, 0.3, 1.0, 0.93),
        (5, 0.0, 1.0, 0.93),
    ],
)
def test_intervals_cover_the_truth_as_often_as_they_say(
    n: int, seeds: float, languages: float | None, least: float
) -> None:
    rng = np.random.default_rng(1)
    trials, covered = 1000 if languages is None else 400, 0
    for _ in range(trials):
        x = rng.normal(0, seeds, (n, 1))
        if languages is not None:
            x = x + rng.normal(0, languages, (1, 30)) + rng.normal(0, 0.5, (n, 30))
        found = interval(x, n_boot=1000)
        covered += found.lower <= 0 <= found.upper
    assert covered / trials > least


def test_test_sentences_are_drawn_too_where_they_are_given() -> None:
    # All seeds and languages agree on which sentences differ: only the sentences are uncertain.
    x = np.broadcast_to(np.random.default_rng(2).normal(size=50), (5, 4, 50))
    across = interval(x)
    error = x[0, 0].std(ddof=1) / np.sqrt(50)
    assert (across.upper - across.lower) / 2 == pytest.approx(2.01 * error, rel=0.1)
    assert interval(x.mean(axis=-1)).upper == pytest.approx(x.mean())


def test_the_same_numbers_give_the_same_interval_and_one_seed_none() -> None:
    x = np.random.default_rng(3).normal(size=(5, 6))
    assert interval(x) == interval(x.copy())
    alone = interval(x[:1])
    assert np.isnan(alone.lower)
    assert alone.to_dict()["lower"] is None
    assert decide(alone, 1, 0.02) == "cannot tell"


def test_numbers_that_are_not_finite_decide_nothing() -> None:
    found = interval(np.array([[0.1], [np.nan], [0.2]]))
    assert found.to_dict() == {"mean": None, "lower": None, "upper": None}
    assert decide(found, 1, 0.02) == "cannot tell"
    assert report.number(found) == "not finite"


@pytest.mark.parametrize(
    ("lower", "upper", "direction", "verdict"),
    [
        (0.01, 0.10, 1, "holds"),
        (0.01, 0.10, -1, "does not hold"),
        (-0.10, -0.01, -1, "holds"),
        (-0.01, 0.01, 1, "does not hold"),
        (-0.01, 0.01, -1, "does not hold"),
        (0.001, 0.01, 1, "holds"),
        (-0.01, 0.03, 1, "cannot tell"),
        (-0.03, 0.01, 1, "cannot tell"),
        (-0.03, 0.01, -1, "cannot tell"),
        (0.0, 0.0, 1, "does not hold"),
    ],
)
def test_the_rule(lower: float, upper: float, direction: int, verdict: str) -> None:
    assert decide(Interval((lower + upper) / 2, lower, upper), direction, 0.02) == verdict


# ---- from runs to verdicts


def made_up(
    change: dict[str, list[float]], accuracy: dict[str, float], seeds: int = 5, task: str = LM
) -> tuple[list[dict], dict]:
    """Runs with the given change in each layer, and accuracy outside English; a little noise."""
    rng = np.random.default_rng(4)
    n_layers = len(next(iter(change.values())))
    start = rng.uniform(0.4, 0.6, (n_layers, len(LANGUAGES)))
    results = []
    for seed in range(seeds):
        for condition, by_layer in change.items():
            noise = rng.normal(0, 0.003, start.shape)
            after = (start + np.array(by_layer)[:, None] + noise).tolist()
            result = {
                "run": Run(task, "path", "model", condition, seed).to_dict(),
                "frozen": None if condition == "none" else {"layers": [0], "share": 0.5},
                "after": {score: after for score in analysis.SCORES},
                "metrics": {"token_loss": 5.0} if task == LM else {},
            }
            if task == CLASSIFICATION:
                right = np.zeros((len(LANGUAGES), 200), int)
                right[:, : int(200 * accuracy[condition])] = 1
                right[LANGUAGES.index("eng_Latn")] = 1
                result["transfer"] = {"correct": right.tolist()}
            results.append(result)
    before = {
        "languages": LANGUAGES,
        "layers": list(range(n_layers)),
        "n_blocks": n_layers - 1,
        "n_parameters": 1000,
        "n_sentences": 10,
        **{score: start.tolist() for score in analysis.SCORES},
    }
    return results, {"model": before}


def verdicts(group: analysis.Group) -> dict[tuple[str, str, str], str]:
    return {(c.name, c.score, c.measured): c.verdict for c in analysis.claims(group)}


def test_verdicts_when_the_paper_is_right() -> None:
    change = {
        "none": [0, -0.2, -0.2, -0.1, -0.1],
        "first": [0, 0, 0, -0.02, -0.02],
        "last": [0, -0.2, -0.2, -0.1, -0.1],
    }
    accuracy = {"none": 0.4, "first": 0.6, "last": 0.4}
    results, before = made_up(change, accuracy, task=CLASSIFICATION)
    (group,) = analysis.groups(results, before, {"model": 2})
    found = analysis.claims(group)
    assert {claim.name for claim in found} == {"1", "1, early", "2", "3", "3, early"}
    assert {claim.verdict for claim in found} == {"holds"}
    assert group.answers("first", "zero-shot").shape == (5, 3, 200)
    assert group.answers("first", "English").all()


def test_verdicts_when_late_layers_are_hit_and_freezing_harms() -> None:
    change = {"none": [0, 0, 0, -0.2, -0.2], "first": [0, 0, 0, -0.3, -0.3]}
    accuracy = {"none": 0.6, "first": 0.4}
    results, before = made_up(change, accuracy, task=CLASSIFICATION)
    (group,) = analysis.groups(results, before, {"model": 2})
    assert set(verdicts(group).values()) == {"does not hold"}


def test_differences_are_paired_and_signed() -> None:
    change = {"none": [0.1, -0.2, -0.2, 0, 0], "first": [0.1, 0, 0, 0, 0.3]}
    results, before = made_up(change, {})
    (group,) = analysis.groups(results, before, {"model": 2})
    rows = {(r["what"], r["score"], r["where"]): r for r in analysis.rows(group)}
    early = rows["none: after - before", "ilo", "early"]
    assert early["mean"] == pytest.approx(-0.2, abs=0.005)
    assert early["lower"] < early["mean"] < early["upper"] < -0.19
    assert rows["first - none", "ilo", "layer 4"]["mean"] == pytest.approx(0.3, abs=0.005)
    assert rows["first - none", "translation_share", "early"]["mean"] > 0.19
    assert rows["first - none", "token_loss", "English"]["mean"] == 0
    json.dumps([*rows.values()], allow_nan=False)


def test_a_seed_that_one_condition_lacks_is_left_out_everywhere() -> None:
    change = {"none": [0.0] * 5, "first": [0.0] * 5}
    results, before = made_up(change, {}, seeds=3)
    unfinished = [r for r in results if (r["run"]["condition"], r["run"]["seed"]) != ("first", 1)]
    (group,) = analysis.groups(unfinished, before, {"model": 2})
    assert group.seeds == (0, 2)
    assert {x.shape for x in group.after["ilo"].values()} == {(2, 4, 5)}


def described(before: dict, **counts: int) -> dict[str, Any]:
    data = {"test": 100, "test_articles": {"known": 40, "of_training": 30}, "lm_text": "nllb_seed"}
    return {
        **{"n_runs": 1, "n_planned": 1, "n_elsewhere": 0, **counts},
        "before": before,
        "settings": {"seeds": 3, "data": data},
        "versions": {"numpy": np.__version__},
        "seconds": 61.0,
    }


@pytest.mark.parametrize("seeds", [1, 3])
def test_report_and_figures(tmp_path: Path, seeds: int) -> None:
    pytest.importorskip("matplotlib")
    from single_language.figures import write_figures

    change = {"none": [0.0, -0.1, -0.2, 0, 0], "first": [0.0, 0, 0, 0, 0.1]}
    results, before = made_up(change, {"none": 0.4, "first": 0.5}, seeds=seeds, task=CLASSIFICATION)
    found = analysis.groups(results, before, {"model": 2})
    study = described(before, n_runs=2 * seeds, n_planned=10, n_elsewhere=2)
    text = report.markdown(study, found)
    assert f"Not finished: {2 * seeds} of 10 runs. 2 of the others are another process's." in text
    assert "40 are from FLORES devtest, whose articles are known: 30 of these (75%)" in text
    wanted = "cannot tell" if seeds == 1 else "holds"
    line = next(x for x in text.splitlines() if x.startswith("| 3 | freezing the first n"))
    assert f"**{wanted}**" in line
    paths = write_figures(found, tmp_path)
    assert sorted(p.name for p in paths) == sorted(p.name for p in tmp_path.iterdir())
    assert {p.suffix for p in paths} == {".png", ".svg"}
    assert all(p.stat().st_size > 5000 for p in paths)


def test_a_label_with_a_slash_and_a_single_condition(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from single_language.figures import write_figures

    results, before = made_up({"none": [0.0, -0.1, 0.1]}, {"none": 0.4}, task=CLASSIFICATION)
    for result in results:
        result["run"]["label"] = "org/model"
    before = {"org/model": before["model"]}
    found = analysis.groups(results, before, {"org/model": 1})
    paths = write_figures(found, tmp_path)
    assert {p.name for p in paths} == {
        "layers_classification_org-model.png",
        "layers_classification_org-model.svg",
    }
    assert all(p.parent == tmp_path and p.is_file() for p in paths)
    text = report.markdown(described(before), found)
    assert "org/model" in text
    assert "beside each other" not in text


def test_the_report_says_that_the_demo_model_knows_its_text() -> None:
    change = {"none": [0.0] * 5, "first": [0.0] * 5}
    for label, known in (("ilo_fast-demo", True), ("model", False)):
        results, before = made_up(change, {})
        for result in results:
            result["run"]["label"] = label
        before = {label: before["model"]}
        text = report.markdown(described(before), analysis.groups(results, before, {label: 2}))
        assert ("nllb_seed was part of the pre-training of ilo_fast-demo" in text) is known


def test_a_loss_that_is_not_finite_stays_in_the_report() -> None:
    results, before = made_up({"none": [0.0] * 5, "first": [0.0] * 5}, {})
    results[0]["metrics"]["token_loss"] = None  # as the journal keeps it
    (group,) = analysis.groups(results, before, {"model": 2})
    assert "| `none` | nan" in "\n".join(report.losses(group))
    (row,) = (r for r in analysis.rows(group) if r["score"] == "token_loss")
    assert row["mean"] is None


# ---- stopping and going on


def test_finished_runs_are_kept_and_other_settings_refused(tmp_path: Path) -> None:
    journal, run = Journal(tmp_path), Run(LM, "path", "a model/x", "none", 0)
    settings = {"rate": 1e-3, "data": "abc", "layers": (1, 2)}
    assert journal.read(run, settings) is None
    journal.write(run, settings, {"value": 1.5})
    found = journal.read(run, settings)
    assert found is not None
    assert found["value"] == 1.5
    assert found["run"]["condition"] == "none"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["lm-a-model-x-none-seed0"]
    with pytest.raises(MismatchError, match=r"rate was 0\.001, is 0\.002"):
        journal.read(run, {**settings, "rate": 2e-3})
    with pytest.raises(MismatchError, match="dtype was missing, is None"):
        journal.read(run, {**settings, "dtype": None})


def test_a_run_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    journal, run = Journal(tmp_path), Run(LM, "path", "model", "none", 0)
    with pytest.raises(TypeError, match="JSON"):
        journal.write(run, {}, {"value": object()})
    assert journal.read(run, {}) is None
    assert not journal.folder_of(run).exists() or not any(journal.folder_of(run).iterdir())


def test_numbers_that_are_not_finite_are_kept_as_null(tmp_path: Path) -> None:
    journal, run = Journal(tmp_path), Run(LM, "path", "model", "none", 0)
    journal.write(run, {}, {"card": {"losses": [1.0, math.nan, -math.inf]}, "n": (1, math.inf)})
    found = journal.read(run, {})
    assert found is not None
    assert found["card"] == {"losses": [1.0, None, None]}
    assert found["n"] == [1, None]


def test_a_run_is_claimed_once(tmp_path: Path) -> None:
    journal, other = Journal(tmp_path), Journal(tmp_path)
    run = Run(LM, "path", "model", "none", 0)
    assert not other.elsewhere(run)
    assert not (tmp_path / "runs").exists()
    with journal.claim(run) as ours, other.claim(run) as theirs:
        assert (ours, theirs) == (True, False)
        assert other.elsewhere(run)
    assert not other.elsewhere(run)
    with other.claim(run) as theirs:
        assert theirs


def test_a_rate_that_diverges_is_the_worst(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from single_language import work

    losses = {1.0: math.nan, 0.1: 6.0, 0.01: 7.0}

    def train(run: Run, folder: Path, data: Any, options: Any, recipe: Any, *_: Any, **__: Any):
        return SimpleNamespace(metrics={"token_loss": losses[recipe.learning_rate]})

    monkeypatch.setattr(work, "train", train)
    run = Run(LM, "path", "model", "none", 0)
    tuned = work.tune(run, tmp_path, None, None, 1, list(losses))
    assert tuned["best"] == 0.1
    assert [trial["rate"] for trial in tuned["tried"]] == list(losses)
    with pytest.raises(ValueError, match="diverges with each"):
        work.tune(run, tmp_path, None, None, 1, [1.0])


def test_once_is_made_once(tmp_path: Path) -> None:
    calls = []

    def make() -> dict[str, int]:
        calls.append(1)
        return {"value": len(calls)}

    journal = Journal(tmp_path)
    assert journal.once("before/model", {"a": 1}, make)["value"] == 1
    assert journal.once("before/model", {"a": 1}, make)["value"] == 1
    assert len(calls) == 1


def test_the_time_left_follows_what_runs_took(capsys: pytest.CaptureFixture[str]) -> None:
    plan = runs({"m": "m"}, {LM: ("none", "first")}, 3, ["m"])
    progress = Progress(plan, lambda run: 10.0 if run.condition == "none" else 6.0)
    assert progress.estimate() == 3 * 16
    progress.done(plan[0], None)  # finished before: says nothing about this machine
    assert progress.estimate() == 2 * 10 + 3 * 6
    progress.done(plan[2], 20.0)  # twice as long as expected
    assert progress.estimate() == 20 + 3 * 12
    assert "about 0:56 min left for this process alone" in capsys.readouterr().err


# ---- the whole, on a model of nothing

WORDS = ["water", "cold", "today", "river", "winter", "snow", "bread", "house", "green", "small"]
MADE_UP = ("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "ita_Latn")


def made_up_text(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        " ".join(rng.choice(WORDS, 4)) + f" {'abcdefghijklmnopqrstuvwxyz'[i]}" for i in range(n)
    ]


@pytest.fixture
def little_corpora(tmp_path: Path) -> Path:
    """Letters as words, in the layout of the corpora: SIB has lines 0 to 3 of 12 of FLORES."""
    folder = tmp_path / "corpora"
    for name in ("sib200", "flores200_devtest", "nllb_seed"):
        (folder / name).mkdir(parents=True)
    halves = ["train", "train", "test", "test"]
    for number, code in enumerate(MADE_UP):
        flores = made_up_text(12, number)
        (folder / "flores200_devtest" / f"{code}.txt").write_text("\n".join(flores) + "\n")
        rows = [
            {"text": text, "label": ("wet", "dry")[i % 2], "flores": f"devtest:{i}", "split": split}
            for i, (text, split) in enumerate(zip(flores[:4], halves, strict=True))
        ]
        rows += [
            {"text": text, "label": ("wet", "dry")[i % 2], "flores": f"dev:{i}", "split": split}
            for split, n, seed in (("train", 6, 10), ("dev", 4, 20), ("test", 6, 30))
            for i, text in enumerate(made_up_text(n, seed + number))
        ]
        lines = "\n".join(map(json.dumps, rows))
        (folder / "sib200" / f"{code}.jsonl").write_text(lines + "\n")
    articles = ["a", "b", "a", "c", *"defghijk"]
    table = "URL\tdomain\n" + "".join(f"{article}\twiki\n" for article in articles)
    (folder / "flores200_devtest" / "metadata_devtest.tsv").write_text(table)
    (folder / "nllb_seed" / "eng_Latn.txt").write_text("\n".join(made_up_text(20, 99)) + "\n")
    return folder


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("single_language_script", STUDY / "__main__.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save_tiny(folder: Path, seed: int = 0, **sizes: int) -> None:
    tiny_models = pytest.importorskip("helpers.tiny_models")
    import torch
    import transformers as hf

    config = tiny_models.ARCHITECTURES["llama"][0]()
    config.update(sizes)
    torch.manual_seed(seed)
    hf.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)


def test_a_study_from_end_to_end(
    script: ModuleType,
    little_corpora: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("accelerate", "matplotlib", "scipy"):
        pytest.importorskip(package)
    save_tiny(tmp_path / "tiny")
    # A Hub name has a slash.
    monkeypatch.setattr(script, "find_models", lambda given: {"org/tiny": str(tmp_path / "tiny")})
    out = tmp_path / "study"
    flags = [str(little_corpora), "--out", str(out), "--seeds", "2", "--freeze-n", "1"]
    flags += ["--epochs", "1", "--batch-size", "4", "--conditions", "none", "first"]

    # Another process is at work on one run; this one does all others, and says so.
    taken = Run(LM, str(tmp_path / "tiny"), "org/tiny", "first", 1)
    with Journal(out).claim(taken) as ours:
        assert ours
        assert script.main(flags) == 0
    said = capsys.readouterr().err
    assert "8 runs, 0 finished" in said
    assert "7 of 8 runs are finished; 1 runs are another process's" in said
    table = (out / "table.md").read_text()
    assert "Not finished: 7 of 8 runs. 1 of the others are another process's." in table
    assert "Of 8 test sentences, 2 are from FLORES devtest" in table
    assert "1 of these (50%) are from articles that have training sentences" in table
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/result.json")}
    assert len(stamps) == 7

    # The other one goes on; what is there stays as it is.
    assert script.main(flags) == 0
    assert "8 runs, 7 finished" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    whole = (out / "table.md").read_text()
    assert "Not finished" not in whole
    results = json.loads((out / "results.json").read_text())
    assert (results["n_runs"], results["n_elsewhere"]) == (8, 0)
    assert str(tmp_path) not in json.dumps(results["runs"])
    assert {run["settings"]["precision"] for run in results["runs"]} == {"float32"}
    figures = {path.stem for path in out.glob("*.png")}
    assert figures == {
        "layers_classification_org-tiny",
        "layers_lm_org-tiny",
        "accuracy_differences",
        "accuracy_by_language",
    }

    # The report comes out the same without a run.
    (out / "table.md").unlink()
    assert script.main([*flags, "--report-only"]) == 0
    again = (out / "table.md").read_text()
    cut = again.index("## Conditions and settings")
    assert again[:cut] == whole[:cut]

    # Another model in the same folder is another study, even before training.
    shutil.rmtree(tmp_path / "tiny")
    save_tiny(tmp_path / "tiny", seed=1)
    assert script.main(flags) == 1
    assert "error:" in (said := capsys.readouterr().err)
    assert "weights_sha256 was" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--conditions", "first", "last"], "compared with none"),
        (["--freeze-n", "0"], "--freeze-n 0: wanted at least 1"),
        (["--seeds", "0"], "--seeds 0"),
        (["--models", "no/such-model-anywhere"], "no/such-model-anywhere"),
        (["--dtype", "float16", "--device", "cpu"], "float16"),
        (["--lm-text", "nowhere"], "nowhere"),
        ([], "random has nothing to draw"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    script: ModuleType,
    little_corpora: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    if "--models" not in flags:
        save_tiny(tmp_path / "two", num_hidden_layers=2)
        flags = ["--models", str(tmp_path / "two"), *flags]
    assert script.main([str(little_corpora), "--out", str(tmp_path / "study"), *flags]) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("error:")
    assert message in said
    assert not (tmp_path / "study" / "runs").exists()
