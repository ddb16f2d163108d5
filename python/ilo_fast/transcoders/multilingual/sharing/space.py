"""`shared_space`: what languages share as features and as neighbourhoods, in one table."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import choice, whole_number
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.graph.options import check_metric, thread_count
from ilo_fast.representations.extraction import extract
from ilo_fast.scores.similarity.halves import Halves
from ilo_fast.transcoders.multilingual.line_features import LineFeatures, line_features
from ilo_fast.transcoders.multilingual.sharing.rank_correlation import (
    layer_correlation,
    pair_correlation,
)
from ilo_fast.transcoders.multilingual.sharing.sharing import (
    feature_sharing,
    not_always_on,
    parallel_rows,
)
from ilo_fast.transcoders.multilingual.sharing.sharing_result import MEASURES, FeatureSharing
from ilo_fast.transcoders.multilingual.sharing.space_result import (
    SOURCES,
    SharedSpace,
    SpaceCorrelation,
    SpaceScore,
)
from ilo_fast.transcoders.multilingual.sharing.space_scores import (
    LayerFound,
    SpaceOptions,
    layer_scores,
)
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Array = NDArray[np.float64]
Rows = Mapping[str, NDArray[Any]]

_MOST_EMPTY: Final = 0.1
"""A layer in which more of the lines have no feature vector is not measured."""
_LEAST_LINES: Final = 12


def shared_space(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    corpus: ParallelCorpus,
    *,
    tokenizer: Any,
    table: LineFeatures | None = None,
    representations: Mapping[str, Any] | None = None,
    by: Literal["activation", "influence"] = "activation",
    measure: str = "jaccard",
    max_density: float = 0.5,
    match_length: bool = False,
    n_neighbors: int = 5,
    threshold: int | None = None,
    metric: Literal["cosine", "euclidean"] = "cosine",
    beside: bool = True,
    n_shuffles: int = 20,
    n_bootstrap: int = 1000,
    n_halves: int = 8,
    n_permutations: int = 999,
    seed: int = 0,
    confidence: float = 0.95,
    n_threads: int | None = None,
    progress: bool = False,
) -> SharedSpace:
    """Measure both notions of a space that languages share: features, and neighbourhoods.

    By layer: how many features translations share (`feature_sharing`); ILO, bridge, reach,
    translation share and what is read beside them, once of hidden states and once of feature
    vectors (`LineFeatures.means`). By pair of languages: the same where it has pairs. And how the
    excess of sharing goes with each score, over layers and over pairs of languages.

    Parameters
    ----------
    model, transcoder, tokenizer
        As `open_transcoder` gives them.
    corpus
        Parallel text, its documents the units of intervals.
    table
        Of `line_features` of this corpus, where it is there already; of `line_influence` with
        ``by="influence"``.
    representations
        Of `extract` of this corpus, all layers. Feature layer l is set beside hidden states l + 1:
        those behind block l, the first that its features have written into. They are pooled as
        published, over all tokens; pass others to have it otherwise.
    by, max_density, match_length, n_shuffles, n_bootstrap
        As of `feature_sharing`. Features that are always on are left out of feature vectors, too.
    measure
        Whose excess is correlated: ``"jaccard"``, ``"weighted_jaccard"`` or ``"cosine"``.
    n_neighbors, threshold, metric
        As of `overlap`. threshold None: 3, or as many other languages as there are.
    beside
        Also retrieval, MEXA, mutual k-NN, CKA and others, of which overlap is a tenth of the cost.
    n_halves
        Pairs of random halves of the documents for intervals of scores; 0: none.
    n_permutations
        Of the languages, for p values over pairs.
    seed, confidence, n_threads, progress
        As of `feature_sharing`.

    Returns
    -------
    SharedSpace

    Raises
    ------
    CorpusError, ValueError
        As `line_features`, `extract`, `feature_sharing` and `overlap`; fewer than 12 lines have a
        feature vector in all languages.

    Notes
    -----
    A line without an active feature has no direction: lines that lack one in any language are left
    out of all scores (`n_left_out`), layers in which that is more than a tenth of the lines are not
    measured (`not_measured`). A correlation over a handful of layers says little; over pairs the
    interval takes languages as a sample of languages, and p comes of permuting them.
    """
    began = time.perf_counter()
    choice("measure", measure, MEASURES)
    check_metric(metric)
    whole_number("n_halves", n_halves, least=0)
    whole_number("n_permutations", n_permutations, least=0)
    if table is None:
        if by == "influence":
            raise ValueError("by='influence' needs table=line_influence(...)")
        table = line_features(model, transcoder, corpus, tokenizer=tokenizer, progress=progress)
    if representations is None:
        representations = extract(model, corpus, tokenizer=tokenizer, progress=progress)
    sharing = feature_sharing(
        table, by=by, max_density=max_density, match_length=match_length, n_shuffles=n_shuffles,
        n_bootstrap=n_bootstrap, seed=seed, confidence=confidence, n_threads=n_threads,
        progress=progress,
    )  # fmt: skip
    table = table.of_columns(not_always_on(table, max_density)[0])
    languages = table.languages
    hidden = _hidden_layers(representations, languages, table.n_layers)
    fewest = min(len(hidden[code][0]) for code in languages)
    if fewest <= sharing.lines.max():
        raise ValueError(
            f"representations have {fewest} sentences, table has line {sharing.lines.max() + 1}: "
            "make both of the same corpus"
        )
    kept, measured, rows = _kept_lines(table)
    lines = sharing.lines[kept]
    if threshold is None:
        threshold = min(3, len(languages) - 1)
    options = SpaceOptions(n_neighbors, threshold, metric, thread_count(n_threads))
    documents = [str(document) for document in sharing.documents[kept]]
    halves = Halves.draw(
        len(lines), documents, least=_LEAST_LINES, n_draws=max(1, n_halves), seed=seed
    )
    chosen = [half for pair in halves.pairs for half in pair] if n_halves else []
    whole: dict[str, list[LayerFound | None]] = {source: [] for source in SOURCES}
    parts: dict[str, list[list[LayerFound]]] = {source: [] for source in SOURCES}
    with cost_bar(
        progress, "both spaces", cost=2 * table.n_layers, items=2 * table.n_layers, unit="layer"
    ) as bar:
        for layer in range(table.n_layers):
            one = table.of_layer(layer)
            for source in SOURCES:
                if layer not in measured:
                    whole[source].append(None)
                    continue
                vectors: Rows = (
                    {code: np.asarray(hidden[code][layer])[lines] for code in languages}
                    if source == "hidden"
                    else {c: one.means(c)[0][rows[at]] for at, c in enumerate(languages)}
                )
                whole[source].append(layer_scores(vectors, options, beside=beside))
                parts[source].append(
                    [
                        layer_scores({c: v[h] for c, v in vectors.items()}, options, beside=False)
                        for h in chosen
                    ]
                )
                bar.advance(1, 1)
    note = halves.reason if n_halves else "n_halves=0"
    scores = {
        source: _layer_table(whole[source], parts[source], halves, confidence, len(chosen))
        for source in SOURCES
    }
    pairs = {source: _pair_tables(whole[source], len(languages)) for source in SOURCES}
    of_halves = _sharing_of_halves(sharing, measure, kept, chosen)
    correlations = _Correlations(sharing, measure, measured, scores, pairs, parts, of_halves)
    return SharedSpace(
        languages=languages,
        layers=sharing.layers,
        sharing=sharing,
        measure=measure,
        scores=scores,
        pairs=pairs,
        correlations=correlations.all(confidence, n_permutations, seed),
        n_lines=len(lines),
        n_left_out=int((~kept).sum()),
        not_measured=tuple(h for h in range(table.n_layers) if h not in measured),
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric=metric,
        n_halves=n_halves,
        n_permutations=n_permutations,
        seed=seed,
        confidence=confidence,
        interval_note=note,
        info={"seconds": time.perf_counter() - began},
    )


def _hidden_layers(
    representations: Mapping[str, Any], languages: tuple[str, ...], n_layers: int
) -> dict[str, Any]:
    """Language -> the hidden states behind each block, a mapping of its number to (n, d)."""
    absent = [code for code in languages if code not in representations]
    if absent:
        raise ValueError(f"representations lack the language {absent[0]} of the table")
    there = len(representations[languages[0]])
    numbers = list(getattr(representations, "layers", range(there)))
    missing = [h + 1 for h in range(n_layers) if h + 1 not in numbers]
    if missing:
        raise ValueError(
            f"representations lack layer {missing[0]} of the {n_layers} behind the blocks: extract "
            "all layers"
        )
    return {
        code: {h: representations[code][numbers.index(h + 1)] for h in range(n_layers)}
        for code in languages
    }


def _kept_lines(
    table: LineFeatures,
) -> tuple[NDArray[np.bool_], list[int], list[NDArray[np.int64]]]:
    """Lines with a vector everywhere, layers that are measured, rows of each language's own."""
    lines, row_of = parallel_rows(table)
    has = np.zeros((len(table), table.n_layers), bool)
    has[table.rows, table.indices // table.n_features] = True
    full: NDArray[np.bool_] = np.all(has[row_of], axis=0)  # (lines, layers)
    measured = np.flatnonzero((~full).mean(axis=0) <= _MOST_EMPTY).tolist()
    kept: NDArray[np.bool_] = np.all(full[:, measured], axis=1)
    if not measured or kept.sum() < _LEAST_LINES:
        raise ValueError(
            f"{int(kept.sum())} of {len(lines)} lines have an active feature in all languages and "
            f"layers that can be measured, wanted {_LEAST_LINES} or more: use more text, or a "
            "transcoder whose features are active"
        )
    starts = np.searchsorted(table.language, np.arange(len(table.languages)))
    return kept, measured, [rows[kept] - first for rows, first in zip(row_of, starts, strict=True)]


def _layer_table(
    whole: list[LayerFound | None],
    parts: list[list[LayerFound]],
    halves: Halves,
    confidence: float,
    n_parts: int,
) -> dict[str, SpaceScore]:
    """Means over languages by layer, with intervals where halves have the score."""
    found = [one for one in whole if one is not None]
    out = {}
    for name in found[0].means:
        low = high = np.full(len(found), np.nan)
        values = np.array([one.means[name] for one in found])
        if n_parts and name in parts[0][0].means:
            of = np.array([[half.means[name] for half in of_layer] for of_layer in parts]).T
            low, high = halves.interval(
                values, list(of[::2] - of[1::2]), level=confidence, lowest=0.0, highest=1.0,
                share=True, at_halves=of.mean(axis=0),
            )  # fmt: skip
        chance = np.array([one.chance.get(name, math.nan) for one in found])
        out[name] = SpaceScore(*(_spread(x, whole) for x in (values, low, high, chance)))
    return out


def _spread(values: Array, whole: list[LayerFound | None]) -> Array:
    """Of the measured layers, as of all."""
    out = np.full((len(whole), *values.shape[1:]), np.nan)
    out[[h for h, one in enumerate(whole) if one is not None]] = values
    return out


def _pair_tables(whole: list[LayerFound | None], n_languages: int) -> dict[str, Array]:
    found = [one for one in whole if one is not None]
    return {
        name: _spread(np.stack([one.pairs[name] for one in found]), whole)
        for name in found[0].pairs
    }


def _sharing_of_halves(
    sharing: FeatureSharing,
    measure: str,
    kept: NDArray[np.bool_],
    chosen: list[NDArray[np.int64]],
) -> list[Array]:
    """(layers, languages, languages) of each half: the excess over the documents in it."""
    sums, n = sharing.document_sums[measure], len(sharing.languages)
    sizes = np.bincount(sharing.documents)
    first, second = np.triu_indices(n, 1)
    out = []
    for half in chosen:
        of = np.unique(sharing.documents[kept][half])
        square = np.full((sums.shape[2], n, n), np.nan)
        values = (sums[of].sum(axis=0) / sizes[of].sum()).T
        square[:, first, second] = square[:, second, first] = values
        out.append(square)
    return out


class _Correlations:
    """Of the excess of sharing with every score."""

    def __init__(
        self,
        sharing: FeatureSharing,
        measure: str,
        measured: list[int],
        scores: Mapping[str, Mapping[str, SpaceScore]],
        pairs: Mapping[str, Mapping[str, Array]],
        parts: Mapping[str, list[list[LayerFound]]],
        of_halves: list[Array],
    ) -> None:
        self.sharing, self.measured = sharing[measure], measured
        self.scores, self.pairs, self.parts, self.of_halves = scores, pairs, parts, of_halves

    def all(
        self, confidence: float, n_permutations: int, seed: int
    ) -> tuple[SpaceCorrelation, ...]:
        """Over layers, then over pairs: in the mean over layers, and at each."""
        out = []
        for source in SOURCES:
            for name, score in self.scores[source].items():
                of_layers = layer_correlation(
                    self.sharing.mean_excess.values[self.measured],
                    score.values[self.measured],
                    self._halves_of_layers(source, name),
                    confidence,
                )
                out.append(SpaceCorrelation("layers", source, name, None, of_layers))
        for source in SOURCES:
            for name, values in self.pairs[source].items():
                for layer in (None, *self.measured):
                    at = self.measured if layer is None else [layer]
                    of_pairs = pair_correlation(
                        self.sharing.excess.values[at].mean(axis=0),
                        values[at].mean(axis=0),
                        self._halves_of_pairs(source, name, at),
                        confidence,
                        n_permutations=n_permutations,
                        seed=seed,
                    )
                    out.append(SpaceCorrelation("pairs", source, name, layer, of_pairs))
        return tuple(out)

    def _halves_of_layers(self, source: str, name: str) -> list[tuple[Array, Array]]:
        parts = self.parts[source]
        if not self.of_halves or name not in parts[0][0].means:
            return []
        return [
            (
                np.nanmean(excess[self.measured], axis=(1, 2)),
                np.array([of_layer[number].means[name] for of_layer in parts]),
            )
            for number, excess in enumerate(self.of_halves)
        ]

    def _halves_of_pairs(
        self, source: str, name: str, layers: list[int]
    ) -> list[tuple[Array, Array]]:
        parts = [self.parts[source][self.measured.index(h)] for h in layers]
        if not self.of_halves or name not in parts[0][0].pairs:
            return []
        return [
            (
                excess[layers].mean(axis=0),
                np.mean([of_layer[number].pairs[name] for of_layer in parts], axis=0),
            )
            for number, excess in enumerate(self.of_halves)
        ]
