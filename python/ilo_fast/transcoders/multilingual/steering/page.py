"""What steering did, as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ilo_fast.report.text_table import Table
from ilo_fast.transcoders.multilingual.steering.figures import steering_figures
from ilo_fast.transcoders.multilingual.steering.result import PairResult, SteeringResult
from ilo_fast.transcoders.multilingual.steering.tables import (
    LEGEND,
    contrast_lines,
    identifier_lines,
    overall_lines,
    pair_table,
    sample_line,
)

NOTES: Final = (
    "A switch of language is easy: a single added vector often does it as well as features do. "
    "Look at the difference to the best baseline, not at the share alone. That features switch the "
    "language says that they are sufficient, not that the model uses them so.",
    "A continuation in the target's language may be rubbish: the classifier gives every text with "
    "a letter to one of the languages. Read the examples, and the columns content, alone and "
    "distinct. Strengths are chosen by the language alone, for all ways alike.",
    "Intervals are of these prompts and of one draw of documents into halves; with 50 test prompts "
    "differences below some 15 points are not seen.",
)


def steering_page(result: SteeringResult, title: str, about: Mapping[str, Any]) -> str:
    """All of it, caveats first. about: of the run, shown at the end.

    Raises
    ------
    ImportError
        matplotlib or jinja2 is missing.
    """
    from ilo_fast.report.sections import Section, sections_page

    figures = steering_figures(result, title)
    sections = [
        Section(
            "All pairs",
            [*identifier_lines(result), *overall_lines(result)]
            + [f"{name}: left out, {why}" for name, why in result.skipped.items()],
            [(
                figures["swap"],
                "Substitution: share of the continuations in the target's language, and the same "
                "minus that of the best baseline. Points, without their intervals: those stand "
                "with each pair.",
            )],
        )
    ]  # fmt: skip
    for source in result.languages:
        pairs = [one for one in result.pairs if one.source == source]
        if not pairs:
            continue
        tables = [table for one in pairs for table in (pair_table(one), *_examples(one))]
        sections.append(
            Section(
                f"From {source}",
                [f"{one.source} > {one.target}: {line}" for one in pairs
                 for line in contrast_lines(one)],
                [(
                    figures[f"dose_{source}"],
                    "Measures at every strength, on the test half; dots: the strength that the "
                    "validation half chose; bands: 95 %.",
                )],
                tables,
            )
        )  # fmt: skip
    sections.append(Section("What the columns are", LEGEND))
    return sections_page(
        title, sections,
        kicker="Steering the language", subtitle=sample_line(result), notes=NOTES,
        settings={**about, **result.info},
    )  # fmt: skip


def _examples(one: PairResult) -> list[Table]:
    rows = [
        (example.prompt.strip(), name.replace("_", " "), text.strip())
        for example in one.examples
        for name, text in example.continuations.items()
    ]
    if not rows:
        return []
    note = "The first test prompts of this pair, not chosen; at the chosen strengths."
    return [Table(("prompt", "", "goes on"), rows, note, (0, 1, 2), "Examples")]
