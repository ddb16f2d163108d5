"""A graph in one file: its arrays (``.npz``), and in an array of bytes all else (JSON).

An adjacency of thousands of features is tens of megabytes of numbers, which is too much for JSON.
Nothing is pickled, and the parts of a zip file have checksums.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.checks import path_of, real_number, share, truth, whole_number
from ilo_fast._util.files import replace_atomically
from ilo_fast._util.folders import made_folder
from ilo_fast._util.npz import opened_npz
from ilo_fast._util.schema import (
    check_schema,
    damage_refused,
    list_of,
    object_of,
    text_of,
    whole_numbers,
)
from ilo_fast._util.versions import versions
from ilo_fast.transcoders.attribution.data import KINDS, GraphData, Sources, Target
from ilo_fast.transcoders.features.notes import Context, FeatureNote, Supernode

_KIND: Final = "ilo_fast.graph"
_VERSION: Final = 1
_FIX: Final = "trace the prompt again"
_ABOUT: Final = "about"
_MOST: Final = 2**16  # layers: what no model has
_COLUMNS: Final = {
    "kind": np.int8,
    "layer": np.int32,
    "position": np.int32,
    "feature": np.int32,
    "activation": np.float64,
}

Notes = Mapping[tuple[int, int], FeatureNote]


@dataclass(frozen=True)
class SavedGraph:
    """What a file of a graph holds.

    Attributes
    ----------
    graph : GraphData
    notes : (layer, feature) -> FeatureNote
    supernodes : tuple of Supernode
    """

    graph: GraphData
    notes: Notes
    supernodes: tuple[Supernode, ...]


def save_graph(
    path: str | os.PathLike[str],
    graph: GraphData,
    notes: Notes | None = None,
    supernodes: Sequence[Supernode] = (),
) -> None:
    """Write one file (by custom named ``.npz``), whole or not at all; it replaces one of its name.

    Parameters
    ----------
    notes
        Of features, by layer and feature.
    supernodes
        Groups of the graph's sources.

    Raises
    ------
    ValueError
        A number is NaN or infinite, or parts of the graph do not fit together.
    OSError
        The file cannot be written, or the disk is full.
    """
    file = path_of("path", path)
    notes = notes or {}
    check_graph(graph)
    check_supernodes(supernodes, len(graph.sources))
    about = {
        "kind": _KIND,
        "schema_version": _VERSION,
        "prompt": graph.prompt,
        "tokens": list(graph.tokens),
        "targets": [_target_record(target) for target in graph.targets],
        "info": dict(graph.info),
        "notes": [_note_record(note) for note in notes.values()],
        "supernodes": [
            {"name": s.name, "members": [int(m) for m in s.members], "proposed": bool(s.proposed)}
            for s in supernodes
        ],
        "versions": versions("numpy"),
    }
    try:
        text = json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"graph: its info, targets or notes are no JSON ({error}): wanted texts, finite "
            "numbers, lists and mappings of texts"
        ) from error
    arrays: dict[str, NDArray[Any]] = {
        _ABOUT: np.frombuffer(text.encode("ascii"), np.uint8),
        "token_ids": np.asarray(graph.token_ids, np.int64),
        "adjacency": np.ascontiguousarray(graph.adjacency),
        "values": np.asarray(graph.values, np.float64),
        **{name: np.asarray(getattr(graph.sources, name), t) for name, t in _COLUMNS.items()},
    }
    size = sum(array.nbytes for array in arrays.values())
    with made_folder(file.parent, "the folder of path"), replace_atomically(file, size) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # all numbers: nothing to pickle


def load_graph(path: str | os.PathLike[str]) -> SavedGraph:
    """What `save_graph` wrote, to the bit; nothing of it is executed, nor believed.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is something else, damaged, incomplete, or of a newer version.
    """
    file = path_of("path", path)
    with opened_npz(file, "a graph") as arrays:
        if _ABOUT not in arrays:
            raise ValueError("it does not say what it is: ilo_fast did not write it")
        about = _about(arrays[_ABOUT])
        check_schema(about, _KIND, _VERSION, _FIX)
        with damage_refused("the parts", _FIX):
            columns = {name: _array(arrays, name, t) for name, t in _COLUMNS.items()}
            graph = GraphData(
                prompt=text_of("prompt", about["prompt"]),
                tokens=tuple(text_of("tokens", t) for t in list_of("tokens", about["tokens"])),
                token_ids=_array(arrays, "token_ids", np.int64),
                sources=Sources(**columns),
                targets=tuple(map(_target, list_of("targets", about["targets"]))),
                adjacency=arrays["adjacency"],
                values=_array(arrays, "values", np.float64),
                info=dict(object_of("info", about["info"])),
            )
            check_graph(graph)
            notes = [_note(record) for record in list_of("notes", about["notes"])]
            supernodes = tuple(
                Supernode(
                    text_of("name", record["name"]),
                    whole_numbers("members", record["members"]),
                    truth("proposed", record["proposed"]),
                )
                for record in list_of("supernodes", about["supernodes"])
            )
            check_supernodes(supernodes, len(graph.sources))
    return SavedGraph(graph, {(note.layer, note.feature): note for note in notes}, supernodes)


def check_graph(graph: GraphData) -> None:
    """Raise ValueError where the parts of a graph do not fit together."""
    sources, n, tokens = graph.sources, graph.n_features, len(graph.tokens)
    shapes = {
        "token_ids": (graph.token_ids, (tokens,)),
        "values": (graph.values, (n + len(graph.targets),)),
        "adjacency": (graph.adjacency, (n + len(graph.targets), len(sources))),
        **{f"sources.{name}": (getattr(sources, name), (len(sources),)) for name in _COLUMNS},
    }
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, wanted {shape}")
    for name, array in (("values", graph.values), ("adjacency", graph.adjacency)):
        if array.dtype.kind != "f" or not bool(np.isfinite(array).all()):
            raise ValueError(f"{name} ({array.dtype}) must be finite floats")
    if not len(graph.targets):
        raise ValueError("targets are none: a graph explains at least one")
    n_layers = whole_number("info['n_layers']", graph.info.get("n_layers"), most=_MOST)
    whole_number("info['skip_positions']", graph.info.get("skip_positions"), least=0)
    limits = {"kind": (0, len(KINDS) - 1), "layer": (-1, n_layers), "position": (-1, tokens - 1)}
    for name, (least, most) in limits.items():
        column = getattr(sources, name)
        if len(column) and not (least <= column.min() and column.max() <= most):
            raise ValueError(f"sources.{name} has values outside {least} to {most}")
    if (np.diff(sources.kind) < 0).any():
        raise ValueError(f"sources are not grouped by kind, in the order {', '.join(KINDS)}")
    if n != int(sources.of_kind("feature").sum()):
        raise ValueError(
            f"the graph has {int(sources.of_kind('feature').sum())} features as sources, {n} rows"
        )
    for name in ("layer", "position", "feature"):
        if (getattr(sources, name)[:n] < 0).any():
            raise ValueError(f"sources.{name} is below 0 for a feature")


def check_supernodes(supernodes: Sequence[Supernode], n_sources: int) -> None:
    """Raise ValueError where a group has a member that the graph has not."""
    for supernode in supernodes:
        if any(not 0 <= member < n_sources for member in supernode.members):
            raise ValueError(
                f"supernode {supernode.name!r:.60} has members beyond the graph's {n_sources} "
                "sources: it is of another graph"
            )


def _about(data: NDArray[Any]) -> Any:
    if data.dtype != np.uint8 or data.ndim != 1:
        raise ValueError(f"{_ABOUT} is {data.dtype}, wanted bytes")
    try:
        return json.loads(data.tobytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{_ABOUT} is no JSON ({error}); {_FIX}") from error


def _array(arrays: Mapping[str, NDArray[Any]], name: str, dtype: type[Any]) -> NDArray[Any]:
    array = arrays[name]
    if array.dtype != dtype:
        raise ValueError(f"{name} has dtype {array.dtype}, wanted {np.dtype(dtype)}; {_FIX}")
    return array


def _target_record(target: Target) -> dict[str, Any]:
    return {
        "label": target.label,
        "token_id": None if target.token_id is None else int(target.token_id),
        "probability": float(target.probability),
    }


def _target(record: Any) -> Target:
    found = object_of("targets", record)
    token = found["token_id"]
    return Target(
        label=text_of("label", found["label"]),
        token_id=None if token is None else whole_number("token_id", token, least=0),
        probability=share("probability", found["probability"]),
    )


def _note_record(note: FeatureNote) -> dict[str, Any]:
    record = dataclasses.asdict(note)
    record["contexts"] = [
        {**context, "activations": list(map(float, context["activations"]))}
        for context in record["contexts"]
    ]
    for name in ("top_logits", "bottom_logits"):
        record[name] = [[token, float(number)] for token, number in record[name]]
    record["rates"] = {name: float(rate) for name, rate in record["rates"].items()}
    for name in ("density", "max_activation"):
        record[name] = float(record[name])
    return {**record, "layer": int(note.layer), "feature": int(note.feature)}


def _note(record: Any) -> FeatureNote:
    found = object_of("notes", record)

    def logits(name: str) -> tuple[tuple[str, float], ...]:
        pairs = [list_of(name, pair) for pair in list_of(name, found[name])]
        return tuple((text_of(name, pair[0]), real_number(name, pair[1])) for pair in pairs)

    return FeatureNote(
        layer=whole_number("layer", found["layer"], least=0),
        feature=whole_number("feature", found["feature"], least=0),
        contexts=tuple(map(_context, list_of("contexts", found["contexts"]))),
        top_logits=logits("top_logits"),
        bottom_logits=logits("bottom_logits"),
        rates={
            text_of("rates", name): share("rates", rate)
            for name, rate in object_of("rates", found["rates"]).items()
        },
        density=share("density", found["density"]),
        max_activation=real_number("max_activation", found["max_activation"]),
        description=text_of("description", found["description"]),
    )


def _context(record: Any) -> Context:
    found = object_of("contexts", record)
    tokens = tuple(text_of("tokens", token) for token in list_of("tokens", found["tokens"]))
    activations = tuple(
        real_number("activations", a) for a in list_of("activations", found["activations"])
    )
    if len(tokens) != len(activations):
        raise ValueError(f"a context has {len(tokens)} tokens, {len(activations)} activations")
    return Context(
        tokens,
        activations,
        whole_number("peak", found["peak"], least=0, most=max(len(tokens) - 1, 0)),
        text_of("language", found["language"]),
    )
