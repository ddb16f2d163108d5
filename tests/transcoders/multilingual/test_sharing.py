"""Sharing of features: against a loop over pairs of lines, on planted truth and under the null."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from helpers.line_tables import planted, table_of
from helpers.seeds import fresh
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast.errors import CorpusError
from ilo_fast.transcoders.multilingual.sharing.partners import other_lines
from ilo_fast.transcoders.multilingual.sharing.sharing import feature_sharing, strongest
from ilo_fast.transcoders.multilingual.sharing.sharing_result import MEASURES

FEW: dict[str, Any] = {"n_shuffles": 3, "n_bootstrap": 100}


def dense_values(random: np.random.Generator, shape: tuple[int, ...], on: float) -> Any:
    return random.uniform(0.1, 3.0, shape) * (random.random(shape) < on)


def slow(a: NDArray[np.float64], b: NDArray[np.float64]) -> list[float]:
    """Of two vectors, by the definitions."""
    if not a.any() or not b.any():
        return [0.0, 0.0, 0.0]
    return [
        float(((a > 0) & (b > 0)).sum() / ((a > 0) | (b > 0)).sum()),
        float(np.minimum(a, b).sum() / np.maximum(a, b).sum()),
        float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
    ]


def test_sums_by_document_equal_a_loop_and_are_the_same_for_every_number_of_threads() -> None:
    random = fresh()
    n_languages, n, n_layers, n_features = 4, 13, 3, 11
    values = dense_values(random, (n_languages, n, n_layers, n_features), 0.4).astype(np.float32)
    values[1, 2, 1] = 0  # lines without a feature
    values[2, 2, 1] = 0
    table = table_of(values)
    documents = random.integers(0, 4, n).astype(np.int32)
    partners = np.stack([random.permutation(n) for _ in range(3)]).astype(np.int32)
    row_of = np.arange(n_languages * n).reshape(n_languages, n)
    given: dict[str, Any] = {
        "row_of": row_of, "documents": documents, "partners": partners, "n_layers": n_layers,
        "n_features": n_features, "n_documents": 4,
    }  # fmt: skip
    entries = table.indptr, table.indices, table.maxima
    found = _core.sum_sharing(*entries, n_threads=1, **given)
    for threads in (2, 5):
        again = _core.sum_sharing(*entries, n_threads=threads, **given)
        assert all((x == y).all() for x, y in zip(found, again, strict=True))
    matched, others = np.zeros_like(found[0]), np.zeros_like(found[0])
    first, second = np.triu_indices(n_languages, 1)
    for pair, (a, b) in enumerate(zip(first, second, strict=True)):
        for h in range(n_layers):
            for i in range(n):
                one = values[a, i, h].astype(np.float64)
                matched[pair, h, documents[i]] += slow(one, values[b, i, h].astype(np.float64))
                for j in partners[:, i]:
                    value = np.array(slow(one, values[b, j, h].astype(np.float64))) / 3
                    others[pair, h, documents[i]] += value
                    others[pair, h, documents[j]] += value
    assert found[0] == pytest.approx(matched, rel=1e-5)
    assert found[1] == pytest.approx(others, rel=1e-5)
    for bad, message in (
        ({"row_of": row_of + 1}, r"row_of\[3, 12\]=52"),
        ({"documents": documents + 4}, "documents"),
        ({"partners": partners + 1}, "partners"),
        ({"row_of": row_of[:1]}, "2 languages or more"),
        ({"n_threads": 0}, "n_threads=0"),
    ):
        with pytest.raises(ValueError, match=message):
            _core.sum_sharing(*entries, **({"n_threads": 1} | given | bad))
    with pytest.raises(ValueError, match=r"values\[0\]=-"):
        _core.sum_sharing(*entries[:2], -table.maxima, n_threads=1, **given)


def test_an_interrupt_ends_the_count() -> None:
    table = table_of(np.random.default_rng(0).uniform(0.1, 1, (8, 100, 2, 100)))

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _core.sum_sharing(
            table.indptr, table.indices, table.maxima, row_of=np.arange(800).reshape(8, 100),
            documents=np.zeros(100, np.int32), n_layers=2, n_features=100, n_documents=1,
            partners=np.tile(np.arange(100, dtype=np.int32), (500, 1)), n_threads=1,
            progress=interrupt,
        )  # fmt: skip


def test_planted_sharing_is_found_at_every_layer_and_beyond_the_null() -> None:
    random, shares = fresh(), (0.0, 0.25, 0.5, 1.0)
    found = feature_sharing(planted(shares, random), **FEW)
    by_chance = 20 / 400  # of a line's own features in another line
    for h, share in enumerate(shares):
        common = 20 * share + 20 * (1 - share) ** 2 * by_chance
        assert found["jaccard"].mean_shared.values[h] == pytest.approx(
            common / (40 - common), abs=0.02
        )
        null = 20 * by_chance
        assert found["jaccard"].mean_null.values[h] == pytest.approx(null / (40 - null), abs=0.01)
    for name in MEASURES:
        excess = found[name].mean_excess
        assert (np.diff(excess.values) > 0.05).all() and (excess.low[1:] > 0).all()
        assert np.allclose(
            excess.values, found[name].mean_shared.values - found[name].mean_null.values
        )
        pairs = found[name].excess.values
        assert np.isnan(pairs[:, [0, 1, 2], [0, 1, 2]]).all()
        assert np.array_equal(pairs, pairs.transpose(0, 2, 1), equal_nan=True)
    assert found["cosine"].shared.values[3, 0, 1] > 0.8


def test_pairs_without_anything_in_common_have_no_excess_over_20_seeds() -> None:
    beyond = n = 0
    first = fresh().integers(2**31)
    for seed in range(20):
        random = np.random.default_rng([first, seed])
        table = planted((0.4, 0.4), random, n_languages=2, n_lines=50, n_features=120)
        order = random.permutation(50)  # the second language's lines mean something else
        rows = np.concatenate([np.arange(50), 50 + order])
        lines = np.concatenate([np.arange(50), np.arange(50)])
        shuffled = dataclasses.replace(
            table,
            **{k: getattr(_taken(table, rows), k) for k in _ROWS},
            line=lines, document=lines, language=table.language,
        )  # fmt: skip
        found = feature_sharing(shuffled, n_shuffles=10, n_bootstrap=400, seed=seed)
        for name in MEASURES:
            excess = found[name].mean_excess
            beyond += int(((excess.low > 0) | (excess.high < 0)).sum())
            n += len(excess.values)
    # Measures of one table move together: 40 independent ones at 5 %, less than 1 in 10^6.
    assert n == 120 and beyond <= 3 * 13


_ROWS = ("indptr", "indices", "counts", "sums", "maxima", "tokens")


def _taken(table: Any, rows: NDArray[np.int64]) -> Any:
    """Rows in any order."""
    parts = [table.of_rows(np.array([row])) for row in rows]
    ends = np.cumsum([0, *(len(part.indices) for part in parts)])
    joined = {
        k: np.concatenate([getattr(part, k) for part in parts]) for k in _ROWS if k != "indptr"
    }
    return dataclasses.replace(table, indptr=ends, **joined)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    first, documents = fresh().integers(2**31), np.arange(60) // 2
    random = np.random.default_rng([first, 0])
    # Other lines have the same in common whatever the share, so that the excess is the mean of two.
    truth = np.mean([_excess(planted((p,), random, n_lines=1000), 20, 0)[0] for p in (0.2, 0.8)])
    held = 0
    for seed in range(100):
        random = np.random.default_rng([first, 1, seed])
        # Languages have equally much in common in the lines of a document.
        parts = [planted((p,), random, n_lines=2) for p in random.choice([0.2, 0.8], 30)]
        _, low, high = _excess(_joined(parts, documents), 5, seed)
        held += int(low <= truth <= high)
    # 95 of 100 wanted; fewer than 79 happens less than once in 10^6.
    assert held >= 79


def _excess(table: Any, n_shuffles: int, seed: int) -> tuple[float, float, float]:
    found = feature_sharing(table, n_shuffles=n_shuffles, n_bootstrap=300, seed=seed)
    one = found["jaccard"].mean_excess
    return float(one.values[0]), float(one.low[0]), float(one.high[0])


def _joined(parts: list[Any], documents: NDArray[np.int64]) -> Any:
    """Tables of a few lines each, as one."""
    dense = []
    for part in parts:
        n = len(part) // len(part.languages)
        flat = np.zeros((len(part), part.n_columns))
        flat[part.rows, part.indices] = part.maxima
        dense.append(flat.reshape(len(part.languages), n, part.n_layers, part.n_features))
    return table_of(np.concatenate(dense, axis=1), documents)


def test_features_that_are_always_on_are_left_out_at_every_layer() -> None:
    random = fresh()
    values = np.zeros((2, 40, 2, 60))
    values[:, :, :, :20] = dense_values(random, (2, 40, 2, 20), 0.3)
    plain = feature_sharing(table_of(values, tokens=1), **FEW)
    values[:, :, 0, 50:53] = values[:, :, 1, 55] = 1.0
    found = feature_sharing(table_of(values, tokens=1), **FEW)
    assert found.n_always_on.tolist() == [3, 1] and plain.n_always_on.tolist() == [0, 0]
    for name in MEASURES:
        assert np.array_equal(found[name].shared.values, plain[name].shared.values, equal_nan=True)
    with_them = feature_sharing(table_of(values, tokens=1), max_density=1, **FEW)
    assert with_them["jaccard"].mean_null.values[0] > found["jaccard"].mean_null.values[0] + 0.1


def test_lines_without_a_feature_share_nothing_and_are_counted() -> None:
    values = np.zeros((2, 12, 1, 8))
    values[:, 3:, 0, 0] = 1.0
    values[0, 3, 0] = 0
    found = feature_sharing(table_of(values), max_density=1, **FEW)
    assert found.n_empty.tolist() == [[4, 3]]
    assert found["jaccard"].mean_shared.values[0] == pytest.approx(8 / 12)


def test_the_strongest_features_carry_the_share_that_is_asked_for() -> None:
    random = fresh()
    table = table_of(dense_values(random, (2, 9, 3, 15), 0.6))
    kept = strongest(table, 0.8)
    for row in range(len(table)):
        for h in range(3):
            of_all, of_kept = (
                t.maxima[(t.rows == row) & (t.indices // 15 == h)].astype(np.float64)
                for t in (table, kept)
            )
            best = np.sort(of_all)[::-1]
            n = int(np.searchsorted(np.cumsum(best), 0.8 * best.sum() * (1 - 1e-12))) + 1
            assert sorted(of_kept) == sorted(best[: n if len(best) else 0])
    assert strongest(table, 1.0) is table
    by_influence = feature_sharing(table, by="influence", **FEW)
    assert (by_influence.mass, by_influence.values) == (0.8, "sums")
    of_all = feature_sharing(table, by="influence", mass=1, values="maxima", **FEW)
    plain = feature_sharing(table, **FEW)
    assert np.array_equal(of_all["cosine"].mean_shared.values, plain["cosine"].mean_shared.values)


def test_shuffled_pairs_are_of_other_lines_and_documents_and_of_a_length_where_asked() -> None:
    random = fresh()
    documents = np.sort(random.integers(0, 30, 200))
    found, same = other_lines(documents, 10, seed=1)
    assert same == 0 and (documents[found] != documents).all()
    assert (np.sort(found, axis=1) == np.arange(200)).all()
    assert (other_lines(documents, 10, seed=1)[0] == found).all()
    lengths = random.integers(5, 60, 200)
    near, same = other_lines(documents, 10, lengths=lengths, seed=2)
    assert (np.sort(near, axis=1) == np.arange(200)).all() and same < 0.02
    assert (near != np.arange(200)).all()
    apart = [np.abs(lengths[p] - lengths).mean() for p in (near, found)]
    assert apart[0] < apart[1] / 3
    for n in (2, 3):  # of one document: it cannot be avoided
        few, same = other_lines(np.zeros(n, np.int64), 20, seed=3)
        assert (few != np.arange(n)).all() and same == 1
    with pytest.raises(ValueError, match="1 lines"):
        other_lines(np.zeros(1, np.int64), 1)


def test_results_are_tables_and_json_and_say_how_they_were_made() -> None:
    found = feature_sharing(planted((0.2, 0.6), fresh(), documents=np.arange(60) // 3), **FEW)
    assert (found.n_lines, found.n_documents, found.same_document) == (60, 20, 0)
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["measures"]["jaccard"]["shared"]["values"][0][0][0] is None
    assert len(found.rows()) == 2 and len(found.pair_rows()) == 6
    assert found.rows()[0]["jaccard_excess_low"] <= found.rows()[0]["jaccard_excess"]
    again = feature_sharing(
        planted((0.2, 0.6), np.random.default_rng(5), documents=np.arange(60) // 3), **FEW
    )
    same = feature_sharing(
        planted((0.2, 0.6), np.random.default_rng(5), documents=np.arange(60) // 3), **FEW
    )
    assert again.rows() == same.rows()
    few = feature_sharing(planted((0.5,), fresh(), n_lines=9), **FEW)
    assert np.isnan(few["jaccard"].mean_excess.low).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_shuffles": 0}, "n_shuffles=0"),
        ({"confidence": 1.0}, "confidence=1.0"),
        ({"by": "attention"}, "by="),
        ({"max_density": 2.0}, "max_density"),
        ({"max_density": 0.0}, "no active feature left"),
    ],
)
def test_arguments_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    table = table_of(np.ones((2, 4, 1, 3)))
    with pytest.raises(ValueError, match=message):
        feature_sharing(table, **(FEW | {"max_density": 1.0} | change))
    with pytest.raises(CorpusError, match="not parallel"):
        feature_sharing(dataclasses.replace(table, is_parallel=False))
    with pytest.raises(CorpusError, match="1 languages"):
        feature_sharing(table.select(["eng_Latn"]))


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_sharing_does_not_depend_on_the_unit_of_values(unit: float) -> None:
    values = dense_values(fresh(), (2, 12, 2, 20), 0.4)
    wanted = feature_sharing(table_of(values), max_density=1.0, **FEW)
    found = feature_sharing(table_of(unit * values), max_density=1.0, **FEW)
    for name in MEASURES:
        np.testing.assert_allclose(
            found[name].mean_shared.values, wanted[name].mean_shared.values, rtol=1e-5
        )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    table = table_of(np.ones((2, 4, 1, 3)))
    broken = table.maxima.copy()
    broken[2] = value
    with pytest.raises(ValueError, match="NaN or infinity in its maxima"):
        feature_sharing(dataclasses.replace(table, maxima=broken), max_density=1.0, **FEW)
    with pytest.raises(ValueError, match="wanted positive numbers of at most 1e"):
        _core.sum_sharing(
            np.array([0, 1, 2]), np.zeros(2, np.int32), np.array([1, min(value, 1e19)], np.float32),
            row_of=np.array([[0], [1]]), documents=np.zeros(1, np.int32),
            partners=np.zeros((1, 1), np.int32), n_layers=1, n_features=1, n_documents=1,
            n_threads=1,
        )  # fmt: skip
