"""What the measurements of some models say: numbers in, rows of tables out; no files, no models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from ilo_fast.corpora.grouping import group_languages
from ilo_fast.corpora.languages import describe_language
from ilo_fast.scores.certainty.intervals import deviations, standard_error

ATTRIBUTES = ("resource_class", "family", "region", "script")
N_PERMUTATIONS = 9999
SCORES = ("ilo", "translation_share")

Row = dict[str, Any]


def layer_rows(scores: Any, structure: Any) -> list[Row]:
    """One row per layer: means with intervals, chance, p-values, and what the core holds."""
    limits = scores.limits.means()
    ends = scores.intervals.of_means()
    found = []
    for h, layer in enumerate(scores.layers):
        parts = structure.components[h]
        row: Row = {"layer": layer}
        for score in ("ilo", "bridge", "reach", "translation_share"):
            low, high = ends[score]
            row[score] = float(scores.values(score)[h].mean())
            row[f"{score}_low"], row[f"{score}_high"] = float(low[h]), float(high[h])
        row["ilo_under_mixing"] = limits["ilo_under_mixing"]
        row["times_chance"] = row["translation_share"] / float(scores.translation_chance.mean())
        if scores.mixing_test is not None:
            row["p_mixing"] = float(scores.mixing_test.p_mixing_mean[h])
            row["p_translation"] = float(scores.mixing_test.p_translation_mean[h])
        row["core_languages"] = len(parts.core.languages)
        row["core_share"] = float(structure.core_share[h])
        row["core_under_mixing"] = float(structure.core_share_under_mixing[h])
        row["core_translations"] = parts.translations
        row["fragments"] = "; ".join(part.name for part in parts.fragments)
        for by in ("language", "script"):
            row[f"modularity_{by}"] = float(structure.modularity[by][h])
        found.append(row)
    return found


def best_row(scores: Any, score: str) -> int:
    """The row of the layer whose mean over languages is highest."""
    return int(scores.values(score).mean(axis=1).argmax())


def language_rows(scores: Any, structure: Any, row: int) -> list[Row]:
    """The languages at one layer, best translated first, and where each of them is."""
    parts = structure.components[row]
    own = scores.intervals
    found = []
    for c, code in enumerate(scores.languages):
        known = describe_language(code)
        low, high = own.ends("translation_share")
        inside = [part.name for part in parts.fragments if code in part.main]
        found.append(
            {
                "language": code,
                "name": known["name"],
                "resource_class": known["resource_class"],
                "family": known["family"],
                "script": known["script"],
                "ilo": float(scores.ilo[row, c]),
                "translation_share": float(scores.translation_share[row, c]),
                "translation_share_low": float(low[row, c]),
                "translation_share_high": float(high[row, c]),
                "core_share": float(structure.language_core_share[row, c]),
                "in_core": code in parts.core.languages,
                "fragment": inside[0] if inside else "",
            }
        )
    return sorted(found, key=lambda r: -r["translation_share"])


def explained(values: NDArray[np.float64], languages: Sequence[str], seed: int = 0) -> list[Row]:
    """How much of the spread between languages their class, family, region and script explain.

    The share of the sum of squares between groups (eta squared), what chance gives on average,
    (groups - 1) / (languages - 1), and the p-value of `N_PERMUTATIONS` exchanges of languages; Holm
    over the attributes.
    """
    found: list[Row] = []
    for number, by in enumerate(ATTRIBUTES):
        groups = group_languages(languages, by)
        labels = np.empty(len(languages), np.int64)
        for g, codes in enumerate(groups.values()):
            labels[[languages.index(code) for code in codes]] = g
        rng = np.random.default_rng([seed, number])
        observed = float(_eta_squared(values, labels))
        drawn = _eta_squared(rng.permuted(np.tile(values, (N_PERMUTATIONS, 1)), axis=1), labels)
        p = (1 + int((drawn >= observed - 1e-12).sum())) / (1 + N_PERMUTATIONS)
        chance = (len(groups) - 1) / (len(languages) - 1)
        found.append(
            {"by": by, "groups": len(groups), "explained": observed, "chance": chance, "p": p}
        )
    for row, adjusted in zip(found, holm([r["p"] for r in found]), strict=True):
        row["p_holm"] = adjusted
    return found


def holm(p: Sequence[float]) -> list[float]:
    """P-values of Holm's step-down procedure, in the order given."""
    order = np.argsort(p)
    adjusted, largest = np.empty(len(p)), 0.0
    for step, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - step) * p[i]))
        adjusted[i] = largest
    return [float(x) for x in adjusted]


def _eta_squared(values: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of values (..., languages) the share of the sum of squares that lies between groups."""
    members = np.eye(labels.max() + 1)[labels]  # (languages, groups)
    centred = values - values.mean(axis=-1, keepdims=True)
    between = ((centred @ members) ** 2 / members.sum(axis=0)).sum(axis=-1)
    total = (centred**2).sum(axis=-1)
    return np.divide(between, total, out=np.zeros_like(total), where=total > 0)


def group_rows(scores: Any, row: int) -> list[Row]:
    """Means over groups of languages at one layer, with their intervals."""
    found = []
    for by in ATTRIBUTES:
        for group in scores.groups(by):
            one: Row = {"by": by, "group": group.name, "n_languages": len(group.languages)}
            for score in SCORES:
                low, high = group.intervals.get(score, (None, None))
                one[score] = float(getattr(group, score)[row])
                one[f"{score}_low"] = None if low is None else float(low[row])
                one[f"{score}_high"] = None if high is None else float(high[row])
            found.append(one)
    return found


def companion_ranks(scores: Any, companions: Any) -> list[Row]:
    """How each companion orders the layers of a model beside ILO and the translation share.

    Spearman's rank correlation over layers, and the layer that each ranks highest; of scores where
    less is more alike, lowest.
    """
    curves = {score: scores.values(score).mean(axis=1) for score in SCORES}
    found = []
    for one in companions.scores:
        row: Row = {"score": one.name, "best_layer": None}
        if np.isfinite(one.means).all():
            best = one.means.argmin() if one.name in LOWER_IS_CLOSER else one.means.argmax()
            row["best_layer"] = int(scores.layers[int(best)])
        for score, curve in curves.items():
            row[f"with_{score}"] = correlation(one.means, curve)
        found.append(row)
    return found


# The less of these, the closer languages are, or the better behaved is the space.
LOWER_IS_CLOSER = (
    "information_imbalance", "hubness_skew", "robin_hood", "antihubs", "mean_cosine",
    "language_variance",
)  # fmt: skip


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Spearman's; None where one of both is constant or not finite."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or len(a) < 3:
        return None
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    return float(spearmanr(a, b).statistic)


def model_rows(measured: Mapping[str, Any]) -> list[Row]:
    """The best layer of every model by each score, and how the score ranks the models."""
    found = []
    names = list(measured)
    first = next(iter(measured.values()))
    curves = {
        score: {m: one.scores.values(score).mean(axis=1) for m, one in measured.items()}
        for score in SCORES
    }
    curves |= {
        one.name: {m: other.companions[one.name].means for m, other in measured.items()}
        for one in first.companions.scores
    }
    for score, by_model in curves.items():
        sign = -1 if score in LOWER_IS_CLOSER else 1
        best = np.array([np.nanmax(sign * by_model[m]) for m in names])
        if not np.isfinite(best).all():
            continue
        ranks = rankdata(-best)
        row: Row = {"score": score}
        for m, value, rank in zip(names, best, ranks, strict=True):
            row[m], row[f"{m}_rank"] = float(sign * value), float(rank)
        found.append(row)
    return found


def discordant_layers(scores: Any, level: float = 0.95) -> dict[str, Any]:
    """Pairs of layers that ILO and the translation share put in opposite orders, both surely.

    Surely: the interval of the difference, over documents, excludes 0; pair by pair, not jointly.
    """
    from scipy.stats import norm

    n = len(scores.languages)
    weights = np.full(n, 1 / n)
    z = norm.isf((1 - level) / 2)
    signs = {}
    for score in SCORES:
        mean = scores.values(score).mean(axis=1)
        parts = deviations(scores.replicates, score, weights)  # (pairs, layers)
        error = standard_error(parts[:, :, None] - parts[:, None, :])
        gap = mean[:, None] - mean[None, :]
        signs[score] = np.sign(gap) * (np.abs(gap) > z * error)
    opposite = signs["ilo"] * signs["translation_share"] < 0
    decided = (signs["ilo"] != 0) & (signs["translation_share"] != 0)
    above = np.triu(np.ones_like(opposite, bool), 1)
    pairs = [
        (int(scores.layers[a]), int(scores.layers[b])) for a, b in np.argwhere(opposite & above)
    ]
    return {
        "pairs": int(above.sum()),
        "decided": int((decided & above).sum()),
        "opposite": len(pairs),
        "which": pairs,
    }


def misleading(scores: Any) -> Row:
    """The layer that ILO would choose, the one that translations would, and what lies between."""
    by_ilo, by_share = best_row(scores, "ilo"), best_row(scores, "translation_share")
    share = scores.translation_share.mean(axis=1)
    ilo = scores.ilo.mean(axis=1)
    return {
        "layer_by_ilo": scores.layers[by_ilo],
        "layer_by_translations": scores.layers[by_share],
        "ilo_there": [float(ilo[by_ilo]), float(ilo[by_share])],
        "translation_share_there": [float(share[by_ilo]), float(share[by_share])],
        "layers": correlation(ilo, share),
        "languages": correlation(scores.ilo[by_share], scores.translation_share[by_share]),
        **discordant_layers(scores),
    }


def size_rows(curve: Any, scores: Any) -> list[Row]:
    """Means over languages of an eighth to all of the sentences, at the layers that are highest."""
    found = []
    for row in dict.fromkeys(best_row(scores, score) for score in SCORES):
        for i, size in enumerate(curve.sizes):
            found.append(
                {
                    "layer": scores.layers[row],
                    "n_sentences": float(size),
                    **{s: float(curve.means[s][i, row].mean()) for s in SCORES},
                }
            )
    return found
