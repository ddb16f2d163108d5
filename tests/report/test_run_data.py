"""Parts of different runs do not go onto one page together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.runs import companions_of, full_run, measured


def test_parts_of_another_run_are_refused() -> None:
    run = full_run()
    other = measured(n_layers=2)
    with pytest.raises(ValueError, match="companions have other layers than the scores"):
        dataclasses.replace(run, companions=companions_of(other))
    with pytest.raises(ValueError, match=r"positions have shape \(1, 2, 2\), wanted \(3, 120, 2\)"):
        dataclasses.replace(run, positions=np.zeros((1, 2, 2)))
    texts = {**run.texts, "fra_Latn": ["one"]}
    with pytest.raises(ValueError, match="1 sentences of fra_Latn, but 24 were scored"):
        dataclasses.replace(run, texts=texts)
