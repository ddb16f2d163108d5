"""`ModelDiff`: what differs between two models, beside what seeds alone change."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from ilo_fast._util.checks import path_of
from ilo_fast._util.files import write_json
from ilo_fast._util.optional import data_frame, require
from ilo_fast._util.statistics import t_quantile
from ilo_fast.transcoders.multilingual.diffing.brightness import Estimate
from ilo_fast.transcoders.multilingual.diffing.events import EventCount, Kind, Mask, status
from ilo_fast.transcoders.multilingual.diffing.pair import PairDiff

SCHEMA_VERSION: Final = 1
KIND: Final = "ilo_fast.model_diff"

CLAIMS: Final[Mapping[str, str]] = {
    "late features brighter": "log2 change of what the last third of the layers writes per token, "
    "less that of the first third",
    "middle links stronger (raw)": "log2 change of mean absolute edge weights within the middle "
    "half of the layers, less that of other links between features",
    "middle links stronger (share)": "the same of each link's share of what enters a feature",
}
"""What is said of fine-tuning, and the number that it is put to the test with."""


@dataclass(frozen=True)
class Claim:
    """A number with its interval, beside the same number between seeds.

    Attributes
    ----------
    name, meaning : str
    tuned : Estimate
    controls : tuple of Estimate
        One for each seed control.
    """

    name: str
    meaning: str
    tuned: Estimate
    controls: tuple[Estimate, ...]

    @property
    def verdict(self) -> Literal["yes", "no", "cannot tell"]:
        """Whether it holds here.

        Yes: the interval is above 0, above those of all controls, and above what another seed may
        give: t times the root mean square of the controls' values, with as many degrees of freedom
        as controls. (Which of two seeds stands before is arbitrary, so that their difference is 0
        in the mean.) With one control t is 12.7, with two 4.3. No: it is below or at 0. Cannot
        tell: else, and without controls.
        """
        own = self.tuned
        if own.low is None or own.high is None:
            return "cannot tell"
        if own.high <= 0:
            return "no"
        known = [one for one in self.controls if one.high is not None and one.value is not None]
        if not self.controls or len(known) < len(self.controls):
            return "cannot tell"
        square = sum((one.value or 0.0) ** 2 for one in known) / len(known)
        seeds = t_quantile(0.975, len(known)) * math.sqrt(square)
        tops = [one.high or 0.0 for one in known]
        return "yes" if own.low > max(0.0, seeds, *tops) else "cannot tell"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "name": self.name,
            "meaning": self.meaning,
            "tuned": self.tuned.to_dict(),
            "controls": [one.to_dict() for one in self.controls],
            "verdict": self.verdict,
        }


@dataclass(frozen=True, eq=False)
class ModelDiff:
    """What differs between a model and the same one trained on, seen through transcoders.

    Attributes
    ----------
    pair : PairDiff
        Base and tuned.
    controls : tuple of PairDiff
        Fits that differ in their seeds alone.
    masks : mapping
        Kind of event -> (pairs,) bool.
    events : tuple of EventCount
        How many features each happened to, beside the controls.
    info : mapping
        Text, sizes, seeds, versions.
    """

    pair: PairDiff
    controls: tuple[PairDiff, ...]
    masks: Mapping[Kind, Mask]
    events: tuple[EventCount, ...]
    info: Mapping[str, Any]

    @property
    def status(self) -> list[str]:
        """Of each compared feature what happened to it; empty where nothing did."""
        return status(self.masks)

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Late features, middle links: each a number beside that of the controls."""
        names = list(CLAIMS)

        def of(pair: PairDiff) -> list[Estimate | None]:
            edges = pair.edges
            return [
                pair.brightness.late,
                None if edges is None else edges.middle_raw,
                None if edges is None else edges.middle_share,
            ]

        own, theirs = of(self.pair), [of(control) for control in self.controls]
        unknown = Estimate(None, None, None)
        return tuple(
            Claim(name, CLAIMS[name], value, tuple(other[at] or unknown for other in theirs))
            for at, name in enumerate(names)
            if (value := own[at]) is not None
        )

    def rows(self) -> list[dict[str, Any]]:
        """Each compared feature: layer, feature, what happened, rates and strengths per language.

        Numbers per language have the language's code behind their name: ``rate_before:eng_Latn``.
        """
        return [self._row(at, what) for at, what in enumerate(self.status)]

    def _row(self, at: int, what: str) -> dict[str, Any]:
        flat: dict[str, Any] = {"status": what}
        for name, value in self.pair.changes.record(at).items():
            if isinstance(value, dict):
                flat |= {f"{name}:{code}": number for code, number in value.items()}
            else:
                flat[name] = value
        return flat

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; of features those alone that something happened to."""
        changed = [at for at, what in enumerate(self.status) if what]
        all_status = self.status
        found = {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "info": dict(self.info),
            **self.pair.to_dict(),
            "seed_controls": [control.to_dict() for control in self.controls],
            "events": [event.to_dict() for event in self.events],
            "claims": [claim.to_dict() for claim in self.claims],
            "features": [
                {"status": all_status[at], **self.pair.changes.record(at)} for at in changed
            ],
        }
        return found

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` as one file: for other programs, and not to be read back.

        Features to which nothing happened, the most by far, are not in it.
        """
        write_json(path_of("path", path), self.to_dict())

    def plot(self, by: Literal["layer", "language"] = "layer") -> Any:
        """Shares of all that features write, before and after, as slopes (needs matplotlib).

        Lines are layers, or languages; behind each, grey, what seed controls make of its first
        point. One in which nothing is written, before or after, is left out.

        Raises
        ------
        ValueError
            Nothing is written at all.
        """
        require("matplotlib", "report")
        from ilo_fast.plots.slope import SlopeTable, slope_figure
        from ilo_fast.plots.style import language_colors

        if by not in ("layer", "language"):
            raise ValueError(f"by={by!r}: wanted 'layer' or 'language'")
        shares = [self._shares(one, by) for one in (self.pair, *self.controls)]
        names = (
            [f"layer {at}" for at in range(len(shares[0][0]))]
            if by == "layer"
            else list(self.pair.brightness.languages)
        )
        colors = None if by == "layer" else tuple(language_colors(names).values())
        shown = np.all([(a > 0) & (b > 0) for a, b in shares], axis=0)
        if not shown.any():
            raise ValueError(f"there is nothing to draw: no feature is active, in no {by}")
        before, after = shares[0][0][shown], shares[0][1][shown]
        moves = [np.log2(b[shown] / a[shown]) for a, b in shares[1:]]
        bands = None
        if moves:
            most = np.abs(np.array(moves)).max(axis=0)
            bands = np.stack([before * 2**-most, before * 2**most], axis=1)
        silent = ", ".join(
            name for name, is_shown in zip(names, shown, strict=True) if not is_shown
        )
        controls = f"{len(self.controls)} seed control" + "s" * (len(self.controls) != 1)
        return slope_figure(
            SlopeTable(
                tuple(itertools.compress(names, shown)),
                before,
                after,
                bands,
                title=f"What features write, by {by}",
                subtitle=f"share of the strength of all features, {self.pair.before['model']} and "
                f"{self.pair.after['model']}; {controls if self.controls else 'no seed control'}"
                + f"; nothing is written in {silent}"
                * bool(silent),
                colors=None if colors is None else tuple(itertools.compress(colors, shown)),
                ordered=by == "layer",
            )
        )

    @staticmethod
    def _shares(pair: PairDiff, by: str) -> tuple[Any, Any]:
        axis = 0 if by == "layer" else 1
        sums = [table.sum(axis=axis) for table in (pair.brightness.before, pair.brightness.after)]
        return tuple(one / max(one.sum(), np.finfo(np.float64).tiny) for one in sums)
