"""Which features grew, died, changed language, moved layer: beyond documents, beyond seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.statistics import difference_interval, t_quantile
from ilo_fast.transcoders.multilingual.diffing.changes import FeatureChanges
from ilo_fast.transcoders.multilingual.diffing.paired import Floats

Kind = Literal[
    "born", "died", "grew", "shrank", "brighter", "dimmer", "changed language", "moved layer"
]
Mask = NDArray[np.bool_]

FALSE_DISCOVERIES: Final = 0.05
"""Share of the changes called real that may be chance, over documents (Benjamini-Hochberg)."""

SILENT: Final = 1 / 20
"""A feature has died where less than this share of its rate is left; born, the reverse."""

CLASSES: Final = (100, 1000)
"""Firings at which the classes of features end whose thresholds are apart."""

_LEAST_CLASS: Final = 100  # features in a class, for a threshold of its own

LEAST_SHIFT: Final = 0.5
"""Layers, below which nothing counts as moved."""


@dataclass(frozen=True)
class EventCount:
    """How many features something happened to, beside fits that differ in their seeds alone.

    Attributes
    ----------
    kind : str
    statistic : str
        Of `FeatureChanges`, whose size is compared with seeds; empty: the definition is fixed.
    thresholds : tuple of float
        What the statistic must be beyond: a quantile over the features of all seed controls, apart
        for those with up to 100 firings, up to 1000, and more, for seeds change rare features more
        (together where a class has under 100 of them). Empty without controls.
    found, of : int
        Features that it happened to, among those that are active often enough.
    share : float or None
        found / of.
    control_shares : tuple of float
        The same in each seed control; its threshold is that of the others, where there are several.
    control_share : float or None
        Over all controls.
    excess, low, high : float or None
        share - control_share, with its 95 % interval: Newcombe's of two shares, and the variance
        between controls, of which it takes two or more. Features of one fit change together, so
        that shares differ more between seeds than independent features would. None of one control.
    """

    kind: Kind
    statistic: str
    thresholds: tuple[float, ...]
    found: int
    of: int
    share: float | None
    control_shares: tuple[float, ...]
    control_share: float | None
    excess: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            **asdict(self),
            "control_shares": list(self.control_shares),
            "thresholds": list(self.thresholds),
        }

    @property
    def is_beyond_seeds(self) -> bool:
        """Whether there are more than seeds alone make, by the interval; never by one control."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True)
class _Rule:
    statistic: str  # "" where the definition says all
    sign: int
    p: str
    both: bool  # active often enough before and after
    least: float = 0.0


_RULES: Final[Mapping[Kind, _Rule]] = {
    "born": _Rule("", 1, "growth_p", False),
    "died": _Rule("", -1, "growth_p", False),
    "grew": _Rule("growth", 1, "growth_p", False),
    "shrank": _Rule("growth", -1, "growth_p", False),
    "brighter": _Rule("brightening", 1, "brightening_p", False),
    "dimmer": _Rule("brightening", -1, "brightening_p", False),
    "changed language": _Rule("turn", 1, "turn_p", True),
    "moved layer": _Rule("shift", 0, "", False, LEAST_SHIFT),
}
KINDS: Final = tuple(_RULES)


def feature_events(
    changes: FeatureChanges,
    controls: Sequence[FeatureChanges] = (),
    *,
    min_firings: int = 20,
    null_share: float = 0.01,
) -> tuple[dict[Kind, Mask], tuple[EventCount, ...]]:
    """What happened to which features.

    - grew, shrank (rate), brighter, dimmer (strength), changed language (shares of the rates): the
      change is not chance over documents (Benjamini-Hochberg over all features, 5 %), and larger
      than all but `null_share` of those between seeds.
    - born, died: so too, and less than a twentieth of the rate before, or after.
    - moved layer: the centre of what it writes moved by half a layer or more, and more than seeds
      move it.

    Parameters
    ----------
    changes
        Between the models.
    controls
        The same between fits that differ in their seeds alone.
    min_firings
        Of a feature, before or after (of one that changed language, both): fewer say nothing.
    null_share
        Of the features of the controls, so many may be beyond the threshold.

    Returns
    -------
    masks : kind -> (pairs,) bool
    counts
        One a kind.
    """
    masks: dict[Kind, Mask] = {}
    counts = []
    for kind, rule in _RULES.items():
        eligible = _eligible(changes, rule, min_firings)
        thresholds = _thresholds(rule, controls, min_firings, null_share)
        found = eligible & _happened(kind, rule, changes, thresholds, eligible)
        masks[kind] = found
        theirs = []
        for at, control in enumerate(controls):
            rest = [*controls[:at], *controls[at + 1 :]] or controls
            own = _thresholds(rule, rest, min_firings, null_share)
            among = _eligible(control, rule, min_firings)
            hit = among & _happened(kind, rule, control, own, among)
            theirs.append((int(hit.sum()), int(among.sum())))
        counts.append(_count(kind, rule, thresholds, int(found.sum()), int(eligible.sum()), theirs))
    return masks, tuple(counts)


def status(masks: Mapping[Kind, Mask]) -> list[str]:
    """Of each pair, what happened to it, joined by commas; empty where nothing did.

    What was born has not grown besides, and what died has not shrunk.
    """
    n = len(next(iter(masks.values())))
    hidden = {"grew": "born", "brighter": "born", "shrank": "died", "dimmer": "died"}
    out = []
    for at in range(n):
        happened = [kind for kind in KINDS if masks[kind][at]]
        out.append(", ".join(k for k in happened if hidden.get(k) not in happened))
    return out


def _eligible(changes: FeatureChanges, rule: _Rule, least: int) -> Mask:
    pick: Callable[..., Any] = np.minimum if rule.both else np.maximum
    return np.asarray(pick(changes.firings_before, changes.firings_after) >= least)


def _thresholds(
    rule: _Rule, controls: Sequence[FeatureChanges], least: int, null_share: float
) -> tuple[float, ...]:
    """One a class of firings; empty without controls, or where there is nothing to compare."""
    if not controls or not rule.statistic:
        return ()
    among = [_eligible(control, rule, least) for control in controls]
    values = np.concatenate(
        [_signed(rule, control)[one] for control, one in zip(controls, among, strict=True)]
    )
    classes = np.concatenate(
        [_classes(control)[one] for control, one in zip(controls, among, strict=True)]
    )
    if not values.size:
        return ()
    found = []
    for at in range(len(CLASSES) + 1):
        own = values[classes == at]
        chosen = own if len(own) >= _LEAST_CLASS else values
        found.append(max(rule.least, float(np.quantile(chosen, 1 - null_share))))
    return tuple(found)


def _classes(changes: FeatureChanges) -> NDArray[np.int64]:
    """Of each pair, the class of its firings, before or after, whichever are more."""
    firings = np.maximum(changes.firings_before, changes.firings_after)
    return np.searchsorted(CLASSES, firings, side="left").astype(np.int64)


def _signed(rule: _Rule, changes: FeatureChanges) -> Floats:
    values: Floats = getattr(changes, rule.statistic)
    values = np.abs(values) if rule.sign == 0 else rule.sign * values
    return np.nan_to_num(values, nan=-np.inf)


def _happened(
    kind: Kind, rule: _Rule, changes: FeatureChanges, thresholds: tuple[float, ...], among: Mask
) -> Mask:
    if rule.statistic:
        values = _signed(rule, changes)
        least = np.array(thresholds)[_classes(changes)] if thresholds else rule.least
        found = values > least
        if rule.least:  # which itself is enough
            found = found | ((values == least) & (least == rule.least))
    else:
        before, after = (r.mean(axis=0) for r in (changes.rate_before, changes.rate_after))
        low, high = (before, after) if kind == "born" else (after, before)
        found = low < SILENT * high
    if rule.p:
        found = found & _discoveries(getattr(changes, rule.p), among)
    return np.asarray(found)


def _discoveries(p: Floats, among: Mask) -> Mask:
    """Benjamini and Hochberg (1995), over the pairs `among`."""
    found = np.zeros(len(p), bool)
    known = np.flatnonzero(among & ~np.isnan(p))
    if not len(known):
        return found
    order = known[np.argsort(p[known], kind="stable")]
    reached = p[order] <= FALSE_DISCOVERIES * np.arange(1, len(order) + 1) / len(order)
    found[order[: np.flatnonzero(reached)[-1] + 1 if reached.any() else 0]] = True
    return found


def _count(
    kind: Kind,
    rule: _Rule,
    thresholds: tuple[float, ...],
    found: int,
    of: int,
    theirs: Sequence[tuple[int, int]],
) -> EventCount:
    share = found / of if of else None
    hits, among = (sum(n) for n in zip(*theirs, strict=True)) if theirs else (0, 0)
    control = hits / among if among else None
    shares = tuple(h / n for h, n in theirs if n)
    excess = low = high = None
    if share is not None and control is not None:
        excess = share - control
        n = len(shares)
        if n > 1:
            between = (
                t_quantile(0.975, n - 1) * float(np.std(shares, ddof=1)) * math.sqrt(1 + 1 / n)
            )
            ends = difference_interval(share, of, control, among)
            low, high = (excess + s * math.hypot(end - excess, between)
                         for s, end in zip((-1, 1), ends, strict=True))  # fmt: skip
    return EventCount(
        kind, rule.statistic, thresholds, found, of, share, shares, control, excess, low, high
    )
