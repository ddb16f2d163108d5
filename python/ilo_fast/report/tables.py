"""Tables for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ilo_fast._util.messages import elide, plain
from ilo_fast.report.columns import columns, pad
from ilo_fast.report.notes import notes
from ilo_fast.report.summary import (
    LayerMeans,
    best_layer_index,
    layer_means,
    ranked_languages,
)

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores

_EXTREMES = 5  # languages in each of the lists of the highest and the lowest
_BAR_WIDTH = 20  # characters of the bar of an ILO of 1


def text_report(scores: OverlapScores) -> str:
    """The tables ``ilo-fast run`` prints: layers, then top and bottom languages, then notes."""
    means = layer_means(scores)
    best = best_layer_index(scores)
    ranked = ranked_languages(scores, best)
    blocks = [
        "Interlingual Local Overlap\n" + scores.subtitle,
        _layer_table(means, best, scores.starts_at_embeddings),
    ]
    where = f"layer {means[best].layer}, where mean ILO is highest"
    if len(ranked) <= 2 * _EXTREMES:
        blocks.append(f"Languages at {where}\n{_language_table(ranked)}")
    else:
        table = _language_table([*ranked[:_EXTREMES], None, *ranked[-_EXTREMES:]])
        blocks.append(f"Top and bottom languages at {where}\n{table}")
    wrapped = (textwrap.wrap(f"- {n}", 88, subsequent_indent="  ") for n in notes(scores))
    blocks.append("\n".join(line for lines in wrapped for line in lines))
    return "\n\n".join(blocks) + "\n"


def _layer_table(means: Sequence[LayerMeans], best: int, embeddings: bool) -> str:
    parallel = means[0].translation_share is not None
    head = f"{'layer':>7}  {'bridge':>7} {'reach':>7} {'ILO':>7}"
    if parallel:
        head += f"  {'transl.':>8} {'chance':>8} {'ratio':>7}"
    lines = [head]
    for index, row in enumerate(means):
        mark = "*" if index == best else " "
        line = f"{mark}{row.layer:>6}  {row.bridge:7.3f} {row.reach:7.3f} {row.ilo:7.3f}"
        if parallel:
            line += f"  {_decimals(row.translation_share)} {_decimals(row.translation_chance)}"
            ratio = row.times_chance
            line += f" {ratio:6.1f}x" if ratio is not None else f" {'':>7}"
        lines.append(f"{line}  {'█' * round(row.ilo * _BAR_WIDTH)}".rstrip())
    legend = "means over languages; * highest mean ILO"
    if embeddings:
        legend += "; layer 0 is the embeddings"
    if parallel:
        legend += "\ntransl.: share of a sentence's neighbours that are its translations"
    return "\n".join([*lines, legend])


def _language_table(rows: Sequence[Mapping[str, Any] | None]) -> str:
    shown = [row for row in rows if row is not None]
    names = [elide(plain(row["name"]), 32) for row in shown]
    codes = [elide(plain(row["language"]), 16) for row in shown]
    name_width = max(columns(name) for name in names)
    code_width = max(columns(code) for code in codes)
    parallel = shown[0]["translation_share"] is not None
    head = f"  {pad('language', name_width)}  {pad('code', code_width)}"
    head += f"  {'bridge':>7} {'reach':>7} {'ILO':>7}"
    lines = [head + (f"  {'transl.':>8}" if parallel else "")]
    labels = iter(zip(names, codes, strict=True))
    for row in rows:
        if row is None:
            lines.append("  …")
            continue
        name, code = next(labels)
        line = f"  {pad(name, name_width)}  {pad(code, code_width)}"
        line += f"  {row['bridge']:7.3f} {row['reach']:7.3f} {row['ilo']:7.3f}"
        lines.append(line + (f"  {row['translation_share']:8.4f}" if parallel else ""))
    return "\n".join(lines)


def _decimals(value: float | None) -> str:
    return f"{'':>8}" if value is None else f"{value:8.4f}"
