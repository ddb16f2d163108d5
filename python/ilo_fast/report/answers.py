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
    from numpy.typing import NDArray

    from ilo_fast.scores.result import OverlapScores
    from ilo_fast.scores.structure.result import Structure

_INSIDE: Final = 0.5  # a language is outside if fewer of its sentences take part
_NAMED: Final = 8  # languages that a sentence names
_BEYOND_CHANCE: Final = 3.0  # times chance below which an answer says that meaning hardly counts
_SURE: Final = 0.05
_HARDLY_ANY: Final = 0.05  # by chance in what is shared: nothing can be told from who is not


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
        _chance(scores, means[at]),
    ]


def _where(scores: OverlapScores, means: Sequence[LayerMeans], at: int) -> Answer:
    here, best = means[at], best_layer_index(scores)
    question = "Where do the languages share most?"
    short = f"Layer {here.layer}" + (f" of {_last(scores)}" if len(scores.layers) > 1 else "")
    if here.translation_share is None:
        text = (
            f"There mean ILO is highest: {here.ilo:.3f}{_ends(here, 'ilo')}. The text is not "
            "parallel, so that nobody can say whether sentences of one meaning meet."
        )
        return Answer(question, short, text)
    text = (
        f"There {_percent(here.translation_share)}{_ends(here, 'translation_share', percent=True)} "
        f"of a sentence's {scores.n_neighbors} nearest neighbours are translations of it, the most "
        f"of the {len(scores.layers)} layers measured."
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


@dataclass(frozen=True)
class _Belonging:
    """How many sentences of each language belong to what is shared at a layer, and how."""

    shares: NDArray[np.float64]
    by_chance: float | None  # the same share of any language, where languages do not matter
    what: str
    chance: str  # where languages do not matter, in words
    in_core: bool = False

    @property
    def least(self) -> float:
        """A language with a lower share is outside: half, or half of what chance gives."""
        few = self.by_chance is not None and self.by_chance <= _INSIDE
        return float(self.by_chance or 0.0) / 2 if few else _INSIDE


def _belonging(scores: OverlapScores, structure: Structure | None, at: int) -> _Belonging:
    """By the core; where chance would not make one that holds most, by mixed neighbours."""
    if structure is not None and structure.core_share_under_mixing[at] > _INSIDE:
        by_chance = float(structure.core_share_under_mixing[at])
        chance = "Were languages exchanged at random,"
        what = "lie in the shared core"
        return _Belonging(structure.language_core_share[at], by_chance, what, chance, True)
    limits = scores.limits
    mixing = None if limits is None else limits.means()["bridge_under_mixing"]
    what = f"have neighbours from {scores.threshold} other languages"
    return _Belonging(scores.bridge[at], mixing, what, "Where languages mix at random,")


def _outside(scores: OverlapScores, structure: Structure | None, at: int) -> Answer:
    question = "Which languages stay outside?"
    belong = _belonging(scores, structure, at)
    shares, n = belong.shares, len(scores.languages)
    if belong.by_chance is not None and belong.by_chance < _HARDLY_ANY:
        text = (
            f"Even {belong.chance.lower()} hardly any sentence would {belong.what}. Take more "
            "neighbours, or a lower threshold."
        )
        return Answer(question, "Cannot be told", text)
    level = "half" if belong.least == _INSIDE else _percent(belong.least)
    by_chance = (
        "" if belong.by_chance is None else f" {belong.chance} {_percent(belong.by_chance)} would."
    )
    core = (
        f" The core: sentences of {structure.settings['languages_needed']} or more languages, tied "
        f"together by pairs that are each among the other's {scores.n_neighbors} nearest."
        if structure is not None and belong.in_core
        else ""
    )
    order = np.argsort(shares, kind="stable")
    outside = [int(c) for c in order if shares[c] < belong.least]
    if not outside:
        least = int(order[0])
        text = (
            f"Of every language at least {level} of the sentences {belong.what}; of "
            f"{_name(scores, least)} the fewest, {_percent(shares[least])}."
        )
        return Answer(question, "None", text + by_chance + core)
    if len(outside) == n:
        text = (
            f"Of no language do {level} of the sentences {belong.what}: little is shared by many, "
            "even at this layer."
        )
        return Answer(question, "All of them", text + by_chance + core)
    named = ", ".join(f"{_name(scores, c)} {_percent(shares[c])}" for c in outside[:_NAMED])
    more = f" and {len(outside) - _NAMED} more" if len(outside) > _NAMED else ""
    text = (
        f"Only so many of their sentences {belong.what}: {named}{more}. Of every other language "
        f"at least {level} do.{by_chance}"
    )
    least_mixed = float(scores.bridge[at][outside].min())
    if belong.in_core and least_mixed >= _INSIDE:
        text += (
            f" They are not isolated: {_percent(least_mixed)} or more of their sentences have "
            f"neighbours from {scores.threshold} other languages, but not in pairs that lead into "
            "the core."
        )
    return Answer(question, f"{len(outside)} of {n}", text + core)


def _chance(scores: OverlapScores, here: LayerMeans) -> Answer:
    question = "Would chance give the same?"
    mixing = None if scores.limits is None else scores.limits.means()["ilo_under_mixing"]
    alone = (
        ""
        if mixing is None
        else f" ILO alone could not tell: languages that mix at random reach {mixing:.3f}."
    )
    if here.translation_share is None:
        short = (
            "Cannot be told" if mixing is None or here.ilo > mixing / 2 else "No, more than this"
        )
        return Answer(question, short, (alone or "Nothing asks for meaning here.").strip())
    if here.translation_chance_given_graph == 0:
        return Answer(question, "Cannot be told", "No neighbour is of another language." + alone)
    ratio = here.times_chance
    if ratio is None or here.translation_chance is None:
        return Answer(question, "Cannot be told", "There are no translations." + alone)
    p = here.p_translation
    tested = "" if p is None else f" (permutations: p {_p(p)})"
    text = (
        f"Of neighbours drawn at random {_percent(here.translation_chance)} would be translations; "
        f"here {_percent(here.translation_share)} are, {ratio:.1f} times as many{tested}.{alone}"
    )
    if p is not None and p >= _SURE:
        return Answer(question, "It might", text)
    if ratio < 1:
        return Answer(question, "It would give more", text)
    return Answer(question, "No" if ratio >= _BEYOND_CHANCE else "Nearly", text)


def _last(scores: OverlapScores) -> int:
    """The last layer of the model where that is known, else the last one measured."""
    blocks = scores.recorded("representations").get("n_blocks")
    measured = int(scores.layers[-1])
    return max(blocks, measured) if isinstance(blocks, int) else measured


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
