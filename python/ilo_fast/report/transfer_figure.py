"""The figure of a zero-shot evaluation: overlap before and after fine-tuning beside accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ilo_fast._util.messages import counted, elide, plain
from ilo_fast.corpora.grouping import group_languages
from ilo_fast.evaluation.statistics import bootstrap_means
from ilo_fast.plots.transfer import TransferRow, TransferTable
from ilo_fast.plots.transfer import transfer_figure as draw
from ilo_fast.scores.comparison.comparable import check_comparable
from ilo_fast.scores.result import language_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ilo_fast.evaluation.result import TransferScores
    from ilo_fast.scores.result import OverlapScores


def transfer_figure(
    before: OverlapScores,
    after: OverlapScores,
    transfer: TransferScores,
    *,
    by: str | None = None,
) -> Figure:
    """ILO before, after and its change, by language and layer, beside accuracy.

    The source language stands on top, the others below from the most accurate to the least, the
    mean over the others last. Bars have their 95 % intervals (of the mean: bootstrap over the
    languages); the tick across a bar is the accuracy of always giving the most frequent class.

    Parameters
    ----------
    before, after
        Of the same layers; must have the languages of `transfer`, others are left out.
    transfer
        What the fine-tuned model gets right.
    by
        Rows in groups by one of `ilo_fast.corpora.languages.GROUPINGS`. None: all together.

    Raises
    ------
    ValueError
        Layers or settings that differ, languages that the overlap lacks, or an unknown `by`.
    """
    check_comparable(before, after, transfer.languages)
    overlap = _overlap(before, after, transfer.languages)
    codes, groups = _arrange(transfer, by)
    known = {code: i for i, code in enumerate(transfer.languages)}
    rows: list[TransferRow | None] = [
        None if code is None else _row(transfer, overlap, known[code]) for code in codes
    ]
    rows += [None, _mean_row(transfer, overlap)]
    return draw(
        TransferTable(
            rows=tuple(rows),
            groups=tuple(groups),
            layers=before.layers,
            embeddings=after.starts_at_embeddings,
            title="Interlingual Local Overlap and zero-shot transfer",
            subtitle=_subtitle(before, after, transfer),
        )
    )


def _overlap(
    before: OverlapScores, after: OverlapScores, codes: Sequence[str]
) -> NDArray[np.float64]:
    """ILO before, after and its change, shape (3, layers, languages)."""
    one, other = (
        scores.ilo[:, [scores.languages.index(code) for code in codes]]
        for scores in (before, after)
    )
    return np.stack([one, other, other - one])


def _arrange(
    transfer: TransferScores, by: str | None
) -> tuple[list[str | None], list[tuple[int, int, str]]]:
    """Codes from top to bottom, None for a gap; first row, last row and name of each group."""
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
    return codes, places


def _row(transfer: TransferScores, overlap: NDArray[np.float64], i: int) -> TransferRow:
    code = transfer.languages[i]
    low, high = transfer.accuracy_interval[i]
    kind: Literal["source", "language"] = "source" if code == transfer.source else "language"
    return TransferRow(
        label=language_label(code),
        kind=kind,
        overlap=overlap[:, :, i],
        accuracy=float(transfer.accuracy[i]),
        interval=(float(low), float(high)),
        majority=float(transfer.majority[i]),
    )


def _mean_row(transfer: TransferScores, overlap: NDArray[np.float64]) -> TransferRow:
    """The mean over all languages but the source, if there are others."""
    mean = [i for i, code in enumerate(transfer.languages) if code != transfer.source]
    mean = mean or list(range(len(transfer.languages)))
    average, spread = bootstrap_means(
        transfer.accuracy[mean], seed=(transfer.seed,), n_boot=transfer.n_boot
    )
    value = float(average)
    return TransferRow(
        label=f"mean of {counted(len(mean), 'language')}",
        kind="mean",
        overlap=overlap[:, :, mean].mean(axis=2),
        accuracy=value,
        interval=(value, value) if spread is None else (float(spread[0]), float(spread[1])),
        majority=float(transfer.majority[mean].mean()),
    )


def _subtitle(before: OverlapScores, after: OverlapScores, transfer: TransferScores) -> str:
    n = transfer.n
    each = counted(max(n), "text") if min(n) == max(n) else f"{min(n)} to {max(n)} texts"
    data = plain((transfer.info.get("data") or {}).get("name", ""))
    evaluated = ("accuracy on", elide(data, 32), f"{elide(plain(transfer.split), 16)},",
                 f"{each} per language")  # fmt: skip
    named = after if after.recorded("run") or not before.recorded("run") else before
    return f"{named.subtitle} · {' '.join(part for part in evaluated if part)}"
