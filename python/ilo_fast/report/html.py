"""One HTML file with everything a run found. It loads nothing from outside itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ilo_fast._util.messages import plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.plots.curve import curve_figure
from ilo_fast.plots.heatmap import HeatmapFigure, heatmap_figure
from ilo_fast.plots.style import svg_text
from ilo_fast.report.groups import overlap_by_group
from ilo_fast.report.notes import notes
from ilo_fast.report.page import environment, flat, inline, read_template
from ilo_fast.report.summary import best_layer_index, layer_means, ranked_languages

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores


# What extract() says of itself that a reader of the settings wants to see.
_TAKEN = (
    "architecture", "attention", "tokenizer", "revision", "dtype", "device", "max_length",
    "batch_tokens",
)  # fmt: skip


def html_report(scores: OverlapScores) -> str:
    """The report as one page: figures, tables, settings, versions and caveats.

    Text that came from outside (names of models, corpora, languages, anything in ``info``) is
    escaped; a content security policy in the page refuses every request to elsewhere.
    """
    document = scores.to_dict()
    info = {key: value for key, value in document["info"].items() if key != "run"}
    heatmap = heatmap_figure(scores.layer_table(), titled=False, max_rows=len(scores.languages))
    groups = overlap_by_group(scores, titled=False)
    curve = curve_figure(scores.layer_curves(), titled=False)
    best = best_layer_index(scores)
    means = layer_means(scores)
    intervals = scores.intervals
    template = environment().from_string(read_template("report.html.j2"))
    return template.render(
        title=scores.model_name or "Overlap scores",
        corpus=scores.corpus_name,
        size=scores.corpus_size,
        scores=scores,
        best=best,
        best_means=means[best],
        means=means,
        ranked=ranked_languages(scores, best),
        notes=notes(scores),
        embeddings=scores.starts_at_embeddings,
        parallel=scores.translation_share is not None,
        level=None if intervals is None else f"{100 * intervals.level:g}",
        unit=None if intervals is None else intervals.unit,
        limits=None if scores.limits is None else scores.limits.means(),
        test=scores.mixing_test,
        given_graph=scores.translation_chance_given_graph is not None,
        curve_svg=inline(svg_text(curve, inline=True), "curve"),
        groups_svg=inline(svg_text(groups, inline=True), "groups"),
        heatmap_svg=inline(svg_text(heatmap.figure, inline=True), "heatmap"),
        settings=flat(_settings(scores, document)),
        versions=flat(_versions(scores, document)),
        details=json.dumps(info, indent=2, ensure_ascii=False, default=str),
        data=_script_json(_page_data(scores, heatmap)),
        style=Markup(read_template("report.css")),
        script=Markup(read_template("report.js")),
    )


def _versions(scores: OverlapScores, document: dict[str, Any]) -> dict[str, Any]:
    """Versions of the libraries that made the scores, not of those that draw this page."""
    extracted = scores.recorded("representations").get("versions")
    return {**(extracted if isinstance(extracted, dict) else {}), **document["versions"]}


def _settings(scores: OverlapScores, document: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, and where that left a choice, what was taken."""
    asked = scores.recorded("run")
    source = scores.recorded("representations")
    taken = {key: source[key] for key in _TAKEN if key in source}
    merged = {**document["settings"], **asked, **taken}
    return {key: value for key, value in merged.items() if value is not None}


def _page_data(scores: OverlapScores, heatmap: HeatmapFigure) -> dict[str, Any]:
    """What the page's script needs for the layer menu and the values under the pointer."""
    chance = scores.translation_chance
    languages = []
    for column, code in enumerate(scores.languages):
        known = describe_language(code)
        languages.append(
            {
                "code": plain(code),
                **{field: plain(known[field]) for field in ("name", "family", "script")},
                "resource": known["resource_class"],
                "chance": None if chance is None else _rounded(chance[column].tolist()),
            }
        )
    column_of = {code: column for column, code in enumerate(scores.languages)}
    share = scores.translation_share
    return {
        "layers": [int(layer) for layer in scores.layers],
        "languages": languages,
        "bridge": _rounded(scores.bridge.tolist()),
        "reach": _rounded(scores.reach.tolist()),
        "ilo": _rounded(scores.ilo.tolist()),
        "ends": _ends(scores),
        "share": None if share is None else _rounded(share.tolist()),
        "panels": [
            {
                "box": _rounded([panel.left, panel.top, panel.width, panel.height]),
                "languages": [column_of[code] for code in panel.languages],
            }
            for panel in heatmap.panels
        ],
    }


def _ends(scores: OverlapScores) -> list[list[list[float] | None]] | None:
    """Of every layer and language, the ends of the interval of ILO; None where there is none."""
    low, high = (None, None) if scores.intervals is None else scores.intervals.ends("ilo")
    if low is None or high is None:
        return None
    return [
        [None if np.isnan(a) else _rounded([float(a), float(b)]) for a, b in zip(*row, strict=True)]
        for row in zip(low, high, strict=True)
    ]


def _rounded(value: Any) -> Any:
    return [_rounded(item) for item in value] if isinstance(value, list) else round(value, 5)


def _script_json(data: Any) -> Markup:
    """JSON that can stand in a script element: no ``<`` can end it, or begin a comment."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII only by default
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
