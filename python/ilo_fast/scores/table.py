"""The numbers of a measurement, and what they are called: no files, no figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.equality import same_fields
from ilo_fast._util.messages import counted, elide, listed, plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.certainty.file import number
from ilo_fast.scores.certainty.intervals import Intervals
from ilo_fast.scores.certainty.limits import Limits
from ilo_fast.scores.certainty.permutations import MixingTest
from ilo_fast.scores.certainty.replicates import Replicates

SCORE_TITLES: Final[Mapping[str, str]] = {
    "ilo": "Interlingual Local Overlap",
    "bridge": "Bridge",
    "reach": "Reach",
    "translation_share": "Share of neighbours that are translations",
}
"""The scores that figures can show, and what they call them."""

# What equal scores need not share: how they were made, what follows from the rest, and what the
# intervals were made of, or from which graph the scores were counted.
_ASIDE: Final = ("info", "limits", "replicates", "neighbors")
LIMITS: Final = tuple(limit.name for limit in dataclasses.fields(Limits))


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """What `ilo_fast.OverlapScores` holds; its attributes are described there."""

    bridge: NDArray[np.float64]
    reach: NDArray[np.float64]
    ilo: NDArray[np.float64]
    layers: tuple[int, ...]
    languages: tuple[str, ...]
    n_sentences: tuple[int, ...]
    n_neighbors: int
    threshold: int
    metric: str
    translation_share: NDArray[np.float64] | None = None
    translation_chance: NDArray[np.float64] | None = None
    translation_chance_given_graph: NDArray[np.float64] | None = None
    limits: Limits | None = None
    intervals: Intervals | None = None
    mixing_test: MixingTest | None = None
    replicates: Replicates | None = None
    neighbors: NeighborGraph | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScoreTable):
            return NotImplemented
        names = (f.name for f in dataclasses.fields(self) if f.name not in _ASIDE)
        return same_fields(self, other, names)

    def __hash__(self) -> int:
        return hash((self.layers, self.languages, self.n_neighbors, self.threshold, self.metric))

    def values(self, score: str) -> NDArray[np.float64]:
        """One score by its name, shape (layers, languages).

        Parameters
        ----------
        score
            ``"ilo"``, ``"bridge"``, ``"reach"`` or ``"translation_share"``.

        Raises
        ------
        ValueError
            Another name, or translations of text that is not parallel.
        """
        if score not in SCORE_TITLES:
            raise ValueError(f"score={score!r} is not known; use one of {', '.join(SCORE_TITLES)}")
        if score == "translation_share" and self.translation_share is None:
            raise ValueError(f"score={score!r} is not in these scores: their text is not parallel")
        values: NDArray[np.float64] = getattr(self, score)
        return values

    @property
    def model_name(self) -> str:
        """The model's name as the run recorded it; "" where it is not known."""
        named = [self.recorded(key).get("model_name") for key in ("run", "representations")]
        return plain(next(filter(None, named), ""))

    @property
    def corpus_name(self) -> str:
        """The corpus's name as the run recorded it; "" where it is not known."""
        return plain(self.recorded("run").get("corpus_name", ""))

    @property
    def corpus_size(self) -> str:
        """``"31 languages \u00d7 60 sentences"``; ``"12 to 60"`` where their numbers differ."""
        low, high = min(self.n_sentences), max(self.n_sentences)
        each = counted(high, "sentence") if low == high else f"{low} to {high} sentences"
        return f"{counted(len(self.languages), 'language')} \u00d7 {each}"

    @property
    def subtitle(self) -> str:
        """``model · corpus · 31 languages x 60 sentences · k = 5, t = 3, cosine``, as known."""
        settings = f"k = {self.n_neighbors}, t = {self.threshold}, {self.metric}"
        names = elide(self.model_name, 48), elide(self.corpus_name, 32)
        return " · ".join(part for part in (*names, self.corpus_size, settings) if part)

    @property
    def starts_at_embeddings(self) -> bool:
        """Whether layer 0 is a model's embeddings, and not the first of someone's own arrays."""
        return 0 in self.layers and bool(self.recorded("representations"))

    def recorded(self, key: str) -> Mapping[str, Any]:
        """What ``info`` records under ``key``; empty where that is nothing or no mapping."""
        value = self.info.get(key)
        return value if isinstance(value, Mapping) else {}

    def rows(self) -> list[dict[str, Any]]:
        """One record for each layer and language, as in ``scores.csv``.

        With the model's name and what is known of the language (name, script, family, region,
        resource class): the tables of several models can be put below each other.
        """
        return [
            {
                "model": self.model_name,
                "layer": row.pop("layer"),
                "language": row["language"],
                **describe_language(row.pop("language")),
                "n_sentences": row.pop("n_sentences"),
                **row,
            }
            for row in self.measured_rows()
        ]

    def measured_rows(self) -> list[dict[str, Any]]:
        """`rows` without what is known anyway, as ``scores.json`` has them.

        None stands for what was not measured, or has no interval.
        """
        return [
            self._row(h, c) for h in range(len(self.layers)) for c in range(len(self.languages))
        ]

    def _row(self, h: int, c: int) -> dict[str, Any]:
        test, given_graph = self.mixing_test, self.translation_chance_given_graph
        row: dict[str, Any] = {"layer": self.layers[h], "language": self.languages[c]}
        for name in SCORE_TITLES:
            row[name] = number(getattr(self, name), h, c)
            low, high = (None, None) if self.intervals is None else self.intervals.ends(name)
            row[f"{name}_low"], row[f"{name}_high"] = number(low, h, c), number(high, h, c)
        row["translation_chance"] = number(self.translation_chance, c)
        row["translation_chance_given_graph"] = number(given_graph, h, c)
        row |= dict.fromkeys(LIMITS) if self.limits is None else self.limits.row(c)
        row["p_mixing"] = None if test is None else number(test.p_mixing, h, c)
        row["p_translation"] = None if test is None else number(test.p_translation, h, c)
        row["ilo_permuted_mean"] = None if test is None else number(test.ilo_mean, h, c)
        row["ilo_permuted_sd"] = None if test is None else number(test.ilo_sd, h, c)
        return row | {"n_sentences": self.n_sentences[c]}


def positions(name: str, having: Sequence[Any], wanted: Sequence[Any] | None) -> list[int]:
    """Where the wanted ones stand in what there is; all where `wanted` is None."""
    if wanted is None:
        return list(range(len(having)))
    missing = [item for item in wanted if item not in having]
    if missing or not wanted:
        raise ValueError(
            f"{name} holds {listed(missing) or 'nothing'}, but these scores have {listed(having)}"
        )
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"{name} names one twice: {listed(wanted)}")
    return [having.index(item) for item in wanted]
