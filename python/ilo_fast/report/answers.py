"""What a reader asks first, answered in plain words: which layer, which languages, is it chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ilo_fast._util.messages import plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.report.columns import p_value
from ilo_fast.report.summary import (
    LayerMeans,
    best_layer_index,
    layer_means,
    most_shared_layer_index,
)

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores
    from ilo_fast.scores.structure.result import Structure

_INSIDE: Final = 0.5  # a language is outside if fewer of its sentences take part
_NAMED: Final = 8  # languages that a sentence names
_BEYOND_CHANCE: Final = 3.0  # times chance below which an answer says that meaning hardly counts
_SURE: Final = 0.05


@dataclass(frozen=True)
class Answer:
    """A question, the answer in a few words, and the sentences that explain it."""

    question: str
    short: str
    text: str


def answers(scores: OverlapScores, structure: Structure | None = None) -> list[Answer]:
    """The three answers, of the layer that shares most (`most_shared_layer_index`)."""
    at = most_shared_layer_index(scores)
    means = layer_means(scores)
    return [
        _where(scores, means, at),
        _outside(scores, structure, at),
        _chance(scores, means[at], structure, at),
    ]


def _where(scores: OverlapScores, means: Sequence[LayerMeans], at: int) -> Answer:
    here, best = means[at], best_layer_index(scores)
    question = "Where do the languages share most?"
    last = scores.layers[-1]
    short = f"Layer {here.layer}" + (f" of {last}" if len(scores.layers) > 1 else "")
    if here.translation_share is None:
        text = (
            f"There mean ILO is highest: {here.ilo:.3f}{_ends(here, 'ilo')}. The text is not "
            "parallel, so that nobody can say whether sentences of one meaning meet."
        )
        return Answer(question, short, text)
    text = (
        f"There {_percent(here.translation_share)}{_ends(here, 'translation_share', percent=True)} "
        f"of a sentence's {scores.n_neighbors} nearest neighbours are translations of it, more "
        f"than at any other layer."
        if len(scores.layers) > 1
        else f"{_percent(here.translation_share)} of a sentence's {scores.n_neighbors} nearest "
        "neighbours are translations of it."
    )
    if best == at:
        return Answer(question, short, f"{text} Mean ILO is {here.ilo:.3f} there, its highest.")
    text += (
        f" ILO, which asks for mixing and not for meaning, is highest at layer {means[best].layer}:"
        f" {means[best].ilo:.3f}, and {here.ilo:.3f} here."
    )
    return Answer(question, short, text)


def _outside(scores: OverlapScores, structure: Structure | None, at: int) -> Answer:
    question = "Which languages stay outside?"
    if structure is None:
        taking_part = scores.bridge[at]
        what = f"have neighbours from {scores.threshold} other languages"
    else:
        taking_part = structure.language_core_share[at]
        what = "lie in the shared core"
    order = np.argsort(taking_part, kind="stable")
    outside = [int(c) for c in order if taking_part[c] < _INSIDE]
    n = len(scores.languages)
    if not outside:
        least = int(order[0])
        return Answer(
            question,
            "None",
            f"Of every language at least half of the sentences {what} at this layer; of "
            f"{_name(scores, least)} the fewest, {_percent(taking_part[least])}.",
        )
    if len(outside) == n:
        return Answer(
            question, "All of them", f"Of no language do half of the sentences {what}: nothing is "
            "shared by many, even at this layer."
        )  # fmt: skip
    named = ", ".join(f"{_name(scores, c)} ({_percent(taking_part[c])})" for c in outside[:_NAMED])
    more = f" and {len(outside) - _NAMED} more" if len(outside) > _NAMED else ""
    text = (
        f"{named}{more}: so many of their sentences {what} at this layer; of each other language "
        "at least half do."
    )
    least_mixed = float(scores.bridge[at][outside].min())
    if structure is not None and least_mixed >= _INSIDE:
        text += (
            f" They are no islands: {_percent(least_mixed)} or more of their sentences have "
            f"neighbours from {scores.threshold} other languages, but not in mutual links with "
            "the core."
        )
    return Answer(question, f"{len(outside)} of {n}", text)


def _chance(
    scores: OverlapScores, here: LayerMeans, structure: Structure | None, at: int
) -> Answer:
    question = "Would chance give the same?"
    mixing = None if scores.limits is None else scores.limits.means()["ilo_under_mixing"]
    alone = (
        ""
        if mixing is None
        else f" ILO alone could not tell: languages that mix at random reach {mixing:.3f}."
    )
    if structure is not None and structure.core_share_under_mixing[at] > _INSIDE:
        by_chance = _percent(structure.core_share_under_mixing[at])
        alone += (
            f" Nor could the core: mixing at random ties {by_chance} of all sentences together."
        )
    if here.translation_share is None:
        short = (
            "Cannot be told" if mixing is None or here.ilo > mixing / 2 else "No, more than this"
        )
        return Answer(question, short, (alone or "Nothing asks for meaning here.").strip())
    chance = here.translation_chance_given_graph
    chance = here.translation_chance if chance is None else chance
    if not chance:
        return Answer(question, "Cannot be told", "No neighbour is of another language." + alone)
    ratio = here.translation_share / chance
    p = here.p_translation
    tested = "" if p is None else f" (permutations: p {_p(p)})"
    text = (
        "If sentences of other languages were neighbours regardless of meaning, "
        f"{_percent(chance)} would be translations; here they are "
        f"{_percent(here.translation_share)}, "
        f"{ratio:.3g} times as many{tested}.{alone}"
    )
    if p is not None and p >= _SURE:
        return Answer(question, "It might", text)
    return Answer(question, "No" if ratio >= _BEYOND_CHANCE else "Nearly", text)


def _ends(means: LayerMeans, score: str, *, percent: bool = False) -> str:
    if score not in means.intervals:
        return ""
    low, high = means.intervals[score]
    scale, digits = (100, 1) if percent else (1, 3)
    return f" ({scale * low:.{digits}f} \N{EN DASH} {scale * high:.{digits}f})"


def _percent(share: float) -> str:
    value = 100 * float(share)
    return f"{value:.{0 if value >= 9.95 or value == 0 else 1 if value >= 0.95 else 2}f} %"


def _p(p: float) -> str:
    return p_value(p).replace("<", "< ") if p < 0.001 else f"= {p_value(p)}"


def _name(scores: OverlapScores, column: int) -> str:
    return plain(describe_language(scores.languages[column])["name"])
