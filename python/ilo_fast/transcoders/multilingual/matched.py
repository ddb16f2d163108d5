"""Random features that are like given ones but for what was selected for: the null of every claim.

Alike means: of the same layer, active about as often, and writing about as much.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilo_fast._util.checks import whole_number

Integers = NDArray[np.int64]

_NEAREST: Final = 20
"""Of so many that are most alike one is drawn."""


def column_numbers(name: str, given: ArrayLike, width: int) -> Integers:
    """(features,): layer * n_features + feature, as given.

    Raises
    ------
    TypeError, ValueError
        They are no whole numbers (a mask is none), of other than one dimension, or not below
        `width`.
    """
    found = np.asarray(given)
    if found.size and found.dtype.kind not in "iu":
        raise TypeError(
            f"{name} holds {found.dtype}, wanted whole numbers: layer * n_features + feature (of a "
            "mask: numpy.flatnonzero)"
        )
    if found.ndim != 1:
        raise ValueError(f"{name} has shape {found.shape}, wanted (features,)")
    if len(found) and not (found.min() >= 0 and found.max() < width):
        raise ValueError(
            f"{name} holds {found.min()} to {found.max()}: columns are layer * n_features + "
            f"feature, 0 to {width - 1}"
        )
    return found.astype(np.int64)


def matched_features(
    columns: ArrayLike,
    density: ArrayLike,
    norms: ArrayLike,
    n_features: int,
    *,
    n_sets: int,
    seed: int = 0,
    exclude: ArrayLike = (),
) -> Integers:
    """Sets of random features, each matched one by one with those given.

    For each feature, one of the 20 of its layer that are nearest in log density and log norm
    (each in units of its standard deviation over the layer); none twice in a set.

    Parameters
    ----------
    columns : (features,)
        layer * n_features + feature.
    density : (all features,)
        Share of the tokens at which each is active. Those that never are have no match and are
        none.
    norms : (all features,)
        Of what each writes, `CrossLayerTranscoder.decoder_norms`, times its mean activation where
        that is what counts.
    n_features
        Of each layer.
    n_sets
        How many sets.
    exclude
        Columns that are never drawn, besides `columns` themselves.

    Returns
    -------
    (n_sets, features) int64

    Raises
    ------
    ValueError
        A column that does not exist or never fires; a layer has too few others.
    """
    density, norms = np.asarray(density, np.float64), np.asarray(norms, np.float64)
    whole_number("n_sets", n_sets)
    if density.shape != norms.shape or density.ndim != 1 or len(density) % n_features:
        raise ValueError(
            f"density has shape {density.shape}, norms {norms.shape}: wanted one number for each "
            f"feature of layers of {n_features}"
        )
    chosen = column_numbers("columns", columns, len(density))
    alive = (density > 0) & (norms > 0)
    if not alive[chosen].all():
        raise ValueError(f"columns holds {chosen[~alive[chosen]][0]}, which is never active")
    free = alive.copy()
    free[chosen] = False
    free[column_numbers("exclude", exclude, len(density))] = False
    random = np.random.default_rng(seed)
    out = np.empty((n_sets, len(chosen)), np.int64)
    for layer in np.unique(chosen // n_features):
        mine = np.flatnonzero(chosen // n_features == layer)
        others = np.flatnonzero(free & (np.arange(len(free)) // n_features == layer))
        if len(others) < len(mine):
            raise ValueError(
                f"layer {layer} has {len(others)} other active features to match {len(mine)} with"
            )
        place = np.log(np.stack([density, norms], axis=1)[np.append(others, chosen[mine])])
        place = place / np.maximum(place.std(axis=0), 1e-12)
        theirs, own = place[: len(others)], place[len(others) :]
        order = np.argsort(((own[:, None] - theirs[None]) ** 2).sum(axis=2), axis=1, kind="stable")
        for row in out:
            taken = np.zeros(len(others), bool)
            for at in random.permutation(len(mine)):
                open_ = order[at][~taken[order[at]]][:_NEAREST]
                drawn = random.choice(open_)
                taken[drawn] = True
                row[mine[at]] = others[drawn]
    return out
