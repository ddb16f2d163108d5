"""The study of studies/single_language: its split, its statistics, its rule, its report."""

from __future__ import annotations

import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

STUDY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(STUDY.parent))
sys.path.insert(0, str(STUDY.parent.parent / "tests"))

from single_language import analysis, report
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
    unwrapped = " ".join(text.split())
    assert "40 are from FLORES devtest, whose articles are known: 30 of these (75%)" in unwrapped
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
