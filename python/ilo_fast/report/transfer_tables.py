"""Tables of a zero-shot evaluation for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import counted, elide, plain
from ilo_fast.corpora.languages import GROUPINGS, describe_language
from ilo_fast.evaluation.statistics import bootstrap_means
from ilo_fast.report.columns import columns, pad

if TYPE_CHECKING:
    from ilo_fast.evaluation.groups import Group
    from ilo_fast.evaluation.result import TransferScores
    from ilo_fast.scores.result import OverlapScores

_HEADS = {
    "resource_class": "resource class (0 least to 5 most)",
    "family": "family",
    "region": "region",
    "script": "script",
    "word_order": "order of subject, object and verb (WALS 81A)",
}


def text_report(transfer: TransferScores) -> str:
    """What ``ilo-fast transfer`` prints: languages from best to worst, then groups, then notes."""
    blocks = [_title(transfer), _language_table(transfer)]
    others = [i for i, code in enumerate(transfer.languages) if code != transfer.source]
    if others:
        blocks += [_group_table(transfer, by) for by in GROUPINGS]
    blocks.append(_notes(transfer))
    return "\n\n".join(blocks) + "\n"


def overlap_table(before: OverlapScores, after: OverlapScores, transfer: TransferScores) -> str:
    """Mean ILO of the evaluated languages but the source by layer: before, after, the change."""
    codes = [code for code in transfer.languages if code != transfer.source]
    codes = codes or list(transfer.languages)
    tables = [s.ilo[:, [s.languages.index(code) for code in codes]] for s in (before, after)]
    change = tables[1] - tables[0]
    means, spread = bootstrap_means(change, seed=(transfer.seed,), n_boot=transfer.n_boot)
    lines = [
        f"mean ILO of {counted(len(codes), 'language')}",
        f"{'layer':>7}  {'before':>7} {'after':>7} {'change':>7}",
    ]
    for row, layer in enumerate(before.layers):
        line = f"{layer:>7}  {tables[0][row].mean():7.3f} {tables[1][row].mean():7.3f} "
        line += f"{means[row]:+7.3f}"
        if spread is not None:
            line += f"  [{spread[row, 0]:+.3f}, {spread[row, 1]:+.3f}]"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _title(transfer: TransferScores) -> str:
    data = transfer.info.get("data") or {}
    parts = [elide(plain(transfer.info.get("model", "")), 60), plain(data.get("name", ""))]
    parts += [f"split {plain(transfer.split)}", f"{len(transfer.labels)} classes"]
    return "Zero-shot transfer\n" + " · ".join(part for part in parts if part)


def _language_table(transfer: TransferScores) -> str:
    order = sorted(
        range(len(transfer.languages)),
        key=lambda i: (-transfer.accuracy[i], transfer.languages[i]),
    )
    codes = [elide(plain(code), 16) for code in transfer.languages]
    names = [elide(plain(describe_language(c)["name"]), 32) for c in transfer.languages]
    wide = max(map(columns, [*names, "language"]))
    narrow = max(map(columns, [*codes, "code"]))
    lines = [
        f"  {pad('language', wide)}  {pad('code', narrow)}  {'accuracy':<20}  "
        f"{'macro-F1':<20}  {'majority':>8} {'n':>6}"
    ]
    for i in order:
        mark = "*" if transfer.languages[i] == transfer.source else " "
        accuracy = _with_interval(transfer.accuracy[i], transfer.accuracy_interval[i])
        f1 = _with_interval(transfer.macro_f1[i], transfer.macro_f1_interval[i])
        lines.append(
            f"{mark} {pad(names[i], wide)}  {pad(codes[i], narrow)}  {accuracy}  {f1}  "
            f"{transfer.majority[i]:8.3f} {transfer.n[i]:6}"
        )
    others = [i for i, code in enumerate(transfer.languages) if code != transfer.source]
    if len(others) > 1:
        values = np.stack([transfer.accuracy[others], transfer.macro_f1[others]])
        means, spread = bootstrap_means(values, seed=(transfer.seed,), n_boot=transfer.n_boot)
        assert spread is not None  # there are several languages
        accuracy, f1 = (_with_interval(float(m), s) for m, s in zip(means, spread, strict=True))
        name = pad(f"mean of {len(others)}", wide)
        lines.append(f"  {name}  {pad('', narrow)}  {accuracy}  {f1}")
    return "\n".join(lines)


def _group_table(transfer: TransferScores, by: str) -> str:
    groups: list[Group] = transfer.groups(by)
    names = [plain(group.name) for group in groups]
    wide = max(map(columns, [*names, _HEADS[by]]))
    lines = [f"  {pad(_HEADS[by], wide)}  {'accuracy':<20}  {'macro-F1':<20}  languages"]
    for name, group in zip(names, groups, strict=True):
        accuracy = _with_interval(group.accuracy, group.accuracy_interval)
        f1 = _with_interval(group.macro_f1, group.macro_f1_interval)
        lines.append(f"  {pad(name, wide)}  {accuracy}  {f1}  {len(group.languages):>9}")
    return "\n".join(lines)


def _notes(transfer: TransferScores) -> str:
    lines = [
        "accuracy: Wilson's 95 % interval; macro-F1: bootstrap over the texts; means and groups:",
        "bootstrap over the languages. majority: accuracy of always giving the most frequent",
        "class.",
    ]
    if transfer.source in transfer.languages:
        lines.append(f"* {transfer.source} was trained on, and is in no group.")
    return "\n".join(lines)


def _with_interval(value: float, interval: Sequence[float] | NDArray[np.float64] | None) -> str:
    """``0.812 [0.753, 0.859]``, 20 columns wide."""
    shown = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
    return f"{f'{value:.3f}{shown}':<20}"
