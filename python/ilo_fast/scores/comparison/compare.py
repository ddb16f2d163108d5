"""Models side by side on one corpus: paired differences, best layers, ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ilo_fast._util.checks import truth, whole_number
from ilo_fast.scores.certainty.intervals import check_level
from ilo_fast.scores.comparison.comparable import check_alike
from ilo_fast.scores.comparison.models import MeasuredModel, Targets, measured, targets_of
from ilo_fast.scores.comparison.records import BestLayer, Difference, LayerValue, Rank
from ilo_fast.scores.comparison.result import Comparison
from ilo_fast.scores.comparison.score import ComparedModels
from ilo_fast.scores.result import OverlapScores


def compare(
    scores: Mapping[str, OverlapScores],
    *,
    level: float = 0.95,
    paired: bool = True,
    seed: int = 0,
    n_draws: int = 4999,
) -> Comparison:
    """Compare models, checkpoints or poolings that were measured on the same corpus.

    Every score of every layer, language and group of languages of one model minus that of another,
    with its interval, p, and p corrected for the many differences looked at. Languages are taken as
    they are; sentences are what would be others if the study were repeated.

    Parameters
    ----------
    scores
        Name -> scores of ``overlap(..., intervals=True)`` or of a folder of ``ilo-fast run``; two
        or more.
    level
        Of intervals, sets of best layers and intervals of ranks; between 0.5 and 1.
    paired
        True: all were measured on the same sentences, and what a sentence does to all of them
        cancels. False: samples of different sentences, of equal size; their variances add.
    seed, n_draws
        Of the draws that correct p, and decide on best layers and ranks.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        Fewer than two models, scores without replicates, or of another corpus, other languages or
        settings (names them), or fewer than 10 units.

    Notes
    -----
    Standard errors are of the difference itself (`ilo_fast.scores.certainty.intervals`); intervals
    by Student's t. Corrected p: step-down maxT (Westfall and Young 1993) over all pairs, layers and
    groups of one score and grouping. Where their measured layers differ, only the best layers
    of two models are subtracted.
    """
    _check_numbers(level, seed, n_draws)
    check_alike(scores, paired=truth("paired", paired))
    first = next(iter(scores.values()))
    targets = targets_of(first.languages, by_language=True)
    models = [measured(name, one, first.languages, targets, level) for name, one in scores.items()]
    return _compared(models, first, targets, level, paired, seed, n_draws)


def compare_layers(
    scores: OverlapScores, *, level: float = 0.95, seed: int = 0, n_draws: int = 4999
) -> Comparison:
    """Compare the layers of one model, each with every other; means and groups of languages.

    Parameters and errors as `compare`; the layers are named ``"layer 0"``, ...
    """
    _check_numbers(level, seed, n_draws)
    named = {f"layer {layer}": scores.select(layers=[layer]) for layer in scores.layers}
    check_alike(named, paired=True)
    targets = targets_of(scores.languages, by_language=False)
    models = [measured(name, one, scores.languages, targets, level) for name, one in named.items()]
    return _compared(models, scores, targets, level, True, seed, n_draws)


def _compared(
    models: Sequence[MeasuredModel],
    first: OverlapScores,
    targets: Targets,
    level: float,
    paired: bool,
    seed: int,
    n_draws: int,
) -> Comparison:
    curves: list[LayerValue] = []
    best: list[BestLayer] = []
    ranks: list[Rank] = []
    differences: list[Difference] = []
    for number, score in enumerate(models[0].values):
        one = ComparedModels(score, models, targets, level, paired)
        one.draw((seed, number), n_draws)
        curves += one.curves()
        best += one.best_layers()
        ranks += one.ranks()
        differences += one.differences()
    replicates = first.replicates
    assert replicates is not None
    return Comparison(
        names=tuple(m.name for m in models),
        layers=tuple(m.layers for m in models),
        languages=first.languages,
        n_sentences=first.n_sentences,
        n_neighbors=first.n_neighbors,
        threshold=first.threshold,
        metric=first.metric,
        unit=replicates.unit,
        n_units=tuple(m.n_units for m in models),
        level=level,
        paired=paired,
        text_known=all(m.text_known for m in models),
        seed=seed,
        n_draws=n_draws,
        curves=tuple(curves),
        best_layers=tuple(best),
        ranks=tuple(ranks),
        differences=tuple(differences),
    )


def _check_numbers(level: float, seed: int, n_draws: int) -> None:
    check_level(level)
    whole_number("seed", seed, least=0)
    whole_number("n_draws", n_draws, least=99)
