"""Arrays and texts in few bytes of ASCII, for the script of a page to unpack.

Numbers become 8 or 16 bit codes between two ends, codes become planes of bytes (the low ones, then
the high ones, which deflate better apart), planes are deflated and written in base64.
``templates/explorer/bytes.js`` is the other end.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilo_fast._util.messages import counted

_CODES: Final = {8: 255, 16: 65535}  # the last code of each width stands for NaN
_FORMATTING: Final = "\u200c\u200d\u200e\u200f"  # joiners and marks that scripts need


def packed(values: ArrayLike, *, bits: int = 16, n_steps: int | None = None) -> dict[str, Any]:
    """Real numbers, rounded to one of `n_steps` + 1 values between their ends; NaN stays NaN.

    `n_steps` is 254 or 65 534, as many as there are codes of so many bits; fewer deflate better.
    """
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    last = _CODES[bits]
    step = (high - low) / (n_steps or last - 1) or 1.0
    clipped = np.clip(np.where(np.isnan(array), 0.0, array), low, high)
    codes = np.where(np.isnan(array), last, np.rint((clipped - low) / step))
    return {**_coded(codes.astype(np.int64), bits), "low": _short(low), "step": _short(step)}


def packed_codes(values: NDArray[Any]) -> dict[str, Any]:
    """Whole numbers from 0 to 65 535, exactly."""
    highest = int(values.max(initial=0))
    if values.min(initial=0) < 0 or highest > _CODES[16]:
        raise ValueError(f"codes from 0 to {_CODES[16]} can be packed, got {highest}")
    return _coded(values.astype(np.int64), 8 if highest <= _CODES[8] else 16)


def packed_texts(texts: Sequence[str]) -> dict[str, Any]:
    """Sentences as they may be shown, in order."""
    data = json.dumps([shown_text(text) for text in texts], ensure_ascii=False).encode()
    return {"bytes": len(data), "data": _deflated(data)}


def shown_text(text: str) -> str:
    """A sentence without what a page should not obey.

    Control characters, lone surrogates and what turns the direction of other people's words become
    U+FFFD; the joiners and marks that Persian, Hindi or Hebrew are written with stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in _FORMATTING or _is_letter_like(c) else "\ufffd" for c in text)


def _is_letter_like(c: str) -> bool:
    return c.isprintable() or (c.isspace() and c not in "\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029")


def packed_size(record: Any) -> int:
    """Bytes that a packed record takes on the page, to within its few numbers."""
    if record is None:
        return 0
    return len(record["data"])


def counted_kept(kept: int, total: int, noun: str) -> str:
    """``"1012 sentences"``, ``"253 of 1012 sentences"``."""
    return counted(kept, noun) if kept == total else f"{kept} of {counted(total, noun)}"


def _coded(codes: NDArray[np.int64], bits: int) -> dict[str, Any]:
    planes = [(codes >> shift & 255).astype(np.uint8).tobytes() for shift in range(0, bits, 8)]
    data = b"".join(planes)
    return {"bits": bits, "shape": list(codes.shape), "data": _deflated(data)}


def _deflated(data: bytes) -> str:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)  # raw: neither header nor checksum
    return base64.b64encode(deflate.compress(data) + deflate.flush()).decode("ascii")


def _short(value: float) -> float:
    """As many digits as a 16 bit code can need."""
    return float(f"{value:.9g}") if math.isfinite(value) else 0.0
