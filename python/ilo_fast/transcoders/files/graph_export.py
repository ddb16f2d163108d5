"""Graphs written for circuit-tracer's viewer and for Neuronpedia, as `graph_json` makes them."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ilo_fast._util.checks import path_of
from ilo_fast._util.files import parse_json, write_text
from ilo_fast._util.folders import made_folder
from ilo_fast._util.versions import __version__
from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.features.notes import Supernode
from ilo_fast.transcoders.files.graph_file import Notes
from ilo_fast.transcoders.files.graph_json import EXTENSION, drawn_graph, feature_record

LISTING: Final = "graph-metadata.json"
FEATURES: Final = "features"
_SERVED: Final = "./graph_data/features"  # where circuit-tracer's own server shows a folder's
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def export_circuit_tracer_graph(
    graph: GraphData,
    path: str | os.PathLike[str],
    *,
    slug: str,
    scan: str | None = None,
    node_threshold: float = 0.8,
    edge_threshold: float = 0.98,
    notes: Notes | None = None,
    supernodes: Sequence[Supernode] = (),
    pinned: Sequence[int] = (),
) -> Path:
    """Write a graph into a folder that circuit-tracer serves.

    Writes ``{slug}.json``; its entry in ``graph-metadata.json``, where others stay; and with notes
    ``features/{number}.json`` of every feature that has one and is kept.

    Parameters
    ----------
    slug
        The graph's name there: letters, digits, ``_``, ``-`` and dots. One of that name is
        replaced.
    scan
        Where its viewer finds features. None: in this folder, where there are notes (circuit-tracer
        must serve the folder as its ``data_dir``); else the model's name.
    node_threshold, edge_threshold
        See `ilo_fast.transcoders.attribution.scores.pruned`.
    notes
        By layer and feature: descriptions become labels.
    supernodes
        Groups of sources. Members that are not kept are left out.
    pinned
        Sources that the viewer shows in its second picture; supernodes' members always are.

    Returns
    -------
    Path
        Of ``{slug}.json``.

    Raises
    ------
    ValueError
        A name or a threshold cannot be, or ``graph-metadata.json`` is something else.
    OSError
        The folder cannot be written to.
    """
    folder = path_of("path", path)
    notes = notes or {}
    _check_name("slug", slug)
    if slug == Path(LISTING).stem:
        raise ValueError(f"slug={slug!r} is the name of the list of graphs: choose another")
    if scan is None:
        scan = _SERVED if notes else _safe(str(graph.info.get("model", "model")))
    drawn = drawn_graph(graph, node_threshold, edge_threshold, notes, supernodes, pinned)
    metadata = {
        "slug": slug,
        "scan": scan,
        "transcoder_list": [],
        **drawn.metadata,
        "schema_version": 1,
    }
    file = folder / f"{slug}.json"
    with made_folder(folder, "path"):
        listing = _listing(folder / LISTING)
        graphs = [entry for entry in listing["graphs"] if _slug(entry) != slug]
        if drawn.notes:
            (folder / FEATURES).mkdir(exist_ok=True)
        for note in drawn.notes:
            record = feature_record(note, scan)
            _write(folder / FEATURES / f"{record['index']}.json", record)
        _write(file, {"metadata": metadata, **drawn.record})
        shown = {key: value for key, value in metadata.items() if key != EXTENSION}
        _write(folder / LISTING, {**listing, "graphs": [*graphs, shown]})
    return file


def export_neuronpedia_graph(
    graph: GraphData,
    path: str | os.PathLike[str],
    *,
    slug: str,
    scan: str,
    source_set: str | None = None,
    feature_url: str | None = None,
    description: str = "",
    creator: str = "",
    node_threshold: float = 0.8,
    edge_threshold: float = 0.98,
    notes: Notes | None = None,
    supernodes: Sequence[Supernode] = (),
    pinned: Sequence[int] = (),
) -> None:
    """Write a graph as one file of Neuronpedia's schema of attribution graphs.

    It takes graphs of models that it has only; of others the file is valid all the same.

    Parameters
    ----------
    scan
        The model's name there.
    source_set
        The name of the transcoder's features there.
    feature_url
        Else the address of a folder of feature files, as `export_circuit_tracer_graph` writes.
    description, creator
        Shown beside the graph.
    others
        As in `export_circuit_tracer_graph`.

    Raises
    ------
    ValueError
        A name or a threshold cannot be.
    OSError
        The file cannot be written.
    """
    file = path_of("path", path)
    _check_name("slug", slug)
    _check_name("scan", scan)
    drawn = drawn_graph(graph, node_threshold, edge_threshold, notes or {}, supernodes, pinned)
    info: dict[str, Any] = {
        "generator": {"name": EXTENSION, "version": __version__},
        "create_time_ms": int(time.time() * 1000),
        **({"description": description} if description else {}),
        **({"creator_name": creator} if creator else {}),
    }
    details = {"neuronpedia_source_set": source_set, "feature_json_base_url": feature_url}
    metadata = {
        "slug": slug,
        "scan": scan,
        **drawn.metadata,
        "info": info,
        "feature_details": {key: value for key, value in details.items() if value is not None},
        "generation_settings": {
            key: graph.info[key] for key in ("dtype", "skip_positions") if key in graph.info
        },
        "pruning_settings": {"node_threshold": node_threshold, "edge_threshold": edge_threshold},
    }
    with made_folder(file.parent, "the folder of path"):
        _write(file, {"metadata": metadata, **drawn.record})


def _listing(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {"graphs": []}
    found = parse_json(file)
    if not isinstance(found, dict) or not isinstance(found.get("graphs"), list):
        raise ValueError(f"{file} is no list of graphs of circuit-tracer: give another folder")
    return found


def _write(file: Path, value: Any) -> None:
    # Half a surrogate pair is no UTF-8, and others do not even take it escaped.
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    write_text(file, _SURROGATE.sub("\ufffd", text) + "\n")


def _slug(entry: Any) -> Any:
    return entry.get("slug") if isinstance(entry, dict) else None


def _check_name(name: str, value: str) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            f"{name}={value!r:.60} must be of letters, digits, '_', '-' and dots, for it is the "
            "name of a file and part of an address"
        )


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "model"
