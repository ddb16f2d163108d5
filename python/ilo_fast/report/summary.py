"""Summaries of overlap scores: layer means, ranked languages, names for titles.

The tables, the figures and the HTML page take their numbers from these functions, so a number is
computed in one place however often it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ilo_fast._util.messages import counted, elide, plain

if TYPE_CHECKING:
    from ilo_fast.scores.overlap import OverlapScores


@dataclass(frozen=True)
class LayerMeans:
    """Plain means over languages of one layer's scores.

    ``translation_share`` and ``translation_chance`` are None where the text is not parallel.
    """

    layer: int
    bridge: float
    reach: float
    ilo: float
    translation_share: float | None
    translation_chance: float | None

    @property
    def times_chance(self) -> float | None:
        """How many times chance the translation share is; None where there is no chance."""
        if self.translation_share is None or not self.translation_chance:
            return None
        return self.translation_share / self.translation_chance


@dataclass(frozen=True)
class LanguageScore:
    """One language's scores at one layer, with what is known of the language."""

    code: str
    name: str
    script: str
    family: str
    region: str
    resource_class: int | None
    n_sentences: int
    bridge: float
    reach: float
    ilo: float
    translation_share: float | None
    translation_chance: float | None


def describe_language(code: str) -> dict[str, Any]:
    """Name, script, family, region and resource class of ``code``; the code itself if unknown."""
    from ilo_fast.corpora.languages import LANGUAGES

    known = LANGUAGES.get(code)
    if known is None:
        return {"name": code, "script": "", "family": "", "region": "", "resource_class": None}
    return {
        "name": known.name,
        "script": known.script,
        "family": known.family,
        "region": known.region,
        "resource_class": known.resource_class,
    }


def layer_means(scores: OverlapScores) -> list[LayerMeans]:
    """Means over languages, one entry a layer, in the order of ``scores.layers``."""
    share = scores.translation_share
    chance = scores.translation_chance
    return [
        LayerMeans(
            layer=int(layer),
            bridge=float(scores.bridge[index].mean()),
            reach=float(scores.reach[index].mean()),
            ilo=float(scores.ilo[index].mean()),
            translation_share=None if share is None else float(share[index].mean()),
            translation_chance=None if chance is None else float(chance.mean()),
        )
        for index, layer in enumerate(scores.layers)
    ]


def best_layer_index(scores: OverlapScores) -> int:
    """Index into ``scores.layers`` of the highest mean ILO; the first of equals."""
    return int(np.argmax(scores.ilo.mean(axis=1)))


def language_scores(scores: OverlapScores, layer_index: int) -> list[LanguageScore]:
    """Every language at one layer, highest ILO first, equals by code."""
    share = scores.translation_share
    chance = scores.translation_chance
    rows = [
        LanguageScore(
            code=code,
            **describe_language(code),
            n_sentences=int(scores.n_sentences[column]),
            bridge=float(scores.bridge[layer_index, column]),
            reach=float(scores.reach[layer_index, column]),
            ilo=float(scores.ilo[layer_index, column]),
            translation_share=None if share is None else float(share[layer_index, column]),
            translation_chance=None if chance is None else float(chance[column]),
        )
        for column, code in enumerate(scores.languages)
    ]
    return sorted(rows, key=lambda row: (-row.ilo, row.code))


def starts_at_embeddings(scores: OverlapScores) -> bool:
    """Whether layer 0 is a model's embedding output, and not the first of someone's own arrays."""
    return 0 in scores.layers and bool(section(scores.info, "representations"))


def corpus_size(scores: OverlapScores) -> str:
    """``"31 languages \u00d7 60 sentences"``; ``"12 to 60"`` where they have different numbers."""
    low, high = min(scores.n_sentences), max(scores.n_sentences)
    each = counted(high, "sentence") if low == high else f"{low} to {high} sentences"
    return f"{counted(len(scores.languages), 'language')} \u00d7 {each}"


def model_name(scores: OverlapScores) -> str:
    """The model's name as the run recorded it, for titles; "" where it is not known."""
    return plain(section(scores.info, "run").get("model_name", ""))


def corpus_name(scores: OverlapScores) -> str:
    """The corpus's name as the run recorded it, for titles; "" where it is not known."""
    return plain(section(scores.info, "run").get("corpus_name", ""))


def subtitle(scores: OverlapScores) -> str:
    """``model · corpus · 31 languages x 60 sentences · k = 5, t = 3, cosine``, as far as known."""
    size = corpus_size(scores)
    graph = f"k = {scores.n_neighbors}, t = {scores.threshold}, {scores.metric}"
    parts = (elide(model_name(scores), 48), elide(corpus_name(scores), 32), size, graph)
    return " · ".join(part for part in parts if part)


def section(info: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under ``key`` of ``info``; empty where there is none."""
    value = info.get(key)
    return value if isinstance(value, Mapping) else {}
