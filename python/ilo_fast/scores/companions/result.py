"""What `companions` returns: scores beside ILO, layer by layer, and their file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import path_of, real_number
from ilo_fast._util.csv_text import csv_text
from ilo_fast._util.equality import same_fields
from ilo_fast._util.files import write_text
from ilo_fast._util.json_numbers import finite, nested
from ilo_fast._util.messages import counted, listed
from ilo_fast._util.optional import xarray_dataset
from ilo_fast._util.schema import (
    check_schema,
    damage_refused,
    list_of,
    number_table,
    object_of,
    read_result,
    text_of,
    texts_of,
    whole_numbers,
)
from ilo_fast._util.versions import versions
from ilo_fast.corpora.languages import describe_language, language_coordinates
from ilo_fast.scores.certainty.intervals import check_level
from ilo_fast.scores.companions.directions_result import (
    DirectionsRemoved,
    read_removed,
    removed_object,
)

Array = NDArray[np.float64]

COMPANIONS_FILE: Final = "companions.json"
_KIND: Final = "ilo_fast.companions"
_SCHEMA_VERSION: Final = 1
_OF_LANGUAGES: Final = ("values", "chance", "low", "high", "z")
_OF_LAYERS: Final = ("means", "means_low", "means_high", "means_chance")


@dataclass(frozen=True, eq=False)
class Companion:
    """One score of every layer, and of every language where it has languages.

    Attributes
    ----------
    name : str
        ``"retrieval_p1"``.
    title : str
        For a column or an axis, at most 28 characters.
    about : str
        What it says, its range, and what chance gives.
    lowest, highest : float
        Ends for a scale of colours.
    values : float64, shape (layers, languages), or None
        Of scores of pairs of languages the mean over the other languages. None where the score is
        of all languages together.
    chance, low, high, z : the same, or None
        Expected by chance; ends of the interval; standard deviations of chance between `chance`
        and `values`.
    means : float64, shape (layers,)
        Over languages, or the score itself where it has none.
    means_low, means_high, means_chance : the same, or None
    """

    name: str
    title: str
    about: str
    lowest: float
    highest: float
    values: Array | None
    means: Array
    chance: Array | None = None
    low: Array | None = None
    high: Array | None = None
    z: Array | None = None
    means_low: Array | None = None
    means_high: Array | None = None
    means_chance: Array | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Companion) and same_fields(
            self, other, (f.name for f in fields(self))
        )

    def __hash__(self) -> int:
        return hash((self.name, len(self.means)))


@dataclass(frozen=True, eq=False)
class Companions:
    """Scores that are read beside bridge, reach and ILO.

    ``companions["cka"]`` is one of them, ``"cka" in companions`` tells whether it is there.

    Attributes
    ----------
    layers, languages : tuple
    scores : tuple of Companion
        In the order in which a report shows them.
    matrices : mapping of name to float64, shape (layers, languages, languages)
        Scores of pairs of languages: row is the source (of ``"mexa"`` the pivot), column the
        target. The diagonal is NaN.
    level : float
        Of the intervals.
    removed : DirectionsRemoved or None
    info : dict
        How they were made. Equal companions may differ here.
    """

    layers: tuple[int, ...]
    languages: tuple[str, ...]
    scores: tuple[Companion, ...]
    matrices: Mapping[str, Array] = field(default_factory=dict)
    level: float = 0.95
    removed: DirectionsRemoved | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"Companions({counted(len(self.scores), 'score')} of "
            f"{counted(len(self.layers), 'layer')} x {counted(len(self.languages), 'language')})"
        )

    def __eq__(self, other: object) -> bool:
        names = ("layers", "languages", "scores", "matrices", "level", "removed")
        return isinstance(other, Companions) and same_fields(self, other, names)

    def __hash__(self) -> int:
        return hash((self.layers, self.languages, self.names))

    @property
    def names(self) -> tuple[str, ...]:
        """Of all scores."""
        return tuple(score.name for score in self.scores)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Companion:
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(f"{name!r} is not among these companions: {listed(self.names)}")

    def rows(self) -> list[dict[str, Any]]:
        """One record for each layer and language, as in ``companions.csv``.

        None stands for what was not measured; scores of all languages together are repeated.
        """
        return [
            {"layer": layer, "language": code, **describe_language(code)}
            | {key: value for score in self.scores for key, value in _cells(score, h, c).items()}
            for h, layer in enumerate(self.layers)
            for c, code in enumerate(self.languages)
        ]

    def to_xarray(self) -> Any:
        """As an xarray Dataset over layer and language (needs xarray).

        Variables are named as the columns of `rows`; of scores that have languages, the means over
        them are ``cka_mean`` and so on, and scores of pairs ``cka_of_pairs``, over source and
        target. What was not measured is not there.

        Returns
        -------
        xarray.Dataset
            Of copies; float64.

        Raises
        ------
        ImportError
            xarray is missing.
        """
        variables: dict[str, tuple[Any, ...]] = {}
        for score in self.scores:
            name, about = score.name, {"long_name": score.title, "description": score.about}
            means = name if score.values is None else f"{name}_mean"
            if score.values is not None:
                both = ("layer", "language")
                variables[name] = (both, score.values, about)
                for key in ("chance", "low", "high", "z"):
                    variables[f"{name}_{key}"] = (both, getattr(score, key))
            variables[means] = ("layer", score.means, about)
            for key in ("low", "high", "chance"):
                variables[f"{means}_{key}"] = ("layer", getattr(score, f"means_{key}"))
        for name, values in self.matrices.items():
            variables[f"{name}_of_pairs"] = (("layer", "source", "target"), values)
        pairs = {} if not self.matrices else {"source": self.languages, "target": self.languages}
        return xarray_dataset(
            variables,
            {"layer": list(self.layers), **language_coordinates(self.languages)}
            | {name: list(codes) for name, codes in pairs.items()},
            {"interval_level": self.level},
        )

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """`rows` as CSV, floats in full precision; with ``path``, also written there."""
        text = csv_text(self.rows())
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "schema_version": _SCHEMA_VERSION,
            "kind": _KIND,
            "versions": versions("numpy"),
            "info": self.info,
            "layers": list(self.layers),
            "languages": list(self.languages),
            "level": self.level,
            "scores": [_score_object(score) for score in self.scores],
            "matrices": {name: nested(values) for name, values in self.matrices.items()},
            "removed": None if self.removed is None else removed_object(self.removed),
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """`to_dict` as JSON text; with ``path``, also written there, whole or not at all."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            write_text(path_of("path", path), text)
        return text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Companions:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            Something else, another schema version, or tables that do not fit layers and languages.
        """
        check_schema(data, _KIND, _SCHEMA_VERSION, "measure the companions again")
        with damage_refused("the companions", "measure the companions again"):
            return _read(data)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> Companions:
        """Read what `to_json` gave: the text, the path, or a folder with ``companions.json``.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            As `from_dict`; it names the file.
        """
        return read_result(source, COMPANIONS_FILE, "companions", cls.from_dict)


def _cells(score: Companion, h: int, c: int) -> dict[str, float | None]:
    """A score and what stands beside it, for one layer and language."""
    values = score.means if score.values is None else score.values
    beside = (
        {"chance": score.means_chance, "low": score.means_low, "high": score.means_high, "z": None}
        if score.values is None
        else {"chance": score.chance, "low": score.low, "high": score.high, "z": score.z}
    )
    at = (h,) if score.values is None else (h, c)
    cells = {score.name: finite(values[at])}
    for key, array in beside.items():
        cells[f"{score.name}_{key}"] = None if array is None else finite(array[at])
    return cells


def _score_object(score: Companion) -> dict[str, Any]:
    about = {
        "name": score.name,
        "title": score.title,
        "about": score.about,
        "lowest": score.lowest,
        "highest": score.highest,
    }
    arrays = {name: getattr(score, name) for name in (*_OF_LANGUAGES, *_OF_LAYERS)}
    return about | {name: None if a is None else nested(a) for name, a in arrays.items()}


def _read(data: Mapping[str, Any]) -> Companions:
    layers = whole_numbers("layers", data["layers"], distinct=True)
    languages = texts_of("languages", data["languages"])
    if not all(languages) or not languages or not layers:
        raise ValueError("layers and languages: wanted at least one, and no code that is empty")
    scores = tuple(
        _read_score(one, len(layers), len(languages)) for one in list_of("scores", data["scores"])
    )
    names = [score.name for score in scores]
    if len(set(names)) < len(names):
        raise ValueError(f"scores name one twice: {listed(names)}")
    square = (len(layers), len(languages), len(languages))
    info = data.get("info")
    return Companions(
        layers=layers,
        languages=languages,
        scores=scores,
        matrices={
            name: number_table(f"matrices[{name!r}]", values, square)
            for name, values in object_of("matrices", data["matrices"]).items()
        },
        level=check_level(data["level"]),
        removed=None
        if data["removed"] is None
        else read_removed(object_of("removed", data["removed"])),
        info=dict(info) if isinstance(info, Mapping) else {},
    )


def _read_score(given: Any, n_layers: int, n_languages: int) -> Companion:
    data = object_of("scores", given)
    name = text_of("name", data["name"])
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_OF_LAYERS, (n_layers,))
    shapes |= dict.fromkeys(_OF_LANGUAGES, (n_layers, n_languages))
    arrays = {
        key: None if data[key] is None else number_table(f"{name}.{key}", data[key], shape)
        for key, shape in shapes.items()
    }
    means = arrays.pop("means")
    if means is None:
        raise ValueError(f"{name}.means is missing")
    return Companion(
        name=name,
        title=text_of(f"{name}.title", data["title"]),
        about=text_of(f"{name}.about", data["about"]),
        lowest=real_number(f"{name}.lowest", data["lowest"]),
        highest=real_number(f"{name}.highest", data["highest"]),
        means=means,
        **arrays,
    )
