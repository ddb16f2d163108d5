"""Hashes of values and files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ilo_fast._util import hashing


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert hashing.digest({"a": 1, "b": [2]}) == hashing.digest({"b": [2], "a": 1})
    assert hashing.digest({"a": 1}) != hashing.digest({"a": "1"})


def test_digest_is_pinned() -> None:
    # A change of the format would silently lose every cached result.
    expected = "b4a23b1993b2d9c23cc1ea77430fceb219c1b2549b06702f679566ee75e2b111"
    assert hashing.digest({"layers": [0], "model": None}) == expected


def test_file_is_hashed_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    monkeypatch.setattr(hashing, "_CHUNK", 3)
    assert hashing.hash_file(tmp_path / "a") == hashlib.sha256(b"0123456789").hexdigest()
