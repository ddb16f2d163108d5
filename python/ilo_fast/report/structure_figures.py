"""Which language neighbours which, and where the sentences lie, as figures show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ilo_fast._util.messages import plain
from ilo_fast.corpora.grouping import group_languages
from ilo_fast.scores.result import language_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ilo_fast.plots.matrix import LanguageMatrix
    from ilo_fast.plots.point_map import PointMap
    from ilo_fast.scores.result import OverlapScores
    from ilo_fast.scores.structure_result import Structure


def language_matrix(structure: Structure, layer_index: int) -> LanguageMatrix:
    """Links over chance at one layer, languages in the order of their tree (needs matplotlib)."""
    from ilo_fast.plots.matrix import LanguageMatrix

    order = structure.orders[layer_index]
    return LanguageMatrix(
        log_ratio=structure.log_ratio[layer_index][order][:, order],
        labels=tuple(language_label(structure.languages[c]) for c in order),
        codes=tuple(plain(structure.languages[c]) for c in order),
    )


def point_map(scores: OverlapScores, positions: NDArray[Any], layer_index: int) -> PointMap:
    """The sentences of one layer, coloured by family (needs matplotlib)."""
    from ilo_fast.plots.point_map import PointMap

    families = group_languages(scores.languages, "family")
    by_size = sorted(families, key=lambda name: -len(families[name]))  # equals stay in order
    group_of = {code: g for g, name in enumerate(by_size) for code in families[name]}
    of_language = [group_of.get(code, len(by_size)) for code in scores.languages]
    return PointMap(
        positions=positions[layer_index],
        groups=np.repeat(of_language, scores.n_sentences),
        names=tuple(plain(name) for name in by_size),
        title=f"Sentences at layer {scores.layers[layer_index]}, by family",
        subtitle=scores.subtitle,
    )
