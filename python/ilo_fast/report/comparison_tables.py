"""Tables of a comparison for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ilo_fast._util.messages import elide, listed, plain
from ilo_fast.corpora.languages import GROUPINGS
from ilo_fast.report.columns import columns, pad
from ilo_fast.scores.certainty.intervals import MIN_UNITS
from ilo_fast.scores.comparison.records import LANGUAGE, MEAN, Difference

if TYPE_CHECKING:
    from ilo_fast.scores.comparison.result import Comparison

_SHOWN: Final = {"ilo": "ILO", "translation_share": "share of translations"}
_NAME = 40  # columns of a model's name at most


def text_report(comparison: Comparison) -> str:
    """What ``ilo-fast compare`` prints: best layers, ranks, differences by layer and by group."""
    scores = [score for score in _SHOWN if score in comparison.scores]
    blocks = ["Models compared\n" + comparison.subtitle]
    for score in scores:
        blocks.append(_best_table(comparison, score))
    for score in scores:
        blocks += [_pair_table(comparison, score, a, b) for a, b in _pairs(comparison)]
    if len(comparison.names) == 2:
        blocks.append(_group_table(comparison))
    blocks.append(_notes(comparison))
    return "\n\n".join(blocks) + "\n"


def _pairs(comparison: Comparison) -> list[tuple[str, str]]:
    """The first model and each other one; the file has all pairs."""
    first, *others = comparison.names
    return [(first, other) for other in others]


def _best_table(comparison: Comparison, score: str) -> str:
    ranks = {r.model: r for r in comparison.ranks if (r.score, r.at) == (score, "best")}
    names = [_name(best.model) for best in comparison.best_layers]
    wide = max(map(columns, [*names, "model"]))
    lines = [
        f"Best layers by mean {_SHOWN[score]}",
        f"  {pad('model', wide)}  {'layer':>5}  {'value':<20}  {'rank':<8}  may be the best",
    ]
    for best in comparison.best_layers:
        if best.score != score:
            continue
        rank = ranks.get(best.model)
        place = "" if rank is None else f"{rank.rank} [{rank.rank_low}, {rank.rank_high}]"
        value = _with_interval(best.value, best.low, best.high, ".3f")
        lines.append(
            f"  {pad(_name(best.model), wide)}  {best.layer:>5}  {value:<20}  {place:<8}  "
            f"{_layers(best.candidates)}"
        )
    return "\n".join(lines)


def _layers(numbers: Sequence[int]) -> str:
    """``"3, 5-7"``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _pair_table(comparison: Comparison, score: str, a: str, b: str) -> str:
    found = [d for d in comparison.select(score=score, by=MEAN) if (d.a, d.b) == (a, b)]
    lines = [
        f"Mean {_SHOWN[score]}: {_name(a)} minus {_name(b)}",
        f"{'layer':>9}  {'first':>7} {'second':>7}  {'difference':<24}  {'p':>7} {'corrected':>9}",
    ]
    for d in found:
        same = str(d.layer_a) if d.layer_a == d.layer_b else f"{d.layer_a}, {d.layer_b}"
        where = same if d.at == "layer" else f"best {same}"
        lines.append(f"{where:>9}  {_cell(d.value_a)} {_cell(d.value_b)}  {_apart(d)}")
    return "\n".join(lines)


def _group_table(comparison: Comparison) -> str:
    """ILO of groups of languages, each of two models at its best layer."""
    a, b = comparison.names
    found = [d for by in GROUPINGS for d in comparison.select(score="ilo", at="best", by=by)]
    wide = max(columns(_group(d)) for d in found)
    lines = [
        f"ILO of groups at the best layers: {_name(a)} minus {_name(b)}",
        f"  {pad('group', wide)}  {'n':>3}  {'first':>7} {'second':>7}  {'difference':<24}  "
        f"{'p':>7} {'corrected':>9}",
    ]
    lines += [
        f"  {pad(_group(d), wide)}  {d.n_languages:>3}  {_cell(d.value_a)} {_cell(d.value_b)}  "
        f"{_apart(d)}"
        for d in found
    ]
    return "\n".join(lines)


def _group(d: Difference) -> str:
    return f"{d.by.replace('_', ' ')} {elide(plain(d.group), 28)}"


def _notes(comparison: Comparison) -> str:
    alpha = 1 - comparison.level
    each = comparison.select(score="ilo", by=LANGUAGE, at="best")
    beyond = [d for d in each if d.p_corrected is not None and d.p_corrected < alpha]
    found = [
        "Differences are first minus second. Intervals are of each difference for itself; "
        "corrected p is for all layers, groups and pairs of one score and grouping together.",
        f"At the best layers {len(beyond)} of {len(each)} differences of ILO by language have a "
        f"corrected p below {alpha:.2g}; comparison.csv has all of them.",
        "A best layer is chosen for being high: its interval does not allow for the choice.",
    ]
    if not comparison.same_layers:
        found.insert(
            0,
            "The models have different layers ("
            + listed([f"{_name(n)}: {_layers(h)}" for n, h in _named_layers(comparison)])
            + "), whose numbers mean different depths: only best layers are subtracted.",
        )
    if comparison.paired and not comparison.text_known:
        found.append(
            f"Not all runs say what text they are of: that their {comparison.unit}s are the same, "
            "in the same order, was taken on trust."
        )
    shown = [d for d in comparison.differences if d.score in _SHOWN and d.by != LANGUAGE]
    if any(d.se is None for d in shown):
        found.append(
            f"Without interval and p: no {comparison.unit} moves the difference, as where both "
            f"scores are 0 or both are 1, or there are fewer than {MIN_UNITS} {comparison.unit}s."
        )
    wrapped = (textwrap.wrap(f"- {note}", 88, subsequent_indent="  ") for note in found)
    return "\n".join(line for lines in wrapped for line in lines)


def _named_layers(comparison: Comparison) -> list[tuple[str, tuple[int, ...]]]:
    return list(zip(comparison.names, comparison.layers, strict=True))


def _apart(d: Difference) -> str:
    shown = _with_interval(d.difference, d.low, d.high, "+.3f")
    return f"{shown:<24}  {_p(d.p)} {_p(d.p_corrected, 9)}".rstrip()


def _with_interval(value: float | None, low: float | None, high: float | None, form: str) -> str:
    if value is None:
        return ""
    if low is None or high is None:
        return f"{value:{form}}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _cell(value: float | None) -> str:
    return f"{'':>7}" if value is None else f"{value:7.3f}"


def _p(value: float | None, width: int = 7) -> str:
    if value is None:
        return " " * width
    return f"{'<0.0001' if value < 0.0001 else f'{value:.4f}':>{width}}"


def _name(name: str) -> str:
    return elide(plain(name), _NAME)
