"""One HTML file of a training run: what was trained, its trajectory, scores before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ilo_fast._util.messages import plain
from ilo_fast.plots.style import svg_text
from ilo_fast.report.page import environment, flat, inline, read_template
from ilo_fast.report.training_tables import (
    chosen_layer,
    language_changes,
    layer_changes,
    most_changed,
)
from ilo_fast.report.trajectory import trajectory_figure

if TYPE_CHECKING:
    from ilo_fast.training.records import OverlapRecord

_MEASURES = ("loss", "perplexity", "accuracy", "macro_f1")
# Of the card, what a reader of the settings wants to see beside them.
_BESIDE = ("device", "precision", "threads", "parameters", "started", "finished", "seconds")


def training_page(title: str, card: Mapping[str, Any], records: Sequence[OverlapRecord]) -> str:
    """The run as one page that loads nothing from elsewhere.

    Parameters
    ----------
    title
        What the run is called.
    card
        Its ``run_card.json``.
    records
        Its measurements, at least one of which succeeded.
    """
    measured = [record.scores for record in records if record.scores is not None]
    before, after = measured[0], measured[-1]
    settings, evaluations = card["settings"], card.get("evaluations", [])
    beside = {name: card[name] for name in _BESIDE if card.get(name) is not None}
    return environment().from_string(read_template("training.html.j2")).render(
        title=plain(title),
        status=plain(card.get("status", "")),
        task=plain(settings.get("task") or "pretraining"),
        language=plain(settings.get("language") or ""),
        steps=card["steps"],
        size=before.corpus_size,
        scores=before,
        parallel=before.translation_share is not None,
        trajectory_svg=inline(svg_text(trajectory_figure(records), inline=True), "trajectory"),
        layers=layer_changes(before, after, card.get("frozen")),
        languages=language_changes(before, after),
        layer=before.layers[most_changed(before, after)],
        chosen_layer=chosen_layer(before, after),
        evaluations=evaluations,
        measures=[name for name in _MEASURES if any(name in row for row in evaluations)],
        settings=flat({**settings, **beside}),
        versions=flat(card.get("versions", {})),
        style=Markup(read_template("report.css")),
    )  # fmt: skip
