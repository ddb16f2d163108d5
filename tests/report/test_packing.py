"""Packed arrays and texts: what the script unpacks is what was packed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("jinja2")

from helpers.javascript import Script

from ilo_fast.report import packing


@pytest.fixture(scope="module")
def script() -> Script:
    return Script("bytes")


def _unpacked(script: Script, record: dict) -> np.ndarray:
    found = script("(u => [Array.from(u.values), u.shape])(unpack(record))", record=record)
    values = [np.nan if value == "NaN" else value for value in found[0]]
    return np.array(values, float).reshape(found[1])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 0), (40, 60)])
def test_real_numbers_come_back_to_within_half_a_step(
    script: Script, bits: int, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(bits).normal(size=shape) * 1e3
    values[values > 900] = np.nan
    found = _unpacked(script, packing.packed(values, bits=bits))
    assert found.shape == shape
    assert np.array_equal(np.isnan(found), np.isnan(values))
    if values.size:
        step = (np.nanmax(values) - np.nanmin(values)) / (2**bits - 2)
        assert np.nanmax(np.abs(found - values), initial=0) <= 0.51 * step + 1e-4  # float32 there


def test_equal_numbers_and_nothing_but_nan_come_back(script: Script) -> None:
    assert np.allclose(_unpacked(script, packing.packed(np.full((2, 2), 0.3))), 0.3)
    assert np.isnan(_unpacked(script, packing.packed(np.full(3, np.nan)))).all()


@pytest.mark.parametrize("highest", [0, 7, 255, 256, 65535])
def test_whole_numbers_come_back_exactly(script: Script, highest: int) -> None:
    values = np.random.default_rng(highest).integers(0, highest + 1, (30, 50))
    assert np.array_equal(_unpacked(script, packing.packed_codes(values)), values)


def test_whole_numbers_that_have_no_code_are_refused() -> None:
    for value in (-1, 65536):
        with pytest.raises(ValueError, match="codes from 0 to 65535"):
            packing.packed_codes(np.array([value]))


@pytest.mark.parametrize("kind", ["stored", "fixed", "dynamic"])
def test_script_inflates_every_kind_of_block(script: Script, kind: str) -> None:
    """zlib stores noise, uses fixed codes for a few bytes, and dynamic ones for text."""
    rng = np.random.default_rng(3)
    data = {
        "stored": rng.integers(0, 256, 70_000).astype(np.uint8),
        "fixed": np.frombuffer(b"abcabcabc", np.uint8),
        "dynamic": np.frombuffer(b"a line of text, " * 4000 + b"\0" * 999, np.uint8),
    }[kind]
    assert np.array_equal(_unpacked(script, packing.packed_codes(data)), data)


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<img src=http://example.org/x>",
    "line\u2028and\u2029paragraph\nand\rnew\0nul\x1b[31m",
    "lone \ud800 surrogate \udfff",
    "turned \u202e around \u2066 isolated \u2069",
    "quotes \" ' and \\ backslash",
]


def test_hostile_texts_come_back_as_they_may_be_shown(script: Script) -> None:
    found = script("unpackTexts(record)", record=packing.packed_texts(HOSTILE * 300))
    assert found == [packing.shown_text(text) for text in HOSTILE] * 300
    shown = "".join(found)
    assert not any(c in shown for c in "\u2028\u2029\n\r\0\x1b\ud800\udfff\u202e\u2066\u2069")
    assert found[0] == HOSTILE[0]  # shown as text, never as markup


def test_words_of_scripts_that_need_joiners_stay_whole(script: Script) -> None:
    texts = ["\u0645\u06cc\u200c\u062e\u0648", "क्\u200dष", "שלום\u200f!", "Ünïcödé 😀", "ไทย"]
    assert [packing.shown_text(text) for text in texts] == texts
    assert script("unpackTexts(record)", record=packing.packed_texts(texts)) == texts
