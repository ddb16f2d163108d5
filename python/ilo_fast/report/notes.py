"""What a reader must know beside the numbers: caveats, and how the run went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ilo_fast._util.messages import counted, listed, plain
from ilo_fast.report.summary import best_layer_index, layer_means
from ilo_fast.scores.certainty.sample_size import size_warnings

if TYPE_CHECKING:
    from ilo_fast.scores.result import OverlapScores

# Below this multiple of chance, neighbours are not translations to any extent worth the name.
_MEANINGFUL_RATIO = 3.0

# Below this share of distinct rows, ties are no accident of a few equal sentences.
_FEW_COPIES = 0.9


def notes(scores: OverlapScores) -> list[str]:
    """Sentences that a reader needs beside the numbers: caveats, and how the run went."""
    limits = None if scores.limits is None else scores.limits.means()
    noise = "near 1" if limits is None else f"{limits['ilo_under_mixing']:.3f} here"
    found = [
        "ILO measures how much languages mix, not whether they mix by meaning: "
        f"unstructured noise scores {noise}. Read it beside the share of neighbours that are "
        "translations."
    ]
    best = layer_means(scores)[best_layer_index(scores)]
    if best.ilo == 0:
        found.append(
            f"ILO is 0 at every layer: no sentence has {scores.threshold} other languages among "
            f"its {scores.n_neighbors} neighbours. Layers can be told apart with more neighbours "
            "or a lower threshold."
        )
    if best.translation_share is None:
        found.append(
            "The text is not parallel (or not known to be), so the share of neighbours that are "
            "translations is not there to guard the ILO."
        )
    elif best.ilo and best.times_chance is not None and best.times_chance < _MEANINGFUL_RATIO:
        found.append(
            f"At layer {best.layer}, where mean ILO is highest, neighbours are translations only "
            f"{best.times_chance:.1f} times as often as chance: the mixing there is hardly by "
            "meaning."
        )
    found += size_warnings(
        scores.n_sentences, n_neighbors=scores.n_neighbors, threshold=scores.threshold
    )
    found += _interval_notes(scores)
    found += _representation_notes(scores.recorded("representations"))
    found += _graph_notes(scores)
    return found


def _interval_notes(scores: OverlapScores) -> list[str]:
    intervals = scores.intervals
    if intervals is None:
        return []
    if intervals.reason:
        return [f"No intervals: {intervals.reason}."]
    found = [
        f"Intervals of {100 * intervals.level:g} % say what other {intervals.unit}s, as many as "
        f"the {intervals.n_units} here, would give on average; a difference of two models is surer "
        "than they look: `ilo-fast compare`."
    ]
    for column, reason in list(intervals.reasons.items())[:3]:
        found.append(f"No intervals of {plain(scores.languages[column])}: {reason}.")
    return found


def _representation_notes(info: Mapping[str, Any]) -> list[str]:
    found = []
    special = info.get("special_tokens")
    if info.get("pooling", "mean") != "mean":
        published = ""  # which takes the mean
    elif special == "include":
        published = ", as in the published code"
    else:
        published = " (the published code counts them)"
    what = "mean over tokens" if published else f"pooling ({plain(info.get('pooling'))})"
    if special == "include":
        found.append(f"Special tokens count in the {what}{published}.")
    elif special == "exclude":
        found.append(f"Special tokens do not count in the {what}{published}.")
    truncated = info.get("truncated")
    if isinstance(truncated, Mapping):
        cut = {code: int(count) for code, count in truncated.items() if count}
        if cut:
            worst = sorted(cut, key=lambda code: (-cut[code], code))[:5]
            listed = ", ".join(f"{plain(code)} {cut[code]}" for code in worst)
            more = "" if len(cut) <= len(worst) else ", …"
            sentences = counted(sum(cut.values()), "sentence")
            languages = counted(len(cut), "language")
            found.append(
                f"Longer than the model takes, so cut: {sentences} in {languages} ({listed}{more})."
            )
    return found


def _graph_notes(scores: OverlapScores) -> list[str]:
    info = scores.info
    found = []
    every = [layer for layer in info.get("layers", ()) if isinstance(layer, Mapping)]
    layers = [layer for layer in every if "exact_because" not in layer and "recall" not in layer]
    certified = sum(int(layer.get("certified_rows", 0)) for layer in layers)
    fallback = sum(int(layer.get("widened_rows", 0)) for layer in layers)
    if certified + fallback:
        share = 100.0 * certified / (certified + fallback)
        what = "rows of tiles" if any("tiles" in layer for layer in layers) else "rows"
        found.append(
            f"Neighbours are exact: {certified} of {certified + fallback} {what} ({share:.2f} %) "
            f"were certified in the first pass, the fallback decided {fallback} in float64."
        )
    exact = next((layer["exact_because"] for layer in every if "exact_because" in layer), None)
    if exact is not None:
        found.append(f"Neighbours are exact, though not asked to be: {plain(exact)}.")
    copies = [
        layer["layer"]
        for layer in every
        if "layer" in layer
        and "unique_rows" in layer
        and layer["unique_rows"] < _FEW_COPIES * layer.get("rows", 0)
    ]
    if copies:
        found.append(
            f"At layer{'' if len(copies) == 1 else 's'} {listed(copies)} many rows are copies of "
            "others; among equal ones the order of rows decides which are neighbours, and scores "
            "there say little."
        )
    approximate = [layer for layer in every if "recall" in layer and "exact_because" not in layer]
    recalls = [float(layer["recall"]) for layer in approximate]
    if recalls:
        rows = approximate[0].get("recall_sample_rows")
        found.append(
            f"Neighbours are approximate (backend {plain(info.get('backend'))}): recall "
            f"{min(recalls):.4f} at the worst layer, against exact neighbours of {rows} random "
            "rows."
        )
        if not all(layer.get("is_reached", True) for layer in approximate):
            wanted = approximate[0]["recall_wanted"]
            found.append(
                f"A recall of {wanted} was wanted and is missed: scores may be of other neighbours."
            )
    return found
