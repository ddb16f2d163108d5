"""Which measurements may be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ilo_fast._util.messages import counted, listed
from ilo_fast.graph.options import APPROXIMATE
from ilo_fast.scores.result import OverlapScores


def check_comparable(before: OverlapScores, after: OverlapScores, languages: Sequence[str]) -> None:
    """Raise where the difference of two scores would mean nothing, or lacks `languages`.

    Raises
    ------
    ValueError
        Layers, settings or languages that differ, or that are missing.
    """
    for name, one, other in (
        ("layers", before.layers, after.layers),
        ("n_neighbors", before.n_neighbors, after.n_neighbors),
        ("threshold", before.threshold, after.threshold),
        ("metric", before.metric, after.metric),
    ):
        if one != other:
            raise ValueError(
                f"before and after differ in {name} ({one} and {other}), so they cannot be "
                "compared: measure both alike"
            )
    # The neighbours of one language depend on which others are there.
    if set(before.languages) != set(after.languages):
        odd = sorted(set(before.languages) ^ set(after.languages))
        raise ValueError(
            f"before and after are of different languages ({listed(odd)} only in one), so they "
            "cannot be compared: measure both on the same text"
        )
    missing = [code for code in languages if code not in before.languages]
    if missing:
        raise ValueError(
            f"before and after lack {listed(missing)}, which have been evaluated: measure the "
            "overlap of all languages, or evaluate those alone that it has (languages=, on the "
            "command line --languages)"
        )


def check_alike(scores: Mapping[str, OverlapScores], *, paired: bool) -> None:
    """Raise where models cannot be compared sentence by sentence, or sample by sample.

    Parameters
    ----------
    scores
        Name of each model -> what was measured; two or more.
    paired
        Whether all were measured on the same sentences.

    Raises
    ------
    ValueError
        Scores without replicates, or of other settings, languages or sentences; names them.
    """
    if not isinstance(scores, Mapping):
        raise TypeError(
            f"scores must map a name to each model's OverlapScores, got {type(scores).__name__}"
        )
    if len(scores) < 2:
        raise ValueError(f"scores holds {counted(len(scores), 'model')}: a comparison needs two")
    for name, one in scores.items():
        if not isinstance(one, OverlapScores):
            raise TypeError(f"scores[{name!r}] must be OverlapScores, got {type(one).__name__}")
        if one.replicates is None and one.intervals is not None and one.intervals.reason:
            raise ValueError(
                f"scores[{name!r}] has no intervals, so that nothing can be compared: "
                f"{one.intervals.reason}"
            )
        if one.replicates is None:
            raise ValueError(
                f"scores[{name!r}] carries no replicates, of which intervals are made: "
                f"{_how_to_have_them(one)}"
            )
    (first, one), *others = scores.items()
    for name, other in others:
        odd = sorted(set(one.languages) ^ set(other.languages))
        if odd:
            raise ValueError(
                f"{first!r} and {name!r} are of different languages ({listed(odd)} only in one): "
                "the neighbours of one language depend on which others are there"
            )
        for what, here, there in _facts(one, other, paired):
            if here != there:
                raise ValueError(
                    f"{first!r} and {name!r} differ in {what} ({here} and {there}), so that their "
                    "scores cannot be compared: measure both alike"
                )


def _how_to_have_them(scores: OverlapScores) -> str:
    """What to do where scores carry no replicates."""
    if scores.intervals is None:
        return "measure it again with intervals=True"
    # They are of the whole pool, and `replicates.npz` lies beside the file alone.
    return (
        "compare before selecting languages, and read scores from their folder, with "
        "replicates.npz beside scores.json"
    )


def _facts(
    one: OverlapScores, other: OverlapScores, paired: bool
) -> Iterator[tuple[str, Any, Any]]:
    """What must be the same in two scores: its name, here and there."""
    here, there = one.replicates, other.replicates
    assert here is not None and there is not None
    for name in ("n_neighbors", "threshold", "metric"):
        yield name, getattr(one, name), getattr(other, name)
    # Approximate neighbours are others; all other backends give the same.
    named = [s.info.get("backend") for s in (one, other)]
    found = [name if name in APPROXIMATE else "exact" for name in named]
    yield "backend", found[0], found[1]
    yield "their unit", here.unit, there.unit
    # How far a neighbourhood reaches depends on how many points there are.
    of_other = dict(zip(other.languages, other.n_sentences, strict=True))
    for code, n in zip(one.languages, one.n_sentences, strict=True):
        yield f"the number of sentences of {code}", n, of_other[code]
    parallel = [s.translation_share is not None for s in (one, other)]
    yield "whether their text is known to be parallel", parallel[0], parallel[1]
    if not paired:
        return
    yield f"the number of {here.unit}s", here.n_units, there.n_units
    if here.units_sha256 is not None and there.units_sha256 is not None:
        # Of equal length, so that the hashes differ where they are shown.
        yield "their text or its documents", here.units_sha256[:12], there.units_sha256[:12]
    if here.unit == "point":
        yield "the order of their languages", listed(one.languages), listed(other.languages)
    yield "the seed of their subsets", here.seed, there.seed
    yield "the size of their subsets", here.n_kept, there.n_kept
    yield "the number of their subsets", len(here.subsets.points), len(there.subsets.points)
