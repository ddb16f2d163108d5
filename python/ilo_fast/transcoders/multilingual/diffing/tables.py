"""A diff for the terminal: what was compared, events beside seeds, layers, links, claims."""

from __future__ import annotations

import textwrap
from typing import Final

import numpy as np

from ilo_fast._util.messages import counted
from ilo_fast.report.columns import pad
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

LEGEND: Final = textwrap.dedent("""\
    born, died: the rate (firings per token) was, or is, less than a twentieth of the other
    grew, shrank: the rate changed; brighter, dimmer: rate times activation times decoder length
    changed language: the languages' shares of the rate changed; moved layer: where it writes did
    all but the last: not chance over documents (false discoveries 5 %), and beyond the threshold,
      which all but a small share of the features of the seed controls stay within; it is one for
  features with up to 100 firings, one up to 1000, and one for more
    excess: share of the features less that in the seed controls, with 95 % interval
    log2 change: 1 is twice as much, -1 half; intervals over documents, of links over prompts""")


def text_report(diff: ModelDiff, *, features: int = 3) -> str:
    """What ``ilo-fast clt diff`` prints."""
    blocks = [_head(diff), _events(diff)]
    examples = _examples(diff, features)
    if examples:
        blocks.append(examples)
    matching = _matching(diff)
    if matching:
        blocks.append(matching)
    blocks += [_layers(diff), _claims(diff)]
    if not diff.controls:
        blocks.append("\n".join(textwrap.wrap(NO_CONTROL, _WIDTH)))
    if len(diff.controls) == 1:
        blocks.append("\n".join(textwrap.wrap(ONE_CONTROL, _WIDTH)))
    blocks.append(LEGEND)
    return "\n\n".join(blocks) + "\n"


def _head(diff: ModelDiff) -> str:
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
    return "\n".join(line for text in lines for line in textwrap.wrap(text, _WIDTH))


def _place(pair: PairDiff, end: str) -> str:
    it = pair.before if end == "before" else pair.after
    place = it["transcoder"].rstrip("/").removesuffix("/transcoder").rpartition("/")[2]
    return f"{place} of {it['model']}"


def _events(diff: ModelDiff) -> str:
    head = f"{'':<16}  {'features':>8}  {'of':>6}  {'share':>7}"
    if diff.controls:
        head += f"  {'between seeds':>13}  {'excess':>24}  {'beyond':>14}"
    rows = ["What happened to features", head]
    rows += [_event(event, bool(diff.controls)) for event in diff.events]
    return "\n".join(rows)


def _event(event: EventCount, with_controls: bool) -> str:
    share = "-" if event.share is None else f"{event.share:.1%}"
    row = f"{event.kind:<16}  {event.found:>8,}  {event.of:>6,}  {share:>7}"
    if not with_controls:
        return row
    control = "-" if event.control_share is None else f"{event.control_share:.1%}"
    excess = "-"
    if event.excess is not None:
        excess = f"{event.excess:+.1%}"
        if event.low is not None and event.high is not None:
            excess += f" ({event.low:+.1%}, {event.high:+.1%})"
    thresholds = "/".join(f"{value:.2f}" for value in event.thresholds) or "-"
    return f"{row}  {control:>13}  {excess:>24}  {thresholds:>14}"


def _examples(diff: ModelDiff, n: int) -> str:
    """The features that changed most, of some kinds."""
    changes = diff.pair.changes
    rows = []
    for kind, statistic in _RANKED.items():
        at = np.flatnonzero(diff.masks[kind])
        size = np.abs(getattr(changes, statistic)[at])
        for one in at[np.argsort(-size, kind="stable")[:n]].tolist():
            rows.append(f"  {kind:<16}  {_feature(changes, one)}")
    return "\n".join(["Most changed", *rows]) if rows else ""


def _feature(changes: FeatureChanges, at: int) -> str:
    layer, feature = divmod(int(changes.before[at]), changes.n_features)
    name = pad(f"{layer}/{feature}", 8)
    other = divmod(int(changes.after[at]), changes.n_features)
    if other != (layer, feature):
        name += f" (then {other[0]}/{other[1]})"
    before, after = changes.rate_before[:, at], changes.rate_after[:, at]
    text = f"{name}  rate {before.mean():.2%} -> {after.mean():.2%}"
    if before.any() and after.any():
        first, last = (changes.languages[int(r.argmax())] for r in (before, after))
        text += f", most in {first}" + ("" if first == last else f", then in {last}")
    shift = changes.shift[at]
    return text + (f", centre {shift:+.1f} layers" if abs(shift) >= 0.05 else "")


def _matching(diff: ModelDiff) -> str:
    pairs = [("base, tuned", diff.pair), *(("seed control", c) for c in diff.controls)]
    rows = [
        f"  {name:<14}  {m.share or 0:>7.1%}  {m.moved or 0:>16.1%}  "
        f"{m.to_dict()['mean_similarity'] or 0:>15.2f}"
        for name, pair in pairs
        if (m := pair.matching) is not None
    ]
    if not rows:
        return ""
    head = f"  {'':<14}  {'matched':>7}  {'in another layer':>16}  {'mean similarity':>15}"
    return "\n".join(["Features matched one to one", head, *rows])


def _layers(diff: ModelDiff) -> str:
    own = diff.pair.brightness
    head = f"  {'layer':>5}  {'log2 change':>11}" + "".join(
        f"  {'seed control':>12}" for _ in diff.controls
    )
    rows = ["What layers write (mean over languages)", head]
    for layer in range(own.change.shape[1]):
        numbers = [one.brightness.change[:, layer].mean() for one in (diff.pair, *diff.controls)]
        shown = [f"{value:+.2f}" if np.isfinite(value) else "-" for value in numbers]
        rows.append(f"  {layer:>5}  {shown[0]:>11}" + "".join(f"  {v:>12}" for v in shown[1:]))
    return "\n".join(rows)


def _claims(diff: ModelDiff) -> str:
    rows = ["Put to the test (log2)"]
    for claim in diff.claims:
        rows.append(f"  {claim.name:<30}  {_interval(claim.tuned):<24}  {claim.verdict}")
        rows += [f"  {'  seed control':<30}  {_interval(one)}" for one in claim.controls]
    return "\n".join(rows)


def _interval(number: Estimate) -> str:
    if number.value is None:
        return "not defined"
    if number.low is None or number.high is None:
        return f"{number.value:+.2f}"
    return f"{number.value:+.2f} ({number.low:+.2f}, {number.high:+.2f})"
