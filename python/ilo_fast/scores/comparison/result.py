"""What `compare` returns: differences, best layers and ranks, and their file."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ilo_fast._util.checks import path_of
from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.files import write_text
from ilo_fast._util.messages import counted, plain
from ilo_fast._util.optional import data_frame, require
from ilo_fast._util.schema import check_schema, damage_refused, read_result
from ilo_fast._util.versions import versions
from ilo_fast.scores.comparison.records import MEAN, BestLayer, Difference, LayerValue, Rank
from ilo_fast.scores.notebook import plain_table
from ilo_fast.scores.table import SCORE_TITLES

if TYPE_CHECKING:
    from ilo_fast.plots.comparison import ComparedScore

SCHEMA_VERSION: Final = 1
COMPARISON_FILE: Final = "comparison.json"
_KIND: Final = "ilo_fast.comparison"


@dataclass(frozen=True)
class Comparison:
    """Two or more models on the same corpus.

    Attributes
    ----------
    names : tuple of str
    layers : tuple of tuple of int
        Of each model. Where they differ, so does what a number means: differences are then those
        between best layers alone.
    languages : tuple of str
    n_sentences : tuple of int
    n_neighbors, threshold : int
    metric : str
    unit : str
        What is drawn anew where the study is repeated: sentence, document, point.
    n_units : tuple of int
        Of each model.
    level : float
    paired : bool
        Whether all models saw the same sentences.
    text_known : bool
        Whether all say what text they were measured on, so that this was checked.
    seed, n_draws : int
    curves, best_layers, ranks, differences : tuple
        `LayerValue`, `BestLayer`, `Rank` and `Difference`.
    """

    names: tuple[str, ...]
    layers: tuple[tuple[int, ...], ...]
    languages: tuple[str, ...]
    n_sentences: tuple[int, ...]
    n_neighbors: int
    threshold: int
    metric: str
    unit: str
    n_units: tuple[int, ...]
    level: float
    paired: bool
    text_known: bool
    seed: int
    n_draws: int
    curves: tuple[LayerValue, ...]
    best_layers: tuple[BestLayer, ...]
    ranks: tuple[Rank, ...]
    differences: tuple[Difference, ...]

    def __repr__(self) -> str:
        return (
            f"Comparison({', '.join(map(repr, self.names))}; "
            f"{counted(len(self.languages), 'language')}, {self.subject}, level {self.level:g})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: differences of mean ILO."""
        rows = []
        for d in self.select(score="ilo", by=MEAN):
            layer = f"{d.layer_a}" if d.layer_a == d.layer_b else f"{d.layer_a}, {d.layer_b}"
            apart = [_shown(v, "+.3f") for v in (d.difference, d.low, d.high)]
            where = layer if d.at == "layer" else f"best: {layer}"
            rows.append([f"{d.a} - {d.b}", where, *apart, _shown(d.p_corrected, ".4f")])
        columns = ("models", "layer", "difference", "low", "high", "p, corrected")
        return plain_table(["Differences of mean ILO", self.subtitle], columns, rows)

    @property
    def same_layers(self) -> bool:
        """Whether all models have the same layers, so that these can be subtracted."""
        return len(set(self.layers)) == 1

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores, ILO first."""
        found = {value.score for value in self.curves}
        return tuple(name for name in SCORE_TITLES if name in found)

    @property
    def subject(self) -> str:
        """``"paired over 1012 sentences"``, ``"samples of 506 sentences each"``."""
        n = counted(self.n_units[0], self.unit)
        return f"paired over {n}" if self.paired else f"samples of {n} each"

    @property
    def subtitle(self) -> str:
        """Corpus and settings in one line."""
        return (
            f"{counted(len(self.languages), 'language')} · {self.subject} · "
            f"k = {self.n_neighbors}, t = {self.threshold}, {self.metric} · "
            f"{100 * self.level:g} % intervals"
        )

    def select(
        self, *, score: str | None = None, at: str | None = None, by: str | None = None
    ) -> list[Difference]:
        """The differences of one score, place and grouping; None for all of them."""
        return [
            d
            for d in self.differences
            if score in (None, d.score) and at in (None, d.at) and by in (None, d.by)
        ]

    def rows(self) -> list[dict[str, Any]]:
        """One record for each difference, as in ``comparison.csv``."""
        return [dataclasses.asdict(d) for d in self.differences]

    def to_dataframe(self) -> Any:
        """`rows` as a pandas DataFrame (needs pandas)."""
        return data_frame(self.rows())

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """`rows` as CSV, floats in full precision; with ``path``, also written there."""
        text = csv_text(self.rows())
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": _KIND,
            "versions": versions("numpy"),
            **dataclasses.asdict(self),
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON text; with ``path``, also written there, whole or not at all."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            Something else, another schema version, or records that are incomplete.
        """
        check_schema(data, _KIND, SCHEMA_VERSION, "compare again")
        with damage_refused("the comparison's records", "compare again"):
            given = {f.name: _frozen(data[f.name]) for f in dataclasses.fields(cls)}
            for name, record in _RECORDS.items():
                given[name] = tuple(_record(record, row) for row in data[name])
            found = cls(**given)
        _check_names(found)
        return found

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> Comparison:
        """Read what `to_json` gave: its text, its file, or a folder with ``comparison.json``."""
        return read_result(source, COMPARISON_FILE, "a comparison", cls.from_dict)

    def plot(self, score: str = "ilo") -> Any:
        """Curves over layers with their bands, and differences below (needs matplotlib).

        Parameters
        ----------
        score
            ``"ilo"``, ``"bridge"``, ``"reach"`` or ``"translation_share"``.

        Returns
        -------
        matplotlib.figure.Figure
            With the differences of the first model to each other one, where all have the same
            layers.
        """
        require("matplotlib", "report")
        from ilo_fast.plots.comparison import comparison_figure

        return comparison_figure([self.drawn(score)], subtitle=self.subtitle)

    def drawn(self, score: str) -> ComparedScore:
        """What the figure of one score shows (needs matplotlib)."""
        from ilo_fast.plots.comparison import ComparedCurve, ComparedDifference, ComparedScore

        if score not in self.scores:
            raise ValueError(f"score={score!r} is not here; use one of {', '.join(self.scores)}")
        values = [v for v in self.curves if v.score == score]
        apart = [d for d in self.select(score=score, at="layer", by=MEAN) if d.a == self.names[0]]
        curves = [[v for v in values if v.model == name] for name in self.names]
        differences = [[d for d in apart if d.b == name] for name in self.names[1:]]
        return ComparedScore(
            name=SCORE_TITLES[score],
            curves=tuple(
                ComparedCurve(plain(name), *_columns(own, "layer", "value", "low", "high"))
                for name, own in zip(self.names, curves, strict=True)
            ),
            differences=tuple(
                ComparedDifference(
                    number, *_columns(own, "layer_a", "difference", "low", "high", "p_corrected")
                )
                for number, own in enumerate(differences, start=1)
                if own
            ),
            level=self.level,
        )


_RECORDS: Final[Mapping[str, Callable[..., Any]]] = {
    "curves": LayerValue,
    "best_layers": BestLayer,
    "ranks": Rank,
    "differences": Difference,
}


def _columns(records: Sequence[Any], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(record, name) for record in records) for name in names]


def _record(kind: Callable[..., Any], row: Mapping[str, Any]) -> Any:
    return kind(**{name: _frozen(value) for name, value in row.items()})


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _frozen(value: Any) -> Any:
    """Lists as tuples, as a frozen dataclass has them."""
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _check_names(found: Comparison) -> None:
    """Every record is of models that were compared."""
    known = set(found.names)
    named = {value.model for value in found.curves} | {best.model for best in found.best_layers}
    named |= {rank.model for rank in found.ranks}
    named |= {name for d in found.differences for name in (d.a, d.b)}
    if not named <= known:
        raise ValueError(
            f"the comparison has records of {sorted(named - known)}, which it does not compare"
        )
