"""Scores as a notebook shows them: a small table of HTML, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    columns = [_NAMES.get(name, name) for name in ("layer", *means)]
    rows = [
        [str(layer), *(f"{values[h]:.3f}" for values in means.values())]
        for h, layer in enumerate(layers)
    ]
    return plain_table([title, "means over languages"], columns, rows)


def plain_table(
    caption: Sequence[str], columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> str:
    """Texts in rows and columns below lines of caption; all escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{'<br>'.join(map(escape, caption))}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
