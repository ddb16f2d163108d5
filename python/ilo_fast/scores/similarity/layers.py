"""The arrays that a caller passes, (n, d) or (layers, n, d), checked layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilo_fast.graph.arrays import as_stack, of_one_layout

Rows = NDArray[Any]  # (n, d), float32 or float64
Array = NDArray[np.float64]


def layer_numbers(X: Any, n_layers: int) -> tuple[int, ...]:
    """The numbers that `Representations` give their layers; of a plain mapping 0, 1, 2, ..."""
    return tuple(int(h) for h in getattr(X, "layers", range(n_layers)))


def check_parallel(
    X: Mapping[str, Any], name: str, *, zero_rows: bool, one_space: bool = True
) -> list[Layers]:
    """The layers of every language of parallel text; ValueError where they do not fit.

    Without `one_space`, languages may have other dimensions than each other.
    """
    if getattr(X, "parallel", True) is False:
        raise ValueError(
            f"{name} is not parallel text: its languages cannot be compared sentence by sentence"
        )
    found = [Layers.of(X[code], f"{name}[{code!r}]", zero_rows=zero_rows) for code in X]
    if not found:
        raise ValueError(f"{name} has no languages")
    for code, layers in zip(X, found, strict=True):
        first = found[0]
        if (len(layers), layers.n) != (len(first), first.n):
            raise ValueError(
                f"{name}[{code!r}] has {len(layers)} layers of {layers.n} rows, but "
                f"{next(iter(X))!r} has {len(first)} of {first.n}: wanted translations, row by row"
            )
    if one_space:
        check_one_space(found, name)
    return found


def check_one_space(languages: Sequence[Layers], name: str) -> None:
    """ValueError where languages have other dimensions than each other."""
    widths = sorted({layers.shape[-1] for layers in languages})
    if len(widths) > 1:
        raise ValueError(
            f"{name} has languages of {' and '.join(map(str, widths))} dimensions: wanted one "
            "space for all"
        )


class Layers:
    """One array, (n, d) or (layers, n, d); ``layers[h]`` is checked, float32 or float64.

    float16 and bfloat16 become float32, which holds their values.
    """

    def __init__(self, stack: Any, name: str, shape: tuple[int, ...], zero_rows: bool) -> None:
        self._stack, self._name, self._zero_rows = stack, name, zero_rows
        self.shape = shape
        self.was_matrix: bool = stack.was_matrix
        self.n = int(stack.values.shape[1])

    @classmethod
    def of(cls, X: Any, name: str, *, zero_rows: bool) -> Layers:
        """Refuses what is no array of floats of two or three axes."""
        stack = as_stack(X, name).in_host_memory()
        shape = stack.values.shape  # of a list, X has none
        return cls(stack, name, shape[1:] if stack.was_matrix else shape, zero_rows)

    def __len__(self) -> int:
        return len(self._stack.values)

    def __iter__(self) -> Iterator[Rows]:
        return (self[h] for h in range(len(self)))

    def __getitem__(self, h: int) -> Rows:
        one = self._stack.layer(h)
        if one.dtype in ("float16", "bfloat16"):
            # The wider of two becomes the dtype of both.
            wide = as_stack(np.zeros((1, 1, one.values.shape[2]), np.float32))
            one = of_one_layout([one, wide])[0]
        rows: Rows = np.ascontiguousarray(one.values[0])
        self._check(rows, h)
        return rows

    def _check(self, rows: Rows, h: int) -> None:
        layer = "" if self.was_matrix else f", layer {h}"
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise ValueError(f"{self._name}, row {row}{layer} holds NaN or infinity")
        if not self._zero_rows and not (directed := rows.any(axis=1)).all():
            row = int(np.argmin(directed))
            raise ValueError(
                f"{self._name}, row {row}{layer} is a zero vector, which has no direction: leave "
                "it out, or take another metric"
            )


def unit_factor(dtype: Any, peak: float) -> Any:
    """What brings values up to `peak` near 1, so that sums and squares neither over- nor underflow.

    A power of two, so that nothing is rounded; of that type.
    """
    most = np.finfo(dtype).maxexp - 24
    return np.dtype(dtype).type(2.0 ** -min(most, max(-most, math.frexp(peak)[1])))
