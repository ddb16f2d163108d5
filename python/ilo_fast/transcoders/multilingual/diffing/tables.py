"""A diff for the terminal: what was compared, events beside seeds, layers, links, claims."""

from __future__ import annotations

import textwrap
from typing import Final

import numpy as np

from ilo_fast._util.messages import counted
from ilo_fast.report.text_table import Table, wrapped
from ilo_fast.transcoders.multilingual.diffing.brightness import Estimate
from ilo_fast.transcoders.multilingual.diffing.changes import FeatureChanges
from ilo_fast.transcoders.multilingual.diffing.events import EventCount, Kind
from ilo_fast.transcoders.multilingual.diffing.pair import PairDiff
from ilo_fast.transcoders.multilingual.diffing.result import ModelDiff

_WIDTH: Final = 96
NO_CONTROL: Final = (
    "No seed control was given. What stands here is beyond what other documents would change; "
    "whether another seed would change as much cannot be told. Pass --seed-control."
)
ONE_CONTROL: Final = (
    "One seed control does not say how far seeds are from each other: there is no interval of the "
    "excess, and the thresholds are of the features that they are tried on. Pass two or more."
)
_HOW: Final = {
    "reused": "the same transcoder on both models",
    "refitted": "a transcoder refitted from the other's weights",
    "fresh": "transcoders that were fitted apart",
}
_RANKED: Final[dict[Kind, str]] = {
    "grew": "growth", "shrank": "growth", "changed language": "turn", "moved layer": "shift",
}  # fmt: skip

LEGEND: Final = (
    "born, died: the rate (firings per token) was, or is, less than a twentieth of the other",
    "grew, shrank: the rate changed; brighter, dimmer: rate times activation times decoder length",
    "changed language: the languages' shares of the rate changed; moved layer: where it writes did",
    "all but the last: not chance over documents (false discoveries 5 %), and beyond the "
    "threshold, which all but a small share of the features of the seed controls stay within; it "
    "is one for features with up to 100 firings, one up to 1000, and one for more",
    "of: features that are active often enough to be judged; excess: share of them less that in "
    "the seed controls, with 95 % interval; features are named layer/number",
    "log2 change: 1 is twice as much, -1 half; intervals over documents, of links over prompts",
)


def text_report(diff: ModelDiff, *, features: int = 3) -> str:
    """What ``ilo-fast clt diff`` prints."""
    blocks = ["\n".join(line for text in head_lines(diff) for line in textwrap.wrap(text, _WIDTH))]
    tables = (
        events_table(diff), changed_table(diff, features), matching_table(diff),
        layers_table(diff), claims_table(diff),
    )  # fmt: skip
    blocks += [table.text() for table in tables if table is not None]
    if not diff.controls:
        blocks.append("\n".join(textwrap.wrap(NO_CONTROL, _WIDTH)))
    if len(diff.controls) == 1:
        blocks.append("\n".join(textwrap.wrap(ONE_CONTROL, _WIDTH)))
    blocks.append("\n".join(map(wrapped, LEGEND)))
    return "\n\n".join(blocks) + "\n"


def head_lines(diff: ModelDiff) -> list[str]:
    """What was compared."""
    pair, info = diff.pair, diff.info
    how = "number by number" if pair.correspondence == "number" else "by best matches"
    lines = [
        f"{pair.before['model']} -> {pair.after['model']}: {_HOW[pair.fit]}",
        f"{len(pair.changes):,} features compared {how}, on {info['tokens']:,} tokens of "
        f"{counted(len(info['languages']), 'language')}, {counted(info['documents'], 'document')}",
    ]
    for control in diff.controls:
        lines.append(
            f"seed control: {_place(control, 'before')} -> {_place(control, 'after')}, "
            f"{_HOW[control.fit]}"
        )
    if pair.correspondence == "number" and any(c.fit != pair.fit for c in diff.controls):
        lines.append(
            "note: a seed control was fitted in another way than the pair; it says what its own "
            "way changes"
        )
    return lines


def _place(pair: PairDiff, end: str) -> str:
    it = pair.before if end == "before" else pair.after
    place = it["transcoder"].rstrip("/").removesuffix("/transcoder").rpartition("/")[2]
    return f"{place} of {it['model']}"


def events_table(diff: ModelDiff) -> Table:
    """How many features each happened to."""
    head = ["", "features", "of", "share"]
    if diff.controls:
        head += ["between seeds", "excess", "beyond"]
    rows = [_event(event, bool(diff.controls)) for event in diff.events]
    return Table(head, rows, title="What happened to features")


def _event(event: EventCount, with_controls: bool) -> list[str]:
    share = "-" if event.share is None else f"{event.share:.1%}"
    row = [f"{event.kind:<16}", f"{event.found:,}", f"{event.of:,}", share]
    if not with_controls:
        return row
    control = "-" if event.control_share is None else f"{event.control_share:.1%}"
    excess = "-"
    if event.excess is not None:
        excess = f"{event.excess:+.1%}"
        if event.low is not None and event.high is not None:
            excess += f" ({event.low:+.1%}, {event.high:+.1%})"
    return [*row, control, excess, "/".join(f"{value:.2f}" for value in event.thresholds) or "-"]


def changed_table(diff: ModelDiff, n: int) -> Table | None:
    """The features that changed most, of some kinds; None where none did."""
    changes = diff.pair.changes
    rows = []
    for kind, statistic in _RANKED.items():
        at = np.flatnonzero(diff.masks[kind])
        size = np.abs(getattr(changes, statistic)[at])
        rows += [
            (*_feature(changes, one), kind)
            for one in at[np.argsort(-size, kind="stable")[:n]].tolist()
        ]
    head = ("feature", "rate, mean over languages", "most in", "centre", "what happened")
    note = "centre: by how many layers the middle of where it writes moved"
    return Table(head, rows, note, (0, 1, 2, 4), "Most changed") if rows else None


def _feature(changes: FeatureChanges, at: int) -> tuple[str, str, str, str]:
    layer, feature = divmod(int(changes.before[at]), changes.n_features)
    name = f"{layer}/{feature}"
    other = divmod(int(changes.after[at]), changes.n_features)
    if other != (layer, feature):
        name += f" (then {other[0]}/{other[1]})"
    before, after = changes.rate_before[:, at], changes.rate_after[:, at]
    most = ""
    if before.any() and after.any():
        first, last = (changes.languages[int(r.argmax())] for r in (before, after))
        most = first if first == last else f"{first}, then {last}"
    return (
        name, f"{before.mean():.2%} -> {after.mean():.2%}", most, f"{changes.shift[at]:+.1f}"
    )  # fmt: skip


def matching_table(diff: ModelDiff) -> Table | None:
    """How well features were matched; None where they are compared by number."""
    pairs = [("base, tuned", diff.pair), *(("seed control", c) for c in diff.controls)]
    rows = [
        (name, f"{m.share or 0:.1%}", f"{m.moved or 0:.1%}",
         f"{m.to_dict()['mean_similarity'] or 0:.2f}")
        for name, pair in pairs
        if (m := pair.matching) is not None
    ]  # fmt: skip
    head = ("", "matched", "in another layer", "mean similarity")
    return Table(head, rows, title="Features matched one to one") if rows else None


def layers_table(diff: ModelDiff) -> Table:
    """What layers write, after against before."""
    rows = []
    for layer in range(diff.pair.brightness.change.shape[1]):
        numbers = [one.brightness.change[:, layer].mean() for one in (diff.pair, *diff.controls)]
        shown = [f"{value:+.2f}" if np.isfinite(value) else "-" for value in numbers]
        rows.append([str(layer), *shown])
    return Table(
        ["layer", "log2 change", *("seed control" for _ in diff.controls)],
        rows,
        "each language's, with its interval: diff.html, diff.json",
        (),
        "What layers write (mean over languages)",
    )


def languages_table(diff: ModelDiff) -> Table:
    """The same for every language, with intervals."""
    own = diff.pair.brightness
    rows = [
        [str(layer)]
        + [
            _interval(Estimate(*map(_known, (own.change[at, layer], own.change_low[at, layer],
                                             own.change_high[at, layer]))))
            for at in range(len(own.languages))
        ]
        for layer in range(own.change.shape[1])
    ]  # fmt: skip
    return Table(
        ["layer", *own.languages], rows, "log2 of after over before, 95 % over documents", (),
        "What layers write, language by language",
    )  # fmt: skip


def claims_table(diff: ModelDiff) -> Table:
    """What is said of fine-tuning."""
    rows: list[tuple[str, str, str]] = []
    for claim in diff.claims:
        rows.append((claim.name, _interval(claim.tuned), claim.verdict))
        rows += [("  seed control", _interval(one), "") for one in claim.controls]
    note = "; ".join(f"{claim.name}: {claim.meaning}" for claim in diff.claims)
    return Table(("", "log2", ""), rows, note, (0, 1, 2), "Put to the test")


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _interval(number: Estimate) -> str:
    if number.value is None:
        return "not defined"
    if number.low is None or number.high is None:
        return f"{number.value:+.2f}"
    return f"{number.value:+.2f} ({number.low:+.2f}, {number.high:+.2f})"
