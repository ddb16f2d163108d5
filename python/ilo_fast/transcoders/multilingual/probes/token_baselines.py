"""What is known of a token's language without a model: from counts of tokens alone."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.transcoders.multilingual.probes.token_sample import TokenSample

Floats = NDArray[np.float64]

_SMOOTHING: Final = 0.5  # of a token more, in each language
_WEIGHT: Final = 1.0  # of the single token, beside what was counted of the pair
BASELINES: Final = ("unigram", "bigram", "line_so_far")


def token_baselines(sample: TokenSample) -> dict[str, Floats]:
    """Of each token of the second half, the chance that the language is named.

    Counted on all lines of the first half; the language of the largest probability is named, by
    lot where several share it.

    Returns
    -------
    name -> (tokens of the second half,)
        ``"unigram"``: from the token alone. ``"bigram"``: from it and the one before.
        ``"line_so_far"``: from all tokens of the line up to it, as if each came by itself.
    """
    n = len(sample.languages)
    top = max(max(row) for row in sample.ids) + 1
    one = np.zeros((top, n))
    two: dict[tuple[int, int], Floats] = {}
    for row in np.flatnonzero(sample.line_first):
        ids, code = sample.ids[int(row)], int(sample.line_language[row])
        np.add.at(one[:, code], ids[sample.skip :], 1)
        for place in range(max(sample.skip, 1), len(ids)):
            two.setdefault((ids[place - 1], ids[place]), np.zeros(n))[code] += 1
    # Rates, not counts: languages of more text get no head start.
    total = one.sum(axis=0)
    logs = np.log((one + _SMOOTHING) / (total + _SMOOTHING * top))
    scale = total.mean() / total
    known: dict[str, list[Floats]] = {name: [] for name in BASELINES}
    for at in np.flatnonzero(~sample.first):
        ids, place = sample.ids[sample.line[at]], int(sample.position[at])
        alone = _shares(logs[ids[place]])
        pair = two.get((ids[place - 1], ids[place]), np.zeros(n)) if place else np.zeros(n)
        known["unigram"].append(alone)
        known["bigram"].append(pair * scale + _WEIGHT * alone)
        known["line_so_far"].append(logs[list(ids[sample.skip : place + 1])].sum(axis=0))
    truth = sample.language[~sample.first]
    return {name: _hits(np.array(values), truth) for name, values in known.items()}


def _shares(logs: Floats) -> Floats:
    weights: Floats = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def _hits(values: Floats, truth: NDArray[np.int64]) -> Floats:
    best = values >= values.max(axis=1, keepdims=True) - 1e-12
    found: Floats = best[np.arange(len(truth)), truth] / best.sum(axis=1)
    return found
