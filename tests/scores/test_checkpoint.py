"""Scores go on from finished graphs: a folder for every layer, of the same data and options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ilo_fast import overlap


@pytest.fixture
def arrays() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng()
    return {code: rng.standard_normal((3, 30, 8), np.float32) for code in ("aa", "bb", "cc", "dd")}


@pytest.mark.parametrize("intervals", [False, True])
def test_finished_layers_are_not_computed_again(
    arrays: dict[str, NDArray[np.float32]], tmp_path: Path, intervals: bool
) -> None:
    options = {"parallel": True, "intervals": intervals, "seed": 3}
    wanted = overlap(arrays, **options)
    first = {code: rows[:2] for code, rows in arrays.items()}
    overlap(first, checkpoint=tmp_path / "work", **options)
    assert {path.name for path in (tmp_path / "work").iterdir()} >= {"layer-000", "layer-001"}
    found = overlap(arrays, checkpoint=tmp_path / "work", **options)
    assert [layer["resumed_share"] for layer in found.info["layers"]] == [1.0, 1.0, 0.0]
    assert found == wanted


def test_other_data_and_other_backends_are_refused(
    arrays: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    overlap(arrays, checkpoint=tmp_path)
    other = {code: rows.copy() for code, rows in arrays.items()}
    other["cc"][1, 2, 3] += 1
    with pytest.raises(ValueError, match=r"layer-001.*other"):
        overlap(other, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="for backend='exact' and 'ray', not for backend='hnsw'"):
        overlap(arrays, backend="hnsw", checkpoint=tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"something else \(notes\.txt\)"):
        overlap(arrays, checkpoint=tmp_path)
