"""The points of all languages in one pool: checked, labelled, and their graph layer by layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ilo_fast._util.hashing import digest
from ilo_fast.corpora.documents import check_groups
from ilo_fast.graph.arrays import Stack, as_stack, same_layout
from ilo_fast.graph.knn import stacked_graph
from ilo_fast.graph.result import NeighborGraph

LAYER_FOLDERS: Final = re.compile(r"layer-\d{3,}|\.lock")
"""What is in the folder of a checkpoint: a folder for every layer."""


def as_stacks(representations: Mapping[str, Any], languages: tuple[str, ...]) -> list[Stack]:
    """The arrays of all languages, of the same layers, dimension and type.

    Raises
    ------
    ValueError
        One that is empty, or does not fit the others; a code that no file can hold.
    TypeError
        A code that is no string.
    """
    stacks = []
    for language in languages:
        _check_code(language)
        array = representations[language]
        shape = tuple(getattr(array, "shape", ()))
        if len(shape) in (2, 3) and shape[-2] == 0:
            raise ValueError(f"representations[{language!r}] has no sentences: leave it out")
        stacks.append(as_stack(array, f"representations[{language!r}]"))
    for language, stack in zip(languages, stacks, strict=True):
        first, own = stacks[0], stack.values.shape
        wanted = first.values.shape
        if (own[0], own[2]) != (wanted[0], wanted[2]) or stack.dtype != first.dtype:
            raise ValueError(
                f"representations[{language!r}] has {own[0]} layers of dimension {own[2]} in "
                f"{stack.dtype}, but {languages[0]!r} has {wanted[0]} of {wanted[2]} in "
                f"{first.dtype}: all languages need the same layers, dimension and dtype"
            )
    return stacks


def _check_code(code: Any) -> None:
    """Raise for a code that would be written into a file, and refused when that is read."""
    if not isinstance(code, str):
        raise TypeError(f"representations must map codes of languages, strings, got {code!r}")
    try:
        code.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"representations[{code!r}]: a code is UTF-8, this is half a pair"
        ) from None
    if not code:
        raise ValueError("representations['']: a code is empty, name the language")


@dataclass(frozen=True)
class Pool:
    """The points of all languages, and how they are scored."""

    stacks: list[Stack]
    languages: tuple[str, ...]
    layers: tuple[int, ...]
    labels: NDArray[np.int32]
    sentences: NDArray[np.int64] | None
    n_neighbors: int
    threshold: int
    metric: str
    groups: tuple[str, ...] | None = None  # the document of each sentence
    units_sha256: str | None = None

    @contextmanager
    def naming_rows(self, first_layer: int = 0) -> Iterator[None]:
        """Say of a row that cannot be used what the caller calls it: language, sentence, layer."""
        try:
            yield
        except ValueError as error:
            row = getattr(error, "row", None)
            if row is None:
                raise
            ends = np.cumsum([stack.values.shape[1] for stack in self.stacks])
            at = int(np.searchsorted(ends, row, side="right"))
            sentence = row - (ends[at - 1] if at else 0)
            layer = self.layers[first_layer + max(0, getattr(error, "layer", 0))]
            raise ValueError(
                f"representations[{self.languages[at]!r}], sentence {sentence}, layer {layer} "
                f"{getattr(error, 'problem', '')}"
            ) from None


def layer_rows(pool: Pool, h: int) -> list[Stack]:
    """The rows of one layer in the host's memory, of one layout."""
    one = [s.layer(h).in_host_memory() for s in pool.stacks]
    if not all(same_layout(one[0], s) for s in one):  # _core wants one layout; copies one layer
        one = [s.contiguous() for s in one]
    return one


def layer_graph(
    pool: Pool,
    h: int,
    rows: list[Stack],
    n_neighbors: int,
    backend: str,
    threads: int,
    folder: str | None,
    update: Callable[[float], None] | None,
) -> NeighborGraph:
    """The graph of the rows of one layer, with as many neighbours as asked for.

    Parameters
    ----------
    folder
        Of the checkpoint, which has a folder for every layer.
    """

    def overall(share: float) -> None:
        if update:
            update((h + share) / len(pool.layers))

    with pool.naming_rows(h):
        return stacked_graph(
            rows,
            n_neighbors,
            metric=pool.metric,
            backend=backend,
            n_threads=None if backend == "ray" else threads,  # of a task: what its node has
            checkpoint=None if folder is None else Path(folder) / f"layer-{pool.layers[h]:03d}",
            progress=overall,
        )


def documents_of(
    representations: Mapping[str, Any],
    groups: Sequence[str] | Literal[False] | None,
    sizes: Sequence[int],
    parallel: bool,
) -> tuple[str, ...] | None:
    """The document of each sentence; None where there is none to speak of.

    Raises
    ------
    ValueError
        Documents of sentences that are not parallel, or that do not fit them.
    """
    if groups is None:
        groups = getattr(representations, "groups", None) if parallel else None
    if groups is None or groups is False:
        return None
    if not parallel:
        raise ValueError(
            "groups are documents of sentences that all languages share: parallel=True, or none"
        )
    return check_groups(groups, sizes[0])


def units_sha256(
    representations: Mapping[str, Any], documents: tuple[str, ...] | None
) -> str | None:
    """Which text was measured, and what of it are units; None where the text is not known."""
    info = getattr(representations, "info", None)
    text = info.get("corpus_sha256") if isinstance(info, Mapping) else None
    return digest([text, documents]) if isinstance(text, str) else None
