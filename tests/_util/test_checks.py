"""A wrong type is a TypeError, a wrong value a ValueError, and both name the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ilo_fast._util.checks import real_number, whole_number


@pytest.mark.parametrize("value", [3, np.int64(3), np.array(3)], ids=lambda v: type(v).__name__)
def test_whole_number_of_any_library_becomes_an_int(value: Any) -> None:
    assert type(whole_number("n", value)) is int and whole_number("n", value) == 3


@pytest.mark.parametrize("value", ["3", 3.0, None, True, np.True_, np.float64(3), [3]])
def test_what_is_no_whole_number_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="n must be an int, got "):
        whole_number("n", value)


@pytest.mark.parametrize(("value", "least"), [(0, 1), (-1, 0), (1, 2)])
def test_whole_number_that_is_too_small_is_a_value_error(value: int, least: int) -> None:
    with pytest.raises(ValueError, match=f"n={value} must be at least {least}"):
        whole_number("n", value, least)
    assert whole_number("n", least, least) == least


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2)], ids=lambda v: type(v).__name__)
def test_real_number_of_any_library_becomes_a_float(value: Any) -> None:
    assert type(real_number("x", value)) is float and real_number("x", value) == 2.0


@pytest.mark.parametrize("value", ["2", None, True, [2.0]])
def test_what_is_no_number_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="x must be a number, got "):
        real_number("x", value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_number_that_is_not_finite_is_a_value_error(value: float) -> None:
    with pytest.raises(ValueError, match=r"x=\w+ must be finite"):
        real_number("x", value)


def test_number_that_no_float_holds_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="x is too large"):
        real_number("x", 10**400)
