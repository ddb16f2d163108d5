"""Two measurements side by side."""

from __future__ import annotations

from collections.abc import Sequence

from ilo_fast._util.messages import listed
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
