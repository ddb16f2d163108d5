"""What tests of several harnesses need."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from helpers.harnesses import small_corpus

from ilo_fast import ParallelCorpus


@pytest.fixture(scope="session")
def corpus() -> ParallelCorpus:
    return small_corpus()


@pytest.fixture
def seeds_as_before() -> Iterator[None]:
    """For harnesses that set seeds of the whole process."""
    import random

    import torch

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
