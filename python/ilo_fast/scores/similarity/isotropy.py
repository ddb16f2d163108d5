"""Isotropy: how evenly representations fill the directions of their space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ilo_fast._util.equality import same_fields
from ilo_fast._util.progress import share_bar
from ilo_fast.scores.similarity.cka import Centred, Products
from ilo_fast.scores.similarity.layers import Array, Layers, Rows, layer_numbers, unit_factor
from ilo_fast.scores.similarity.translations import unit_rows

_BLOCK_ROWS: Final = 4096


@dataclass(frozen=True, eq=False)
class Isotropy:
    """Three views of how evenly rows fill their space.

    Attributes
    ----------
    isoscore : float64
        0 where all variance lies in one direction, 1 where it is equal in all.
    mean_cosine : float64
        Of two different rows: 0 where directions are even, 1 where all are one.
    partition : float64
        Smallest over largest partition function: 1 where no direction is preferred, towards 0.
        Of rows scaled as a whole to a mean square length of 1.
    layers, languages : tuple or None
        What the axes of the three are: ``()`` for (n, d), ``(layers,)`` for a stack, ``(layers,
        languages)`` for `Representations`.
    """

    isoscore: Array
    mean_cosine: Array
    partition: Array
    layers: tuple[int, ...] | None = None
    languages: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        values = {name: getattr(self, name).mean() for name in _NAMES}
        return f"Isotropy({', '.join(f'{name}={value:.3f}' for name, value in values.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Isotropy) and same_fields(
            self, other, (*_NAMES, "layers", "languages")
        )

    def __hash__(self) -> int:
        return hash((self.isoscore.shape, self.layers, self.languages))


_NAMES: Final = ("isoscore", "mean_cosine", "partition")


def isotropy(X: Any, *, progress: bool = False) -> Isotropy:
    """How evenly rows fill the directions of their space.

    IsoScore (Rudman et al. 2022, arXiv 2108.07344) is, in closed form, ``(r - 1) / (d - 1)`` with
    the participation ratio ``r = (tr C)^2 / tr C^2`` of the covariance C: its rotation to principal
    axes and its normalisation cancel, so that no eigenvectors are needed. The mean cosine of two
    different rows is ``(|sum u|^2 - n) / (n (n - 1))`` with unit rows u (Ethayarajh 2019, arXiv
    1909.00512). The partition ratio is ``min Z(c) / max Z(c)``, ``Z(c) = sum exp(c x)``, over the
    unit eigenvectors c of ``X' X`` (Mu and Viswanath 2018, arXiv 1702.01417), of both signs, since
    eigenvectors have none; rows are first scaled to a mean square length of 1, without which it is
    0 for any model with long vectors.

    Parameters
    ----------
    X : array (n, d) or (layers, n, d), Representations, or mapping of language to such arrays
    progress : bool
        A bar on standard error.

    Returns
    -------
    Isotropy
        IsoScore is biased where n is not much larger than d: of n normal rows the covariance has a
        participation ratio of ``d / (1 + d / n)`` only.

    Raises
    ------
    ValueError, TypeError
        One row or one dimension, NaN, infinity, zero rows.

    Notes
    -----
    None changes where X is turned, scaled as a whole, or reordered; IsoScore nor where X is
    shifted. Cost: n d^2 + d^3 for each array.
    """
    layers: tuple[int, ...] | None
    languages: tuple[str, ...] | None = None
    if isinstance(X, Mapping):
        stacks = [Layers.of(X[code], f"X[{code!r}]", zero_rows=False) for code in X]
        if not stacks or len({len(stack) for stack in stacks}) > 1:
            raise ValueError("X has no languages, or languages of different numbers of layers")
        layers, languages = layer_numbers(X, len(stacks[0])), tuple(X)
    else:
        stacks = [Layers.of(X, "X", zero_rows=False)]
        layers = None if stacks[0].was_matrix else tuple(range(len(stacks[0])))
    found = np.empty((3, len(stacks[0]), len(stacks)))
    with share_bar(progress, "isotropy") as update:
        for h in range(len(stacks[0])):
            for c, stack in enumerate(stacks):
                rows = stack[h]
                if min(rows.shape) < 2:
                    raise ValueError(f"X has rows of shape {rows.shape}, wanted 2 or more of 2")
                found[:, h, c] = isoscore(rows), mean_cosine(rows), partition_ratio(rows)
            if update:
                update((h + 1) / len(stacks[0]))
    if languages is None:
        found = found[:, :, 0] if layers is not None else found[:, 0, 0]
    score, cosine, partition = (np.asarray(one) for one in found)
    return Isotropy(score, cosine, partition, layers, languages)


def isoscore(rows: Rows) -> float:
    """See `isotropy`; NaN where all rows are the same."""
    return isoscore_of(float(Products.of([Centred.of(rows)], None).own_a[0]), rows.shape[1])


def isoscore_of(square: float, d: int) -> float:
    """IsoScore from the squared norm of a covariance of trace 1; NaN where there is no variance."""
    return (1 / square - 1) / max(1, d - 1) if square > 0 else float("nan")


def mean_cosine(rows: Rows) -> float:
    """See `isotropy`."""
    n = len(rows)
    total = unit_rows(rows).sum(axis=0)
    return float((total @ total - n) / (n * (n - 1)))


def partition_ratio(*segments: Rows) -> float:
    """See `isotropy`; of the rows of all segments together."""
    blocks = [s[at : at + _BLOCK_ROWS] for s in segments for at in range(0, len(s), _BLOCK_ROWS)]
    peak = max(float(np.abs(block).max()) for block in blocks)
    moment = np.zeros((blocks[0].shape[1],) * 2)
    for block in blocks:
        scaled = block / peak  # keeps squares from over- and underflow
        moment += scaled.T @ scaled
    n = sum(map(len, blocks))
    factor = unit_factor(blocks[0].dtype, peak)
    length = peak * float(factor) * np.sqrt(np.trace(moment) / n)
    vectors = np.linalg.eigh(moment)[1] / length
    # Logarithms of sums, since exponentials may overflow.
    logs = []
    for block in blocks:
        along = (block * factor) @ vectors
        logs.append(np.stack([_log_sum_exp(along), _log_sum_exp(-along)]))
    total = _log_sum_exp(np.stack(logs))
    return float(np.exp(total.min() - total.max()))


def _log_sum_exp(values: Array) -> Array:
    """Over the first axis."""
    top = values.max(axis=0)
    total: Array = top + np.log(np.exp(values - top).sum(axis=0))
    return total
