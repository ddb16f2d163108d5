"""`SharedSpace`: sharing of features beside ILO and its companions, by layer and language pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import choice
from ilo_fast._util.json_numbers import finite, nested
from ilo_fast._util.messages import counted
from ilo_fast._util.optional import data_frame
from ilo_fast._util.versions import versions
from ilo_fast.transcoders.multilingual.document_bootstrap import Estimated
from ilo_fast.transcoders.multilingual.sharing.rank_correlation import Correlation
from ilo_fast.transcoders.multilingual.sharing.sharing_result import FeatureSharing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

SOURCES: Final = ("hidden", "features")
_KEYS: Final = ("values", "low", "high", "chance")
_KIND: Final = "ilo_fast.shared_space"
_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class SpaceScore:
    """One score in one space, all of shape (layers,); NaN where a layer was not measured.

    Attributes
    ----------
    values
        Mean over languages.
    low, high
        Of the interval; NaN where there is none.
    chance
        What chance gives; NaN where that is not known.
    """

    values: Array
    low: Array
    high: Array
    chance: Array


@dataclass(frozen=True)
class SpaceCorrelation:
    """How sharing of features goes with one score.

    Attributes
    ----------
    over : str
        ``"layers"`` or ``"pairs"``.
    source, score : str
    layer : int or None
        Of pairs, the layer; None for the mean over layers.
    found : Correlation
    """

    over: str
    source: str
    score: str
    layer: int | None
    found: Correlation

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        numbers = {key: finite(value) for key, value in dataclasses.asdict(self.found).items()}
        plain = {key: getattr(self, key) for key in ("over", "source", "score", "layer")}
        return plain | numbers | {"n": self.found.n}


@dataclass(frozen=True, eq=False, repr=False)
class SharedSpace:
    """What `shared_space` returns.

    Attributes
    ----------
    languages : tuple of str
    layers : tuple of int
        Of the transcoder; hidden states are those behind the block, ``hidden_states[layer + 1]``.
    sharing : FeatureSharing
    measure : str
        Of sharing, whose excess is correlated with the scores.
    scores : mapping
        ``scores["hidden"]["ilo"]``, ``scores["features"]["translation_share"]``: `SpaceScore`.
    pairs : mapping
        ``pairs["hidden"]["translation_share"]``: (layers, languages, languages), symmetric, the
        diagonal NaN.
    correlations : tuple of SpaceCorrelation
    n_lines : int
        Lines that the scores are of.
    n_left_out : int
        Lines without a feature vector in some language and layer that was measured.
    not_measured : tuple of int
        Layers in which too many lines have no feature vector.
    n_neighbors, threshold, n_halves, n_permutations, seed : int
    metric : str
    confidence : float
    interval_note : str
        Why scores and correlations over layers have no interval; "" where they have.
    info : dict
    """

    languages: tuple[str, ...]
    layers: tuple[int, ...]
    sharing: FeatureSharing
    measure: str
    scores: Mapping[str, Mapping[str, SpaceScore]]
    pairs: Mapping[str, Mapping[str, Array]]
    correlations: tuple[SpaceCorrelation, ...]
    n_lines: int
    n_left_out: int
    not_measured: tuple[int, ...]
    n_neighbors: int
    threshold: int
    metric: str
    n_halves: int
    n_permutations: int
    seed: int
    confidence: float
    interval_note: str = ""
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        rho = {source: self.correlation("ilo", source=source).rho for source in SOURCES}
        return (
            f"SharedSpace({counted(len(self.layers), 'layer')} x "
            f"{counted(len(self.languages), 'language')}; over layers sharing of features goes "
            f"with ILO of hidden states at rho = {rho['hidden']:.2f}, of features at "
            f"{rho['features']:.2f})"
        )

    def correlation(
        self, score: str, *, source: str = "hidden", over: str = "layers", layer: int | None = None
    ) -> Correlation:
        """One of `correlations`; KeyError where there is none."""
        for one in self.correlations:
            if (one.score, one.source, one.over, one.layer) == (score, source, over, layer):
                return one.found
        raise KeyError(f"no correlation with {source} {score} over {over}, layer {layer}")

    def rows(self) -> list[dict[str, Any]]:
        """One record for each layer: sharing of features, then all scores of both spaces."""
        beside = self.sharing.rows()
        return [
            beside[h] | {
                f"{source}_{name}{'' if key == 'values' else '_' + key}": value
                for source in SOURCES
                for name, score in self.scores[source].items()
                for key in _KEYS
                if (value := finite(getattr(score, key)[h])) is not None or key == "values"
            }
            for h in range(len(self.layers))
        ]  # fmt: skip

    def pair_rows(self) -> list[dict[str, Any]]:
        """One record for each layer and pair of languages."""
        return [
            row | {
                f"{source}_{name}": finite(values[self.layers.index(row["layer"]), a, b])
                for source in SOURCES
                for name, values in self.pairs[source].items()
                for a, b in [self._places(row)]
            }
            for row in self.sharing.pair_rows()
        ]  # fmt: skip

    def _places(self, row: Mapping[str, Any]) -> tuple[int, int]:
        return self.languages.index(row["language"]), self.languages.index(row["other"])

    def to_dataframe(self, *, pairs: bool = False) -> Any:
        """`rows`, or `pair_rows`, as a pandas DataFrame (needs pandas)."""
        return data_frame(self.pair_rows() if pairs else self.rows())

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        plain = (
            "measure", "n_lines", "n_left_out", "n_neighbors", "threshold", "metric", "n_halves",
            "n_permutations", "seed", "confidence", "interval_note", "info",
        )  # fmt: skip
        return {
            "schema_version": _SCHEMA_VERSION,
            "kind": _KIND,
            "versions": versions("numpy"),
            "languages": list(self.languages),
            "layers": list(self.layers),
            "not_measured": list(self.not_measured),
            **{name: getattr(self, name) for name in plain},
            "sharing": self.sharing.to_dict(),
            "scores": {
                source: {
                    name: {key: nested(getattr(one, key)) for key in _KEYS}
                    for name, one in scores.items()
                }
                for source, scores in self.scores.items()
            },
            "pairs": {
                source: {name: nested(values) for name, values in of_source.items()}
                for source, of_source in self.pairs.items()
            },
            "correlations": [one.to_dict() for one in self.correlations],
        }

    def plot(self, scores: Sequence[str] = ("ilo", "translation_share")) -> Figure:
        """Sharing of features with its null, above scores of hidden states and of features.

        Raises
        ------
        ValueError
            A score that was not measured.
        """
        from ilo_fast.plots.sharing import SharingCurves, sharing_figure
        from ilo_fast.transcoders.multilingual.sharing.sharing_curves import score_panel

        panels = [self.sharing.panel(self.measure)]
        for name in scores:
            of = [self.scores[source] for source in SOURCES]
            choice("scores", name, tuple(of[0]))
            spaces = [
                (source, Estimated(one[name].values, one[name].low, one[name].high))
                for source, one in zip(SOURCES, of, strict=True)
            ]
            panels.append(score_panel(name, spaces, of[0][name].chance))
        curves = SharingCurves(
            layers=self.layers,
            panels=tuple(panels),
            title="What languages share: features and neighbourhoods",
            subtitle=f"{self.sharing.subtitle}; k = {self.n_neighbors}, t = {self.threshold}, "
            f"{self.metric}",
            x_label="layer of the transcoder; hidden states behind that block",
        )
        return sharing_figure(curves)
