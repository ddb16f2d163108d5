"""One HTML file with everything a run found. It loads nothing from outside itself."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from ilo_fast._util.messages import plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.plots.curve import curve_figure
from ilo_fast.plots.heatmap import HeatmapFigure, heatmap_figure
from ilo_fast.plots.style import INK, svg_text
from ilo_fast.report.notes import notes
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
    curve = curve_figure(scores.layer_curves(), titled=False)
    best = best_layer_index(scores)
    means = layer_means(scores)
    template = _environment().from_string(_read("report.html.j2"))
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
        curve_svg=_inline(svg_text(curve, inline=True), "curve"),
        heatmap_svg=_inline(svg_text(heatmap.figure, inline=True), "heatmap"),
        settings=_flat(_settings(scores, document)),
        versions=_flat(_versions(scores, document)),
        details=json.dumps(info, indent=2, ensure_ascii=False, default=str),
        data=_script_json(_page_data(scores, heatmap)),
        style=Markup(_read("report.css")),
        script=Markup(_read("report.js")),
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


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["plain"] = plain
    environment.filters["fixed"] = lambda value, digits: f"{value:.{digits}f}"
    return environment


def _read(name: str) -> str:
    folder = resources.files("ilo_fast.report").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


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
        "share": None if share is None else _rounded(share.tolist()),
        "panels": [
            {
                "box": _rounded([panel.left, panel.top, panel.width, panel.height]),
                "languages": [column_of[code] for code in panel.languages],
            }
            for panel in heatmap.panels
        ],
    }


def _rounded(value: Any) -> Any:
    return [_rounded(item) for item in value] if isinstance(value, list) else round(value, 5)


def _script_json(data: Any) -> Markup:
    """JSON that can stand in a script element: no ``<`` can end it, or begin a comment."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII only by default
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _flat(values: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and short texts, for a two-column table."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat |= _flat(value, f"{name}.")
        else:
            flat[plain(name)] = plain(
                ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            )
    return flat


def _inline(svg: str, name: str) -> Markup:
    """An SVG file as an element of a page: ids of its own, the page's ink, sized by the page.

    The SVG is matplotlib's, which escapes the texts in it.
    """
    svg = svg[svg.index("<svg") :]
    # Two figures on one page must not share ids: matplotlib numbers them alike.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'((?:xlink:)?href="#)', rf"\g<1>{name}-", svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(r'width="([\d.]+)pt" height="[\d.]+pt"', _page_width, svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    return Markup(svg)


def _page_width(match: re.Match[str]) -> str:
    """A width in rem, so that the 8 point letters of a figure are 13 pixels high on the page."""
    return f'style="width:{float(match[1]) / 10:.2f}rem" role="img"'
