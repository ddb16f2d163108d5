"""What the page's script knows of a run: scores, matrices, languages and their groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.messages import plain
from ilo_fast.corpora.languages import describe_language
from ilo_fast.report.packing import packed, packed_codes, packed_size
from ilo_fast.report.summary import most_shared_layer_index

if TYPE_CHECKING:
    from ilo_fast.report.run_data import RunData
    from ilo_fast.scores.companions.result import Companion
    from ilo_fast.scores.result import OverlapScores

_MATRIX_BYTES: Final = 1_500_000  # of all matrices of companions together
_FRAGMENTS: Final = 12  # of a layer that the page names
_FEW_LANGUAGES: Final = 64  # matrices of more are shown in 254 steps, and without z

_TITLES: Final = {
    "ilo": ("ILO", "How much languages mix: harmonic mean of bridge and reach, 0 to 1. Mixing is "
            "not meaning: noise scores as high as the dashed line."),
    "bridge": ("Bridge", "Share of sentences whose neighbours come from at least t other "
               "languages."),
    "reach": ("Reach", "Share of all other languages that occur among the neighbours of any "
              "sentence."),
    "translation_share": ("Translations", "Share of a sentence's neighbours that are translations "
                          "of it. This is the score that asks for meaning."),
}  # fmt: skip


def run_record(run: RunData) -> dict[str, Any]:
    """All that the script needs of one run but its points, see `point_data`."""
    scores = run.scores
    companions = () if run.companions is None else run.companions.scores
    return {
        "name": plain(run.name),
        "layers": [int(layer) for layer in scores.layers],
        "languages": _languages(scores),
        "level": None if scores.intervals is None else scores.intervals.level,
        "start": most_shared_layer_index(scores),
        "scores": [*_own_scores(scores), *_core(run), *map(_companion, companions)],
        "matrices": _matrices(run),
        "tree": _tree(run),
        "parts": _parts(run),
        "removed": _removed(run),
    }


def _languages(scores: OverlapScores) -> list[dict[str, Any]]:
    found = []
    for code, n in zip(scores.languages, scores.n_sentences, strict=True):
        known = describe_language(code)
        fields = {f: plain(known[f] or "") for f in ("name", "family", "script", "region")}
        resource = known["resource_class"]
        found.append({"code": plain(code), **fields, "resource": resource, "sentences": n})
    return found


def _own_scores(scores: OverlapScores) -> list[dict[str, Any]]:
    """ILO and what belongs to it."""
    limits, intervals, test = scores.limits, scores.intervals, scores.mixing_test
    mean_ends = {} if intervals is None else intervals.of_means()
    found = []
    for name, (title, about) in _TITLES.items():
        values = getattr(scores, name)
        if values is None:
            continue
        low, high = (None, None) if intervals is None else intervals.ends(name)
        chance: NDArray[np.float64] | None
        if name == "translation_share":
            chance = scores.translation_chance
            p = None if test is None else test.p_translation
        else:
            chance = None if limits is None else getattr(limits, f"{name}_under_mixing")
            p = test.p_mixing if test is not None and name == "ilo" else None
        chance = None if chance is None else np.broadcast_to(chance, values.shape)
        ends = mean_ends.get(name, (None, None))
        highest = 1.0 if name != "translation_share" else float(values.max())
        found.append(
            {
                "name": name,
                "title": title,
                "about": about,
                "lowest": 0.0,
                "highest": highest or 1.0,
                "chance_name": "chance" if name == "translation_share" else "under mixing",
                "values": packed(values),
                "low": _maybe(low),
                "high": _maybe(high),
                "chance": _maybe(chance),
                "z": None,
                "p": _maybe(p),
                "means": packed(values.mean(axis=1)),
                "means_low": _maybe(ends[0]),
                "means_high": _maybe(ends[1]),
                "means_chance": None if chance is None else packed(chance.mean(axis=1)),
            }
        )
    return found


def _core(run: RunData) -> list[dict[str, Any]]:
    """How much of each language lies in the shared core, as a score like the others."""
    if run.structure is None:
        return []
    by_chance = run.structure.core_share_under_mixing
    return [
        {
            "name": "core",
            "title": "In the core",
            "about": "Share of a language's sentences inside the shared core: all that mutual "
            "neighbours of different languages tie together, if it holds enough languages. "
            "Languages that mix by chance are tied together, too: see the dashed line.",
            "lowest": 0.0,
            "highest": 1.0,
            "chance_name": "by chance",
            "values": packed(run.structure.language_core_share),
            "means": packed(run.structure.core_share),
            "means_chance": packed(by_chance),
            **dict.fromkeys(("low", "high", "chance", "z", "p", "means_low", "means_high")),
        }
    ]


def _parts(run: RunData) -> dict[str, Any] | None:
    """What the colours of the map can mean, and what the core and the fragments of a layer are."""
    if run.structure is None:
        return None
    n_points = sum(run.structure.n_points)
    return {
        "names": {str(label): plain(name) for label, name in run.structure.names.items()},
        "layers": [
            {
                "core": layer.core.size / n_points,
                "by_chance": layer.core_under_mixing / n_points,
                "languages": len(layer.core.languages),
                "fragments": [
                    {
                        "name": plain(one.name),
                        "label": one.label,
                        "share": one.size / n_points,
                        "languages": [plain(code) for code in one.languages],
                    }
                    for one in layer.fragments[:_FRAGMENTS]
                ],
                "more": max(0, len(layer.fragments) - _FRAGMENTS),
            }
            for layer in run.structure.components
        ],
    }


def _companion(one: Companion) -> dict[str, Any]:
    return {
        "name": plain(one.name),
        "title": plain(one.title),
        "about": plain(one.about),
        "lowest": float(one.lowest),
        "highest": float(one.highest),
        "chance_name": "chance",
        "p": None,
        **{
            name: _maybe(getattr(one, name))
            for name in (
                "values", "low", "high", "chance", "z",
                "means", "means_low", "means_high", "means_chance",
            )
        },
    }  # fmt: skip


def _removed(run: RunData) -> dict[str, Any] | None:
    """Means after directions that tell languages apart are removed."""
    removed = None if run.companions is None else run.companions.removed
    if removed is None:
        return None
    return {
        "layers": [int(layer) for layer in removed.layers],
        "ranks": [int(rank) for rank in removed.ranks],
        "ilo": packed(removed.ilo),
        "translation_share": packed(removed.translation_share),
        "n_scored": removed.n_scored,
    }


def _matrices(run: RunData) -> list[dict[str, Any]]:
    """Language by language, at each layer; rows are the languages that ask."""
    found = []
    if run.structure is not None:
        structure, few = run.structure, len(run.scores.languages) <= _FEW_LANGUAGES
        found.append(
            {
                "name": "neighbours",
                "title": "Neighbours",
                "about": "Of the neighbours of the row's sentences, how many are in the column's "
                "language, as a multiple of what random neighbours would give.",
                "ratio": True,
                "values": packed(structure.log_ratio, bits=16 if few else 8),
                "share": packed(structure.share) if few else None,
                "expected": packed(structure.expected),
                "z": packed(structure.z) if few else None,
            }
        )
    room = _MATRIX_BYTES
    matrices = {} if run.companions is None else run.companions.matrices
    for name, values in matrices.items():
        known = run.companions[name] if run.companions and name in run.companions else None
        title, about = (name, "") if known is None else (known.title, known.about)
        bits = 16 if len(run.scores.languages) <= _FEW_LANGUAGES else 8
        finite = values[np.isfinite(values)]
        record = {
            "name": plain(name),
            "title": plain(title),
            "about": plain(about),
            "ratio": False,
            "lowest": float(min(0.0, finite.min(initial=0.0))),
            "highest": float(finite.max(initial=0.0)) or 1.0,
            "values": packed(values, bits=bits),
        }
        room -= packed_size(record["values"])
        if room < 0:
            break  # a page of hundreds of languages shows the first matrices alone
        found.append(record)
    return found


def _tree(run: RunData) -> dict[str, Any] | None:
    """Dendrograms of the languages."""
    if run.structure is None:
        return None
    linkage = np.asarray(run.structure.linkage, np.float64)
    return {
        "orders": packed_codes(np.asarray(run.structure.orders)),
        "merges": packed_codes(linkage[..., :2].astype(np.int64)),
        "heights": packed(linkage[..., 2]),
    }


def _maybe(values: Any, pack: Callable[[Any], dict[str, Any]] = packed) -> dict[str, Any] | None:
    return None if values is None else pack(values)
