"""What a comparison consists of: values, differences, best layers, ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MEAN: Final = "mean"
LANGUAGE: Final = "language"


@dataclass(frozen=True)
class Difference:
    """One score of one model minus that of another.

    Attributes
    ----------
    score : str
    a, b : str
        Names of the models; the difference is a minus b.
    at : str
        ``"layer"``: the same layer of both. ``"best"``: the layer of each where its mean is
        highest.
    layer_a, layer_b : int
    by : str
        ``"mean"`` over all languages, ``"language"``, or what `group` shares.
    group : str
        ``"all"``, a language, or a group of languages.
    n_languages : int
    value_a, value_b, difference : float or None
    se, low, high : float or None
        Standard error and interval of this difference alone; None where no unit moves it, or its
        languages have too few units.
    p, p_corrected : float or None
        Alone, and corrected for all of the same `score`, `at` and `by`: pairs, layers, groups.
    """

    score: str
    a: str
    b: str
    at: str
    layer_a: int
    layer_b: int
    by: str
    group: str
    n_languages: int
    value_a: float | None
    value_b: float | None
    difference: float | None
    se: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None


@dataclass(frozen=True)
class LayerValue:
    """A model's mean over languages at one layer, with its interval (None: there is none)."""

    score: str
    model: str
    layer: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class BestLayer:
    """Where a model's mean over languages is highest.

    Attributes
    ----------
    score, model : str
    layer : int
    value, low, high : float or None
        At that layer. It was chosen for being high: the interval does not allow for the choice.
    candidates : tuple of int
        Layers that may be the best: they hold it at the level of the comparison.
    shares : tuple of float
        For each of the model's layers, share of the draws in which it is best.
    """

    score: str
    model: str
    layer: int
    value: float | None
    low: float | None
    high: float | None
    candidates: tuple[int, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Rank:
    """A model's place among all, the highest mean over languages being 1.

    `at` is ``"best"``, each model at its best layer, or ``"layer"``. The intervals of one score at
    one place hold all ranks together.
    """

    score: str
    model: str
    at: str
    layer: int
    value: float
    rank: int
    rank_low: int
    rank_high: int
