"""Flags: how values are read, and that each reaches its function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ilo_fast.cli import flags, main


@pytest.mark.parametrize(
    ("text", "layers"),
    [("0", (0,)), ("0,4,8-11", (0, 4, 8, 9, 10, 11)), ("-1, 2,2", (-1, 2)), ("3-3", (3,))],
)
def test_layer_lists(text: str, layers: tuple[int, ...]) -> None:
    assert flags.layer_list(text) == layers


class StopHereError(Exception):
    """Raised by a recorder, so that the work ends."""


def recorded(monkeypatch: pytest.MonkeyPatch, function: str, *argv: str) -> dict[str, Any]:
    """The keywords that a function gets from a command line."""
    calls: list[dict[str, Any]] = []

    def record(*_: object, **keywords: Any) -> None:
        calls.append(keywords)
        raise StopHereError

    monkeypatch.setattr(function, record)
    assert main([*argv]) == 1
    return calls[0]


FLAGS_OF_EXTRACT = (
    "extract", "-q", "--layers", "0,-1", "--device", "cpu", "--dtype", "bfloat16",
    "--batch-tokens", "99", "--no-cache", "--special-tokens", "exclude", "--max-length", "7",
    "--revision", "v2", "--trust-remote-code", "--pooling", "last", "--name", "mine",
    "--tokenizer-languages", "eng_Latn=en_XX, deu_Latn=de_DE", "--prefix", "query: ",
)  # fmt: skip


def test_flags_of_a_model_reach_its_opening(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = "ilo_fast.models.source.ModelSource.open"
    assert recorded(monkeypatch, opened, *FLAGS_OF_EXTRACT) == {
        "device": "cpu", "dtype": "bfloat16", "revision": "v2", "trust_remote_code": True,
        "store": None, "progress": False, "label": "mine",
    }  # fmt: skip
    kept = recorded(monkeypatch, opened, "extract", "--cache", "kept")
    assert kept["store"].root == Path("kept") and kept["progress"] is True


def test_flags_of_extract_reach_the_function(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ilo_fast.models.source.ModelSource.open", lambda *_, **__: object())
    given = recorded(
        monkeypatch, "ilo_fast.representations.extraction.extract_from", *FLAGS_OF_EXTRACT
    )
    assert given == {
        "layers": (0, -1), "batch_tokens": 99, "pooling": "last",
        "tokenizer_languages": {"eng_Latn": "en_XX", "deu_Latn": "de_DE"},
        "special_tokens": "exclude", "max_length": 7, "prefix": "query: ", "progress": False,
    }  # fmt: skip


def test_flags_of_score_reach_the_function(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("arrays.npz", eng_Latn=np.ones((3, 2)), deu_Latn=np.ones((3, 2)))
    given = recorded(
        monkeypatch, "ilo_fast.scores.overlap.overlap",
        "score", "arrays.npz", "-q", "-k", "7", "--threshold", "4", "--metric", "euclidean",
        "--backend", "hnsw", "--n-threads", "3", "--parallel", "--permutations", "9",
        "--unit", "sentence",
    )  # fmt: skip
    assert given == {
        "n_neighbors": 7, "threshold": 4, "metric": "euclidean", "backend": "hnsw",
        "n_threads": 3, "parallel": True, "progress": False, "intervals": True,
        "n_permutations": 9, "groups": False, "neighbors": True,
    }  # fmt: skip


def test_codes_of_the_tokenizer_reach_finetune(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = recorded(
        monkeypatch, "ilo_fast.training.finetune.finetune.finetune",
        "finetune", "-q", "--tokenizer-languages", "eng_Latn=en_XX", "--limit", "4",
    )  # fmt: skip
    assert given["overlap_options"].tokenizer_languages == {"eng_Latn": "en_XX"}
