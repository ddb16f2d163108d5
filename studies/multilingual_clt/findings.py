"""From the pieces of the study to a verdict for each claim: numbers in, rows out.

A claim *holds* where its number is above what the claim's opposite would give, with its whole
interval, in every seed; it *does not hold* where the whole interval is below in every seed;
otherwise this study *cannot tell*. The rules were written before the study was run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ilo_fast._util.statistics import difference_interval
from ilo_fast.transcoders.multilingual.documents import mean_interval
from multilingual_clt.plan import ENGLISH, Plan

Read = Callable[[str], dict[str, Any] | None]

HOLDS, NOT, UNKNOWN = "holds", "does not hold", "cannot tell"


@dataclass(frozen=True)
class Number:
    """One number of one run, with its 95 % interval where there is one.

    verdict: of the measurement itself, where it has a rule of its own.
    """

    value: float
    low: float | None = None
    high: float | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class Finding:
    """A claim about one condition and kind of transcoder.

    Attributes
    ----------
    claim : str
        What is claimed, in words.
    measured : str
        What its number is; above 0 speaks for the claim.
    condition, kind : str
    numbers : tuple of Number
        One for each seed.
    """

    claim: str
    measured: str
    condition: str
    kind: str
    numbers: tuple[Number, ...]

    @property
    def verdict(self) -> str:
        """By the rule at the head of this file."""
        own = {one.verdict for one in self.numbers} - {None}
        if own:
            return own.pop() if len(own) == 1 else UNKNOWN
        ends = [(one.low, one.high) for one in self.numbers]
        if not ends or any(low is None or high is None for low, high in ends):
            return UNKNOWN
        if all(low > 0 for low, _ in ends if low is not None):
            return HOLDS
        return NOT if all(high < 0 for _, high in ends if high is not None) else UNKNOWN

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"verdict": self.verdict}


def thirds(n_layers: int) -> tuple[list[int], list[int], list[int]]:
    """First, middle and last layers; the middle gets what is left over."""
    size = max(1, n_layers // 3)
    layers = list(range(n_layers))
    return layers[:size], layers[size : n_layers - size], layers[n_layers - size :]


def findings(plan: Plan, read: Read) -> list[Finding]:
    """All claims that the pieces can speak to, in the order of the paper."""
    found: list[Finding] = []
    for make in (
        shared_middle, without_english, late_decoding, few_features, linear_identity, foretold,
        words, steering, non_english, tuning,
    ):  # fmt: skip
        found += make(plan, read)
    return [one for one in found if one.numbers]


def _each(
    plan: Plan, kinds: Iterable[str], number: Callable[[str, int, str], Number | None],
    claim: str, measured: str, conditions: Sequence[str] | None = None,
) -> list[Finding]:  # fmt: skip
    """One finding for each condition and kind of which there is a number."""
    rows = []
    for name in plan.conditions if conditions is None else conditions:
        for kind in kinds:
            numbers = [number(name, seed, kind) for seed in plan.seeds]
            kept = tuple(one for one in numbers if one is not None)
            rows.append(Finding(claim, measured, name, kind, kept))
    return rows


def shared_middle(plan: Plan, read: Read) -> list[Finding]:
    """Whether translations share more features in the middle than at the ends, and than by chance.

    "More" is of the excess over lines of other verses of like length.
    """

    def contrast(name: str, seed: int, kind: str) -> Number | None:
        found = _excess(read, name, seed, kind, english=name != "no-english")
        return None if found is None else Number(*mean_interval(_hump(found[0]), found[1]))

    def over_random(name: str, seed: int, kind: str) -> Number | None:
        found, other = (
            _excess(read, c, seed, kind, english=name != "no-english") for c in (name, "random")
        )
        if found is None or other is None or len(found[1]) != len(other[1]):
            return None
        _, middle, _ = thirds(found[0].shape[1])
        return Number(*mean_interval((found[0] - other[0])[:, middle].mean(axis=1), found[1]))

    trained = [name for name in plan.conditions if name not in ("random", "romanised")]
    return [
        *_each(plan, ("clt", "plt"), contrast, "middle layers share more than first and last ones",
               "excess Jaccard of translations, middle third of the layers less the others"),
        *_each(plan, ("clt", "plt"), over_random, "training makes the middle shared",
               "excess Jaccard in the middle, less that of the random model", trained),
    ]  # fmt: skip


def _excess(
    read: Read, name: str, seed: int, kind: str, *, english: bool = True
) -> tuple[Any, Any] | None:
    """(documents, layers), mean over pairs of languages, and lines of each document."""
    piece = read(f"space-{name}-{seed}-{kind}")
    if piece is None:
        return None
    kept = [english or ENGLISH not in pair for pair in piece["pairs"]]
    sums = np.array(piece["excess_by_document"])[:, kept]
    return sums.mean(axis=1), np.array(piece["lines_by_document"], np.float64)


def _hump(sums: Any) -> Any:
    """(documents,): the middle less the ends."""
    first, middle, last = thirds(sums.shape[1])
    return sums[:, middle].mean(axis=1) - sums[:, first + last].mean(axis=1)


def without_english(plan: Plan, read: Read) -> list[Finding]:
    """Whether layers share as much without English in the training as with it.

    Of the other languages: how much more the middle shares than the ends differs by less than a
    quarter of what layers share on average.
    """

    def number(name: str, seed: int, kind: str) -> Number | None:
        with_it, without = (
            _excess(read, c, seed, kind, english=False) for c in ("equal", "no-english")
        )
        if with_it is None or without is None:
            return None
        margin = abs(float(with_it[0].sum() / with_it[1].sum() / with_it[0].shape[1])) / 4
        value, low, high = mean_interval(_hump(with_it[0]) - _hump(without[0]), with_it[1])
        least = 0.0 if low < 0 < high else min(abs(low), abs(high))
        return Number(margin - abs(value), margin - max(abs(low), abs(high)), margin - least)

    return _each(
        plan, ("clt", "plt"), number, "the structure is the same without English",
        "a quarter of the mean excess Jaccard, less the difference between the two models of how "
        "much more the middle shares than the ends (pairs without English)",
        ["no-english"] if "no-english" in plan.conditions else [],
    )  # fmt: skip


def late_decoding(plan: Plan, read: Read) -> list[Finding]:
    """Whether features of single languages are more frequent in late layers than in the middle."""

    def number(name: str, seed: int, kind: str) -> Number | None:
        piece = read(f"languages-{name}-{seed}-{kind}")
        if piece is None:
            return None
        rates = piece["rates"]
        _, middle, last = thirds(len(rates))
        return _difference(*(_specific(rates, part) for part in (last, middle)))

    return _each(
        plan, ("clt", "plt"), number, "late layers have more features of single languages",
        "share of tested features that are of one language, last third less middle third",
    )  # fmt: skip


def _specific(rates: Sequence[dict[str, Any]], layers: Sequence[int]) -> tuple[float, int]:
    tested = [rates[layer]["tested"] for layer in layers]
    own = [n * (rates[layer]["specific"] or 0.0) for n, layer in zip(tested, layers, strict=True)]
    return sum(own) / max(1, sum(tested)), sum(tested)


def few_features(plan: Plan, read: Read) -> list[Finding]:
    """Whether ten features carry half of what features of single languages do in the last layer."""

    def number(name: str, seed: int, kind: str) -> Number | None:
        piece = read(f"languages-{name}-{seed}-{kind}")
        if piece is None:
            return None
        share = piece["mass"][-1]["ten_of_specific"]
        return None if None in share else Number(*(end - 0.5 for end in share))

    return _each(
        plan, ("clt", "plt"), number, "a few frequent features are most of it",
        "share of the ten most frequent in all firings of the last layer's features of single "
        "languages, less one half",
    )  # fmt: skip


def linear_identity(plan: Plan, read: Read) -> list[Finding]:
    """Whether early layers tell the language linearly, beyond what their tokens tell."""

    def number(name: str, seed: int, kind: str) -> Number | None:
        piece = read(f"probes-{name}-{seed}-{kind}")
        if piece is None:
            return None
        rows = [p for p in piece["probes"] if p["kind"] == "x"]
        first, _, _ = thirds(len(rows))
        early = rows[first[-1]]
        return Number(*(early[f"over_unigram{end}"] for end in ("", "_low", "_high")))

    return _each(
        plan, ("clt",), number, "early layers encode the language linearly",
        "accuracy of a probe on what the last of the early layers reads, less that of the token's "
        "identity alone",
    )  # fmt: skip


def foretold(plan: Plan, read: Read) -> list[Finding]:
    """Whether early layers foretell late language features better than other late features."""

    def number(name: str, seed: int, kind: str) -> Number | None:
        piece = read(f"languages-{name}-{seed}-{kind}")
        if piece is None or not piece["late"]["layers"]:
            return None
        row = piece["late"]["layers"][0]
        ends = (row["matched_high"], row["matched_low"])
        if row["auc"] is None or None in ends:
            return None
        return Number(row["auc"] - row["matched_auc"], row["auc"] - ends[0], row["auc"] - ends[1])

    return _each(
        plan, ("clt", "plt"), number, "the first layer foretells late language features",
        "area under the curve of a linear probe on the first layer, less that for matched late "
        "features (interval over sets of these)",
    )  # fmt: skip


def words(plan: Plan, read: Read) -> list[Finding]:
    """Whether the first layer's features at a word's last piece tell the pieces before it."""

    def number(name: str, seed: int, kind: str) -> Number | None:
        piece = read(f"words-{name}-{seed}-{kind}")
        if piece is None or piece["swap_majority"] is None:
            return None
        ends = (piece["as_inserted"][0], *piece["as_inserted_interval"][0])
        return Number(*(end - piece["swap_majority"] for end in ends))

    return _each(
        plan, ("clt",), number, "early features carry the whole word at its last piece",
        "share of words told by the first layer's features where their earlier pieces were put "
        "into other text, less that of the most frequent word of the last piece",
    )  # fmt: skip


def steering(plan: Plan, read: Read) -> list[Finding]:
    """Whether a language is suppressed, or replaced, more often than by the best baseline."""
    found = []
    for mode, than in (
        ("suppression", "that of random features"), ("substitution", "the best baseline"),
    ):  # fmt: skip

        def number(name: str, seed: int, kind: str, mode: str = mode) -> Number | None:
            piece = read(f"steering-{name}-{seed}-{kind}")
            if piece is None:
                return None
            sums: dict[int, float] = {}
            counts: dict[int, int] = {}
            for pair in piece["pairs"]:
                if mode not in pair["contrasts"]:
                    continue
                own, base = (
                    pair["modes"][name]["success"]
                    for name in (mode, pair["contrasts"][mode]["baseline"])
                )
                for document, x, y in zip(pair["document"], own, base, strict=True):
                    sums[document] = sums.get(document, 0.0) + x - y
                    counts[document] = counts.get(document, 0) + 1
            if not sums:
                return None
            sizes = np.array([*counts.values()], np.float64)
            return Number(*mean_interval(np.array([*sums.values()]), sizes))

        found += _each(
            plan, ("clt", "plt"), number, f"{mode} by language features beats {than}",
            "difference of the shares of successes, over all pairs of these languages",
        )  # fmt: skip
    return found


def non_english(plan: Plan, read: Read) -> list[Finding]:
    """What the other languages lose by much English in the text, or in the tokenizer."""
    found = []
    for name, claim in (
        ("english90", "much English in the text costs other languages"),
        ("english-tokens", "an English tokenizer costs other languages"),
    ):

        def number(_: str, seed: int, kind: str, name: str = name) -> Number | None:
            own, base = (read(f"loss-{c}-{seed}-model") for c in (name, "equal"))
            if own is None or base is None:
                return None
            others = [code for code in base["bits"] if code != ENGLISH]
            change = sum(np.array(own["bits"][c]) - np.array(base["bits"][c]) for c in others)
            characters = sum(np.array(base["characters"][c]) for c in others)
            return Number(*mean_interval(change, characters))

        found += _each(
            plan, ("model",), number, claim,
            "bits per character of the other languages, less those of the model at equal shares",
            [name] if name in plan.conditions else [],
        )  # fmt: skip
    return found


def tuning(plan: Plan, read: Read) -> list[Finding]:
    """What training on one language changed, less the same between fits without it."""
    found = []
    for method in ("full", "lora"):
        for way in ("reused", "refitted", "fresh"):
            pieces = [read(f"diff-{method}-{way}-{seed}") for seed in plan.seeds]
            known = [piece for piece in pieces if piece is not None]
            for at in range(len(known[0]["claims"]) if known else 0):
                claims = [piece["claims"][at] for piece in known]
                told = [claim for claim in claims if claim["tuned"]["value"] is not None]
                numbers = tuple(_beyond_controls(claim) for claim in told)
                name = f"{method} fine-tuning, transcoder {way}"
                found.append(
                    Finding(claims[0]["name"], claims[0]["meaning"], "equal", name, numbers)
                )
    return found


def _beyond_controls(claim: dict[str, Any]) -> Number:
    """The tuned number; whether it is beyond the controls is `Claim.verdict`'s rule."""
    own = claim["tuned"]
    verdict = {"yes": HOLDS, "no": NOT}.get(claim["verdict"], UNKNOWN)
    return Number(own["value"], own["low"], own["high"], verdict)


def _difference(one: tuple[float, int], other: tuple[float, int]) -> Number:
    """Of two shares, features taken as independent."""
    return Number(one[0] - other[0], *difference_interval(*one, *other))


def disagreements(found: Sequence[Finding]) -> list[tuple[Finding, Finding]]:
    """Claims on which the two kinds of transcoder differ, of one condition."""
    by = {(one.claim, one.condition, one.kind): one for one in found}
    return [
        (one, by[one.claim, one.condition, "plt"])
        for one in found
        if one.kind == "clt"
        and (one.claim, one.condition, "plt") in by
        and by[one.claim, one.condition, "plt"].verdict != one.verdict
    ]
