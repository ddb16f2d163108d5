"""Scores as a notebook shows them: a small table of HTML, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

_NAMES = {"ilo": "ILO", "translation_share": "translations"}


def html_table(title: str, layers: Sequence[int], means: Mapping[str, NDArray[np.float64]]) -> str:
    """One row per layer, one column per score; every text from outside is escaped.

    Parameters
    ----------
    title
        What was measured, and how.
    means
        Name of a score -> its means over languages, shape (layers,).
    """
    head = "".join(f"<th>{escape(_NAMES.get(name, name))}</th>" for name in ("layer", *means))
    rows = "".join(
        f"<tr><td>{layer}</td>" + "".join(f"<td>{v[h]:.3f}</td>" for v in means.values()) + "</tr>"
        for h, layer in enumerate(layers)
    )
    return (
        f"<table><caption>{escape(title)}<br>means over languages</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
