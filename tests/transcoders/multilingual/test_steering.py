"""`steer`: planted features steer, others do not; halves stay apart; results are kept."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import steering
from helpers.steering import A, B

from ilo_fast.transcoders.multilingual.steering import pairs as pairs_module
from ilo_fast.transcoders.multilingual.steering import steer as steer_module
from ilo_fast.transcoders.multilingual.steering.result import SteeringResult
from ilo_fast.transcoders.multilingual.steering.steer import steer
from ilo_fast.transcoders.replacement import ReplacementModel

QUICK: dict[str, Any] = {
    "n_prompts": 24, "max_new_tokens": 16, "strengths": (0.5, 1.0), "n_random": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def it() -> ReplacementModel:
    coder = steering.transcoder()
    return ReplacementModel(steering.model(coder), coder)


def steered(it: ReplacementModel, features: Any = None, lines: int = 80, **more: Any) -> Any:
    found = steering.columns() if features is None else features
    return steer(
        it, None, steering.corpus(lines), found, tokenizer=steering.tokenizer(), **QUICK | more
    )


@pytest.fixture(scope="module")
def planted(it: ReplacementModel) -> SteeringResult:
    return steered(it)


def test_planted_features_steer_and_matched_random_ones_do_not(planted: SteeringResult) -> None:
    assert [(one.source, one.target) for one in planted.pairs] == [(A, B), (B, A)]
    for one in planted.pairs:
        assert one.unsteered.source.share == 1.0
        found = one.modes["substitution"].measures
        assert found.target.share == 1.0 and found.target.low > 0.7
        assert one.modes["random"].measures.target.share == 0.0
        assert one.modes["random_suppression"].measures.source.share == 1.0
        assert one.modes["suppression"].n_sets == 1 and one.modes["random"].n_sets == 2
        assert one.n_source == one.n_target == 6


def test_content_is_kept_where_the_language_is_swapped(planted: SteeringResult) -> None:
    """What follows is what follows in the other language, to the letter."""
    for one in planted.pairs:
        before, after = one.unsteered, one.modes["substitution"].measures
        # The reference is likely, another line's is not; unsteered, neither is.
        assert after.reference > before.reference + 1 and after.content > 1
        assert after.content_low > 0
        assert after.chrf is not None and before.chrf is not None
        assert after.chrf > 60 and before.chrf < 5
        example = one.examples[0]
        swapped = {B: str.maketrans("abcdefghijklm", "nopqrstuvwxyz")}
        swapped[A] = {after: before for before, after in swapped[B].items()}
        unsteered, steered_text = (example.continuations[m] for m in ("unsteered", "substitution"))
        assert steered_text.replace(" ", "") == unsteered.replace(" ", "").translate(
            swapped[one.target]
        )
        # Each token is likely under the model as it is, but the one that changes language.
        assert after.loss > before.loss + 0.1
        assert one.modes["random"].measures.loss == pytest.approx(before.loss, abs=0.05)


def test_verdicts_and_baselines(planted: SteeringResult) -> None:
    for one in planted.pairs:
        vector = one.modes["mean_difference"]
        assert vector.layer in (0, 1) and max(vector.validation) == 1.0
        contrast = one.contrasts["substitution"]
        assert contrast.baseline in ("mean_difference", "unembedding")
        assert contrast.verdict == "cannot tell" and contrast.difference == 0.0


def test_against_random_features_alone_substitution_does_more(it: ReplacementModel) -> None:
    found = steered(it, baselines=["random"], pairs=[(B, A)])
    (one,) = found.pairs
    assert one.contrasts["substitution"].verdict == "more"
    assert one.contrasts["substitution"].difference == 1.0
    assert set(one.modes) == {"suppression", "substitution", "random", "random_suppression"}
    overall = found.overall()
    assert overall is not None and overall.verdict == "more" and overall.low > 0.5
    np.testing.assert_array_equal(found.matrix(), [[np.nan, np.nan], [1.0, np.nan]])
    np.testing.assert_array_equal(found.matrix("contrast"), [[np.nan, np.nan], [1.0, np.nan]])


def test_features_that_decide_nothing_do_nothing(it: ReplacementModel) -> None:
    """Other columns under the name of language features: never more than chance, over 20 seeds."""
    verdicts = []
    for seed in range(20):
        other = steering.other_columns(seed)
        found = steered(
            it, other, pairs=[(A, B)], baselines=["random"], strengths=(1.0,), n_prompts=12,
            n_random=1, max_new_tokens=8, seed=seed,
        )  # fmt: skip
        (one,) = found.pairs
        assert one.modes["substitution"].measures.target.share == 0.0
        verdicts.append(one.contrasts["substitution"].verdict)
    assert verdicts == ["cannot tell"] * 20


def test_features_are_found_by_the_simple_rule_where_none_are_given(it: ReplacementModel) -> None:
    found = steer(
        it, None, steering.corpus(80), tokenizer=steering.tokenizer(), baselines=(),
        pairs=[(A, B)], **QUICK,
    )  # fmt: skip
    assert set(steering.columns()[A]) <= set(found.columns[A])
    assert not set(steering.columns()[B]) & set(found.columns[A])
    assert found.pairs[0].modes["substitution"].measures.target.share == 1.0
    assert found.pairs[0].contrasts == {} and found.overall() is None


def test_results_are_of_the_test_half_alone(
    it: ReplacementModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other validation prompts in the same places: the choice may change, no measure does."""
    documents = [n // 2 for n in range(80)]
    real = steer_module.prepared
    seen = []

    def prepared(*args: Any, **options: Any) -> Any:
        bench = real(*args, **options)
        prompts = bench.prompts
        seen.append(prompts)
        if len(seen) == 2:
            ids = {
                code: [
                    list(reversed(row)) if validation else row
                    for row, validation in zip(own, prompts.is_validation, strict=True)
                ]
                for code, own in prompts.ids.items()
            }
            bench = dataclasses.replace(bench, prompts=dataclasses.replace(prompts, ids=ids))
        return bench

    monkeypatch.setattr(steer_module, "prepared", prepared)
    first, second = (steered(it, documents=documents, pairs=[(A, B)]) for _ in range(2))
    prompts = seen[0]
    assert not set(prompts.line[prompts.is_validation]) & set(first.info["test_lines"])
    tested, validated = (
        set(prompts.document[part]) for part in (~prompts.is_validation, prompts.is_validation)
    )
    background = {documents[at] for at in prompts.background}
    assert not tested & validated and not background & {documents[at] for at in prompts.line}
    for mode, one in first.pairs[0].modes.items():
        if one.layer is None:
            assert one.curve == second.pairs[0].modes[mode].curve
    assert first.pairs[0].unsteered == second.pairs[0].unsteered


def test_json_there_and_back(planted: SteeringResult, tmp_path: Path) -> None:
    planted.to_json(tmp_path / "steering.json")
    again = SteeringResult.from_json(tmp_path)
    assert again.to_dict() == planted.to_dict()
    assert json.loads((tmp_path / "steering.json").read_text())["info"]["seed"] == 0
    table = planted.to_dataframe()
    assert len(table) == 2 * (1 + 6 * 2) and table["target_low"].between(0, 1).all()
    with pytest.raises(ValueError, match="steering results are incomplete: there is no 'skipped'"):
        SteeringResult.from_dict({k: v for k, v in planted.to_dict().items() if k != "skipped"})
    with pytest.raises(ValueError, match="schema_version=9"):
        SteeringResult.from_dict({**planted.to_dict(), "schema_version": 9})
    with pytest.raises(KeyError, match="no pair"):
        planted.pair(A, A)


def test_after_a_kill_it_goes_on_and_finds_the_same(
    it: ReplacementModel,
    planted: SteeringResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, runs = pairs_module.steered_pair, []

    def dying(runner: Any, source: str, target: str) -> Any:
        runs.append((source, target))
        if len(runs) == 2:
            raise KeyboardInterrupt
        return real(runner, source, target)

    monkeypatch.setattr(steer_module, "steered_pair", dying)
    with pytest.raises(KeyboardInterrupt):
        steered(it, output_dir=tmp_path / "out")
    assert [p.name for p in (tmp_path / "out" / "pairs").iterdir()] == [f"{A}__{B}.json"]
    found = steered(it, output_dir=tmp_path / "out")
    assert runs == [(A, B), (B, A), (B, A)]
    assert found.to_dict() == planted.to_dict()
    # A damaged file is made again.
    (tmp_path / "out" / "pairs" / f"{A}__{B}.json").write_text('{"settings')
    assert steered(it, output_dir=tmp_path / "out").to_dict() == planted.to_dict()
    with pytest.raises(ValueError, match=r"seed was 0, now 1\): give another output_dir"):
        steered(it, output_dir=tmp_path / "out", seed=1)
    with pytest.raises(ValueError, match="features_sha256 was"):
        steered(it, steering.other_columns(0), output_dir=tmp_path / "out")


def test_a_language_without_features_is_left_out_by_name(
    it: ReplacementModel, caplog: pytest.LogCaptureFixture
) -> None:
    found = steered(it, {A: steering.columns()[A], B: []})
    assert found.pairs == () and found.skipped == {
        f"{A}>{B}": f"{B} has no features", f"{B}>{A}": f"{B} has no features",
    }  # fmt: skip
    assert f"{A}>{B} is left out: {B} has no features" in caplog.text
    assert np.isnan(found.matrix()).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"n_prompts": 200},
            "n_prompts=200 needs 100 lines for the validation half",
        ),
        ({"n_prompts": 3}, "n_prompts=3 must be at least 4"),
        ({"strengths": ()}, "strengths="),
        ({"strengths": (0.0, 1.0)}, "all above 0"),
        ({"validation_share": 1.0}, "validation_share=1 leaves nothing"),
        ({"baselines": ["luck"]}, "give some of random, mean_difference, unembedding"),
        ({"pairs": [(A, A)]}, "give \\(source, target\\), two of"),
        ({"features": {A: [0]}}, f"features has no {B}"),
        ({"features": {A: [0], B: [99]}}, "0 to 79"),
        ({"documents": [1, 2]}, "documents has 2 ids for 80 lines"),
        ({"background": {A: ["abc"]}}, f"background has no {B}"),
        ({"background_share": 0.05}, "the background has 4 lines"),
    ],
)
def test_what_cannot_be_is_refused(
    it: ReplacementModel, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        steered(it, **change)
