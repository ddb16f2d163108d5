"""Figures of rates: over how many languages features spread, by layer, and the map of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.optional import require
from ilo_fast.transcoders.multilingual.rates.rates_result import LanguageRates

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spread_figure(found: LanguageRates) -> Figure:
    """Effective number of languages, and share of features of one language, by layer."""
    require("matplotlib", "report")
    from ilo_fast.plots.sharing import (
        COLORS,
        SharingCurve,
        SharingCurves,
        SharingPanel,
        sharing_figure,
    )

    def numbers(name: str) -> NDArray[np.float64]:
        return np.array([row[name] for row in found.layer_summary()], np.float64)

    none = np.full(found.n_layers, np.nan)
    mean, low, high = found.mean_effective.T
    all_alike = np.full(found.n_layers, float(len(found.languages)))
    panels = (
        SharingPanel(
            "effective number\nof languages",
            (
                SharingCurve("mean, by rates", mean, low, high, COLORS["features"]),
                SharingCurve("all alike", all_alike, none, none, COLORS["null"], dashed=True),
            ),
        ),
        SharingPanel(
            "share of features\nof one language",
            (
                SharingCurve("by the rule", numbers("dominated"), none, none, COLORS["features"]),
                SharingCurve(
                    "labels permuted, 95 %", numbers("null_95"), none, none, COLORS["null"],
                    dashed=True,
                ),
            ),
        ),
    )  # fmt: skip
    documents = int(found.n_documents.min())
    return sharing_figure(
        SharingCurves(
            tuple(range(found.n_layers)),
            panels,
            "Over how many languages features spread",
            f"{int(found.tested.sum())} features with {found.min_firings} firings or more; "
            f"{len(found.languages)} languages, {documents} documents; {found.confidence:.0%} "
            "intervals over documents",
            "layer of the transcoder",
        )
    )


def map_figure(found: LanguageRates) -> Figure:
    """All tested features by layer and language."""
    require("matplotlib", "report")
    from ilo_fast.plots.feature_map import feature_map_figure

    return feature_map_figure(found.feature_map())
