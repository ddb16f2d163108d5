"""What is compared with what, and what is refused, for every similarity alike."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ilo_fast.representations.result import Representations
from ilo_fast.scores.companions.companions import companions
from ilo_fast.scores.companions.directions import directions_removed
from ilo_fast.scores.similarity import cka, hubness, language_variance, retrieval
from ilo_fast.scores.similarity.halves import Halves
from ilo_fast.scores.similarity.pairs import Measure, each_pair, similarity


def compare(X, Y=None, *, intervals=False, seed=0, level=0.95, symmetric=True, **options):
    """Mean product of the first column of X and the last of Y, a measure that is easily checked."""
    function = lambda a, b: float((a[:, 0] * b[:, -1]).mean())  # noqa: E731
    measure = Measure(
        "product",
        lambda rows: rows.astype(np.float64),
        each_pair(function, symmetric=symmetric),
        lowest=-np.inf,
        highest=np.inf,
        **options,
    )
    return similarity(measure, X, Y, intervals=intervals, level=level, seed=seed, progress=False)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def languages(rng, n_layers=3, n=20, d=4, groups=None, codes=("deu", "eng", "swa")):
    arrays = {c: rng.standard_normal((n_layers, n, d)).astype(np.float32) for c in codes}
    layers = range(0, 2 * n_layers, 2)
    return Representations(arrays, layers, parallel=True, groups=groups)


def test_two_matrices_give_one_number(rng):
    X, Y = rng.standard_normal((2, 30, 4))
    found = compare(X, Y[:, :3])
    assert found.values.shape == ()
    assert float(found) == pytest.approx((X[:, 0] * Y[:, 2]).mean())
    assert found.n == 30 and "product" in repr(found)


def test_two_stacks_give_all_pairs_of_layers(rng):
    X, Y = rng.standard_normal((2, 30, 4)), rng.standard_normal((3, 30, 5))
    found = compare(X, Y)
    wanted = [[(x[:, 0] * y[:, -1]).mean() for y in Y] for x in X]
    np.testing.assert_allclose(found.values, wanted)
    with pytest.raises(TypeError, match=r"not one number"):
        float(found)


def test_one_stack_is_compared_with_itself(rng):
    X = rng.standard_normal((3, 30, 4))
    found = compare(X, symmetric=False)
    np.testing.assert_allclose(found.values, compare(X, X).values)


def test_representations_give_pairs_of_languages_at_each_layer(rng):
    reps = languages(rng)
    found = compare(reps, symmetric=False)
    assert found.values.shape == (3, 3, 3)
    assert found.layers == (0, 2, 4) and found.rows == found.columns == reps.languages
    wanted = (reps["deu"][1, :, 0] * reps["swa"][1, :, -1]).mean()
    assert found.values[1, 0, 2] == pytest.approx(wanted, rel=1e-6)
    row = found.rows_table()[9 + 2]
    assert (row["layer"], row["row"], row["column"]) == (2, "deu", "swa")
    assert row["value"] == found.values[1, 0, 2]
    assert json.loads(json.dumps(found.to_dict()))["rows"] == ["deu", "eng", "swa"]


def test_two_representations_give_pairs_of_layers_over_all_points(rng):
    one, other = languages(rng), languages(rng, n_layers=2)
    found = compare(one, other)
    assert found.values.shape == (3, 2) and found.n == 60
    assert found.rows == (0, 2, 4) and found.columns == (0, 2)
    wanted = np.mean([(one[c][2, :, 0] * other[c][0, :, -1]).mean() for c in one])
    assert found.values[2, 0] == pytest.approx(wanted, rel=1e-6)


def test_half_precision_and_torch_are_taken_as_they_are(rng):
    torch = pytest.importorskip("torch")
    X = torch.from_numpy(rng.standard_normal((2, 30, 4)).astype(np.float32))
    for dtype in (torch.float16, torch.bfloat16):
        narrow = X.to(dtype)
        wanted = compare(narrow.float().numpy())
        np.testing.assert_array_equal(compare(narrow).values, wanted.values)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ((30, 4), None, r"there is no Y"),
        ((30, 4), (29, 4), r"X has 30 rows and Y 29"),
        ((30, 4), (2, 30, 4), r"for both"),
        ((1, 4), (1, 4), r"needs 2"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(rng, x, y, message):
    with pytest.raises(ValueError, match=message):
        compare(rng.standard_normal(x), None if y is None else rng.standard_normal(y))


def test_what_is_no_parallel_text_is_refused(rng):
    reps = languages(rng)
    apart = Representations(dict(reps), reps.layers)
    with pytest.raises(ValueError, match=r"X is not parallel"):
        compare(apart)
    with pytest.raises(ValueError, match=r"wanted the same, in one order"):
        compare(reps, languages(rng, codes=("eng", "deu", "swa")))
    with pytest.raises(TypeError, match=r"for both"):
        compare(reps, reps["deu"])
    with pytest.raises(ValueError, match=r"'b'.*row by row"):
        compare({"a": np.zeros((5, 2)), "b": np.zeros((6, 2))})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(rng, value):
    X = rng.standard_normal((2, 30, 4))
    X[1, 7, 2] = value
    with pytest.raises(ValueError, match=r"X, row 7, layer 1 holds NaN or infinity"):
        compare(X)


def test_zero_rows_are_named_where_they_have_no_direction(rng):
    reps = {"a": rng.standard_normal((9, 2)), "b": rng.standard_normal((9, 2))}
    reps["b"][4] = 0
    assert np.isfinite(compare(reps).values).all()
    with pytest.raises(ValueError, match=r"X\['b'\], row 4 is a zero vector"):
        compare(reps, zero_rows=False)


def test_huge_numbers_are_finite(rng):
    X = rng.standard_normal((2, 30, 4)) * 1e150
    assert np.isfinite(compare(X).values).all()


def test_halves_are_disjoint_and_keep_documents_whole():
    groups = [f"d{i // 3}" for i in range(60)]
    halves = Halves.draw(60, groups, seed=1)
    assert halves.unit == "document" and halves.n_units == 20
    for one, other in halves.pairs:
        assert len(one) == len(other) == 30 and not set(one) & set(other)
        assert {i // 3 for i in one}.isdisjoint(i // 3 for i in other)


def test_intervals_of_a_mean_have_the_length_that_students_t_gives(rng):
    """16 pairs of halves of 400 values: the standard error of a mean, on average."""
    n, ratios = 400, []
    for seed in range(40):
        X = np.ones((n, 2))
        X[:, 0] = rng.standard_normal(n)
        found = compare(X, X, intervals=True, seed=seed)
        ratios.append((found.high - found.low) / 2 / (X[:, 0].std(ddof=1) / np.sqrt(n)))
        assert found.low < found.values < found.high
    quantile = 2.131  # of t with 15 degrees of freedom, at 97.5 %
    assert np.mean(ratios) == pytest.approx(quantile, rel=0.08)


def test_intervals_of_shares_have_a_length_where_all_are_hits():
    halves = Halves.draw(100)
    low, high = halves.interval(1.0, [0.0] * 16, level=0.95, share=True)
    assert 0.94 < low < 0.97 and high == 1


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_one_half_with_another_share_does_not_make_the_end_of_the_scale_sure(end):
    """Shares of 20 languages: it is 1 / 1000 of them in one half, and none in the whole."""
    halves = Halves.draw(100)
    still = halves.interval(end, [0.0] * 16, level=0.95, share=True, at_halves=end)
    moves = halves.interval(
        end, [0.001] + [0.0] * 15, level=0.95, share=True, at_halves=abs(end - 0.001 / 32)
    )
    np.testing.assert_array_equal(moves, still)


def test_too_few_sentences_give_no_interval_and_the_reason(rng):
    found = compare(*rng.standard_normal((2, 6, 3)), intervals=True)
    assert np.isnan(found.low) and "halves need at least 10 sentences, got 6" in found.reason


def test_pools_are_halved_by_sentence(rng):
    """All points of a sentence come together: the interval is that of sentence means."""
    one = languages(rng, n=50)
    same = Representations({c: one["deu"] for c in one}, one.layers, parallel=True)
    pool = compare(same, same, intervals=True)
    alone = compare(one["deu"], one["deu"], intervals=True)
    np.testing.assert_allclose(pool.low, alone.low, rtol=1e-6)


def test_seed_decides_the_interval_and_nothing_else(rng):
    X = rng.standard_normal((2, 40, 3))
    first, again, other = (compare(X, intervals=True, seed=seed) for seed in (1, 1, 2))
    assert first == again and first != other
    np.testing.assert_array_equal(first.values, other.values)


SOUND = {code: np.random.default_rng(7).standard_normal((20, 4)) for code in ("deu", "eng")}


@pytest.mark.parametrize(
    "measure",
    [
        hubness, language_variance, retrieval, lambda X: cka(X, X), lambda X: cka(SOUND, X),
        companions, directions_removed,
    ],
    ids=["hubness", "language_variance", "retrieval", "first", "second", "companions", "removed"],
)  # fmt: skip
def test_languages_of_other_dimensions_are_no_pool(rng, measure):
    X = {"deu": rng.standard_normal((20, 4)), "eng": rng.standard_normal((20, 5))}
    with pytest.raises(ValueError, match="has languages of 4 and 5 dimensions: wanted one space"):
        measure(X)


def test_nested_lists_are_arrays_as_for_the_graph(rng):
    X, Y = rng.standard_normal((2, 20, 3))
    assert float(compare(X.tolist(), Y.tolist())) == float(compare(X, Y))
    assert (compare([X.tolist(), Y.tolist()]).values == compare(np.stack([X, Y])).values).all()
    with pytest.raises(TypeError, match="X, a list, does not make an array"):
        compare([[1.0], [2.0, 3.0]], Y)
