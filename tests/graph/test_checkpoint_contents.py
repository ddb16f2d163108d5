"""What a checkpoint holds is looked at, not only its checksum."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from ilo_fast import _core_testing, knn_graph

N, D, K = 90, 5, 3
X = np.random.default_rng(0).standard_normal((1, N, D)).astype(np.float32)
FILE = "layer-000.ilo"
HEAD = 8 + 3 * 8 + 8  # magic; kind, data, plan; their checksum
GRAPH = HEAD + 4 * 8  # certified, fallback, candidates per row, count


def core(folder, n_threads=1, **options):
    indices, distances, infos, _ = _core_testing.knn_graph(
        [X], "float32", K, cosine=True, n_threads=n_threads, checkpoint=str(folder), **options
    )
    return indices, distances, infos[0]


def checksum(data: bytes) -> int:
    """Of csrc/knn/checkpoint.cpp: whole words, what is left of one, the length."""

    def mix(h: int, value: int) -> int:
        h = (h ^ value) * 0xFF51AFD7ED558CCD % 2**64
        return h ^ h >> 32

    h = 0x9E3779B97F4A7C15
    whole = len(data) // 8 * 8
    for (word,) in struct.iter_unpack("=Q", data[:whole]):
        h = mix(h, word)
    (rest,) = struct.unpack("=Q", data[whole:].ljust(8, b"\0"))
    return mix(mix(h, rest), len(data))


def rewritten(path: Path, body: bytes) -> None:
    path.write_bytes(body + struct.pack("=Q", checksum(body)))


@pytest.mark.parametrize("piece", [1, 3, 8, 100, 1 << 26])
def test_finished_graph_comes_back_whatever_the_pieces_it_was_written_in(tmp_path, piece):
    wanted = core(tmp_path, checkpoint_piece=piece)
    got = core(tmp_path)
    assert got[2]["resumed_share"] == 1 and got[2]["problem"] == ""
    np.testing.assert_array_equal(got[0], wanted[0])
    np.testing.assert_array_equal(got[1], wanted[1])
    data = (tmp_path / FILE).read_bytes()
    assert struct.unpack("=Q", data[-8:])[0] == checksum(data[:-8])


def finished(folder):
    core(folder)
    body = bytearray((folder / FILE).read_bytes()[:-8])
    indices = np.frombuffer(body, np.int64, N * K, GRAPH).reshape(N, K)
    distances = np.frombuffer(body, np.float32, N * K, GRAPH + 8 * N * K).reshape(N, K)
    return body, indices, distances  # views: what is written to them is written to the body


def beyond(i, d):
    i[7, 1] = N


def below(i, d):
    i[7, 1] = -1


def itself(i, d):
    i[7, 1] = 7


def twice(i, d):
    i[7, 1] = i[7, 0]


def nan(i, d):
    d[7, 2] = np.nan


def negative(i, d):
    d[7, 0] = -1


def unsorted(i, d):
    d[7] = d[7, ::-1].copy()


def too_far(i, d):
    d[7, 2] = 2.5


def infinite(i, d):
    d[7, 2] = np.inf


@pytest.mark.parametrize(
    "spoil", [beyond, below, itself, twice, nan, negative, unsorted, too_far, infinite]
)
def test_impossible_graph_with_a_sound_checksum_is_damage(tmp_path, spoil):
    wanted = core("")
    body, indices, distances = finished(tmp_path)
    spoil(indices, distances)
    rewritten(tmp_path / FILE, bytes(body))
    with pytest.warns(RuntimeWarning, match="is damaged"):
        graph = knn_graph(X, K, checkpoint=tmp_path)
    np.testing.assert_array_equal(graph.indices, wanted[0])
    np.testing.assert_array_equal(graph.distances, wanted[1])


def unfinished(folder):
    """Steps: threshold, count and hits of every row."""

    class StopError(Exception):
        pass

    def update(share):
        if (folder / FILE).exists():
            raise StopError

    with pytest.raises(StopError):
        core(folder, progress=update, interval=0, **STEPS)
    return bytearray((folder / FILE).read_bytes()[:-8])


STEPS = {"block_rows": 16, "max_memory": 1, "simd": "scalar", "checkpoint_seconds": 0.0}


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        (0, "=q", 10**6),  # steps
        (0, "=q", -1),
        (16, "=f", np.nan),  # threshold of row 0
        (16, "=f", np.inf),
        (24, "=f", np.nan),  # score of its first hit
        (28, "=i", N),  # its column
        (28, "=i", -5),
        (28, "=i", 0),  # the row itself
    ],
)
def test_impossible_steps_with_a_sound_checksum_are_damage(tmp_path, offset, form, value):
    wanted = core("")
    body = unfinished(tmp_path)
    (count,) = struct.unpack_from("=I", body, HEAD + 20)
    assert count > 0
    struct.pack_into(form, body, HEAD + offset, value)
    rewritten(tmp_path / FILE, bytes(body))
    got = core(tmp_path, **STEPS)
    assert "is damaged" in got[2]["problem"] and got[2]["resumed_share"] == 0
    np.testing.assert_array_equal(got[0], wanted[0])


def test_checkpoint_of_another_version_is_left_alone(tmp_path):
    body = bytes(finished(tmp_path)[0])
    rewritten(tmp_path / FILE, b"iloknn01" + body[8:])
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ValueError, match="another version of ilo_fast"):
        knn_graph(X, K, checkpoint=tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("checkpoint", "error", "match"),
    [
        ("", ValueError, "checkpoint='' is empty"),
        (3, TypeError, "checkpoint must be a path, got 3"),
        (b"x", TypeError, "checkpoint must be a path"),
        ("a\0b", ValueError, "a path is UTF-8 without NUL"),
        ("a\udcff", ValueError, "a path is UTF-8 without NUL"),
    ],
)
def test_checkpoint_that_is_no_folder_name_is_refused(checkpoint, error, match):
    with pytest.raises(error, match=match):
        knn_graph(X, K, checkpoint=checkpoint)


def test_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds something else \(notes.txt\)"):
        knn_graph(X, K, checkpoint=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
