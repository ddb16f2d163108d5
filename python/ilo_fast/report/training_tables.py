"""Overlap before and after training, for the terminal: by layer, and by language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ilo_fast._util.messages import elide, plain
from ilo_fast.report.columns import columns, pad
from ilo_fast.report.summary import layer_means

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores

_EXTREMES = 5  # languages of the largest losses and gains


@dataclass(frozen=True)
class Change:
    """What a layer or a language was and is; shares of translations where text is parallel."""

    name: str
    code: str
    before: float
    after: float
    share_before: float | None = None
    share_after: float | None = None
    is_frozen: bool = False

    @property
    def change(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def share_change(self) -> float | None:
        """The same of the share of translations."""
        if self.share_before is None or self.share_after is None:
            return None
        return self.share_after - self.share_before


def layer_changes(
    before: OverlapScores, after: OverlapScores, frozen: Mapping[str, Any] | None
) -> list[Change]:
    """One for each layer: means over languages; `frozen` as the card of the run has it."""
    held = frozen or {"layers": [], "embeddings": False}
    return [
        Change(
            name=str(old.layer), code="",
            before=old.ilo, after=new.ilo,
            share_before=old.translation_share, share_after=new.translation_share,
            is_frozen=old.layer - 1 in held["layers"] if old.layer else bool(held["embeddings"]),
        )
        for old, new in zip(layer_means(before), layer_means(after), strict=True)
    ]  # fmt: skip


def language_changes(before: OverlapScores, after: OverlapScores) -> list[Change]:
    """One for each language, at the layer that changed most; the largest loss first."""
    h = most_changed(before, after)
    rows = [row for row in before.rows() if row["layer"] == before.layers[h]]
    share, new_share = before.translation_share, after.translation_share
    found = [
        Change(
            name=plain(row["name"]), code=plain(row["language"]),
            before=float(before.ilo[h, c]), after=float(after.ilo[h, c]),
            share_before=None if share is None else float(share[h, c]),
            share_after=None if new_share is None else float(new_share[h, c]),
        )
        for c, row in enumerate(rows)
    ]  # fmt: skip
    return sorted(found, key=lambda change: (change.change, change.code))


def most_changed(before: OverlapScores, after: OverlapScores) -> int:
    """Index of the layer whose mean ILO changed most; the first of equals."""
    change = np.abs(after.ilo.mean(axis=1) - before.ilo.mean(axis=1))
    return int(change.argmax())


def chosen_layer(before: OverlapScores, after: OverlapScores) -> str:
    """Which layer the languages are shown at, and why."""
    layer = before.layers[most_changed(before, after)]
    if np.array_equal(before.ilo, after.ilo):
        return f"layer {layer}: ILO changed at no layer"
    return f"layer {layer}, whose mean ILO changed most; the largest loss first"


def layer_lines(
    before: OverlapScores, after: OverlapScores, frozen: Mapping[str, Any] | None
) -> list[str]:
    """The table of layers."""
    changes = layer_changes(before, after, frozen)
    parallel = before.translation_share is not None
    lines = _heads(8, f"{'layer':>7} ", parallel)
    for row in changes:
        lines.append(f"{row.name:>7}  {_numbers(row)}{'  frozen' if row.is_frozen else ''}")
    lines.append(f"means over {len(before.languages)} languages; layer 0 is the embeddings, "
                 "layer h the output of block h-1")  # fmt: skip
    if after.limits is not None:
        limits = after.limits.means()
        lines.append(
            f"ILO is {limits['ilo_under_mixing']:.3f} where neighbours are random (noise), at most "
            f"{limits['ilo_max']:.3f}"
        )
    if parallel:
        lines.append("transl.: share of a sentence's neighbours that are its translations")
    return lines


def language_lines(before: OverlapScores, after: OverlapScores) -> list[str]:
    """The table of languages; of many, those that lost and gained most."""
    changes = language_changes(before, after)
    names = {row.code: f"{elide(row.name, 28)}  {elide(row.code, 16)}" for row in changes}
    width = 2 + max(columns(name) for name in names.values())
    lines = [f"Languages at {chosen_layer(before, after)}"]
    lines += _heads(width, pad("  language", width), before.translation_share is not None)
    cut = len(changes) > 2 * _EXTREMES
    shown = [*changes[:_EXTREMES], None, *changes[-_EXTREMES:]] if cut else changes
    for row in shown:
        lines.append(
            "  …" if row is None else f"  {pad(names[row.code], width - 2)} {_numbers(row)}"
        )
    return lines


def _heads(width: int, first: str, parallel: bool) -> list[str]:
    above = f"{'':{width}} {'ILO':>7} {'':7} {'':7}"
    below = f"{first} {'before':>7} {'after':>7} {'change':>7}"
    if parallel:
        above += f"   {'transl.':>7}"
        below += f"   {'before':>7} {'after':>7} {'change':>7}"
    return [above.rstrip(), below]


def _numbers(row: Change) -> str:
    text = f"{row.before:7.3f} {row.after:7.3f} {row.change:+7.3f}"
    if row.share_change is not None:
        text += f"   {row.share_before:7.3f} {row.share_after:7.3f} {row.share_change:+7.3f}"
    return text
