"""Which features translations have in common, wherever in the line they are active."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import choice, real_number, truth, whole_number
from ilo_fast._util.checks import share as checked_share
from ilo_fast._util.progress import share_bar
from ilo_fast.errors import CorpusError
from ilo_fast.graph.options import thread_count
from ilo_fast.transcoders.multilingual.by_language import rates
from ilo_fast.transcoders.multilingual.document_bootstrap import (
    DocumentBootstrap,
    Estimated,
)
from ilo_fast.transcoders.multilingual.line_features import LineFeatures
from ilo_fast.transcoders.multilingual.sharing.partners import other_lines
from ilo_fast.transcoders.multilingual.sharing.sharing_result import (
    KINDS,
    MEASURES,
    FeatureSharing,
    Sharing,
)

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_MASS: Final = {"activation": 1.0, "influence": 0.8}
_LEAST_DOCUMENTS: Final = 10  # of fewer no interval is made
_VALUES: Final = {"activation": "maxima", "influence": "sums"}


def feature_sharing(
    table: LineFeatures,
    *,
    by: Literal["activation", "influence"] = "activation",
    values: Literal["maxima", "sums"] | None = None,
    mass: float | None = None,
    max_density: float = 0.5,
    n_shuffles: int = 20,
    match_length: bool = False,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    n_threads: int | None = None,
    progress: bool = False,
) -> FeatureSharing:
    """How many features lines share with their translations, and how many with other lines.

    Of two lines, layer by layer: the Jaccard similarity of the sets of features that are active
    anywhere in them; the weighted Jaccard similarity of the features' values (the sum of the
    smaller over the sum of the larger ones); their cosine. The mean over lines is `shared`. The
    same of lines with lines of other documents in the other language is `null`; `excess` is the
    difference: what translations share because they mean the same, or name the same.

    Parameters
    ----------
    table
        Parallel lines, of `line_features`, or of `line_influence` with ``by="influence"``.
    by
        What the table's numbers are.
    values
        A feature's value in a line: its largest activation (``"maxima"``, the default), or the sum
        over tokens (``"sums"``, the default by influence).
    mass
        Of each line and layer, only the strongest features that together carry this share of the
        values count. None: 1, all of them; 0.8 by influence, where nearly all have a little.
    max_density
        Features that are active at more than this share of the tokens, in the mean over languages,
        are left out, at every layer alike: they are in common to any two lines.
    n_shuffles
        How often lines are paired with others; 1 or more. The same pairs at every layer.
    match_length
        Others are lines of about the same number of tokens. Translations are about equally long,
        and long lines have more features: without, that is part of the excess.
    n_bootstrap, confidence, seed
        Draws of documents for the intervals, and their confidence; of draws and shuffles.
    n_threads
        All that the process may use. The numbers are the same for any.
    progress
        A bar on stderr.

    Returns
    -------
    FeatureSharing

    Raises
    ------
    CorpusError, ValueError
        Lines that are not parallel, fewer than two languages or lines in common to all; no
        feature is left; a number out of its range.

    Notes
    -----
    A line without an active feature in a layer shares nothing there: 0, as with other lines, and
    `n_empty` counts them. The null's uncertainty counts each line as first and as second of its
    shuffled pairs. Intervals are percentiles of the draws, widened by Student's t; fewer than 10
    documents have none.
    """
    began = time.perf_counter()
    choice("by", by, tuple(_MASS))
    chosen = choice("values", values or _VALUES[by], ("maxima", "sums"))
    mass = checked_share("mass", _MASS[by] if mass is None else mass)
    max_density = checked_share("max_density", max_density)
    whole_number("n_shuffles", n_shuffles)
    whole_number("n_bootstrap", n_bootstrap, least=100)
    whole_number("seed", seed, least=0)
    truth("match_length", match_length)
    if not 0 < real_number("confidence", confidence) < 1:
        raise ValueError(f"confidence={confidence} must be between 0 and 1, like 0.95")
    lines, row_of = parallel_rows(table)
    kept, n_always_on = not_always_on(table, max_density)
    numbers = getattr(table, chosen)
    if not np.isfinite(numbers).all():
        raise ValueError(f"table holds NaN or infinity in its {chosen}")
    # No measure depends on the unit; the core multiplies in float32.
    unit = -int(np.frexp(numbers.max(initial=0.0))[1])
    table = replace(table, maxima=np.ldexp(numbers, unit).astype(np.float32))
    table = table if kept.all() else table.of_columns(kept)
    table = strongest(table, mass)
    if not len(table.indices):
        raise ValueError("table has no active feature left that is not always on")
    documents, n_of_document = np.unique(
        table.document[row_of[0]], return_inverse=True, return_counts=True
    )[1:]
    lengths = table.tokens[row_of].sum(axis=0) if match_length else None
    partners, same_document = other_lines(documents, n_shuffles, lengths=lengths, seed=seed)
    with share_bar(progress, "sharing") as update:
        matched, others = _core.sum_sharing(
            table.indptr, table.indices, table.maxima,
            row_of=row_of, documents=documents.astype(np.int32), partners=partners,
            n_layers=table.n_layers, n_features=table.n_features, n_documents=len(n_of_document),
            n_threads=thread_count(n_threads), progress=update,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    bootstrap = DocumentBootstrap(
        n_of_document.astype(np.float64),
        n_draws=n_bootstrap,
        seed=seed,
        confidence=confidence,
        least_documents=_LEAST_DOCUMENTS,
    )
    n_languages, measures, sums_of = len(table.languages), {}, {}
    for at, name in enumerate(MEASURES):
        shared = matched[..., at].transpose(2, 0, 1)  # (documents, pairs, layers)
        both = others[..., at].transpose(2, 0, 1)
        # As first and as second, less the mean: what a document adds to the null (Hoeffding).
        mean = both.sum(axis=0) / (2 * len(lines))
        null = both - mean * n_of_document[:, None, None]
        sums = dict(zip(KINDS, (shared, null, shared - null), strict=True))
        of_pairs = {kind: _square(bootstrap.means(sums[kind]), n_languages) for kind in KINDS}
        of_all = {f"mean_{kind}": bootstrap.means(sums[kind].mean(axis=1)) for kind in KINDS}
        measures[name] = Sharing(**of_pairs, **of_all)
        sums_of[name] = sums["excess"]
    return FeatureSharing(
        languages=table.languages,
        layers=tuple(range(table.n_layers)),
        measures=measures,
        by=by,
        values=chosen,
        mass=mass,
        max_density=max_density,
        n_always_on=n_always_on,
        n_empty=empty_lines(table, row_of),
        n_lines=len(lines),
        n_documents=len(n_of_document),
        n_shuffles=n_shuffles,
        n_bootstrap=n_bootstrap,
        seed=seed,
        confidence=confidence,
        same_document=same_document,
        match_length=match_length,
        document_sums=sums_of,
        lines=lines,
        documents=documents,
        info={
            "seconds": time.perf_counter() - began, "seconds_counting": seconds,
            "lines_left_out": int(len(table) / n_languages - len(lines)),
        },
    )  # fmt: skip


def parallel_rows(table: LineFeatures) -> tuple[Integers, Integers]:
    """Lines that all languages have, and the rows of the table that they are in.

    Returns (lines,) and (languages, lines), lines ascending.

    Raises
    ------
    CorpusError
        Lines are not parallel, or too few languages or lines.
    """
    if not table.is_parallel:
        raise CorpusError("table is of text that is not parallel: pass a ParallelCorpus")
    if len(table.languages) < 2:
        raise CorpusError(f"table has {len(table.languages)} languages, wanted 2 or more")
    own = [np.flatnonzero(table.language == at) for at in range(len(table.languages))]
    lines = table.line[own[0]]
    for rows in own[1:]:
        lines = np.intersect1d(lines, table.line[rows])
    if len(lines) < 2:
        raise CorpusError(f"all languages have {len(lines)} lines in common, wanted 2 or more")
    return lines, np.stack([rows[np.searchsorted(table.line[rows], lines)] for rows in own])


def not_always_on(
    table: LineFeatures, max_density: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Features whose density is at most `max_density`, and how many of each layer are not."""
    kept = rates(table).mean(axis=0) <= max_density
    return kept, (~kept).reshape(table.n_layers, -1).sum(axis=1)


def strongest(table: LineFeatures, mass: float) -> LineFeatures:
    """Of each row and layer, the largest `maxima` that together are `mass` of them; none of zero.

    Always at least one, where there is any.
    """
    positive = table.maxima > 0
    if mass >= 1 and positive.all():
        return table
    kept = positive
    if mass < 1:
        segment = table.rows * table.n_layers + table.indices // table.n_features
        order = np.lexsort((-table.maxima, segment))
        values, segment = table.maxima[order].astype(np.float64), segment[order]
        total = np.bincount(segment, values)[segment]
        first = np.searchsorted(segment, segment)
        running = np.cumsum(values)
        before = running - values - (running - values)[first]
        kept = np.zeros(len(values), bool)
        kept[order] = before < mass * total * (1 - 1e-12)
        kept &= positive
    ends = np.concatenate([[0], np.cumsum(kept)])
    return replace(
        table,
        indptr=ends[table.indptr],
        **{name: getattr(table, name)[kept] for name in ("indices", "counts", "sums", "maxima")},
    )


def empty_lines(table: LineFeatures, row_of: Integers) -> NDArray[np.int64]:
    """(layers, languages): of the lines in `row_of`, those without an active feature."""
    has = np.zeros((len(table), table.n_layers), bool)
    has[table.rows, table.indices // table.n_features] = True
    counts: NDArray[np.int64] = (~has[row_of]).sum(axis=1).T
    return counts


def _square(of_pairs: Estimated, n_languages: int) -> Estimated:
    """(pairs, layers) as (layers, languages, languages)."""
    first, second = np.triu_indices(n_languages, 1)

    def full(values: Array) -> Array:
        out = np.full((values.shape[1], n_languages, n_languages), np.nan)
        out[:, first, second] = out[:, second, first] = values.T
        return out

    return Estimated(full(of_pairs.values), full(of_pairs.low), full(of_pairs.high))
