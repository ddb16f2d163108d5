"""Which language neighbours which, as a figure shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ilo_fast.scores.result import language_label

if TYPE_CHECKING:
    from ilo_fast.plots.matrix import LanguageMatrix
    from ilo_fast.scores.structure_result import Structure


def language_matrix(structure: Structure | None, layer_index: int) -> LanguageMatrix | None:
    """Links over chance at one layer, languages in the order of their tree (needs matplotlib)."""
    if structure is None:
        return None
    from ilo_fast.plots.matrix import LanguageMatrix

    order = structure.orders[layer_index]
    return LanguageMatrix(
        log_ratio=structure.log_ratio[layer_index][order][:, order],
        labels=tuple(language_label(structure.languages[c]) for c in order),
        codes=tuple(structure.languages[c] for c in order),
    )
