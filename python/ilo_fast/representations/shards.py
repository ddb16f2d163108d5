"""How sentences are cut into shards: the batches of one are made of its own sentences alone.

So a batch depends on the corpus, and not on who computes it: a sentence is padded, and the products
are rounded, alike in one process and on a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SENTENCES = 2048  # at most of a shard of one language; enough for batches of equal length


@dataclass(frozen=True, order=True)
class Piece:
    """Sentences [begin, end) of a language."""

    code: str
    begin: int
    end: int


Shard = tuple[Piece, ...]


@dataclass(frozen=True)
class Group:
    """Languages that are computed together.

    Attributes
    ----------
    codes
        Several small ones, or one.
    shards
        Of several languages there is one, with all of each.
    """

    codes: tuple[str, ...]
    shards: tuple[Shard, ...]


def groups(counts: Mapping[str, int]) -> Iterator[Group]:
    """Cut large languages into equal shards, and put small ones together.

    Parameters
    ----------
    counts
        Language -> its number of sentences.
    """
    small: list[Piece] = []
    for code, count in counts.items():
        if count > SENTENCES:
            yield Group((code,), tuple((piece,) for piece in _cut(code, count)))
            continue
        small.append(Piece(code, 0, count))
        if sum(piece.end for piece in small) >= SENTENCES:
            yield _together(small)
            small = []
    if small:
        yield _together(small)


def named(shard: Shard) -> str:
    """What to call a shard in a message."""
    first = shard[0]
    more = f" and {len(shard) - 1} more languages" if len(shard) > 1 else ""
    return f"{first.code}, lines {first.begin + 1} to {first.end}{more}"


def _together(pieces: list[Piece]) -> Group:
    return Group(tuple(piece.code for piece in pieces), (tuple(pieces),))


def _cut(code: str, count: int) -> Iterator[Piece]:
    parts = -(-count // SENTENCES)
    for i in range(parts):
        yield Piece(code, count * i // parts, count * (i + 1) // parts)
