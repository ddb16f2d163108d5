"""Comparisons: differences against the jackknife by hand, false positives, power, best layers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.replicates import CODES, from_marks, from_vectors
from scipy import stats

from ilo_fast.corpora.languages import GROUPINGS
from ilo_fast.scores.certainty.intervals import degrees_of_freedom
from ilo_fast.scores.comparison.compare import compare, compare_layers
from ilo_fast.scores.comparison.result import Comparison

DRAWS = 499


def vectors(strength, noise, n=24):
    """Meaning that all languages share, by layer, and directions of their own."""
    rng = np.random.default_rng(5)
    meaning, language = rng.standard_normal((n, 6)), rng.standard_normal((4, 6))
    rng = np.random.default_rng(noise)
    return {
        code: np.stack(
            [
                s * meaning + 1.5 * (1 - s) * language[c] + 0.4 * rng.standard_normal((n, 6))
                for s in strength
            ]
        )
        for c, code in enumerate(CODES)
    }


ONE = from_vectors(vectors([0.3, 0.8, 1.0], 1), seed=4)
OTHER = from_vectors(vectors([0.3, 0.6, 0.6], 2), seed=4)


def marks(rng, share, n, *, sentence=0.0, n_layers=1):
    """Which points bridge: at each layer anew, and a share of the chance is a sentence's own."""
    effect = rng.standard_normal((n_layers, n, 1)) * np.sqrt(sentence)
    own = rng.standard_normal((n_layers, n, 4)) * np.sqrt(1 - sentence)
    return effect + own < stats.norm.ppf(share)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare({"one": ONE, "other": OTHER}, n_draws=DRAWS)


def error_by_halves(layer: int, columns: list[int]) -> float:
    """Of the difference of mean bridges, from pairs of disjoint halves, pair by pair."""
    n, total = 24, 0.0

    def spread(share: float, trials: int) -> float:
        inner = (share * trials + 0.5) / (trials + 1)
        return inner * (1 - inner)

    n_pairs = len(ONE.replicates.subsets.points) // 2
    for pair in range(n_pairs):
        apart = 0.0
        for scores, sign in ((ONE, 1), (OTHER, -1)):
            counts = scores.replicates.subsets
            shares = counts.bridging[:, layer] / counts.points
            for c in columns:
                widen = spread(scores.bridge[layer, c], n) / spread(shares[:, c].mean(), n // 2)
                step = shares[2 * pair, c] - shares[2 * pair + 1, c]
                apart += sign * step * widen**0.5 / len(columns)
        total += apart**2 / 2  # the variance at half the size
    return (total / n_pairs / 2) ** 0.5


def test_differences_and_errors_are_those_of_halves_by_hand(comparison: Comparison) -> None:
    df = degrees_of_freedom(ONE.replicates)
    for d in comparison.select(score="bridge", at="layer"):
        if d.by not in ("mean", "language"):
            continue
        columns = [0, 1, 2, 3] if d.by == "mean" else [CODES.index(d.group)]
        value = (ONE.bridge - OTHER.bridge)[d.layer_a, columns].mean()
        error = error_by_halves(d.layer_a, columns)
        assert d.difference == pytest.approx(value, abs=1e-12)
        if d.se is None:
            assert error < 1e-10
            assert (d.low, d.high, d.p, d.p_corrected) == (None,) * 4
            continue
        half = stats.t.ppf(0.975, df) * error
        assert d.se == pytest.approx(error)
        assert d.low == pytest.approx(max(-1, value - half), abs=1e-9)
        assert d.high == pytest.approx(min(1, value + half), abs=1e-9)
        assert d.p == pytest.approx(2 * stats.t.sf(abs(value) / error, df), abs=1e-9)


def test_every_score_layer_language_and_group_is_compared(comparison: Comparison) -> None:
    n_groups = len({(d.by, d.group) for d in comparison.differences})
    assert {d.by for d in comparison.differences} == {"mean", "language", *GROUPINGS}
    assert len(comparison.differences) == 4 * (3 + 1) * n_groups  # scores, layers and best
    script = comparison.select(score="ilo", at="layer", by="script")
    assert {(d.group, d.n_languages) for d in script} == {("Latn", 3), ("Cyrl", 1)}
    latin = [ONE.languages.index(c) for c in CODES if c.endswith("Latn")]
    assert script[0].value_a == pytest.approx(ONE.ilo[0, latin].mean())
    assert all(d.p_corrected >= d.p for d in comparison.differences if d.p is not None)


def test_the_layer_that_was_made_better_is_found_and_ranked_first(comparison: Comparison) -> None:
    best = {b.model: b for b in comparison.best_layers if b.score == "translation_share"}
    assert best["one"].layer == 2 and 2 in best["one"].candidates
    assert sum(best["one"].shares) == pytest.approx(1)
    (d,) = (d for d in comparison.select(score="ilo", at="layer", by="mean") if d.layer_a == 2)
    assert d.low > 0 and d.p_corrected < 0.05
    ranks = {r.model: r for r in comparison.ranks if (r.score, r.at) == ("ilo", "best")}
    assert [ranks[m].rank for m in ("one", "other")] == [1, 2]
    assert (ranks["one"].rank_low, ranks["one"].rank_high) == (1, 1)


def test_it_is_said_whether_the_text_is_known_to_be_the_same(comparison: Comparison) -> None:
    assert comparison.text_known
    unknown = dataclasses.replace(
        OTHER, replicates=dataclasses.replace(OTHER.replicates, units_sha256=None)
    )
    assert not compare({"one": ONE, "other": unknown}, n_draws=99).text_known


def test_order_of_models_and_of_languages_changes_signs_alone(comparison: Comparison) -> None:
    order = [2, 0, 3, 1]
    turned = dataclasses.replace(
        OTHER,
        languages=tuple(CODES[i] for i in order),
        **{
            name: getattr(OTHER, name)[:, order]
            for name in ("bridge", "reach", "ilo", "translation_share")
        },
        replicates=dataclasses.replace(
            OTHER.replicates,
            **{
                name: dataclasses.replace(
                    counts,
                    **{
                        f.name: getattr(counts, f.name)[..., order]
                        for f in dataclasses.fields(counts)
                    },
                )
                for name in ("whole", "without_one", "subsets")
                if (counts := getattr(OTHER.replicates, name))
            },
        ),
    )
    back = compare({"other": turned, "one": ONE}, n_draws=DRAWS)
    here = {(d.score, d.at, d.layer_a, d.layer_b, d.by, d.group): d for d in comparison.differences}
    for d in back.differences:
        same = here[d.score, d.at, d.layer_b, d.layer_a, d.by, d.group]
        assert d.difference == pytest.approx(-same.difference, abs=1e-12)
        if d.se is not None:
            assert d.se == pytest.approx(same.se)
            assert d.p_corrected == pytest.approx(same.p_corrected, abs=0.02)


def test_a_model_against_itself_differs_nowhere_and_has_no_p() -> None:
    found = compare({"a": ONE, "b": ONE}, n_draws=DRAWS)
    assert {d.difference for d in found.differences} == {0.0}
    assert {d.p for d in found.differences} == {None}
    assert {(r.rank, r.rank_low, r.rank_high) for r in found.ranks} == {(1, 1, 2)}


def test_models_of_other_depths_are_compared_at_their_best_layers() -> None:
    shallow = OTHER.select(layers=[0, 1])
    found = compare({"deep": ONE, "shallow": shallow}, n_draws=DRAWS)
    assert not found.same_layers
    assert {d.at for d in found.differences} == {"best"}
    (d,) = found.select(score="ilo", by="mean")
    best = int(ONE.ilo.mean(axis=1).argmax()), int(shallow.ilo.mean(axis=1).argmax())
    assert (d.layer_a, d.layer_b) == best
    assert {(v.model, v.layer) for v in found.curves} == {
        *(("deep", h) for h in range(3)), *(("shallow", h) for h in range(2)),
    }  # fmt: skip


def test_layers_of_one_model_are_compared_with_each_other() -> None:
    found = compare_layers(ONE, n_draws=DRAWS)
    assert found.names == ("layer 0", "layer 1", "layer 2")
    (d,) = (
        d
        for d in found.select(score="translation_share", by="mean")
        if (d.layer_a, d.layer_b) == (0, 2)
    )
    means = ONE.translation_share.mean(axis=1)
    assert d.difference == pytest.approx(means[0] - means[2]) and d.p_corrected < 0.01
    assert not found.select(by="language")


def test_one_model_in_two_halves_differs_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    raw, family, n_runs, n_layers = 0, 0, 36, 8
    for _ in range(n_runs):
        halves = {
            name: from_marks(marks(rng, 0.6, 210, sentence=0.4, n_layers=n_layers), n_subsets=200)
            for name in "ab"
        }
        found = compare(halves, paired=False, n_draws=199)
        means = found.select(score="bridge", at="layer", by="mean")
        raw += sum(d.p <= 0.05 for d in means)
        family += min(d.p_corrected for d in means) <= 0.05
    low, high = stats.binom.ppf([0.001, 0.999], n_runs * n_layers, 0.05)
    assert low <= raw <= high
    assert family <= stats.binom.ppf(0.999, n_runs, 0.05)


def test_pairing_takes_out_what_a_sentence_does_to_both_models() -> None:
    rng = np.random.default_rng(1)
    effect = rng.standard_normal((1, 200, 1))
    one, other = (from_marks(effect + 0.5 * rng.standard_normal((1, 200, 4)) < 0) for _ in range(2))
    errors = [
        compare({"a": one, "b": other}, paired=paired, n_draws=99)
        .select(score="bridge", at="layer", by="mean")[0]
        .se
        for paired in (True, False)
    ]
    assert errors[0] < 0.6 * errors[1]


def test_a_planted_difference_is_found_as_often_as_theory_says() -> None:
    rng = np.random.default_rng(2)
    n, share, gain, n_runs, n_layers = 210, 0.5, 0.055, 12, 10
    found = 0
    for _ in range(n_runs):
        runs = {
            name: from_marks(marks(rng, mean, n, n_layers=n_layers), n_subsets=200)
            for name, mean in (("a", share + gain), ("b", share))
        }
        means = compare(runs, n_draws=99).select(score="bridge", at="layer", by="mean")
        found += sum(d.p <= 0.05 for d in means)
    # Points are independent: the variance of a share of 4 n of them, twice.
    error = np.sqrt(((share + gain) * (1 - share - gain) + share * (1 - share)) / (4 * n))
    power = stats.norm.sf(1.96 - gain / error) + stats.norm.cdf(-1.96 - gain / error)
    low, high = stats.binom.ppf([0.001, 0.999], n_runs * n_layers, power)
    assert 0.5 < power < 0.9
    assert low <= found <= high


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dataclasses.replace(OTHER, replicates=None), r"scores\['b'\] carries no replicates"),
        (dataclasses.replace(OTHER, n_neighbors=9), r"differ in n_neighbors \(5 and 9\)"),
        (
            dataclasses.replace(OTHER, info={**OTHER.info, "backend": "hnsw"}),
            r"in backend \(exact and hnsw\)",
        ),
        (dataclasses.replace(OTHER, metric="cosine"), r"in metric \(euclidean and cosine\)"),
        (
            dataclasses.replace(OTHER, languages=(*CODES[:3], "tha_Thai")),
            r"different languages \(swh_Latn, tha_Thai only in one\)",
        ),
        (
            dataclasses.replace(OTHER, n_sentences=(24, 24, 24, 23)),
            r"the number of sentences of swh_Latn \(24 and 23\)",
        ),
        (
            dataclasses.replace(
                OTHER, replicates=dataclasses.replace(OTHER.replicates, unit="document")
            ),
            r"in their unit \(sentence and document\)",
        ),
        (
            dataclasses.replace(
                OTHER, replicates=dataclasses.replace(OTHER.replicates, units_sha256="b" * 64)
            ),
            r"in their text or its documents \(a{12} and b{12}\)",
        ),
        (
            dataclasses.replace(OTHER, replicates=dataclasses.replace(OTHER.replicates, seed=5)),
            r"in the seed of their subsets \(4 and 5\)",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_difference_named(other, message) -> None:
    with pytest.raises(ValueError, match=message):
        compare({"a": ONE, "b": other}, n_draws=DRAWS)


def test_two_models_levels_and_units_enough_are_asked_for() -> None:
    with pytest.raises(ValueError, match="scores holds 1 model: a comparison needs two"):
        compare({"a": ONE})
    with pytest.raises(ValueError, match=r"level=1\.5 is not between"):
        compare({"a": ONE, "b": OTHER}, level=1.5)
    with pytest.raises(TypeError, match="paired must be True or False"):
        compare({"a": ONE, "b": OTHER}, paired="no")  # type: ignore[arg-type]
    few = from_marks(np.random.default_rng(0).random((1, 9, 4)) < 0.5)
    with pytest.raises(ValueError, match=r"scores\['a'\] is of 9 sentences: .* at least 10"):
        compare({"a": few, "b": few})


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    one, same, other = (compare({"a": ONE, "b": OTHER}, seed=s, n_draws=99) for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_a_comparison_comes_back_from_its_file(comparison: Comparison, tmp_path) -> None:
    comparison.to_json(tmp_path / "comparison.json")
    assert Comparison.from_json(tmp_path) == comparison
    assert Comparison.from_json(comparison.to_json()) == comparison
    data = comparison.to_dict()
    for broken, message in (
        (data | {"kind": "x"}, "another kind of file"),
        (data | {"schema_version": 7}, "schema_version=7"),
        (data | {"ranks": [{"score": "ilo"}]}, "records are damaged: .*missing"),
        ({k: v for k, v in data.items() if k != "level"}, "incomplete: there is no 'level'"),
        (data | {"names": ["one", "third"]}, r"records of \['other'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            Comparison.from_dict(broken)


def test_rows_csv_and_frame_hold_every_difference(comparison: Comparison, tmp_path) -> None:
    rows = comparison.rows()
    assert len(rows) == len(comparison.differences) and rows[0]["a"] == "one"
    text = comparison.to_csv(tmp_path / "comparison.csv")
    assert (tmp_path / "comparison.csv").read_text() == text
    assert text.count("\n") == len(rows) + 1
    pytest.importorskip("pandas")
    assert comparison.to_dataframe().shape == (len(rows), len(rows[0]))


def test_a_notebook_shows_means_and_escapes_names() -> None:
    found = compare({"<b>": ONE, "other": OTHER}, n_draws=99)
    page = found._repr_html_()
    assert "&lt;b&gt; - other" in page and "<b>" not in page
    assert page.count("<tr>") == 1 + 3 + 1
    assert "paired over 24 sentences" in repr(found)
