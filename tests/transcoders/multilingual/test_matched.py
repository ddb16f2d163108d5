"""Matched random features: of the same layer, alike in density and norm, never the same."""

from __future__ import annotations

import numpy as np
import pytest

from ilo_fast.transcoders.multilingual.matched import matched_features


def test_matches_are_of_the_same_layer_alike_and_never_among_the_given() -> None:
    random = np.random.default_rng()
    density = 10 ** random.uniform(-4, -0.5, 900)
    norms = 10 ** random.uniform(-1, 1, 900)
    columns = random.choice(900, 30, replace=False)
    exclude = np.setdiff1d(random.choice(900, 60, replace=False), columns)
    sets = matched_features(columns, density, norms, 300, n_sets=50, seed=1, exclude=exclude)
    assert sets.shape == (50, 30)
    assert (sets // 300 == columns // 300).all()
    assert not np.isin(sets, columns).any() and not np.isin(sets, exclude).any()
    assert all(len(set(row)) == 30 for row in sets.tolist())
    other = random.integers(0, 900, (50, 30))
    for values in (density, norms):
        off, by_chance = (np.abs(np.log(values[s] / values[columns])).mean() for s in (sets, other))
        assert off < 0.5 * by_chance
    assert (sets == matched_features(
        columns, density, norms, 300, n_sets=50, seed=1, exclude=exclude)).all()  # fmt: skip


def test_what_has_no_match_is_refused() -> None:
    density, norms = np.full(6, 0.1), np.ones(6)
    with pytest.raises(ValueError, match="layer 0 has 1 other"):
        matched_features([0, 1], density, norms, 3, n_sets=1)
    density[4] = 0
    with pytest.raises(ValueError, match="never active"):
        matched_features([4], density, norms, 3, n_sets=1)
    with pytest.raises(ValueError, match="columns holds 6"):
        matched_features([6], density, norms, 3, n_sets=1)
