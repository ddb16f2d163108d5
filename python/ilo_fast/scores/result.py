"""What `overlap` returns: the scores, their file, and their figures."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ilo_fast._util.checks import path_of
from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.files import write_text
from ilo_fast._util.messages import counted, elide, plain
from ilo_fast._util.optional import data_frame, require
from ilo_fast._util.schema import check_schema, read_result
from ilo_fast._util.versions import versions
from ilo_fast.corpora.grouping import group_languages
from ilo_fast.corpora.languages import describe_language
from ilo_fast.graph.result import NeighborGraph
from ilo_fast.scores.certainty.file import intervals_object, test_object
from ilo_fast.scores.certainty.replicates_file import read_replicates
from ilo_fast.scores.dataset import score_dataset
from ilo_fast.scores.groups import OverlapGroup, group_deviations
from ilo_fast.scores.neighbors_file import read_neighbors
from ilo_fast.scores.notebook import html_table
from ilo_fast.scores.reading import read_fields
from ilo_fast.scores.table import SCORE_TITLES, ScoreTable, positions

if TYPE_CHECKING:
    from ilo_fast.plots.curve import LayerCurves
    from ilo_fast.plots.heatmap import LayerTable

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 2
_KIND = "ilo_fast.scores"
SCORES_FILE: Final = "scores.json"
_SCORES: Final = ("bridge", "reach", "ilo")


@dataclass(frozen=True, eq=False)
class OverlapScores(ScoreTable):
    """Scores of every layer and language.

    Two are equal where all is equal but ``info``, which says how they were made, and
    ``replicates`` and ``neighbors``, which may not have been read with them.

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
    translation_chance_given_graph : float64, shape (layers, languages), or None
        The same if the languages of the neighbours stayed, and their sentences were drawn at
        random.
    limits : Limits or None
        What the scores are where neighbours are drawn at random, and the most they can be.
    intervals : Intervals or None
    mixing_test : MixingTest or None
    replicates : Replicates or None
        What intervals are made of, for those of groups and of differences (`compare`).
    neighbors : NeighborGraph or None
        The graph of every layer. Its rows are the points of the languages, one language after the
        other in the order of `languages`.
    info : dict
        How the scores were made: backend, instruction set, certified rows of each layer, seconds,
        under ``"representations"`` what `extract` said, and under ``"run"`` what the command did.
    """

    def __repr__(self) -> str:
        best = int(self.ilo.mean(axis=1).argmax())
        return (
            f"OverlapScores({counted(len(self.layers), 'layer')} x "
            f"{counted(len(self.languages), 'language')}, "
            f"k={self.n_neighbors}, t={self.threshold}, {self.metric}; mean ILO is highest at "
            f"layer {self.layers[best]}: {self.ilo[best].mean():.3f})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: means over languages, layer by layer."""
        means = {name: getattr(self, name).mean(axis=1) for name in _SCORES}
        if self.translation_share is not None:
            means["translation_share"] = self.translation_share.mean(axis=1)
        return html_table(self.subtitle, self.layers, means)

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def to_xarray(self) -> Any:
        """As an xarray Dataset over layer and language (needs xarray).

        Variables are named as the columns of `rows`, ends of intervals of means over languages
        ``ilo_mean_low`` and so on; what was not measured is not there. Coordinates say what is
        known of each language, attributes how it was measured.

        Returns
        -------
        xarray.Dataset
            Of copies; float64.

        Raises
        ------
        ImportError
            xarray is missing.
        """
        return score_dataset(self)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """`rows` as CSV, floats in full precision; with ``path``, also written there."""
        text = csv_text(self.rows())
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    def select(
        self,
        languages: Sequence[str] | str | None = None,
        layers: Sequence[int] | int | None = None,
    ) -> OverlapScores:
        """The scores of some languages or layers, in the order given.

        They stay those of the whole pool: the neighbours of one language depend on which others
        are there. ``info["selected_from"]`` says which were. For scores among some languages
        alone, measure these alone.

        Parameters
        ----------
        languages
            Codes; None for all.
        layers
            Numbers as in `layers`, -1 for the last; None for all.

        Raises
        ------
        ValueError
            A language or layer that is not there or named twice, or none at all.
        """
        codes = [languages] if isinstance(languages, str) else languages
        numbers = [layers] if isinstance(layers, int) else layers
        if numbers is not None:
            numbers = [self.layers[h] if -len(self.layers) <= h < 0 else h for h in numbers]
        columns = positions("languages", self.languages, codes)
        rows = positions("layers", self.layers, numbers)
        share, chance = self.translation_share, self.translation_chance
        given_graph, test = self.translation_chance_given_graph, self.mixing_test
        whole = {"languages": list(self.languages), "layers": list(self.layers)}
        info = {"selected_from": whole, **self.info}  # of a selection, what that was taken from
        if isinstance(info.get("layers"), list):
            info["layers"] = [info["layers"][h] for h in rows]
        return dataclasses.replace(
            self,
            **{name: getattr(self, name)[np.ix_(rows, columns)] for name in _SCORES},
            layers=tuple(self.layers[h] for h in rows),
            languages=tuple(self.languages[c] for c in columns),
            n_sentences=tuple(self.n_sentences[c] for c in columns),
            translation_share=None if share is None else share[np.ix_(rows, columns)],
            translation_chance=None if chance is None else chance[columns],
            translation_chance_given_graph=(
                None if given_graph is None else given_graph[np.ix_(rows, columns)]
            ),
            limits=None if self.limits is None else self.limits.select(columns),
            intervals=None if self.intervals is None else self.intervals.select(rows, columns),
            mixing_test=None if test is None else test.select(rows, columns),
            # Reach is of the whole pool, so replicates of some languages alone would mislead.
            replicates=(
                self.replicates.select_layers(rows)
                if self.replicates is not None and columns == list(range(len(self.languages)))
                else None
            ),
            neighbors=(
                NeighborGraph(self.neighbors.indices[rows], self.neighbors.distances[rows])
                if self.neighbors is not None and columns == list(range(len(self.languages)))
                else None
            ),
            info=info,
        )

    def groups(self, by: str = "resource_class") -> list[OverlapGroup]:
        """Means over groups of languages, each language counting once, with their intervals.

        Parameters
        ----------
        by
            ``"resource_class"``, ``"family"``, ``"region"``, ``"script"`` or ``"word_order"``.

        Returns
        -------
        list of OverlapGroup
            In the order of `~ilo_fast.corpora.grouping.group_languages`.

        Raises
        ------
        ValueError
            An unknown `by`.
        """
        deviations = group_deviations(self)
        return [
            OverlapGroup.of(self, name, codes, deviations)
            for name, codes in group_languages(self.languages, by).items()
        ]

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
            "intervals": intervals_object(self.intervals, self.layers),
            "mixing_test": test_object(self.mixing_test, self.layers),
            "rows": self.measured_rows(),
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON text; with ``path``, also written there, whole or not at all."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OverlapScores:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            Something else, another schema version, rows that are missing, values that no
            measurement gives, or settings that contradict each other.
        """
        known = 1 if isinstance(data, Mapping) and data.get("schema_version") == 1 else None
        check_schema(data, _KIND, known or SCHEMA_VERSION, "score again")
        return cls(**read_fields(data))

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> OverlapScores:
        """Read what `to_json` gave.

        Parameters
        ----------
        source
            The text, the path it was written to, or a folder with a ``scores.json``. With a path,
            also ``replicates.npz`` and ``neighbors.npz`` beside the file, where they are.

        Raises
        ------
        ValueError
            As `from_dict`; it names the file.
        """
        found = read_result(source, SCORES_FILE, "scores", cls.from_dict)
        text = isinstance(source, str) and source.lstrip().startswith("{")
        return found if text else _with_files_beside(found, Path(source).expanduser())

    def plot(self, kind: str = "heatmap", score: str | None = None, ax: Any = None) -> Any:
        """Draw a ``"heatmap"`` (layers x languages) or a ``"curve"`` (means over languages).

        Parameters
        ----------
        kind
            ``"heatmap"`` of one score, or ``"curve"``.
        score
            As `values`. None: ILO in a heat map; in a curve all scores, of ILO the spread too.
        ax
            Matplotlib axes to draw in. None: a new figure, sized for what it shows.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            The new figure, which a notebook shows and ``.savefig(...)`` saves; or ``ax``.

        Raises
        ------
        ImportError
            Without matplotlib.
        """
        require("matplotlib", "report")
        if kind not in ("heatmap", "curve"):
            raise ValueError(f"kind={kind!r} is not known: use 'heatmap' or 'curve'")
        from ilo_fast.plots.curve import curve_figure, draw_curve
        from ilo_fast.plots.heatmap import draw_heatmap, heatmap_figure

        if kind == "heatmap":
            table = self.layer_table(score or "ilo")
            if ax is None:
                return heatmap_figure(table).figure
            draw_heatmap(ax, table)
            return ax
        curves = self.layer_curves(score)
        if ax is None:
            return curve_figure(curves)
        draw_curve(ax, curves)
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

    def layer_curves(self, score: str | None = None) -> LayerCurves:
        """What the curves of means over languages show; of one score, or of all."""
        from ilo_fast.plots.curve import LayerCurves

        if score is not None:
            self.values(score)  # refuses a name that is not known
        chance, given_graph = self.translation_chance, self.translation_chance_given_graph
        mixing = {} if self.limits is None else self.limits.means()
        return LayerCurves(
            ilo=self.ilo,
            bridge=self.bridge,
            reach=self.reach,
            layers=self.layers,
            translation_share=self.translation_share,
            translation_chance=None if chance is None else float(chance.mean()),
            chance_given_graph=None if given_graph is None else given_graph.mean(axis=1),
            intervals={} if self.intervals is None else self.intervals.of_means(),
            under_mixing={
                name: mixing[f"{name}_under_mixing"]
                for name in _SCORES
                if f"{name}_under_mixing" in mixing
            },
            embeddings=self.starts_at_embeddings,
            subtitle=self.subtitle,
            score=score,
        )


def _with_files_beside(scores: OverlapScores, path: Path) -> OverlapScores:
    """With what lies beside the file; scores are good without it, so that its flaws are said."""
    beside = path if path.is_dir() else path.parent
    try:
        scores = dataclasses.replace(scores, replicates=read_replicates(beside, scores))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        logger.warning("no intervals of groups and differences: %s", error)
    try:
        return dataclasses.replace(scores, neighbors=read_neighbors(beside, scores))
    except FileNotFoundError:
        return scores
    except (OSError, ValueError) as error:
        logger.warning("no neighbours: %s", error)
        return scores


def language_label(code: str) -> str:
    """What stands beside a language in a figure: name and code, or an unknown code alone."""
    name, shown = describe_language(code)["name"], elide(plain(code), 24)
    return shown if name == code else f"{elide(plain(name), 36)}\N{EN SPACE}{shown}"
