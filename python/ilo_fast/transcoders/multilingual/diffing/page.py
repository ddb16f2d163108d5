"""What training has changed, as one HTML page."""

from __future__ import annotations

from typing import Final

from ilo_fast.report.text_table import Table
from ilo_fast.transcoders.multilingual.diffing.result import ModelDiff
from ilo_fast.transcoders.multilingual.diffing.tables import (
    LEGEND,
    NO_CONTROL,
    ONE_CONTROL,
    changed_table,
    claims_table,
    events_table,
    head_lines,
    languages_table,
    layers_table,
    matching_table,
)

NOTES: Final = (
    "A transcoder was fitted to one model. On another it explains less, and what it then shows "
    "may be its own fit and not the model: a re-used transcoder shows nothing that is new.",
    "Features that changed are not what training is for: nothing here says that the model behaves "
    "otherwise because of them.",
)
_FEATURES: Final = 10
_LANGUAGES: Final = 12  # columns that a page holds


def diff_page(diff: ModelDiff) -> str:
    """All of it, caveats first.

    Raises
    ------
    ImportError
        matplotlib or jinja2 is missing.
    """
    from ilo_fast.report.sections import Section, sections_page

    def of(*tables: Table | None) -> list[Table]:
        return [table for table in tables if table is not None]

    slope = "{}: share of the strength of all features before and after; the axis is cut to them."
    few = len(diff.pair.brightness.languages) <= _LANGUAGES
    sections = [
        Section(
            "Features",
            head_lines(diff),
            tables=of(events_table(diff), changed_table(diff, _FEATURES), matching_table(diff)),
        ),
        Section(
            "What features write",
            figures=[(diff.plot("layer"), slope.format("By layer")),
                     (diff.plot("language"), slope.format("By language"))],
            tables=of(layers_table(diff), languages_table(diff) if few else None),
        ),
        Section("Claims", tables=of(claims_table(diff))),
        Section("What the words mean", LEGEND),
    ]  # fmt: skip
    return sections_page(
        f"{diff.pair.before['model']} and {diff.pair.after['model']}",
        sections,
        kicker="What training changed",
        notes=(*_about_controls(diff), *NOTES),
        settings=dict(diff.info),
    )


def _about_controls(diff: ModelDiff) -> tuple[str, ...]:
    return {0: (NO_CONTROL,), 1: (ONE_CONTROL,)}.get(len(diff.controls), ())
