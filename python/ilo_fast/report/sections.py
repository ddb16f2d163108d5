"""One HTML file of sections: prose, tables, figures of a result that has no page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ilo_fast._util.messages import plain
from ilo_fast.plots.style import svg_text
from ilo_fast.report.page import environment, flat, inline, read_template
from ilo_fast.report.text_table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    title : str
    paragraphs : sequence of str
    figures : sequence of (figure, caption)
    tables : sequence of Table
    """

    title: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[tuple[Figure, str]] = ()
    tables: Sequence[Table] = ()


def sections_page(
    title: str,
    sections: Sequence[Section],
    *,
    kicker: str,
    subtitle: str = "",
    notes: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> str:
    """A page that loads nothing from elsewhere.

    Parameters
    ----------
    title, kicker, subtitle
        What it is about, of what kind it is, and of what.
    sections
        In order.
    notes
        What is to be read first.
    settings
        Nested mappings of what was asked for, at the end.
    """
    shown = [
        {
            "title": plain(section.title),
            "paragraphs": [plain(text) for text in section.paragraphs],
            "figures": [
                (inline(svg_text(figure, inline=True), f"figure-{number}-{at}"), plain(caption))
                for at, (figure, caption) in enumerate(section.figures)
            ],
            "tables": section.tables,
        }
        for number, section in enumerate(sections)
    ]
    return environment().from_string(read_template("sections.html.j2")).render(
        title=plain(title),
        kicker=plain(kicker),
        subtitle=plain(subtitle),
        notes=[plain(note) for note in notes],
        sections=shown,
        settings=flat(settings or {}),
        style=Markup(read_template("report.css")),
    )  # fmt: skip
