"""What `overlap` returns: the scores, their file, and their figures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.files import parse_json, write_text
from ilo_fast._util.messages import counted, elide, plain
from ilo_fast._util.schema import check_schema
from ilo_fast._util.versions import versions
from ilo_fast.corpora.languages import describe_language

if TYPE_CHECKING:
    from ilo_fast.plots.curve import LayerCurves
    from ilo_fast.plots.heatmap import LayerTable

SCHEMA_VERSION = 1
_KIND = "ilo_fast.scores"

SCORE_TITLES: Final[Mapping[str, str]] = {
    "ilo": "Interlingual Local Overlap",
    "bridge": "Bridge",
    "reach": "Reach",
    "translation_share": "Share of neighbours that are translations",
}
"""The scores that figures can show, and what they call them."""


@dataclass(frozen=True)
class OverlapScores:
    """Scores of every layer and language.

    Attributes
    ----------
    bridge, reach, ilo : float64, shape (layers, languages)
        Shares between 0 and 1. ILO is the harmonic mean of bridge and reach. It measures how
        languages mix, not whether meanings meet: unstructured noise scores near 1.
    layers, languages : tuple
        The two axes. Layer 0 is the embedding output.
    n_sentences : tuple of int
        Points of each language.
    n_neighbors, threshold : int
    metric : str
    translation_share : float64, shape (layers, languages), or None
        Share of a point's neighbours that are its translations, for parallel text.
    translation_chance : float64, shape (languages,), or None
        The same if neighbours were drawn at random.
    info : dict
        How the scores were made: backend, instruction set, certified rows of each layer, seconds,
        under ``"representations"`` what `extract` said, and under ``"run"`` what the command did.
    """

    bridge: NDArray[np.float64]
    reach: NDArray[np.float64]
    ilo: NDArray[np.float64]
    layers: tuple[int, ...]
    languages: tuple[str, ...]
    n_sentences: tuple[int, ...]
    n_neighbors: int
    threshold: int
    metric: str
    translation_share: NDArray[np.float64] | None = None
    translation_chance: NDArray[np.float64] | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        best = int(self.ilo.mean(axis=1).argmax())
        return (
            f"OverlapScores({len(self.layers)} layers x {len(self.languages)} languages, "
            f"k={self.n_neighbors}, t={self.threshold}, {self.metric}; mean ILO is highest at "
            f"layer {self.layers[best]}: {self.ilo[best].mean():.3f})"
        )

    def values(self, score: str) -> NDArray[np.float64]:
        """One score by its name, shape (layers, languages).

        Parameters
        ----------
        score
            ``"ilo"``, ``"bridge"``, ``"reach"`` or ``"translation_share"``.

        Raises
        ------
        ValueError
            Another name, or translations of text that is not parallel.
        """
        if score not in SCORE_TITLES:
            raise ValueError(f"score={score!r} is not known; use one of {', '.join(SCORE_TITLES)}")
        if score == "translation_share" and self.translation_share is None:
            raise ValueError(f"score={score!r} is not in these scores: their text is not parallel")
        values: NDArray[np.float64] = getattr(self, score)
        return values

    @property
    def model_name(self) -> str:
        """The model's name as the run recorded it; "" where it is not known."""
        named = [self.recorded(key).get("model_name") for key in ("run", "representations")]
        return plain(next(filter(None, named), ""))

    @property
    def corpus_name(self) -> str:
        """The corpus's name as the run recorded it; "" where it is not known."""
        return plain(self.recorded("run").get("corpus_name", ""))

    @property
    def corpus_size(self) -> str:
        """``"31 languages \u00d7 60 sentences"``; ``"12 to 60"`` where their numbers differ."""
        low, high = min(self.n_sentences), max(self.n_sentences)
        each = counted(high, "sentence") if low == high else f"{low} to {high} sentences"
        return f"{counted(len(self.languages), 'language')} \u00d7 {each}"

    @property
    def subtitle(self) -> str:
        """``model · corpus · 31 languages x 60 sentences · k = 5, t = 3, cosine``, as known."""
        settings = f"k = {self.n_neighbors}, t = {self.threshold}, {self.metric}"
        names = elide(self.model_name, 48), elide(self.corpus_name, 32)
        return " · ".join(part for part in (*names, self.corpus_size, settings) if part)

    @property
    def starts_at_embeddings(self) -> bool:
        """Whether layer 0 is a model's embeddings, and not the first of someone's own arrays."""
        return 0 in self.layers and bool(self.recorded("representations"))

    def recorded(self, key: str) -> Mapping[str, Any]:
        """What ``info`` records under ``key``; empty where that is nothing or no mapping."""
        value = self.info.get(key)
        return value if isinstance(value, Mapping) else {}

    def rows(self) -> list[dict[str, Any]]:
        """One record for each layer and language, as in ``scores.json`` and ``scores.csv``."""
        share, chance = self.translation_share, self.translation_chance
        return [
            {
                "layer": layer,
                "language": language,
                "bridge": float(self.bridge[h, c]),
                "reach": float(self.reach[h, c]),
                "ilo": float(self.ilo[h, c]),
                "translation_share": None if share is None else float(share[h, c]),
                "translation_chance": None if chance is None else float(chance[c]),
                "n_sentences": self.n_sentences[c],
            }
            for h, layer in enumerate(self.layers)
            for c, language in enumerate(self.languages)
        ]

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        import pandas

        return pandas.DataFrame(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": _KIND,
            "settings": {
                "n_neighbors": self.n_neighbors,
                "threshold": self.threshold,
                "metric": self.metric,
                "backend": self.info.get("backend"),
            },
            "versions": self.info.get("versions", versions("numpy")),
            "info": self.info,
            "rows": self.rows(),
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON text; with ``path``, also written there, whole or not at all."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            write_text(Path(path), text)
        return text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OverlapScores:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            Something else, another schema version, or rows that are missing.
        """
        check_schema(data, _KIND, SCHEMA_VERSION, "score again")
        rows, settings = data.get("rows"), data.get("settings")
        if not rows or not settings:
            raise ValueError("the scores are incomplete: no rows or no settings")
        layers = tuple(dict.fromkeys(row["layer"] for row in rows))
        languages = tuple(dict.fromkeys(row["language"] for row in rows))
        shape = (len(layers), len(languages))
        order = [(h, c) for h in layers for c in languages]
        if [(row["layer"], row["language"]) for row in rows] != order:
            raise ValueError(
                f"the scores are incomplete: {len(rows)} rows for {shape[0]} layers x {shape[1]} "
                "languages"
            )

        def column(name: str) -> NDArray[np.float64]:
            return np.array([row[name] for row in rows], np.float64).reshape(shape)

        parallel = rows[0]["translation_share"] is not None
        return cls(
            bridge=column("bridge"),
            reach=column("reach"),
            ilo=column("ilo"),
            layers=layers,
            languages=languages,
            n_sentences=tuple(row["n_sentences"] for row in rows[: shape[1]]),
            n_neighbors=settings["n_neighbors"],
            threshold=settings["threshold"],
            metric=settings["metric"],
            translation_share=column("translation_share") if parallel else None,
            translation_chance=column("translation_chance")[0] if parallel else None,
            info=dict(data.get("info", {})),
        )

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> OverlapScores:
        """Read what `to_json` gave: its text, or the path it was written to."""
        return cls.from_dict(parse_json(source))

    def plot(self, kind: str = "heatmap", score: str = "ilo", ax: Any = None) -> Any:
        """Draw a ``"heatmap"`` (layers x languages) or a ``"curve"`` (means over languages).

        Parameters
        ----------
        kind
            ``"heatmap"`` of one score, or ``"curve"`` of all of them.
        score
            As `values`; for a heat map.
        ax
            Matplotlib axes to draw in. None: a new figure, sized for what it shows.

        Returns
        -------
        matplotlib.axes.Axes
            ``ax``, or the first axes of the new figure (``.figure.savefig(...)`` saves it).
        """
        from ilo_fast.plots.curve import curve_figure, draw_curve
        from ilo_fast.plots.heatmap import draw_heatmap, heatmap_figure

        if kind == "heatmap":
            table = self.layer_table(score)
            if ax is None:
                return heatmap_figure(table).figure.axes[0]
            draw_heatmap(ax, table)
        elif kind == "curve":
            if ax is None:
                return curve_figure(self.layer_curves()).axes[0]
            draw_curve(ax, self.layer_curves())
        else:
            raise ValueError(f"kind={kind!r} is not known: use 'heatmap' or 'curve'")
        return ax

    def layer_table(self, score: str = "ilo") -> LayerTable:
        """What a heat map of one score shows (needs matplotlib)."""
        from ilo_fast.plots.heatmap import LayerTable

        values = self.values(score)
        return LayerTable(
            values=values,
            layers=self.layers,
            languages=self.languages,
            labels=tuple(language_label(code) for code in self.languages),
            highest=1.0 if score != "translation_share" else max(float(values.max()), 1e-9),
            embeddings=self.starts_at_embeddings,
            title=SCORE_TITLES[score],
            subtitle=self.subtitle,
        )

    def layer_curves(self) -> LayerCurves:
        """What the curves of means over languages show (needs matplotlib)."""
        from ilo_fast.plots.curve import LayerCurves

        chance = self.translation_chance
        return LayerCurves(
            ilo=self.ilo,
            bridge=self.bridge,
            reach=self.reach,
            layers=self.layers,
            translation_share=self.translation_share,
            translation_chance=None if chance is None else float(chance.mean()),
            embeddings=self.starts_at_embeddings,
            subtitle=self.subtitle,
        )


def language_label(code: str) -> str:
    """What stands beside a language in a figure: name and code, or an unknown code alone."""
    name, shown = describe_language(code)["name"], elide(plain(code), 24)
    return shown if name == code else f"{elide(plain(name), 36)}\N{EN SPACE}{shown}"
