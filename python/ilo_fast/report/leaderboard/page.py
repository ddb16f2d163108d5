"""The leaderboard as one HTML file. It loads nothing from outside itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from ilo_fast._util.messages import counted, plain
from ilo_fast.report.leaderboard.record import Result
from ilo_fast.report.leaderboard.table import (
    COMPARE,
    NOISE,
    SHOWN_COMPANIONS,
    companion_title,
    leaderboard_rows,
    times_chance,
)
from ilo_fast.report.page import environment, in_own_scope, read_template
from ilo_fast.scores.companions.entries import COMPANIONS

_WIDE: Final = 108  # pixels of the scale in a cell


def leaderboard_page(
    results: Sequence[Result],
    failures: Sequence[Mapping[str, Any]] = (),
    *,
    pages: Mapping[int, str] | None = None,
    title: str = "Leaderboard",
) -> str:
    """A table that sorts and filters itself, with intervals drawn in its cells.

    Text from outside (names of models and corpora, errors) is escaped; a content security policy
    in the page refuses every request to elsewhere.

    Parameters
    ----------
    results
        In any order.
    failures
        ``model``, ``corpus``, ``error`` and ``when`` of what could not be measured.
    pages
        Place of a result in `results` -> the path of its own page, as seen from this one.
    title
        Of the page.
    """
    found = pages or {}
    links = {id(one): found[at] for at, one in enumerate(results) if at in found}
    ordered = leaderboard_rows(results)
    tops = _tops(ordered)
    return environment().from_string(read_template("leaderboard.html.j2")).render(
        title=plain(title),
        subtitle=f"{counted(len({one.model for one in ordered}), 'model')} \N{MIDDLE DOT} "
        f"{_corpora(len({one.corpus for one in ordered}))}",
        corpora=sorted({plain(one.corpus) for one in ordered}),
        rows=[_row(one, links.get(id(one)), tops[one.corpus]) for one in ordered],
        companions=[
            {"title": companion_title(name), "about": COMPANIONS[name].about}
            for name in SHOWN_COMPANIONS
        ],
        failures=[
            {name: plain(failure.get(name, "")) for name in ("model", "corpus", "error", "when")}
            for failure in failures
        ],
        noise=NOISE,
        compare=COMPARE,
        levels=sorted({f"{100 * float(level):g} %" for level in _levels(ordered)}),
        wide=_WIDE,
        style=Markup(read_template("report.css")),
        script=Markup(in_own_scope([read_template("leaderboard.js")])),
    )  # fmt: skip


def _corpora(n: int) -> str:
    return "1 corpus" if n == 1 else f"{n} corpora"


def _levels(results: Sequence[Result]) -> list[float]:
    return [
        one.intervals["level"]
        for one in results
        if one.intervals is not None
        and isinstance(one.intervals.get("level"), (int, float))
        and "ilo_low" in one.layers[one.shared]
    ]


def _tops(results: Sequence[Result]) -> dict[str, float]:
    """End of the scale of translations for each corpus: the same in all its rows."""
    tops: dict[str, float] = {}
    for one in results:
        layer = one.layers[one.shared]
        most = max(layer.get(f"translation_share{end}", 0.0) for end in ("", "_high"))
        tops[one.corpus] = max(tops.get(one.corpus, 1e-9), most)
    return tops


def _row(one: Result, link: str | None, top: float) -> dict[str, Any]:
    layer = one.layers[one.shared]
    return {
        "model": plain(one.model),
        "link": None if link is None else quote(PurePath(link).as_posix()),
        "revision": plain(one.revision)[:8],
        "experiment": plain(one.experiment_text),
        "corpus": plain(one.corpus),
        "size": f"{len(one.languages)} \N{MULTIPLICATION SIGN} {one.n_sentences}",
        "settings": f"k = {plain(one.settings.get('n_neighbors', ''))}, "
        f"t = {plain(one.settings.get('threshold', ''))}, {plain(one.settings.get('metric', ''))}",
        "layer": layer["layer"],
        "share": _cell(layer, "translation_share", top, layer.get("translation_chance")),
        "chance": layer.get("translation_chance_given_graph"),
        "ratio": times_chance(layer),
        "ilo": _cell(layer, "ilo", 1.0, layer.get("ilo_under_mixing")),
        "mixing": layer.get("ilo_under_mixing"),
        "bridge": layer["bridge"],
        "reach": layer["reach"],
        "highest": one.highest["ilo"],
        "highest_layer": one.highest["layer"],
        "mean": one.row()["ilo_mean_over_layers"],
        "companions": [
            {"value": layer.get(name), "chance": layer.get(f"{name}_chance")}
            for name in SHOWN_COMPANIONS
        ],
    }


def _cell(
    layer: Mapping[str, Any], name: str, top: float, mark: float | None
) -> dict[str, Any] | None:
    """A value, its interval, and a reference, as numbers and as places on the scale of a cell."""
    if name not in layer:
        return None
    low, high = layer.get(f"{name}_low"), layer.get(f"{name}_high")

    def place(value: float) -> float:
        return round(4 + (_WIDE - 8) * min(max(value / top, 0.0), 1.0), 1)

    return {
        "value": layer[name],
        "ends": None if low is None or high is None else (low, high),
        "at": place(layer[name]),
        "low": None if low is None else place(low),
        "high": None if high is None else place(high),
        "mark": None if mark is None else place(mark),
    }
