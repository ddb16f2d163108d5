"""What figures of sharing show, made of estimates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast.plots.dendrogram_matrix import DendrogramMatrix
from ilo_fast.plots.sharing import COLORS, SharingCurve, SharingPanel
from ilo_fast.scores.structure.dendrogram import average_linkage, leaf_order
from ilo_fast.transcoders.multilingual.document_bootstrap import Estimated

Array = NDArray[np.float64]

SPACES: Final = {"hidden": "hidden states", "features": "feature vectors"}
_LABELS: Final = {
    "ilo": "ILO",
    "bridge": "bridge",
    "reach": "reach",
    "translation_share": "neighbours that\nare translations",
    "retrieval_p1": "retrieval P@1",
    "mutual_knn": "mutual k-NN",
    "cka_unbiased": "CKA, unbiased",
}


def sharing_panel(
    label: str, shared: Estimated, null: Estimated, *, match_length: bool
) -> SharingPanel:
    """Translations, and other lines with their band."""

    def curve(name: str, of: Estimated, color: str, *, band: bool) -> SharingCurve:
        return SharingCurve(name, of.values, of.low, of.high, color, band=band, dashed=band)

    others = "other lines, as long" if match_length else "other lines"
    return SharingPanel(
        label=f"features in common\n({label})",
        curves=(
            curve("translations", shared, COLORS["shared"], band=False),
            curve(others, null, COLORS["null"], band=True),
        ),
    )


def score_panel(name: str, spaces: Sequence[tuple[str, Estimated]], chance: Array) -> SharingPanel:
    """One score in both spaces. chance: (layers,), NaN where there is none."""
    return SharingPanel(
        label=_LABELS.get(name, name.replace("_", " ")),
        curves=tuple(
            SharingCurve(SPACES[source], of.values, of.low, of.high, COLORS[source])
            for source, of in spaces
        ),
        chance=chance if np.isfinite(chance).any() else None,
    )


def sharing_matrix(
    shared: Array, null: Array, labels: tuple[str, ...], *, title: str, subtitle: str
) -> DendrogramMatrix:
    """What translations share of what they could, beyond other lines.

    ``(shared - null) / (1 - null)``: 0 by chance, 1 where all is shared; languages are merged by
    1 less that. shared, null: (languages, languages).
    """
    beyond = (shared - null) / np.maximum(1 - null, 1e-12)
    distance = 1 - beyond
    np.fill_diagonal(distance, 0.0)
    linkage = average_linkage(distance)
    return DendrogramMatrix(
        log_ratio=beyond,
        linkage=linkage,
        order=leaf_order(linkage, distance),
        labels=labels,
        title=title,
        subtitle=subtitle,
        plain="sharing beyond chance",
    )
