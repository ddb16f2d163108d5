"""Tables for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ilo_fast._util.messages import elide, plain
from ilo_fast.report.columns import columns, p_value, pad
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
        *_layer_tables(scores, means, best),
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


def _layer_tables(scores: OverlapScores, means: Sequence[LayerMeans], best: int) -> list[str]:
    """ILO, and of parallel text translations: in one table, or with intervals in two."""
    parallel = means[0].translation_share is not None
    notes = _legend(scores, parallel)
    if scores.intervals is None:
        return [_plain_table(means, best, parallel) + notes]
    tables = [_overlap_table(means, best, scores.intervals.level)]
    if parallel:
        tables.append(_translation_table(means, best, scores.intervals.level))
    return [*tables[:-1], tables[-1] + notes]


def _plain_table(means: Sequence[LayerMeans], best: int, parallel: bool) -> str:
    head = f"{'layer':>7}  {'bridge':>7} {'reach':>7} {'ILO':>7}"
    if parallel:
        head += f"  {'transl.':>8} {'chance':>8} {'ratio':>7}"
    lines = [head]
    for index, row in enumerate(means):
        line = _scores_of(row, index == best)
        if parallel:
            line += f"  {_decimals(row.translation_share)} {_decimals(row.translation_chance)}"
            line += f" {_ratio(row)}"
        lines.append(f"{line}  {_bar(row.ilo)}".rstrip())
    return "\n".join(lines)


def _overlap_table(means: Sequence[LayerMeans], best: int, level: float) -> str:
    tested = means[0].p_mixing is not None
    head = f"{'layer':>7}  {'bridge':>7} {'reach':>7} {'ILO':>7}  {_level(level):^16}"
    lines = [head + (f" {'p':>7}" if tested else "")]
    for index, row in enumerate(means):
        line = f"{_scores_of(row, index == best)}  {_interval(row, 'ilo', 3):>16}"
        line += f" {_p(row.p_mixing):>7}" if tested else ""
        lines.append(f"{line}  {_bar(row.ilo)}".rstrip())
    return "\n".join(lines)


def _translation_table(means: Sequence[LayerMeans], best: int, level: float) -> str:
    tested = means[0].p_translation is not None
    head = f"{'layer':>7}  {'transl.':>8}  {_level(level):^16} {'chance':>8} {'in graph':>8}"
    lines = [head + f" {'ratio':>7}" + (f" {'p':>7}" if tested else "")]
    for index, row in enumerate(means):
        line = f"{'*' if index == best else ' '}{row.layer:>6}  {_decimals(row.translation_share)}"
        line += (
            f"  {_interval(row, 'translation_share', 4):>16} {_decimals(row.translation_chance)}"
        )
        line += f" {_decimals(row.translation_chance_given_graph)} {_ratio(row)}"
        line += f" {_p(row.p_translation):>7}" if tested else ""
        lines.append(line.rstrip())
    return "\n".join(lines)


def _legend(scores: OverlapScores, parallel: bool) -> str:
    """What the columns are, in the order in which they stand."""
    entries = ["means over languages; * highest mean ILO"]
    if scores.starts_at_embeddings:
        entries[0] += "; layer 0 is the embeddings"
    entries.append(
        f"bridge: share of sentences with neighbours in {scores.threshold} or more other languages"
    )
    entries.append("reach: share of the other languages that occur among the neighbours")
    entries.append("ILO: harmonic mean of both")
    limits = None if scores.limits is None else scores.limits.means()
    if limits is not None:
        entries[-1] += (
            f"; {limits['ilo_under_mixing']:.3f} where neighbours are random (noise), at most "
            f"{limits['ilo_max']:.3f}"
        )
    if parallel:
        entries.append("transl.: share of a sentence's neighbours that are its translations")
        if limits is not None:
            entries[-1] += f", at most {limits['translation_share_max']:.3f}"
        entries.append("chance: of neighbours drawn at random")
        if scores.intervals is not None:
            entries[-1] += "; in graph: given how many are in other languages"
        entries.append("ratio: transl. over chance")
    test = scores.mixing_test
    if test is not None:
        above = ", upper table" if parallel else ""
        entries.append(f"p{above}: of an ILO this low if language did not matter")
        if parallel:
            entries[-1] += "; lower: of a transl. this high if meaning did not"
        entries[-1] += f" ({test.n_permutations} permutations, corrected for the number of layers)"
    wrapped = (textwrap.wrap(entry, 88, subsequent_indent="  ") for entry in entries)
    return "\n" + "\n".join(line for lines in wrapped for line in lines)


def _scores_of(row: LayerMeans, is_best: bool) -> str:
    mark = "*" if is_best else " "
    return f"{mark}{row.layer:>6}  {row.bridge:7.3f} {row.reach:7.3f} {row.ilo:7.3f}"


def _bar(ilo: float) -> str:
    return "█" * round(ilo * _BAR_WIDTH)


def _level(level: float) -> str:
    return f"{100 * level:g} % interval"


def _interval(row: LayerMeans, score: str, digits: int) -> str:
    if score not in row.intervals:
        return "none"
    low, high = row.intervals[score]
    return f"{low:.{digits}f} - {high:.{digits}f}"


def _ratio(row: LayerMeans) -> str:
    return f"{'':>7}" if row.times_chance is None else f"{row.times_chance:6.1f}x"


def _p(value: float | None) -> str:
    return "" if value is None else p_value(value)


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
