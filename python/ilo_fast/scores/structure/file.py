"""``structure.json``, and the labels of points in ``structure.npz`` beside it."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import whole_number
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.npz import opened_npz
from ilo_fast._util.schema import check_schema
from ilo_fast.scores.certainty.graph_overlap_moments import LinkSums
from ilo_fast.scores.structure.parts import Component, LayerComponents

STRUCTURE_FILE: Final = "structure.json"
LABELS_FILE: Final = "structure.npz"
SCHEMA_VERSION: Final = 1
KIND: Final = "ilo_fast.structure"


class StructureFields(Protocol):
    """What of a `Structure` is written."""

    @property
    def layers(self) -> tuple[int, ...]: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def n_points(self) -> tuple[int, ...]: ...
    @property
    def n_neighbors(self) -> int: ...
    @property
    def counts(self) -> NDArray[np.int64]: ...
    @property
    def link_sums(self) -> tuple[LinkSums, ...]: ...
    @property
    def components(self) -> tuple[LayerComponents, ...]: ...
    @property
    def names(self) -> Mapping[int, str]: ...
    @property
    def flows(self) -> tuple[tuple[tuple[int, int, int], ...], ...]: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def info(self) -> Mapping[str, Any]: ...


def structure_object(found: StructureFields) -> dict[str, Any]:
    """A structure as JSON can hold it, without the labels of points."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "settings": dict(found.settings),
        "info": dict(found.info),
        "n_neighbors": found.n_neighbors,
        "languages": list(found.languages),
        "n_points": list(found.n_points),
        "names": {str(label): name for label, name in found.names.items()},
        "layers": [
            {
                "layer": layer,
                "counts": counts.tolist(),
                "link_sums": dataclasses.asdict(links),
                "components": dataclasses.asdict(components),
            }
            for layer, counts, links, components in zip(
                found.layers, found.counts, found.link_sums, found.components, strict=True
            )
        ],
        "flows": [[list(flow) for flow in flows] for flows in found.flows],
    }


def read_fields(data: Any) -> dict[str, Any]:
    """The fields of a `Structure`, from what `structure_object` gave.

    Raises
    ------
    ValueError
        Something else, another schema version, or what contradicts itself.
    """
    check_schema(data, KIND, SCHEMA_VERSION, "find the structure again")
    try:
        fields = _fields(data)
        _check(fields)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it lacks what a structure has: {error}") from error
    return fields


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    layers = data["layers"]
    return {
        "layers": tuple(int(one["layer"]) for one in layers),
        "languages": tuple(str(code) for code in data["languages"]),
        "n_points": tuple(whole_number("n_points", n) for n in data["n_points"]),
        "n_neighbors": whole_number("n_neighbors", data["n_neighbors"]),
        "counts": np.array([one["counts"] for one in layers], np.int64),
        "link_sums": tuple(LinkSums(**one["link_sums"]) for one in layers),
        "components": tuple(_components(one["components"]) for one in layers),
        "names": {int(label): str(name) for label, name in data["names"].items()},
        "flows": tuple(
            tuple((int(a), int(b), int(n)) for a, b, n in flows) for flows in data["flows"]
        ),
        "settings": dict(data["settings"]),
        "info": dict(data["info"]),
    }


def _components(layer: Mapping[str, Any]) -> LayerComponents:
    fragments = tuple(_component(one) for one in layer["fragments"])
    return LayerComponents(**{**layer, "core": _component(layer["core"]), "fragments": fragments})


def _component(one: Mapping[str, Any]) -> Component:
    tuples = {name: tuple(one[name]) for name in ("counts", "languages", "main")}
    return Component(**{**one, **tuples})


def _check(fields: Mapping[str, Any]) -> None:
    """Raise where the counts are not those of such a graph."""
    languages, sizes = fields["languages"], np.array(fields["n_points"])
    shape = (len(fields["layers"]), len(languages), len(languages))
    counts = fields["counts"]
    if counts.shape != shape or len(sizes) != len(languages):
        raise ValueError(f"counts has shape {counts.shape}, wanted {shape}: layers and languages")
    if (counts < 0).any() or (counts.sum(axis=2) != sizes * fields["n_neighbors"]).any():
        raise ValueError("counts are not those of every point's n_neighbors neighbours")
    if len(fields["flows"]) != max(0, shape[0] - 1):
        raise ValueError(f"flows are {len(fields['flows'])}, wanted one between layers each")
    for layer in fields["components"]:
        inside = sum(one.size for one in (layer.core, *layer.fragments))
        if inside + layer.rest != sizes.sum():
            raise ValueError("core, fragments and rest do not add up to all points")


def write_labels(labels: NDArray[np.int32], folder: Path) -> Path:
    """Write ``structure.npz``; the same labels give the same bytes."""
    stream = io.BytesIO()
    np.savez_compressed(stream, labels=labels)
    path = folder / LABELS_FILE
    with replace_atomically(path, stream.tell()) as file:
        file.write(stream.getvalue())
    return path


def read_labels(folder: Path, found: StructureFields) -> NDArray[np.int32] | None:
    """The labels beside a ``structure.json``; None where there are none.

    Raises
    ------
    ValueError
        They are damaged, or those of another structure; names the file.
    """
    path = folder / LABELS_FILE
    try:
        with opened_npz(path, "labels") as arrays:
            return _checked_labels(arrays["labels"], found)
    except FileNotFoundError:
        return None


def _checked_labels(labels: NDArray[Any], found: StructureFields) -> NDArray[np.int32]:
    shape = (len(found.layers), sum(found.n_points))
    if labels.shape != shape or labels.dtype != np.int32:
        raise ValueError(
            f"it holds {labels.dtype} of shape {labels.shape}, wanted int32 of {shape}"
        )
    for row, layer in zip(labels, found.components, strict=True):
        for one in (layer.core, *layer.fragments):
            if np.count_nonzero(row == one.label) != one.size:
                raise ValueError(f"it belongs to another structure: {one.name} differs")
    return labels
