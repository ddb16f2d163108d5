"""Seeds that are new in every run, and printed, so that a failure can be run again."""

from __future__ import annotations

import numpy as np


def fresh_seed() -> int:
    seed = int(np.random.default_rng().integers(2**31))
    print("seed", seed)
    return seed


def fresh() -> np.random.Generator:
    return np.random.default_rng(fresh_seed())
