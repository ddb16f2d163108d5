"""The rolling shuffle buffer: every token once, labels with it, the same bits after a resume."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from helpers import tiny_models, transcoders

from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.training import buffer as buffer_module
from ilo_fast.transcoders.training.buffer import SHARES, Batch, ShuffleBuffer, read_batch
from ilo_fast.transcoders.windows import Windows, read_windows


@pytest.fixture(scope="module")
def reader() -> MLPReader:
    return MLPReader(transcoders.model())


@pytest.fixture(scope="module")
def windows() -> Windows:
    tokenizer = tiny_models.tokenizer()
    return read_windows(tokenizer, transcoders.TEXTS, context_length=10, eval_fraction=0.1)[0]


def same(a: Batch, b: Batch) -> bool:
    names = ("x", "y", "language", "document")
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in names)


def keys(batch: Batch) -> Counter[tuple[float, ...]]:
    """What tells tokens apart: labels and a few numbers."""
    rows = zip(
        batch.language.tolist(), batch.document.tolist(),
        batch.x[:, 0, :2].tolist(), batch.y[:, -1, :2].tolist(), strict=True,
    )  # fmt: skip
    return Counter((language, line, *x, *y) for language, line, x, y in rows)


def test_batch_holds_what_each_token_s_mlps_read_and_add(
    reader: MLPReader, windows: Windows
) -> None:
    of_two_lines = (windows.document[:, 1:-1] != windows.document[:, 2:]).any(dim=1)
    rows = of_two_lines.nonzero()[:2, 0].flip(0)
    batch = read_batch(reader, windows, rows)
    x, y = reader.read(windows.ids[rows])
    at = 0
    for row in range(2):
        for position in range(1, 10):  # the first of each window is left out
            assert torch.equal(batch.x[at], x[row, position])
            assert torch.equal(batch.y[at], y[row, position])
            assert batch.language[at] == windows.language[rows[row]]
            assert batch.document[at] == windows.document[rows[row], position]
            at += 1
    assert at == len(batch)


def test_every_token_of_a_block_is_served_once_over_its_rounds(
    reader: MLPReader, windows: Windows
) -> None:
    made = ShuffleBuffer(reader, windows, batch_tokens=40, buffer_tokens=360, seed=2)
    assert (made.tokens_per_round, made.batches_per_round) == (90, 2)
    rounds = [made.round_of(made.batches_per_round * r) for r in range(2 * SHARES)]
    served = sum((keys(r) for r in rounds), Counter())
    # The first block of which no part was dropped.
    whole = read_batch(reader, windows, made._block(SHARES - 1))
    assert not keys(whole) - served
    sizes = [len(made.batch(n)) for n in range(6)]
    assert sizes == [45] * 6
    assert torch.equal(torch.cat([made.batch(0).x, made.batch(1).x]), rounds[0].x)
    # Languages and blocks are mixed.
    assert len(set(rounds[0].language.tolist())) == 2
    newest = keys(read_batch(reader, windows, made._block(SHARES - 1)))
    assert 0 < sum((keys(rounds[0]) & newest).values()) <= 30


def test_all_windows_come_in_every_pass(reader: MLPReader, windows: Windows) -> None:
    made = ShuffleBuffer(reader, windows, batch_tokens=90, buffer_tokens=360)
    order = [int(i) for n in range(len(windows)) for i in made._block(n)]
    n = len(windows)
    assert sorted(order[:n]) == sorted(order[n : 2 * n]) == list(range(n))
    assert order[:n] != order[n : 2 * n]


@pytest.mark.parametrize("start", [1, 3, 8, 14])
def test_resumed_buffer_gives_the_same_bits(
    start: int, reader: MLPReader, windows: Windows
) -> None:
    options = {"batch_tokens": 40, "buffer_tokens": 360, "seed": 4}
    whole = ShuffleBuffer(reader, windows, **options)
    wanted = [whole.batch(n) for n in range(20)]
    resumed = ShuffleBuffer(reader, windows, **options)
    assert all(same(resumed.batch(n), wanted[n]) for n in range(start, 20))
    assert not same(ShuffleBuffer(reader, windows, **options | {"seed": 5}).batch(0), wanted[0])


def test_buffer_that_does_not_fit_is_refused_with_its_bytes(
    reader: MLPReader, windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer_module, "available_memory", lambda: 10**6)
    with pytest.raises(ValueError, match=r"buffer_tokens=99999 needs 45 MB .* and 1 MB are free"):
        ShuffleBuffer(reader, windows, batch_tokens=40, buffer_tokens=99_999)
