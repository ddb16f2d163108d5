"""Figures of language features, probes and ablation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ilo_fast._util.optional import require
from ilo_fast.corpora.languages import describe_language
from ilo_fast.transcoders.multilingual.language_features.ablation_table import AblationMatrix
from ilo_fast.transcoders.multilingual.language_features.language_features_table import (
    LanguageFeatures,
)
from ilo_fast.transcoders.multilingual.probes.probes import LanguageProbes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVEL: Final = 0.05
_BASELINES: Final = {
    "unigram": "counts: the token",
    "bigram": "counts: it and the one before",
    "line_so_far": "counts: the line so far",
}


def features_figure(found: LanguageFeatures, *, title: str = "Features of one language") -> Figure:
    """How many in which layer."""
    require("matplotlib", "report")
    from ilo_fast.plots.language_features import LanguageFeatureCounts, language_features_figure

    options = found.options
    held = f"{found.share_that_holds:.0%}" if len(found) else "none"
    return language_features_figure(
        LanguageFeatureCounts(
            found.counts,
            found.chance_counts.sum(axis=1),
            found.languages,
            tuple(map(_name, found.languages)),
            title,
            f"at least {options['selectivity']:.0%} of the rates in one language, less than "
            f"{options['others_below']:.0%} in every other; {held} of the {len(found)} strongest "
            "hold on other documents",
        )
    )


def probes_figure(found: LanguageProbes, *, title: str = "Language of a token by layer") -> Figure:
    """Accuracy of probes by layer."""
    require("matplotlib", "report")
    from ilo_fast.plots.language_probes import ProbeCurves
    from ilo_fast.plots.language_probes import probes_figure as draw

    kinds = {kind: found.of(kind) for kind in ("x", "a")}
    shuffled = np.array(
        [[probe.shuffled for probe in probes] for probes in kinds.values()]
    )  # (kinds, layers, shuffles)
    return draw(
        ProbeCurves(
            tuple(probe.layer for probe in kinds["x"]),
            {kind: np.array([p.accuracy for p in probes]).T for kind, probes in kinds.items()},
            np.stack([shuffled.min(axis=(0, 2)), shuffled.max(axis=(0, 2))]),
            found.of("embedding")[0].accuracy,
            {_BASELINES[name]: value[0] for name, value in found.baselines.items()},
            title,
            f"{len(found.languages)} languages, {found.n_tokens[0]} tokens of each to fit on, "
            f"{found.n_tokens[1]} of other documents to test; intervals of 95 % by document",
        )
    )


def ablation_figure(
    found: AblationMatrix, *, title: str = "Loss when a language's features are switched off"
) -> Figure:
    """The matrix, cells that survive in frames."""
    require("matplotlib", "report")
    from ilo_fast.plots.ablation import AblationCells
    from ilo_fast.plots.ablation import ablation_figure as draw

    sizes = sorted({len(found.columns[name]) for name in found.sets})
    size = " to ".join(map(str, sizes if len(sizes) < 2 else (sizes[0], sizes[-1])))
    return draw(
        AblationCells(
            found.change,
            found.p_adjusted <= _LEVEL,
            tuple(map(_name, found.sets)),
            tuple(map(_name, found.languages)),
            _framed(found.random.shape[1]),
            title,
            f"change in nats per token; sets of {size} features; "
            f"{int(found.n_lines.min())} lines of each language",
        )
    )


def _framed(n_random: int) -> str:
    sets = f"{n_random} sets of matched random features"
    if 1 / (1 + n_random) > _LEVEL:
        return f"no cell can be framed: with {sets} no p is below {1 / (1 + n_random):.2g}"
    return f"framed: p <= {_LEVEL} over all cells, against {sets}"


def _name(code: str) -> str:
    return str(describe_language(code)["name"])
