"""A file of another kind or version is refused with the fix."""

from __future__ import annotations

from typing import Any

import pytest

from ilo_fast._util.schema import check_schema


def test_right_kind_and_version_pass() -> None:
    check_schema({"kind": "scores", "schema_version": 2}, "scores", 2, "score again")


@pytest.mark.parametrize("data", [{}, {"kind": "transfer", "schema_version": 2}])
def test_another_kind_is_named(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="wanted 'scores': this is another kind of file"):
        check_schema(data, "scores", 2, "score again")


@pytest.mark.parametrize("version", [1, 3, None, "2"])
def test_another_version_is_named_with_the_fix(version: Any) -> None:
    data = {"kind": "scores", "schema_version": version}
    with pytest.raises(ValueError, match=f"schema_version={version!r} .*2: score again, or update"):
        check_schema(data, "scores", 2, "score again")


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_no_object_is_named_by_its_type(data: Any) -> None:
    with pytest.raises(
        ValueError, match=f"holds a {type(data).__name__}, wanted an object of kind"
    ):
        check_schema(data, "scores", 2, "score again")
