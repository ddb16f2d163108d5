"""Sharing of features beside neighbourhoods, as tables, columns explained."""

from __future__ import annotations

import math

import numpy as np

from ilo_fast.report.columns import p_value
from ilo_fast.report.text_table import Table
from ilo_fast.transcoders.multilingual.sharing.rank_correlation import Correlation
from ilo_fast.transcoders.multilingual.sharing.sharing_curves import SPACES
from ilo_fast.transcoders.multilingual.sharing.sharing_result import MEASURE_NAMES
from ilo_fast.transcoders.multilingual.sharing.space_result import SharedSpace, SpaceCorrelation


def sharing_table(found: SharedSpace) -> Table:
    """What translations have in common beyond other lines, by layer."""
    one, sharing = found.sharing[found.measure], found.sharing
    rows = [
        [str(layer), f"{one.mean_shared.values[h]:.3f}", f"{one.mean_null.values[h]:.3f}",
         _spanned(one.mean_excess.values[h], one.mean_excess.low[h], one.mean_excess.high[h], "+"),
         str(int(sharing.n_always_on[h])), str(int(sharing.n_empty[h].sum()))]
        for h, layer in enumerate(found.layers)
    ]  # fmt: skip
    return Table(
        ["layer", "translations", "other lines", "excess", "always on", "empty"],
        rows,
        f"{MEASURE_NAMES[found.measure]} of the features active in a line and in its translation, "
        "mean over pairs of languages; other lines: of other documents, "
        f"{sharing.n_shuffles} times over; excess: the difference, {sharing.confidence:.0%} "
        "interval over documents. always on: features left out, active at more than "
        f"{sharing.max_density:.0%} of the tokens; empty: lines without an active feature, of all "
        "languages, which share nothing.",
        (),
        title="Features that translations share",
    )


def neighbours_table(found: SharedSpace) -> Table:
    """ILO and the share of translations in both spaces, by layer."""
    rows = []
    for h, layer in enumerate(found.layers):
        cells = [str(layer)]
        for source in SPACES:
            for name in ("ilo", "translation_share"):
                score = found.scores[source][name]
                cells.append(_spanned(score.values[h], score.low[h], score.high[h]))
        rows.append(cells)
    hidden = found.scores["hidden"]
    chance = hidden["translation_share"].chance
    known = chance[np.isfinite(chance)]
    by_chance = f"; by chance {known.mean():.3f}" if len(known) else ""
    why = f" No intervals: {found.interval_note}." if found.interval_note else ""
    return Table(
        ["layer", "ILO, states", "translations, states", "ILO, features",
         "translations, features"],
        rows,
        f"states: hidden states behind the block of this layer; features: mean activations, those "
        f"always on left out. ILO: of {found.n_neighbors} neighbours, harmonic mean of the share "
        f"of points that meet {found.threshold} other languages or more and of the languages met; "
        "it measures mixing, and noise scores high. translations: share of a sentence's "
        f"neighbours that are its translations{by_chance}. {found.confidence:.0%} intervals from "
        f"halves of the documents.{why}",
        (),
        title="Neighbours, of hidden states and of feature vectors",
    )  # fmt: skip


def correlation_table(found: SharedSpace) -> Table:
    """How the excess of sharing goes with scores."""
    shown = [
        one
        for one in found.correlations
        if one.layer is None and one.score in ("ilo", "translation_share", "mutual_knn")
    ]
    return Table(
        ["over", "space", "score", "rho", "interval", "p", "points"],
        [_correlation(one) for one in shown if not math.isnan(one.found.rho)],
        "Spearman's rank correlation of the excess of sharing with a score: over layers (few "
        "points, and neighbouring layers are alike: no p), and over pairs of languages in the "
        "mean over layers, where p comes of permuting languages (Mantel). Related languages share "
        "features and neighbours: a correlation over pairs is mostly kinship. Four points are the "
        "least.",
        (0, 1, 2),
        title="Do features and neighbours say the same?",
    )


def _correlation(one: SpaceCorrelation) -> list[str]:
    found: Correlation = one.found
    over = "layers" if one.over == "layers" else "pairs"
    span = "-" if math.isnan(found.low) else f"[{found.low:+.2f}, {found.high:+.2f}]"
    p = "-" if math.isnan(found.p) else p_value(found.p)
    name = {"ilo": "ILO", "translation_share": "translations", "mutual_knn": "mutual k-NN"}
    return [over, SPACES[one.source], name[one.score], f"{found.rho:+.2f}", span, p, str(found.n)]


def _spanned(value: float, low: float, high: float, sign: str = "") -> str:
    if math.isnan(value):
        return "-"
    if math.isnan(low):
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
