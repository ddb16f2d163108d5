"""`FeatureSharing`: how many features translations have in common, beyond any two lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import choice
from ilo_fast._util.json_numbers import finite
from ilo_fast._util.messages import counted
from ilo_fast._util.optional import data_frame
from ilo_fast._util.versions import versions
from ilo_fast.transcoders.multilingual.document_bootstrap import Estimated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ilo_fast.plots.sharing import SharingPanel

Array = NDArray[np.float64]

MEASURES: Final = ("jaccard", "weighted_jaccard", "cosine")
MEASURE_NAMES: Final = {
    "jaccard": "Jaccard",
    "weighted_jaccard": "weighted Jaccard",
    "cosine": "cosine",
}
KINDS: Final = ("shared", "null", "excess")
_KIND: Final = "ilo_fast.feature_sharing"
_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class Sharing:
    """One measure of every layer, for pairs of languages and in the mean over pairs.

    Attributes
    ----------
    shared, null, excess : Estimated, shape (layers, languages, languages)
        Of translations; of shuffled pairs; what the former have beyond the latter. Symmetric, the
        diagonal is NaN.
    mean_shared, mean_null, mean_excess : Estimated, shape (layers,)
        Over all pairs, which are resampled together.
    """

    shared: Estimated
    null: Estimated
    excess: Estimated
    mean_shared: Estimated
    mean_null: Estimated
    mean_excess: Estimated


@dataclass(frozen=True, eq=False, repr=False)
class FeatureSharing:
    """What `feature_sharing` returns.

    Attributes
    ----------
    languages : tuple of str
    layers : tuple of int
    measures : mapping of name to Sharing
        ``"jaccard"``, ``"weighted_jaccard"``, ``"cosine"``.
    by : str
        ``"activation"`` or ``"influence"``.
    values : str
        ``"maxima"`` or ``"sums"``.
    mass : float
        Features kept of each line and layer carry this share of the values; 1: all.
    max_density : float
        Features active at a larger share of the tokens, in the mean over languages, are left out.
    n_always_on : (layers,) int64
        How many those are.
    n_empty : (layers, languages) int64
        Lines without an active feature, which share nothing: they count as 0.
    n_lines, n_documents, n_shuffles, n_bootstrap, seed : int
    confidence : float
    same_document : float
        Share of the shuffled pairs that are of one document: 0 where it can be avoided.
    match_length : bool
        Whether pairs were shuffled among lines of about one length.
    document_sums : mapping of name to float64, shape (documents, pairs, layers)
        Of each measure, what the lines of a document add to the excess; pairs go (0, 1), (0, 2),
        ... For those who resample documents together with something else; not in `to_dict`.
    lines, documents : (n_lines,) int64
        Which lines, and the row of `document_sums` that each is in.
    info : dict
    """

    languages: tuple[str, ...]
    layers: tuple[int, ...]
    measures: Mapping[str, Sharing]
    by: str
    values: str
    mass: float
    max_density: float
    n_always_on: NDArray[np.int64]
    n_empty: NDArray[np.int64]
    n_lines: int
    n_documents: int
    n_shuffles: int
    n_bootstrap: int
    seed: int
    confidence: float
    same_document: float
    match_length: bool
    document_sums: Mapping[str, Array] = field(default_factory=dict)
    lines: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    documents: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        excess = self.measures["jaccard"].mean_excess
        at = int(excess.values.argmax())
        return (
            f"FeatureSharing({counted(len(self.layers), 'layer')} x "
            f"{counted(len(self.languages), 'language')}, by {self.by}; Jaccard beyond other lines "
            f"is highest at layer {self.layers[at]}: {excess.values[at]:.3f} "
            f"[{excess.low[at]:.3f}, {excess.high[at]:.3f}])"
        )

    def __getitem__(self, name: str) -> Sharing:
        return self.measures[name]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All pairs of languages, by number."""
        first, second = np.triu_indices(len(self.languages), 1)
        return list(zip(first.tolist(), second.tolist(), strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """One record for each layer: the means over all pairs, with intervals."""
        return [
            {"layer": layer, "n_always_on": int(self.n_always_on[h])}
            | {"n_empty": int(self.n_empty[h].sum())}
            | {
                f"{name}_{key}": value
                for name, one in self.measures.items()
                for kind in KINDS
                for key, value in _cells(kind, getattr(one, f"mean_{kind}"), h)
            }
            for h, layer in enumerate(self.layers)
        ]

    def pair_rows(self) -> list[dict[str, Any]]:
        """One record for each layer and pair of languages."""
        return [
            {"layer": layer, "language": self.languages[a], "other": self.languages[b]}
            | {
                f"{name}_{key}": value
                for name, one in self.measures.items()
                for kind in KINDS
                for key, value in _cells(kind, getattr(one, kind), (h, a, b))
            }
            for h, layer in enumerate(self.layers)
            for a, b in self.pairs
        ]

    def to_dataframe(self, *, pairs: bool = False) -> Any:
        """`rows`, or `pair_rows`, as a pandas DataFrame (needs pandas)."""
        return data_frame(self.pair_rows() if pairs else self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Everything but what is said to be left out, as JSON can hold it."""
        plain = (
            "by", "values", "mass", "max_density", "n_lines", "n_documents", "n_shuffles",
            "n_bootstrap", "seed", "confidence", "same_document", "match_length", "info",
        )  # fmt: skip
        return {
            "schema_version": _SCHEMA_VERSION,
            "kind": _KIND,
            "versions": versions("numpy"),
            "languages": list(self.languages),
            "layers": list(self.layers),
            **{name: getattr(self, name) for name in plain},
            "n_always_on": self.n_always_on.tolist(),
            "n_empty": self.n_empty.tolist(),
            "measures": {
                name: {
                    key: getattr(one, key).to_dict()
                    for kind in KINDS
                    for key in (kind, f"mean_{kind}")
                }
                for name, one in self.measures.items()
            },
        }

    @property
    def subtitle(self) -> str:
        """What stands below the title of a figure."""
        share = "" if self.by == "activation" else f", {self.mass:.0%} of it"
        return (
            f"by {self.by}{share}; {len(self.languages)} languages, {self.n_lines} lines in "
            f"{self.n_documents} documents, {self.n_shuffles} shuffles; {self.confidence:.0%} "
            "intervals over documents"
        )

    def panel(self, measure: str) -> SharingPanel:
        """Translations and other lines by layer, as a part of a figure."""
        from ilo_fast.transcoders.multilingual.sharing.sharing_curves import sharing_panel

        one = self.measures[choice("measure", measure, MEASURES)]
        return sharing_panel(
            MEASURE_NAMES[measure], one.mean_shared, one.mean_null, match_length=self.match_length
        )

    def plot(self, measure: str = "jaccard") -> Figure:
        """The curve of one measure over layers, with the band of shuffled pairs."""
        from ilo_fast.plots.sharing import SharingCurves, sharing_figure

        title = "Features that translations share"
        panels = (self.panel(measure),)
        return sharing_figure(
            SharingCurves(self.layers, panels, title, self.subtitle, "layer of the transcoder")
        )

    def plot_pairs(self, measure: str = "jaccard", *, layer: int, width: float = 6.3) -> Figure:
        """Language by language, ordered by the dendrogram of what they share, at one layer.

        Colours are ``(shared - null) / (1 - null)``: 0 by chance, 1 where all is shared.

        Raises
        ------
        ValueError
            A layer or measure that there is not.
        """
        from ilo_fast.plots.dendrogram_matrix import dendrogram_matrix_figure
        from ilo_fast.transcoders.multilingual.sharing.sharing_curves import sharing_matrix

        one = self.measures[choice("measure", measure, MEASURES)]
        if layer not in self.layers:
            raise ValueError(f"layer={layer}, wanted one of 0 to {self.layers[-1]}")
        at = self.layers.index(layer)
        matrix = sharing_matrix(
            one.shared.values[at], one.null.values[at], self.languages,
            title=f"Features that translations share, layer {layer}",
            subtitle=f"{MEASURE_NAMES[measure]} beyond that of other lines, of what could be "
            f"shared; by {self.by}, {self.n_lines} lines",
        )  # fmt: skip
        return dendrogram_matrix_figure(matrix, width=width)


def _cells(kind: str, of: Estimated, at: Any) -> list[tuple[str, float | None]]:
    return [
        (kind, finite(of.values[at])),
        (f"{kind}_low", finite(of.low[at])),
        (f"{kind}_high", finite(of.high[at])),
    ]
