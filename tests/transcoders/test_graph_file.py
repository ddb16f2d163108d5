"""A graph's own file: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.graphs import notes_of, random_graph, supernodes_of

from ilo_fast.transcoders.attribution.data import GraphData
from ilo_fast.transcoders.features.notes import Supernode
from ilo_fast.transcoders.files.graph_file import load_graph, save_graph


def same(one: GraphData, other: GraphData) -> bool:
    """Bit by bit."""
    pairs: list[tuple[Any, Any]] = [
        (getattr(one, name), getattr(other, name)) for name in ("token_ids", "adjacency", "values")
    ]
    pairs += [
        (getattr(one.sources, f.name), getattr(other.sources, f.name))
        for f in dataclasses.fields(one.sources)
    ]
    return all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs
    ) and (one.prompt, one.tokens, one.targets, one.info) == (
        other.prompt, other.tokens, other.targets, other.info,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_graph_comes_back_to_the_bit(tmp_path: Path, dtype: type) -> None:
    graph = random_graph(dtype=dtype)
    notes, supernodes = notes_of(graph), supernodes_of(graph)
    file = tmp_path / "new" / "graph.npz"
    save_graph(file, graph, notes, supernodes)
    back = load_graph(file)
    assert same(back.graph, graph)
    assert back.graph.residual == graph.residual
    assert back.notes == notes
    assert len(notes) > 3
    assert back.supernodes == supernodes
    assert [f.name for f in file.parent.iterdir()] == ["graph.npz"]

    save_graph(file, random_graph())  # another, in its place
    assert not same(load_graph(file).graph, graph)
    assert load_graph(file).notes == {}


def test_numbers_of_numpy_in_notes_are_taken(tmp_path: Path) -> None:
    graph = random_graph()
    (key, note), *_ = notes_of(graph).items()
    note = dataclasses.replace(
        note, density=np.float32(0.25), top_logits=(("x", np.float32(0.5)),), layer=np.int32(key[0])
    )
    save_graph(tmp_path / "g", graph, {key: note}, [Supernode("s", (np.int64(1),), np.True_)])
    back = load_graph(tmp_path / "g")
    assert back.notes == {key: note}
    assert back.supernodes == (Supernode("s", (1,), True),)


def test_what_cannot_be_read_back_is_not_written(tmp_path: Path) -> None:
    graph = random_graph()
    for broken, says in [
        (dataclasses.replace(graph, values=graph.values * np.nan), "values"),
        (dataclasses.replace(graph, adjacency=graph.adjacency[:, 1:]), "adjacency"),
        (dataclasses.replace(graph, info={**graph.info, "x": np.inf}), "no JSON"),
        (dataclasses.replace(graph, info={}), "n_layers"),
        (dataclasses.replace(graph, tokens=graph.tokens[1:]), "token_ids"),
    ]:
        with pytest.raises((ValueError, TypeError), match=says):
            save_graph(tmp_path / "g", broken)
    with pytest.raises(ValueError, match="another graph"):
        save_graph(tmp_path / "g", graph, supernodes=[Supernode("s", (10**6,), False)])
    assert list(tmp_path.iterdir()) == []


def test_half_a_file_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "g.npz"
    save_graph(file, random_graph())
    whole = file.read_bytes()
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"g\.npz is damaged"):
            load_graph(file)
    with zipfile.ZipFile(file, "w") as empty:
        empty.writestr("readme.txt", "nothing")
    with pytest.raises(ValueError, match=r"g\.npz"):
        load_graph(file)
    damaged = bytearray(whole)
    at = whole.index(b"adjacency.npy") + 1000  # a number of the adjacency
    damaged[at] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged"):
        load_graph(file)
    with pytest.raises(FileNotFoundError):
        load_graph(tmp_path / "none")


def edited(file: Path, **changes: Any) -> None:
    """Other fields or arrays in a file; None: left out."""
    with np.load(file) as arrays:
        found = dict(arrays)
    about = json.loads(found["about"].tobytes())
    for name, value in changes.items():
        of: dict[str, Any] = found if name in found else about
        if value is None:
            del of[name]
        else:
            of[name] = value
    if "about" not in changes:
        found["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with open(file, "wb") as stream:
        np.savez(stream, **found)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"adjacency": None}, "incomplete"),
        ({"values": np.zeros(3)}, "shape"),
        ({"layer": np.zeros(3, np.int64)}, "int64"),
        ({"about": np.frombuffer(b"{", np.uint8)}, "no JSON"),
        ({"about": None}, "what it is"),
        ({"tokens": None}, "incomplete"),
        ({"tokens": [1]}, "text"),
        ({"targets": []}, "targets are none"),
        ({"targets": [{"label": "x", "token_id": -1, "probability": 1}] * 3}, "token_id"),
        ({"info": {}}, "n_layers"),
        ({"info": {"n_layers": 1, "skip_positions": 1}}, "layer"),
        ({"info": {"n_layers": 10**9, "skip_positions": 1}}, "n_layers"),
        ({"info": {"n_layers": 3}}, "skip_positions"),
        ({"supernodes": [{"name": "x", "members": [10**6], "proposed": True}]}, "another graph"),
        ({"notes": [{"layer": 0}]}, "incomplete"),
        ({"notes": 3}, "list"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_something_else_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    file = tmp_path / "g.npz"
    save_graph(file, random_graph())
    edited(file)
    load_graph(file)
    edited(file, **changes)
    with pytest.raises(ValueError, match=says) as refused:
        load_graph(file)
    assert "g.npz" in str(refused.value)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "g.npz"
    np.savez(file, about=np.array([{"kind": "ilo_fast.graph"}], object))
    with pytest.raises(ValueError, match=r"g\.npz"):
        load_graph(file)
    file.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ValueError, match="damaged"):
        load_graph(file)
