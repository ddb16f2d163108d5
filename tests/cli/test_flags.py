"""Flags: how values are read, and that each reaches its function."""

from __future__ import annotations

import argparse

import pytest

from ilo_fast.cli import build_parser, flags


@pytest.mark.parametrize(
    ("text", "layers"),
    [("0", (0,)), ("0,4,8-11", (0, 4, 8, 9, 10, 11)), ("-1, 2,2", (-1, 2)), ("3-3", (3,))],
)
def test_layer_lists(text: str, layers: tuple[int, ...]) -> None:
    assert flags.layer_list(text) == layers


def test_every_flag_reaches_the_functions() -> None:
    """A flag without effect would be a lie; so would an option of the API without its flag."""
    import inspect

    from ilo_fast import extract, overlap

    args = build_parser().parse_args(["run"])
    assert isinstance(args, argparse.Namespace)
    given = set(flags.extract_options(args))
    assert set(inspect.signature(extract).parameters) - given == {
        "model", "corpus", "tokenizer", "verify",
    }  # fmt: skip
    given = set(flags.overlap_options(args))
    assert set(inspect.signature(overlap).parameters) - given == {"representations", "parallel"}
