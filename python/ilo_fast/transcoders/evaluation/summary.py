"""From sums over documents to the ratios that are reported, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.evaluation.result import recovered

_TAILS: Final = (2.5, 97.5)
_CELLS: Final = 4_000_000  # draws that are held at once

Floats = NDArray[np.float64]


def summarised(
    sums: Mapping[str, Floats],
    language_of_document: NDArray[np.int64],
    languages: tuple[str, ...],
    seed: int,
    n_boot: int,
) -> dict[str, Any]:
    """Ratios of all text and of each language, and the intervals of some."""
    names = list(sums)
    ends = np.cumsum([sums[name].shape[1] for name in names])[:-1]
    flat = np.concatenate([sums[name] for name in names], axis=1)

    def ratios(values: Floats, spread: str) -> dict[str, Floats]:
        return _ratios(dict(zip(names, np.split(values, ends, axis=-1), strict=True)), spread)

    groups = [ratios(flat.sum(0), "spread")]
    drawn_of_all: Floats | None = np.zeros((n_boot, flat.shape[1]))
    intervals = []
    for at, code in enumerate(languages):
        own = flat[language_of_document == at]
        groups.append(ratios(own.sum(0), "own_spread"))
        if len(own) < 2:
            drawn_of_all = None
            intervals.append(_intervals(groups[-1], None))
            continue
        # From seed and code alone: the same whichever other languages there are.
        drawn = resampled_sums(own, seed=(seed, *code.encode()), n_boot=n_boot)
        intervals.append(_intervals(groups[-1], ratios(drawn, "own_spread")))
        drawn_of_all = None if drawn_of_all is None else drawn_of_all + drawn
    of_all = None if drawn_of_all is None else ratios(drawn_of_all, "spread")
    intervals.insert(0, _intervals(groups[0], of_all))
    kept = [name for name in groups[0] if not name.startswith("recovered")]
    return {
        **{name: np.stack([group[name] for group in groups]) for name in kept},
        **{name: np.stack([group[name] for group in intervals]) for name in intervals[0]},
    }


def _ratios(sums: Mapping[str, Floats], spread: str) -> dict[str, Floats]:
    """Of sums over documents (..., k); `spread` names those that variance is measured by."""
    n = sums["predictions"]
    found = {
        "explained_variance": 1 - _divided(sums["error"], sums[spread]),
        "l0": _divided(sums["active"], sums["tokens"]),
        "ce_model": _divided(sums["ce_model"], n)[..., 0],
        "top1_agreement": _divided(sums["top1"], n),
        **{k: _divided(sums[k], n) for k in ("ce_replacement", "ce_zero", "ce_mean", "kl")},
    }
    for name in ("zero", "mean"):
        found[f"recovered_{name}"] = recovered(
            found["ce_model"][..., None], found["ce_replacement"], found[f"ce_{name}"]
        )
    return found


def _divided(a: Floats, b: Floats) -> Floats:
    found = np.full(np.broadcast_shapes(a.shape, b.shape), np.nan)
    np.divide(a, b, out=found, where=np.broadcast_to(b, found.shape) > 0)
    return found


def _intervals(
    values: Mapping[str, Floats], drawn: Mapping[str, Floats] | None
) -> dict[str, Floats]:
    names = ("explained_variance", "kl", "recovered_zero", "recovered_mean")
    return {
        f"{name}_interval": np.full((*values[name].shape, 2), np.nan)
        if drawn is None
        else _percentile_interval(drawn[name])
        for name in names
    }


def resampled_sums(values: Floats, *, seed: Sequence[int], n_boot: int) -> Floats:
    """Sums over documents, each time over as many drawn with replacement.

    Parameters
    ----------
    values : (documents, k)
    seed
        Entropy for `numpy.random.default_rng`.
    n_boot
        Number of draws.

    Returns
    -------
    (n_boot, k)
    """
    n = len(values)
    rng = np.random.default_rng(list(seed))
    size = max(1, _CELLS // n)
    parts = []
    for start in range(0, n_boot, size):
        # How often each document is drawn decides the sums.
        times = rng.multinomial(n, np.full(n, 1 / n), size=min(size, n_boot - start))
        parts.append(times @ values)
    return np.concatenate(parts)


def _percentile_interval(drawn: Floats) -> Floats:
    """95 % of what was drawn: (draws, ...) to (..., 2); NaN where a draw is not a number."""
    return np.moveaxis(np.percentile(drawn, _TAILS, axis=0), 0, -1)
