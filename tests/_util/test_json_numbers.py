"""Numbers as JSON can hold them."""

from __future__ import annotations

import json

import numpy as np

from ilo_fast._util.json_numbers import finite, nested


def test_what_is_not_finite_is_none() -> None:
    values = np.array([[1.5, np.nan], [-np.inf, 2.0]], np.float32)
    assert nested(values) == [[1.5, None], [None, 2.0]]
    assert [finite(value) for value in values.ravel()] == [1.5, None, None, 2.0]
    assert nested(np.nan) is None and nested(np.float64(0.5)) == 0.5
    json.dumps(nested(values), allow_nan=False)


def test_whole_numbers_and_words_stay_what_they_are() -> None:
    found = nested(np.array([3, 4], np.int32))
    assert found == [3, 4] and all(type(value) is int for value in found)
    assert nested(np.array([True])) == [True] and nested("word") == "word" and nested(None) is None
