"""Which row is of which language, and its tokens."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast.training.pretrain.rows import MixedRows, Quota, Stream


def test_every_language_gets_its_share_exact_to_rounding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, steps, rows = (int(x) for x in rng.integers((1, 1, 1), (32, 120, 70)))
        shares = rng.dirichlet(np.full(n, rng.choice([0.1, 1.0, 10.0])))
        if rng.random() < 0.3:
            shares = np.array([0.5, *np.full(n, 0.5 / n)])
        quota = Quota(shares.tolist(), steps=steps, rows=rows)
        assert (quota.counts.sum(axis=1) == rows).all()
        # In the whole run, and in every batch: the share, rounded up or down.
        assert np.abs(quota.totals - shares * steps * rows).max() < 1 + 1e-6
        assert np.abs(quota.counts - shares * rows).max() < 1 + 1e-6
        # And hardly less evenly up to every step.
        done = np.arange(1, steps + 1)[:, None] * rows * shares
        assert np.abs(np.cumsum(quota.counts, axis=0) - done).max() < 4


def test_rows_are_numbered_within_their_language() -> None:
    quota = Quota([0.5, 0.0, 0.3, 0.2], steps=7, rows=9)
    seen = dict.fromkeys(range(4), 0)
    for step in range(7):
        for row in range(9):
            language, number = quota.place(step, row)
            assert number == seen[language]
            seen[language] += 1
    assert list(seen.values()) == quota.totals.tolist()
    assert seen[1] == 0


def make_stream(lengths: list[int], row: int, seed: int = 0) -> Stream:
    """Line i is the tokens 100 i, 100 i + 1, ..."""
    ids = np.concatenate([100 * i + np.arange(n) for i, n in enumerate(lengths)]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Stream(ids, offsets, length=row, seed=seed, language="eng_Latn")


def test_stream_gives_every_line_once_a_pass_and_whole() -> None:
    lengths = [3, 1, 7, 2, 5]
    stream = make_stream(lengths, row=4)
    tokens = np.concatenate([stream.row(i) for i in range(9)])  # two passes of 18
    orders = []
    for part in (tokens[:18], tokens[18:]):
        firsts = part[part % 100 == 0] // 100
        assert sorted(firsts) == [0, 1, 2, 3, 4]
        expected = np.concatenate([100 * i + np.arange(lengths[i]) for i in firsts])
        assert part.tolist() == expected.tolist()
        orders.append(tuple(firsts))
    assert orders[0] != orders[1]
    again = make_stream(lengths, row=4)
    assert again.row(7).tolist() == stream.row(7).tolist()  # without those before it
    assert make_stream(lengths, row=4, seed=1).row(0).tolist() != stream.row(0).tolist()


def test_language_with_less_than_a_row_of_text_repeats_within_it() -> None:
    row = make_stream([2, 1], row=10).row(0)
    assert sorted(row) == sorted([0, 1, 100] * 3 + [row[-1]])


def test_row_of_a_batch_holds_one_language() -> None:
    streams = [make_stream([5, 6], row=4), make_stream([90], row=4)]
    rows = MixedRows(streams, Quota([0.75, 0.25], steps=3, rows=4), batch_size=4)
    assert len(rows) == 12
    for step in range(3):
        batch = [rows[4 * step + i]["input_ids"] for i in range(4)]
        long = [bool(((row >= 10) & (row < 90)).any()) for row in batch]
        assert sum(long) <= 1
    with pytest.raises(IndexError):
        rows[12]
