"""Loss per language when the features of one language are switched off, beside random features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ilo_fast._util.checks import choice, whole_number
from ilo_fast._util.holm import holm_p
from ilo_fast._util.max_t import step_down_p
from ilo_fast._util.progress import cost_bar
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.transcoders.multilingual.by_language import summed
from ilo_fast.transcoders.multilingual.documents import in_turn, mean_interval
from ilo_fast.transcoders.multilingual.language_features.ablated import Ablation
from ilo_fast.transcoders.multilingual.language_features.ablation_table import AblationMatrix
from ilo_fast.transcoders.multilingual.language_features.language_features_table import (
    LanguageFeatures,
)
from ilo_fast.transcoders.multilingual.line_features import LineFeatures, line_features
from ilo_fast.transcoders.multilingual.lines import (
    Lines,
    line_ids,
    numbered_lines,
    position_limit_of,
)
from ilo_fast.transcoders.multilingual.matched import column_numbers, matched_features
from ilo_fast.transcoders.reading import MLPReader
from ilo_fast.transcoders.replacement import ReplacementModel
from ilo_fast.transcoders.transcoder import CrossLayerTranscoder

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Match = Literal["all", "language"]
MATCHES: Final = ("all", "language")


def ablation_matrix(
    model: nn.Module,
    transcoder: CrossLayerTranscoder,
    features_by_language: LanguageFeatures | Mapping[str, Sequence[int] | Integers],
    texts: ParallelCorpus | Mapping[str, Sequence[str]],
    *,
    tokenizer: Any,
    documents: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    table: LineFeatures | None = None,
    n_lines: int = 40,
    n_random: int = 200,
    match: Match = "all",
    exclude: Sequence[int] | Integers = (),
    seed: int = 0,
    progress: bool = False,
) -> AblationMatrix:
    """Switch off each language's features in the running model, and see what it costs where.

    Parameters
    ----------
    model, transcoder, texts, tokenizer, documents
        As `line_features` takes them; the model with its head.
    features_by_language
        Of `language_features` on the same texts and documents: those that it kept, on lines of the
        documents that did not select them. Or language -> columns (layer * n_features + feature),
        on all lines: then it is up to the caller that features were not found on them.
    table
        `line_features` of the texts, for density and strength of features. None: computed.
    n_lines
        Of each language at most, drawn by document, the same of all languages where lines are
        parallel.
    n_random
        Sets of random features for each set, matched on layer, density, and decoder norm times mean
        activation.
    match
        Density is that in all text (``"all"``), or in the set's own language (``"language"``): then
        random features are as often active there as those of the set, and the question is no longer
        whether it matters that they are.
    exclude
        Columns that no random set has: `LanguageFeatures.passed`, say, where so many features are
        of a language that random ones often are, too.
    seed
        Of the lines and the random features.
    progress
        A bar on stderr.

    Raises
    ------
    CorpusError, ValueError
        As `line_features`; no language has a feature; a layer has too few others to match.

    Notes
    -----
    It costs a forward pass over all lines for every set, random ones included: (1 + n_random) times
    the number of languages with features.
    """
    choice("match", match, MATCHES)
    whole_number("n_random", n_random)
    whole_number("n_lines", n_lines)
    replacement = ReplacementModel(model, transcoder)
    lines = numbered_lines(texts, documents)
    sets = _sets(features_by_language, transcoder, lines.languages)
    rows = _chosen(lines, features_by_language, n_lines, seed)
    if table is None:
        table = line_features(
            model, transcoder, texts, tokenizer=tokenizer, documents=documents, progress=progress
        )
    if (table.n_columns, len(table)) != (_width(transcoder), len(lines.language)):
        raise ValueError(
            f"table has {len(table)} lines of {table.n_columns} features, the texts "
            f"{len(lines.language)} of {_width(transcoder)}: pass line_features of these"
        )
    limit = position_limit_of(model, MLPReader(model, (replacement.parts, replacement.sites)))
    ids = line_ids(tokenizer, _some(lines, rows), replacement.skip_positions, limit)
    runs = Ablation(replacement, ids)
    cells = _Cells(lines.language[rows], lines.document[rows], len(lines.languages), runs.tokens)
    base = runs.losses()
    change = np.empty((len(sets), len(lines.languages)))
    low, high = np.empty_like(change), np.empty_like(change)
    random = np.empty((len(sets), n_random, len(lines.languages)))
    n_runs = len(sets) * (1 + n_random)
    with cost_bar(progress, "switching off", cost=n_runs, items=n_runs, unit="set") as bar:
        for a, (name, columns) in enumerate(sets.items()):
            density, norms = _density(table, transcoder, name if match == "language" else None)
            drawn = matched_features(
                columns, density, norms, transcoder.n_features,
                n_sets=n_random, seed=seed + a, exclude=exclude,
            )  # fmt: skip
            change[a], low[a], high[a] = cells.intervals(runs.losses(columns) - base)
            bar.advance(1, 1)
            for at, other in enumerate(drawn):
                random[a, at] = cells.means(runs.losses(other) - base)
                bar.advance(1, 1)
    every = np.concatenate([change[:, None], random], axis=1)
    p = (every >= change[:, None] - 1e-12).mean(axis=1)
    own = _specificity(every, tuple(sets), lines.languages)
    own_p = np.where(np.isnan(own[:, 0]), np.nan, (own >= own[:, :1] - 1e-12).mean(axis=1))
    return AblationMatrix(
        tuple(sets), lines.languages, sets, cells.means(base), change, low, high, random,
        p, holm_p(p), step_down_p(every.swapaxes(0, 1)),
        own[:, 0], own_p, holm_p(own_p),
        cells.n_lines, cells.n_documents, cells.n_tokens,
        {"n_lines": n_lines, "n_random": n_random, "match": match, "n_excluded": len(exclude),
         "seed": seed,
         "on_test_documents": isinstance(features_by_language, LanguageFeatures)},
    )  # fmt: skip


class _Cells:
    """Sums of lines by language, and by document within it."""

    def __init__(
        self, language: Integers, document: Integers, n_languages: int, tokens: Floats
    ) -> None:
        self._language, self._document, self._n = language, document, n_languages
        self._tokens = tokens
        self._totals = np.bincount(language, tokens, minlength=n_languages)
        self.n_tokens = self._totals.astype(np.int64)
        self.n_lines = np.bincount(language, minlength=n_languages)
        pairs = np.unique(np.stack([language, document]), axis=1)
        self.n_documents = np.bincount(pairs[0], minlength=n_languages)

    def means(self, losses: Floats) -> Floats:
        """(languages,): per token."""
        return np.asarray(np.bincount(self._language, losses, minlength=self._n) / self._totals)

    def intervals(self, losses: Floats) -> tuple[Floats, Floats, Floats]:
        """Mean per token, low and high: each (languages,)."""
        out = np.empty((3, self._n))
        for code in range(self._n):
            mine = self._language == code
            sums, totals = (
                np.bincount(self._document[mine], values[mine]).astype(np.float64)
                for values in (losses, self._tokens)
            )
            out[:, code] = mean_interval(sums, totals)
        return out[0], out[1], out[2]


def _sets(
    given: LanguageFeatures | Mapping[str, Sequence[int] | Integers],
    transcoder: CrossLayerTranscoder,
    languages: tuple[str, ...],
) -> dict[str, Integers]:
    """Language -> columns, of those that have some."""
    if isinstance(given, LanguageFeatures):
        shape = (transcoder.n_layers, transcoder.n_features)
        if (given.n_layers, given.n_features) != shape or given.languages != languages:
            raise ValueError(
                f"features_by_language is of {given.n_layers} layers of {given.n_features} and "
                f"{given.languages}, wanted {shape[0]} of {shape[1]} and {languages}: find them on "
                "these texts"
            )
        given = {code: given.of(code) for code in given.languages}
    found = {
        name: np.unique(
            column_numbers(f"features_by_language of {name}", columns, _width(transcoder))
        )
        for name, columns in given.items()
        if len(columns)
    }
    if not found:
        raise ValueError("features_by_language has no feature of any language")
    return found


def _chosen(lines: Lines, features: Any, n_lines: int, seed: int) -> Integers:
    """Lines of the documents that did not select the features, at most so many of each language."""
    open_ = np.ones(len(lines.language), bool)
    if isinstance(features, LanguageFeatures):
        if len(features.test_documents) != int(lines.document.max()) + 1:
            raise ValueError(
                f"features_by_language knows {len(features.test_documents)} documents, the texts "
                f"have {int(lines.document.max()) + 1}: pass the texts and documents that it is of"
            )
        open_ = features.test_documents[lines.document]
    random = np.random.default_rng([whole_number("seed", seed, least=0), 4])
    # One order of documents and of line numbers for all languages: translations go together.
    by_document = random.permutation(int(lines.document.max()) + 1)[lines.document]
    kept = []
    for code in range(len(lines.languages)):
        mine = np.flatnonzero((lines.language == code) & open_)
        kept.append(mine[in_turn(by_document[mine])][:n_lines])  # as many documents as can be
    return np.sort(np.concatenate(kept))


def _some(lines: Lines, rows: Integers) -> Lines:
    return Lines(
        tuple(lines.texts[row] for row in rows), lines.languages, lines.language[rows],
        lines.line[rows], lines.document[rows], lines.is_parallel,
    )  # fmt: skip


def _width(transcoder: CrossLayerTranscoder) -> int:
    return transcoder.n_layers * transcoder.n_features


def _density(
    table: LineFeatures, transcoder: CrossLayerTranscoder, language: str | None
) -> tuple[Floats, Floats]:
    """Of every feature: share of tokens, and decoder norm times mean activation."""
    if language is not None:
        table = table.select([language])
    fired, sums = (summed(table, v).sum(axis=0) for v in (table.counts, table.sums))
    norms = transcoder.decoder_norms().detach().double().cpu().numpy().ravel()
    return fired / table.tokens.sum(), norms * sums / np.maximum(fired, 1)


def _specificity(every: Floats, sets: tuple[str, ...], languages: tuple[str, ...]) -> Floats:
    """(sets, 1 + n_random): change in the own language less the mean of the others."""
    out = np.full(every.shape[:2], np.nan)
    for a, name in enumerate(sets):
        if name in languages and len(languages) > 1:
            own = languages.index(name)
            others = np.delete(every[a], own, axis=1)
            out[a] = every[a, :, own] - others.mean(axis=1)
    return out
