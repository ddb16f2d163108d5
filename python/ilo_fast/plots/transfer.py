"""Overlap before and after fine-tuning beside what transferred: one figure.

A row is a language, a column of a heat map a layer; the bars of the last panel belong to the same
rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ilo_fast._util.messages import counted, elide, plain
from ilo_fast.evaluation.statistics import bootstrap_means, group_languages
from ilo_fast.plots.figures import (
    _TITLES,
    INK,
    _draw_color_bar,
    _draw_title,
    _label,
    _label_layers,
    _style,
    _text_width,
)
from ilo_fast.report.summary import subtitle
from ilo_fast.report.transfer_files import check_comparable, write_transfer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ilo_fast.evaluation.result import TransferScores
    from ilo_fast.scores.overlap import OverlapScores

__all__ = ["transfer_figure", "write_transfer"]

_PANELS = ("before", "after", "change")
_BAR, _SOURCE_BAR, _MEAN_BAR = "#7fb3dc", "#c9ced4", "#3a86c8"
_ROW = 0.185  # inches; also the height of a gap between blocks of rows
_FONT = 8.0


@dataclass(frozen=True)
class _Rows:
    """What stands where, from top to bottom.

    Attributes
    ----------
    codes
        None is a gap.
    groups
        First and last row of each group, and its name.
    """

    codes: tuple[str | None, ...]
    groups: tuple[tuple[int, int, str], ...]


def transfer_figure(
    before: OverlapScores,
    after: OverlapScores,
    transfer: TransferScores,
    *,
    score: str = "ilo",
    by: str | None = None,
) -> Figure:
    """Overlap before, after and its change, by language and layer, beside accuracy.

    The source language stands on top, the others below from the most accurate to the least, the
    mean over the others last. Bars have their 95 % intervals (of the mean: bootstrap over the
    languages); the tick across a bar is the accuracy of always giving the most frequent class.

    Parameters
    ----------
    before, after
        Of the same layers; must have the languages of `transfer`, others are left out.
    transfer
        What the fine-tuned model gets right.
    score
        ``"ilo"``, ``"bridge"``, ``"reach"`` or ``"translation_share"``.
    by
        Rows in groups by ``"resource_class"``, ``"family"``, ``"region"`` or ``"script"``. None:
        all together.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        Layers or settings that differ, languages that the overlap lacks, an unknown `score` or
        `by`.
    """
    tables = _tables(before, after, transfer, score)
    rows = _arrange(transfer, by)
    n_layers = len(before.layers)
    cell = min(0.3, max(0.085, 2.9 / n_layers))
    cells = max(cell * n_layers, 0.9)
    codes = [code for code in rows.codes if code is not None]
    labels = _text_width([_label(code) for code in codes] + [_mean_label(transfer)], _FONT) + 0.12
    names = _text_width([name for _, _, name in rows.groups], _FONT)
    groups = 0.2 + names if rows.groups else 0.0
    margin, gap, bar_gap, bar, bar_labels, bars = 0.15, 0.16, 0.09, 0.1, 0.42, 2.3
    top, bottom = 0.94, 0.55
    # labels | before | after | its colours | change | its colours | accuracy | groups
    scale = bar_gap + bar + bar_labels
    lefts = [margin + labels]
    lefts.append(lefts[0] + cells + gap)
    lefts.append(lefts[1] + cells + scale + 0.1)
    lefts.append(lefts[2] + cells + scale + 0.1)
    width = lefts[3] + bars + groups + margin
    below = _subtitle(before, after, transfer)
    width = max(width, _text_width([below], 8) + 2 * margin)
    tall = _ROW * (len(rows.codes) + 1)
    height = top + tall + bottom

    def box(left: float, across: float, high: float) -> tuple[float, float, float, float]:
        return left / width, 1 - (top + high) / height, across / width, high / height

    with _style():
        figure = Figure(figsize=(width, height))
        mean = _mean_columns(transfer)
        shown = [_cells(values, transfer, rows, mean) for values in tables]
        limit = max(0.05, float(np.nanmax(np.abs(shown[2]))))
        limit = math.ceil(limit * 20) / 20
        highest = 1.0 if score != "translation_share" else max(1e-9, float(np.nanmax(shown[:2])))
        for number, (values, title) in enumerate(zip(shown, _PANELS, strict=True)):
            ax = figure.add_axes(box(lefts[number], cells, tall))
            change = number == 2
            image = ax.imshow(
                values,
                aspect="auto",
                interpolation="nearest",
                cmap="RdBu" if change else "viridis",
                vmin=-limit if change else 0.0,
                vmax=limit if change else highest,
            )
            _finish_map(ax, after, title, cells)
            if number == 0:
                _label_rows(ax, rows, transfer)
            else:
                ax.set_yticks([])
            if number > 0:
                beside = lefts[number] + cells + bar_gap
                _draw_color_bar(figure, image, figure.add_axes(box(beside, bar, min(2.2, tall))))
        ax = figure.add_axes(box(lefts[3], bars, tall))
        _draw_bars(ax, transfer, rows, mean)
        _name_groups(ax, rows, bars)
        _draw_title(
            figure, f"{_TITLES[score]} and zero-shot transfer", below, margin / width, height
        )
    return figure


def _tables(
    before: OverlapScores, after: OverlapScores, transfer: TransferScores, score: str
) -> list[NDArray[np.float64]]:
    """Before, after and the change, each (layers, languages of `transfer`)."""
    if score not in _TITLES:
        raise ValueError(f"score={score!r} is not known; use one of {', '.join(_TITLES)}")
    check_comparable(before, after, transfer.languages)
    found = []
    for name, scores in (("before", before), ("after", after)):
        values = getattr(scores, score)
        if values is None:
            raise ValueError(f"score={score!r} is not in {name}: its text is not parallel")
        found.append(values[:, [scores.languages.index(code) for code in transfer.languages]])
    return [*found, found[1] - found[0]]


def _mean_columns(transfer: TransferScores) -> list[int]:
    """The languages that the mean is over: all but the source, if there are others."""
    others = [i for i, code in enumerate(transfer.languages) if code != transfer.source]
    return others or list(range(len(transfer.languages)))


def _mean_label(transfer: TransferScores) -> str:
    return f"mean of {counted(len(_mean_columns(transfer)), 'language')}"


def _arrange(transfer: TransferScores, by: str | None) -> _Rows:
    accuracy = dict(zip(transfer.languages, transfer.accuracy, strict=True))
    others = [code for code in transfer.languages if code != transfer.source]
    others.sort(key=lambda code: (-accuracy[code], code))
    codes: list[str | None] = []
    places: list[tuple[int, int, str]] = []
    if transfer.source in transfer.languages:
        codes.append(transfer.source)
        if others:
            codes.append(None)
    groups = {"": tuple(others)} if by is None else group_languages(others, by)
    for number, (name, members) in enumerate(groups.items()):
        if number:
            codes.append(None)
        if name:
            shown = f"class {name}" if by == "resource_class" and name.isdecimal() else name
            places.append((len(codes), len(codes) + len(members) - 1, elide(plain(shown), 24)))
        codes += members
    return _Rows((*codes, None), tuple(places))


def _cells(
    values: NDArray[np.float64], transfer: TransferScores, rows: _Rows, mean: list[int]
) -> NDArray[np.float64]:
    """(rows + the mean, layers); gaps are not a number, which is drawn as nothing."""
    gap = np.full(len(values), np.nan)
    columns = {code: values[:, i] for i, code in enumerate(transfer.languages)}
    lines = [gap if code is None else columns[code] for code in rows.codes]
    return np.stack([*lines, values[:, mean].mean(axis=1)])


def _finish_map(ax: Axes, scores: OverlapScores, title: str, width: float) -> None:
    ax.tick_params(length=0, pad=3)
    for spine in ax.spines.values():
        spine.set_visible(False)
    n_layers = len(scores.layers)
    room = max(1, int(width / 0.22))
    _label_layers(ax, scores, positions=range(n_layers), room=room)
    if width < 1.4:  # the whole name does not fit below a few layers
        ax.set_xlabel("layer", fontsize=8.5)
    ax.set_title(title, fontsize=9, loc="left", pad=4)


def _label_rows(ax: Axes, rows: _Rows, transfer: TransferScores) -> None:
    named = [(i, code) for i, code in enumerate(rows.codes) if code is not None]
    places = [i for i, _ in named] + [len(rows.codes)]
    ax.set_yticks(places, [_label(code) for _, code in named] + [_mean_label(transfer)])
    for label, (_, code) in zip(ax.get_yticklabels(), [*named, (0, None)], strict=True):
        label.set_fontsize(_FONT)
        if code is None or code == transfer.source:
            label.set_fontweight("bold")


def _draw_bars(ax: Axes, transfer: TransferScores, rows: _Rows, mean: list[int]) -> None:
    index = {code: i for i, code in enumerate(transfer.languages)}
    average, spread = bootstrap_means(
        transfer.accuracy[mean], seed=(transfer.seed,), n_boot=transfer.n_boot
    )
    for place, code in enumerate((*rows.codes, "")):
        if code is None:
            continue
        if code:
            i = index[code]
            value, interval = float(transfer.accuracy[i]), transfer.accuracy_interval[i]
            chance = float(transfer.majority[i])
            color = _SOURCE_BAR if code == transfer.source else _BAR
        else:
            value, color = float(average), _MEAN_BAR
            interval = np.array([value, value]) if spread is None else spread
            chance = float(transfer.majority[mean].mean())
        ax.barh(place, value, height=0.74, color=color, lw=0)
        ax.hlines(place, interval[0], interval[1], color=INK, lw=0.9)
        ax.vlines(chance, place - 0.37, place + 0.37, color=INK, lw=0.9, linestyles=(0, (1, 1)))
        ax.text(
            1.0, place, f"{value:.2f}", transform=ax.get_yaxis_transform(), ha="right",
            va="center", fontsize=7,
        )  # fmt: skip
    ax.set_ylim(len(rows.codes) + 0.5, -0.5)
    ax.set_xlim(0, 1.14)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", ".25", ".5", ".75", "1"], fontsize=8)
    ax.set_yticks([])
    ax.tick_params(length=2.5, width=0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.grid(axis="x", color=INK, alpha=0.15, lw=0.6)
    ax.set_xlabel("accuracy", fontsize=8.5)
    ax.set_title("accuracy (dotted: majority class)", fontsize=9, loc="left", pad=4)


def _name_groups(ax: Axes, rows: _Rows, width: float) -> None:
    """A line beside the rows of each group, and its name beside the line."""
    beside = ax.get_yaxis_transform()
    for first, last, name in rows.groups:
        ends = (first - 0.37, last + 0.37)
        line = 1 + 0.08 / width
        ax.plot((line, line), ends, transform=beside, color=INK, lw=0.9, clip_on=False)
        place = 1 + 0.15 / width, (first + last) / 2
        ax.text(*place, name, transform=beside, va="center", fontsize=_FONT)


def _subtitle(before: OverlapScores, after: OverlapScores, transfer: TransferScores) -> str:
    n = transfer.n
    each = counted(max(n), "text") if min(n) == max(n) else f"{min(n)} to {max(n)} texts"
    data = transfer.info.get("data") or {}
    parts = [
        subtitle(after if _named(after) or not _named(before) else before),
        " ".join(
            part
            for part in (
                "accuracy on",
                elide(plain(data.get("name", "")), 32),
                f"{elide(plain(transfer.split), 16)}, {each} a language",
            )
            if part
        ),
    ]
    return " · ".join(part for part in parts if part)


def _named(scores: OverlapScores) -> bool:
    return bool(scores.info.get("run"))
