"""Rows that somebody writes while the engine for GPUs works; on the emulator, where they can."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import knn as reference

from ilo_fast import _core_testing

N, D, K = 48, 5, 3
LABELS = np.repeat(np.arange(3, dtype=np.int32), N // 3)


def rows() -> Any:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((1, N, D))
    X[0, :16] = X[0, 0] + 1e-6 * rng.standard_normal((16, D))
    return X.astype(np.float32)


def nan(X: Any) -> None:
    X[:] = np.nan


def others(X: Any) -> None:
    X[:] = np.random.default_rng(9).standard_normal(X.shape)


def call(X: Any, where: str, update: Any, **options: Any) -> Any:
    segment = (X.ctypes.data, X.shape, X.strides) if where == "device" else X
    return _core_testing.cuda_knn_graph(
        [segment], "float32", K, cosine=True, machine="emulated", progress=update, interval=0,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("change", [nan, others])
@pytest.mark.parametrize(
    ("where", "options"),
    [
        ("device", {"force_fallback": True}),
        ("host", {"panel_rows": 16}),  # brought in turns, again and again
        ("host", {}),  # copied once
    ],
)
def test_rows_that_change_at_any_moment_end_in_an_error_or_a_graph(
    where: str, options: dict[str, Any], change: Any
) -> None:
    calls = 0

    def count(share: float) -> None:
        nonlocal calls
        calls += 1

    sound = rows()
    call(sound, where, count, **options)
    wanted = reference.knn(sound[0], K, "cosine")[0]
    assert calls > 2
    for at in range(1, calls + 1, max(1, calls // 3)):
        X, seen = rows(), 0

        def update(share: float, X: Any = X, at: int = at) -> None:
            nonlocal seen
            seen += 1
            if seen == at:
                change(X)

        try:
            indices = call(X, where, update, **options)[0][0]
        except ValueError as error:
            assert "changed during the call" in str(error) or "holds NaN" in str(error)
        else:  # of the rows as they were, or as they have become
            became = change is others and np.array_equal(
                indices, reference.knn(X[0], K, "cosine")[0]
            )
            assert became or np.array_equal(indices, wanted)


def test_scores_of_rows_that_change_end_in_an_error() -> None:
    X = rows()
    seen = 0

    def update(share: float) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            X[0, 7] = np.nan

    with pytest.raises(ValueError, match=r"row 7 of X (changed during the call|holds NaN)"):
        _core_testing.cuda_overlap(
            [(X.ctypes.data, X.shape, X.strides)], "float32", K, LABELS, None, cosine=True,
            n_languages=3, threshold=1, machine="emulated", progress=update, interval=0,
        )  # fmt: skip
