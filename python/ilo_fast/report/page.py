"""What every page shares: its template engine, its style, tables of settings, figures in it.

Text that came from outside is escaped by the engine; a content security policy in the templates
refuses every request to elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

import jinja2
from markupsafe import Markup

from ilo_fast._util.messages import plain
from ilo_fast.plots.style import INK
from ilo_fast.report.columns import p_value


def environment() -> jinja2.Environment:
    """An engine that escapes everything and refuses names that it does not know."""
    engine = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    engine.filters["plain"] = plain
    engine.filters["fixed"] = lambda value, digits: f"{value:.{digits}f}"
    engine.filters["range"] = lambda ends, digits: (
        "" if ends is None else f"{ends[0]:.{digits}f} \N{EN DASH} {ends[1]:.{digits}f}"
    )
    engine.filters["p"] = lambda value: "" if value is None else p_value(value)
    engine.filters["signed"] = lambda value: f"{value:+.3f}"
    engine.filters["short"] = lambda value: "diverged" if value is None else f"{value:.4g}"
    return engine


def read_template(name: str, room: str = "ilo_fast.report") -> str:
    """A file of the folder ``templates`` of a room."""
    folder = resources.files(room).joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


# In the order in which the later need the earlier.
_SCRIPTS: Final = (
    "bytes", "scales", "orders", "dom", "grid", "curve", "map", "sentence", "table", "runs",
    "explorer",
)  # fmt: skip


def explorer_script() -> str:
    """The page's script: the files of ``templates/explorer``, in a scope of their own."""
    return in_own_scope([read_template(f"explorer/{name}.js") for name in _SCRIPTS])


def in_own_scope(scripts: Sequence[str]) -> str:
    """Scripts that see each other, and that nothing else sees."""
    files = "\n".join(scripts)
    return f'"use strict";\n(() => {{\n{files}\n}})();'


def script_json(data: Any) -> str:
    """JSON that can stand in a script element: no ``<`` can end it, or begin a comment."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII only by default
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def flat(values: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and short texts, for a two-column table."""
    found: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= flat(value, f"{name}.")
        else:
            found[plain(name)] = plain(
                ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            )
    return found


def inline(svg: str, name: str) -> Markup:
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
    # A hundredth of a point is not seen, and half of a figure is digits behind it.
    svg = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    return Markup(svg)


def _page_width(match: re.Match[str]) -> str:
    """A width in rem, so that the 8 point letters of a figure are 13 pixels high on the page."""
    return f'style="width:{float(match[1]) / 10:.2f}rem" role="img"'
