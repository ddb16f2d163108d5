"""TransferScores: numbers, groups, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast.evaluation.result import TransferScores

LABELS = ("alpha", "beta", "gamma")

CODES = ("eng_Latn", "deu_Latn", "rus_Cyrl", "fra_Latn", "tha_Thai")

ACCURACY = (0.9, 0.8, 0.5, 0.6, 0.3)


def made(codes: Any, accuracy: Any, *, n: int = 50, **options: Any) -> TransferScores:
    """Predictions of exactly these accuracies."""
    rng = np.random.default_rng(0)
    targets = {code: rng.integers(0, 3, n) for code in codes}
    predictions = {}
    for code, share in zip(codes, accuracy, strict=True):
        right = np.arange(n) < round(share * n)
        predictions[code] = np.where(right, targets[code], (targets[code] + 1) % 3)
    return TransferScores.from_predictions(
        targets, predictions, LABELS, **{"source": "eng_Latn", **options}
    )


def test_known_predictions_give_their_accuracy_and_intervals() -> None:
    scores = made(CODES, ACCURACY)
    assert scores.accuracy == pytest.approx(ACCURACY)
    assert scores.n == (50,) * 5
    assert scores.confusion.shape == (5, 3, 3)
    for i in range(5):
        counts = np.bincount(scores.targets[i])
        assert scores.majority[i] == counts.max() / 50
        assert scores.confusion[i].sum(axis=1).tolist() == counts.tolist()
        assert np.trace(scores.confusion[i]) == round(ACCURACY[i] * 50)
        assert scores.accuracy_interval[i, 0] < ACCURACY[i] < scores.accuracy_interval[i, 1]
        assert scores.macro_f1_interval[i, 0] < scores.macro_f1[i] < scores.macro_f1_interval[i, 1]
    assert "mean accuracy of others than eng_Latn: 0.550" in repr(scores)


def test_groups_leave_the_source_out_unless_asked() -> None:
    scores = made(CODES, ACCURACY)
    groups = {group.name: group for group in scores.groups("script")}
    assert groups["Latn"].languages == ("deu_Latn", "fra_Latn")
    assert groups["Latn"].accuracy == pytest.approx(0.7)
    assert groups["Latn"].accuracy_interval == pytest.approx((0.6, 0.8))
    assert groups["Thai"].accuracy_interval is None
    whole = {group.name: group for group in scores.groups("script", include_source=True)}
    assert whole["Latn"].accuracy == pytest.approx((0.9 + 0.8 + 0.6) / 3)
    assert made(CODES[:1], [0.5]).groups("family") == []


def test_scores_written_and_read_are_the_same(tmp_path: Path) -> None:
    scores = made(CODES, ACCURACY, info={"model": "m"}, split="dev", seed=3, n_boot=50)
    path = tmp_path / "transfer.json"
    text = scores.to_json(path)
    assert path.read_text() == text
    for found in (TransferScores.from_json(path), TransferScores.from_json(text)):
        assert found.to_dict() == scores.to_dict()
        assert found.groups("script") == scores.groups("script")
        assert np.array_equal(found.confusion, scores.confusion)
    assert scores.to_dataframe().shape == (5, 9)
    lines = scores.to_csv().splitlines()
    assert lines[0].startswith("language,name,script,family,region,resource_class,n,accuracy")
    assert lines[2].startswith("deu_Latn,German,Latn,Indo-European,Europe,5,50,0.8,")


def test_failed_write_leaves_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "transfer.json"
    path.write_text("before")

    def full(*args: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        made(CODES, ACCURACY).to_json(path)
    assert [p.name for p in tmp_path.iterdir()] == ["transfer.json"]
    assert path.read_text() == "before"


def test_file_that_holds_no_scores_is_refused() -> None:
    content = made(CODES, ACCURACY).to_dict()
    with pytest.raises(ValueError, match=r"kind='ilo_fast\.scores', wanted 'ilo_fast\.transfer'"):
        TransferScores.from_dict({**content, "kind": "ilo_fast.scores"})
    with pytest.raises(ValueError, match="schema_version=99 cannot be read"):
        TransferScores.from_dict({**content, "schema_version": 99})
    with pytest.raises(ValueError, match="incomplete: no rows"):
        TransferScores.from_dict({**content, "rows": []})
    with pytest.raises(ValueError, match="not complete JSON"):
        TransferScores.from_json(json.dumps(content)[:-5])


@pytest.mark.parametrize(
    ("targets", "predictions", "message"),
    [
        ({}, {}, "targets of no languages"),
        ({"eng_Latn": [0]}, {"deu_Latn": [0]}, "predictions are of deu_Latn, targets of eng_Latn"),
        ({"eng_Latn": [0, 1]}, {"eng_Latn": [0]}, r"shape \(1,\) for targets of shape \(2,\)"),
        (
            {"eng_Latn": [0, 1]},
            {"eng_Latn": [0, 3]},
            "predictions must be whole numbers from 0 to 2",
        ),
        ({"eng_Latn": [0.5]}, {"eng_Latn": [0]}, "targets must be whole numbers"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(
    targets: Any, predictions: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TransferScores.from_predictions(targets, predictions, LABELS)


EDITS: dict[str, Any] = {
    "n is 7, but there are 50 targets": lambda d: d["rows"][0].update(n=7),
    "targets must be whole numbers from 0 to 2": lambda d: (
        d["rows"][1]["targets"].append(3) or d["rows"][1]["predictions"].append(0)
    ),
    "accuracy of eng_Latn is 7.5": lambda d: d["rows"][0].update(accuracy=7.5),
    "accuracy is 0.3, but the predictions give 0.9": lambda d: d["rows"][0].update(accuracy=0.3),
    "macro_f1 is 0.1, but": lambda d: d["rows"][2].update(macro_f1=0.1),
    "majority is 1, but": lambda d: d["rows"][0].update(majority=1.0),
    "interval of macro_f1 runs": lambda d: d["rows"][0].update(macro_f1_low=1.0, macro_f1_high=0.5),
    "interval of accuracy is not": lambda d: d["rows"][0].update(accuracy_low=0.0),
    "predictions of shape": lambda d: d["rows"][0]["predictions"].pop(),
    "stands there twice": lambda d: d["rows"][1].update(language="eng_Latn"),
    "wanted different names": lambda d: d.update(labels=["alpha", "alpha", "beta"]),
    "there is no 'split'": lambda d: d["settings"].pop("split"),
    "n_boot=0 must be": lambda d: d["settings"].update(n_boot=0),
    "damaged": lambda d: d.update(rows=[5]),
}


@pytest.mark.parametrize("problem", EDITS)
def test_files_that_contradict_their_predictions_are_refused(problem: str) -> None:
    data = json.loads(made(CODES, ACCURACY, n_boot=10).to_json())
    EDITS[problem](data)
    with pytest.raises(ValueError, match=problem):
        TransferScores.from_dict(data)


def test_equal_results_are_equal_and_have_one_hash() -> None:
    one, other = made(CODES, ACCURACY, n_boot=10), made(CODES, ACCURACY, n_boot=10, info={"a": 1})
    assert one == other and hash(one) == hash(other)
    assert one != made(CODES[:2], ACCURACY[:2], n_boot=10) and one != 3
