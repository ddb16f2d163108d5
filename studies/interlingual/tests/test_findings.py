"""What the study makes of measurements, on numbers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from interlingual import findings

from ilo_fast import Representations, overlap
from ilo_fast.scores.companions.result import Companion, Companions

CODES = ("eng_Latn", "deu_Latn", "fra_Latn", "rus_Cyrl", "ukr_Cyrl", "hin_Deva", "ben_Beng")


def _scores(noise: tuple[float, ...], **more):
    """A layer per noise: every sentence is a point that its languages share, but for the noise."""
    rng = np.random.default_rng(0)
    meaning = rng.standard_normal((60, 16))
    layers = {
        code: np.stack([meaning + x * rng.standard_normal(meaning.shape) for x in noise])
        for code in CODES
    }
    reps = Representations(
        {code: x.astype(np.float32) for code, x in layers.items()}, range(len(noise)), parallel=True
    )
    return overlap(reps, intervals=True, **more)


def test_explained_finds_what_tells_groups_apart() -> None:
    by_script = np.array([0.0, 0.01, 0.02, 0.5, 0.51, 0.9, 1.0])
    rows = {row["by"]: row for row in findings.explained(by_script, CODES)}
    assert rows["script"]["explained"] > 0.99
    assert rows["script"]["p"] < 0.05
    assert rows["script"]["chance"] == pytest.approx((4 - 1) / (7 - 1))
    assert all(row["p_holm"] >= row["p"] for row in rows.values())


def test_explained_of_noise_is_what_chance_gives() -> None:
    rng = np.random.default_rng(1)
    p = [findings.explained(rng.random(7), CODES, seed)[3]["p"] for seed in range(20)]
    assert 0.3 < np.mean(p) < 0.9  # with groups this small many exchanges give the same


def test_equal_values_are_not_explained() -> None:
    assert all(row["p"] == 1 for row in findings.explained(np.ones(7), CODES))


def test_holm() -> None:
    assert findings.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert findings.holm([0.9, 0.8]) == [1.0, 1.0]


def test_correlation() -> None:
    assert findings.correlation(np.arange(5.0), np.arange(5.0) ** 3) == pytest.approx(1)
    assert findings.correlation(np.ones(5), np.arange(5.0)) is None
    assert findings.correlation(np.array([1, np.nan, 2]), np.arange(3.0)) is None


def test_layers_in_opposite_orders() -> None:
    """Pure noise mixes perfectly, meaning with little noise by sentence: ILO and share disagree."""
    scores = _scores((0.5, 30.0))
    found = findings.discordant_layers(scores)
    ilo, share = scores.ilo.mean(axis=1), scores.translation_share.mean(axis=1)
    assert share[0] > share[1] + 0.3
    assert found["pairs"] == 1
    assert (found["opposite"] == 1) == (found["decided"] == 1 and ilo[1] > ilo[0])
    same = findings.discordant_layers(_scores((0.5, 0.5)))
    assert same["opposite"] == 0


def test_misleading_names_both_layers() -> None:
    scores = _scores((0.5, 2.0, 30.0))
    row = findings.misleading(scores)
    assert row["layer_by_translations"] == 0
    assert row["translation_share_there"][1] == pytest.approx(scores.translation_share[0].mean())
    assert row["ilo_there"][0] == scores.ilo.mean(axis=1).max()


def test_companions_are_ranked_by_layers() -> None:
    scores = _scores((0.5, 1.0, 2.0, 4.0))
    share = scores.translation_share.mean(axis=1)
    made = [
        Companion("retrieval_p1", "P@1", "", 0, 1, None, share**2),
        Companion("hubness_skew", "skew", "", 0, 1, None, -share),
        Companion("svcca", "flat", "", 0, 1, None, np.ones(4)),
    ]
    rows = findings.companion_ranks(scores, Companions(scores.layers, scores.languages, made))
    assert rows[0]["with_translation_share"] == pytest.approx(1)
    assert rows[0]["best_layer"] == 0
    assert rows[1]["with_translation_share"] == pytest.approx(-1)
    assert rows[1]["best_layer"] == 0  # less is better
    assert rows[2]["with_translation_share"] is None


def test_groups_have_intervals() -> None:
    rows = findings.group_rows(_scores((0.5,)), 0)
    script = {row["group"]: row for row in rows if row["by"] == "script"}
    assert script["Latn"]["n_languages"] == 3
    assert script["Latn"]["ilo_low"] <= script["Latn"]["ilo"] <= script["Latn"]["ilo_high"]
