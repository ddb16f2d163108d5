"""One HTML file with everything that runs found. It loads nothing from outside itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from ilo_fast._util.messages import plain
from ilo_fast._util.progress import share_bar
from ilo_fast.plots.curve import curve_figure
from ilo_fast.plots.heatmap import heatmap_figure
from ilo_fast.plots.style import svg_text
from ilo_fast.report.answers import answers
from ilo_fast.report.differences import difference_curves, difference_table
from ilo_fast.report.explorer import run_record
from ilo_fast.report.groups import overlap_by_group
from ilo_fast.report.notes import notes
from ilo_fast.report.page import (
    environment,
    explorer_script,
    flat,
    inline,
    read_template,
    script_json,
)
from ilo_fast.report.points import point_data
from ilo_fast.report.run_data import RunData
from ilo_fast.report.summary import (
    best_layer_index,
    layer_means,
    most_shared_layer_index,
    ranked_languages,
)

if TYPE_CHECKING:
    from ilo_fast.scores.comparison.result import Comparison
    from ilo_fast.scores.result import OverlapScores

PAGE_BYTES: Final = 6_000_000
"""The most that a page takes, as far as points and texts can give way."""

_COLUMN: Final = 4.9  # inches; figures so narrow leave title and settings to the page
_DATA: Final = '<script id="data" type="application/json"></script>'

# What extract() says of itself that a reader of the settings wants to see.
_TAKEN = (
    "architecture", "attention", "tokenizer", "revision", "dtype", "device", "max_length",
    "batch_tokens",
)  # fmt: skip


def report_of_runs(
    runs: Sequence[RunData],
    comparison: Comparison | None = None,
    reason: str = "",
    *,
    progress: bool = False,
) -> str:
    """One run, or several side by side, as one page: answers, views to explore, tables, caveats.

    Text that came from outside (names of models, corpora, languages, sentences, anything in
    ``info``) is escaped; a content security policy in the page refuses every request to elsewhere.

    Parameters
    ----------
    runs
        The first is the one that others are compared to.
    comparison
        Of all of them, by the names of the runs.
    reason
        Why there is none.
    progress
        Show a progress bar.
    """
    with share_bar(progress, "page") as update:
        return _page(runs, comparison, reason, update or (lambda _: None))


def _page(
    runs: Sequence[RunData],
    comparison: Comparison | None,
    reason: str,
    update: Callable[[float], None],
) -> str:
    shown = []
    for number, run in enumerate(runs):
        shown.append(_shown(run, number))
        update((number + 1) / (2 * len(runs)))
    data: dict[str, Any] = {
        "embeddings": all(run.scores.starts_at_embeddings for run in runs),
        "runs": [run_record(run) for run in runs],
        "comparison": [] if comparison is None else difference_curves(comparison),
    }
    template = environment().from_string(read_template("report.html.j2"))
    page = template.render(
        title=" and ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs",
        subtitle=_subtitle(runs),
        runs=shown,
        first_note=notes(runs[0].scores)[0],
        differences=difference_table(comparison, reason) if len(runs) > 1 else None,
        comparison_level="" if comparison is None else f"{100 * comparison.level:g} %",
        style=Markup(read_template("report.css")),
        script=Markup(explorer_script()),
    )
    room = PAGE_BYTES - len(page.encode()) - len(script_json(data))
    for number, (run, record) in enumerate(zip(runs, data["runs"], strict=True)):
        record["points"] = point_data(run, room // len(runs))
        update(0.5 + (number + 1) / (2 * len(runs)))
    # What came from outside is escaped, so that no text in the page looks like this element.
    return page.replace(_DATA, _DATA.replace("><", f">{script_json(data)}<"), 1)


def _subtitle(runs: Sequence[RunData]) -> str:
    scores = runs[0].scores
    settings = f"k = {scores.n_neighbors}, t = {scores.threshold}, {plain(scores.metric)}"
    parts = (scores.corpus_name, scores.corpus_size, settings)
    return " · ".join(part for part in parts if part)


def _shown(run: RunData, number: int) -> dict[str, Any]:
    """What the template says of a run without its script."""
    scores = run.scores
    document = scores.to_dict()
    info = {key: value for key, value in document["info"].items() if key != "run"}
    table = scores.layer_table()
    heatmap = heatmap_figure(table, titled=False, max_rows=len(scores.languages))
    shared = most_shared_layer_index(scores)
    intervals = scores.intervals

    def drawn(figure: Any, name: str) -> Markup:
        return inline(svg_text(figure, inline=True), f"{name}-{number}")

    return {
        "id": number,
        "name": plain(run.name),
        "scores": scores,
        "structure": run.structure,
        "answers": answers(scores, run.structure),
        "shared": shared,
        "shared_layer": scores.layers[shared],
        "best_layer": scores.layers[best_layer_index(scores)],
        "means": layer_means(scores),
        "ranked": ranked_languages(scores, shared),
        "notes": notes(scores)[1:],
        "embeddings": scores.starts_at_embeddings,
        "parallel": scores.translation_share is not None,
        "level": None if intervals is None else f"{100 * intervals.level:g}",
        "unit": None if intervals is None else intervals.unit,
        "limits": None if scores.limits is None else scores.limits.means(),
        "test": scores.mixing_test,
        "given_graph": scores.translation_chance_given_graph is not None,
        "curve_svg": drawn(curve_figure(scores.layer_curves(), titled=False), "curve"),
        "groups_svg": drawn(overlap_by_group(scores, titled=False), "groups"),
        "heatmap_svg": drawn(heatmap.figure, "heatmap"),
        **{f"{name}_svg": drawn(figure, name) for name, figure in _structure(run, shared).items()},
        "settings": flat(_settings(scores, document)),
        "versions": flat(_versions(scores, document)),
        "details": json.dumps(info, indent=2, ensure_ascii=False, default=str),
    }


def _structure(run: RunData, shared: int) -> dict[str, Any]:
    """Figures of core and fragments, of the layer that shares most, and of its map."""
    if run.structure is None:
        return {}
    layer = run.structure.layers[shared]
    figures = {
        "components": run.structure.plot("components", width=_COLUMN),
        "matrix": run.structure.plot("languages", layer=layer, width=_COLUMN),
    }
    if run.positions is not None:
        figures["map"] = run.structure.plot_map(run.positions, layers=[layer], width=_COLUMN)
    return figures


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
