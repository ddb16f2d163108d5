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


@pytest.mark.parametrize("text", [None, b"x", 3])
def test_texts_that_are_no_strings_are_refused(text) -> None:
    run = full_run()
    assert run.texts is not None
    texts = {**run.texts, "fra_Latn": [text] * len(run.texts["fra_Latn"])}
    with pytest.raises(TypeError, match="texts of fra_Latn must be a list of strings"):
        dataclasses.replace(run, texts=texts)
    with pytest.raises(TypeError, match="texts of fra_Latn must be a list of strings"):
        dataclasses.replace(run, texts={**run.texts, "fra_Latn": iter(["x"])})
