"""The leaderboard as text, Markdown and CSV: a row for each model and corpus."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.messages import elide, plain
from ilo_fast.report.leaderboard.record import Result
from ilo_fast.report.text_table import Table, wrapped
from ilo_fast.scores.companions.entries import COMPANIONS

SHOWN_COMPANIONS: Final = ("translation_ilo", "retrieval_p1", "mexa", "cka_unbiased")
"""Those with a column; the CSV and `load_results` have all."""

NOISE: Final = (
    "ILO measures how much languages mix, not whether they mix by meaning: a raw ILO near 1 is "
    "also what unstructured noise gives (the column 'mixing'). Read it beside the share of "
    "translations."
)
COMPARE: Final = (
    "Rows of one corpus and of the same settings can be compared, no others: chance depends on "
    "languages, sentences and k. The layer of a row was chosen as the one that shares most, which "
    "favours models of many layers; intervals do not know of this choice. Intervals of two models "
    "may overlap where their difference is sure: `ilo-fast compare` on their folders."
)


def leaderboard_rows(results: Sequence[Result]) -> list[Result]:
    """In the order of a leaderboard: by corpus, then the highest share of translations first."""
    return sorted(
        results,
        key=lambda one: (
            one.corpus,
            -one.layers[one.shared].get("translation_share", -1.0),
            -one.layers[one.shared]["ilo"],
            one.model,
        ),
    )


def leaderboard_table(results: Sequence[Result]) -> Table:
    """The columns that fit a terminal."""
    rows = []
    for one in leaderboard_rows(results):
        layer = one.layers[one.shared]
        rows.append(
            [
                elide(plain(title(one)), 40),
                elide(plain(one.corpus), 24),
                str(layer["layer"]),
                number(layer, "translation_share", 4),
                interval(layer, "translation_share", 4),
                ratio(layer),
                number(layer, "ilo", 3),
                interval(layer, "ilo", 3),
                number(layer, "ilo_under_mixing", 3),
                number(layer, "bridge", 3),
                number(layer, "reach", 3),
                f"{one.highest['ilo']:.3f}",
                str(one.highest["layer"]),
            ]
        )
    return Table(
        (
            "model", "corpus", "layer", "transl.", "interval", "ratio", "ILO", "interval",
            "mixing", "bridge", "reach", "top ILO", "at",
        ),
        rows,
        texts=(0, 1),
    )  # fmt: skip


_KEYS: Final = (
    "layer: the one that shares most, by translations; means over languages there",
    "transl.: share of a sentence's neighbours that are its translations; ratio: over chance",
    "mixing: ILO where neighbours are drawn at random, as in noise",
    "top ILO, at: highest ILO of all layers, and its layer",
)


def leaderboard_text(results: Sequence[Result]) -> str:
    """For a terminal."""
    notes = [wrapped(f"- {note}") for note in (NOISE, COMPARE)]
    return "\n".join([leaderboard_table(results).text(), *_KEYS, "", *notes]) + "\n"


def leaderboard_markdown(results: Sequence[Result]) -> str:
    """A table of Markdown; text from outside is escaped."""
    table = leaderboard_table(results)
    marks = ["---" if at in table.texts else "---:" for at in range(len(table.columns))]
    lines = [_line(table.columns), _line(marks)]
    lines += [_line([_escaped(cell) for cell in row]) for row in table.rows]
    notes = [*_KEYS, NOISE, COMPARE]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def leaderboard_csv(results: Sequence[Result]) -> str:
    """All columns of all rows, in full precision; "" for what was not measured."""
    rows = [one.row() for one in leaderboard_rows(results)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return csv_text([{name: row.get(name) for name in names} for row in rows])


def title(one: Result) -> str:
    """The model, and the settings that are not the default."""
    return f"{one.model} ({one.experiment_text})" if one.experiment else one.model


def number(layer: Mapping[str, Any], name: str, digits: int) -> str:
    """A number with so many decimals; "" where there is none."""
    return f"{layer[name]:.{digits}f}" if name in layer else ""


def interval(layer: Mapping[str, Any], name: str, digits: int) -> str:
    """``0.723 - 0.756``, or "" where there is none."""
    low, high = number(layer, f"{name}_low", digits), number(layer, f"{name}_high", digits)
    return f"{low} - {high}" if low and high else ""


def times_chance(layer: Mapping[str, Any]) -> float | None:
    """How many times chance the share of translations is."""
    share, chance = layer.get("translation_share"), layer.get("translation_chance")
    return None if share is None or not chance else share / chance


def ratio(layer: Mapping[str, Any]) -> str:
    """``28.7x``, or "" where there is none."""
    found = times_chance(layer)
    return "" if found is None else f"{found:.1f}x"


def companion_title(name: str) -> str:
    """What a column calls a companion."""
    return COMPANIONS[name].title


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>&|#~!])", r"\\\1", text)
