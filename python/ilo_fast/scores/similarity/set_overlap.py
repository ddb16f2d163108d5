"""How much sets have in common: neighbour lists row by row, sparse sets all with all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ilo_fast import _core
from ilo_fast._util.checks import choice, whole_number
from ilo_fast._util.progress import share_bar
from ilo_fast.graph.options import thread_count
from ilo_fast.graph.result import NeighborGraph

Counts = NDArray[np.int32]

_MOST: Final = 2**31  # sets and elements are numbered in 32 bits


@dataclass(frozen=True, eq=False)
class SparseSets:
    """A collection of sets, one after the other, as the rows of a CSR matrix.

    Attributes
    ----------
    offsets : int64, shape (n + 1,)
        Set i holds ``elements[offsets[i] : offsets[i + 1]]``.
    elements : int32, shape (offsets[-1],)
        In [0, n_elements), in any order, each once in a set.
    n_elements : int
        Of the universe that they are taken from.
    """

    offsets: NDArray[np.int64]
    elements: Counts
    n_elements: int

    @classmethod
    def of(cls, sets: Any, n_elements: int | None = None) -> SparseSets:
        """From a SciPy sparse matrix (the columns that are not zero in each row), or any iterables.

        Parameters
        ----------
        sets
            A sparse matrix, or an iterable of iterables of whole numbers; of what is named twice in
            a set, one counts.
        n_elements
            As the numbers have it, unless given: the number of columns, or the largest plus 1.
        """
        if hasattr(sets, "tocsr"):
            matrix = sets.tocsr(copy=True)
            matrix.sum_duplicates()
            matrix.eliminate_zeros()
            offsets, elements = np.asarray(matrix.indptr), np.asarray(matrix.indices)
            least = int(matrix.shape[1])
        else:
            rows = [_whole(np.unique(np.asarray(list(one))), "sets") for one in sets]
            offsets = np.cumsum([0, *map(len, rows)])
            elements = np.concatenate([*rows, np.zeros(0, np.int32)])
            least = int(elements.max(initial=-1)) + 1
        n = least if n_elements is None else whole_number("n_elements", n_elements, least=0)
        return cls(offsets.astype(np.int64), _whole(elements, "sets"), n)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many elements each set holds, shape (n,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, eq=False)
class TopOverlaps:
    """For each set of A the sets of B with the largest overlaps.

    Attributes
    ----------
    sets : int32, shape (sets of A, top)
        Their numbers in B, the largest overlap first, equal ones by number; -1 where no more have
        anything in common.
    counts : int32, same shape
        Elements in common.
    jaccard : float64, same shape
        Their share of the union; 0 where `sets` is -1.
    """

    sets: Counts
    counts: Counts
    jaccard: NDArray[np.float64]


@overload
def set_overlap(
    A: Any,
    B: Any = None,
    *,
    top: None = None,
    order: Literal["count", "jaccard"] = "count",
    n_threads: int | None = None,
    progress: bool | Callable[[float], None] = False,
) -> Counts: ...
@overload
def set_overlap(
    A: Any,
    B: Any = None,
    *,
    top: int,
    order: Literal["count", "jaccard"] = "count",
    n_threads: int | None = None,
    progress: bool | Callable[[float], None] = False,
) -> TopOverlaps: ...
def set_overlap(
    A: Any,
    B: Any = None,
    *,
    top: int | None = None,
    order: Literal["count", "jaccard"] = "count",
    n_threads: int | None = None,
    progress: bool | Callable[[float], None] = False,
) -> Counts | TopOverlaps:
    """Count the elements that sets have in common.

    Parameters
    ----------
    A, B
        *Neighbour lists*: a `NeighborGraph`, or whole numbers of shape (n, k) or (layers, n, k), of
        B (n, k'). Row i of A is compared with row i of B, at all pairs of layers. *Sparse sets*: a
        `SparseSets` or a SciPy sparse matrix. Each set of A is compared with each of B. Without B,
        A is compared with itself.
    top : int, optional
        Of sparse sets only those with the largest overlaps for each set of A: a table of all pairs
        is never made. Without B, a set itself is left out.
    order : {"count", "jaccard"}
        What makes an overlap large for `top`: the common elements, or their share of the union.
    n_threads : int, optional
        All processors that this process may use; results do not depend on it.
    progress : bool or callable
        For sparse sets; as in `knn_graph`.

    Returns
    -------
    int32 array, or TopOverlaps with `top`
        Of neighbour lists (n,), or (layers of A, layers of B, n) of stacks; of sparse sets (sets of
        A, sets of B).

    Raises
    ------
    ValueError
        Shapes that do not fit, a number twice in a list, negative or too large.
    TypeError
        What holds no whole numbers.

    Notes
    -----
    Lists take O(n k (layers + pairs with something in common)). Sparse sets take as many steps as
    there are common elements in all pairs, in blocks of 16384 sets of B.

    Examples
    --------
    >>> import numpy as np
    >>> from ilo_fast.scores.similarity import SparseSets, set_overlap
    >>> set_overlap(np.array([[1, 2], [0, 2], [0, 1]]), np.array([[2, 1], [2, 3], [3, 4]])).tolist()
    [2, 1, 0]
    >>> set_overlap(SparseSets.of([{0, 1, 2}, {5}]), SparseSets.of([{1, 2}, {2, 5}])).tolist()
    [[2, 1], [0, 1]]
    """
    threads = thread_count(n_threads)
    choice("order", order, ("count", "jaccard"))
    if _is_sparse(A):
        return _all_pairs(A, B, top, order, threads, progress)
    if top is not None:
        raise ValueError("top is for sparse sets, not for neighbour lists: take all of a row")
    a = _lists(A, "A")
    b = a if B is None else _lists(B, "B")
    if a.ndim != b.ndim:
        raise ValueError(
            f"A has shape {a.shape} and B {b.shape}: wanted (n, k) or (layers, n, k) for both"
        )
    a, b, n_points = _numbered(a, b)
    counts = _core.compare_rows(
        a if a.ndim == 3 else a[None],
        b if b.ndim == 3 else b[None],
        n_points=n_points,
        measure="common",
        n_threads=threads,
    )
    return counts if a.ndim == 3 else counts[0, 0]


def _numbered(a: Counts, b: Counts) -> tuple[Counts, Counts, int]:
    """Both, and how many numbers there are: the core has a table of them."""
    n_points = 1 + max(int(a.max(initial=-1)), int(b.max(initial=-1)))
    if n_points <= 1024 + 8 * (a.size + b.size):
        return a, b, n_points
    known = np.unique(np.concatenate([a.ravel(), b.ravel()]))
    first, second = (np.searchsorted(known, side).astype(np.int32) for side in (a, b))
    return first, second, len(known)


def _all_pairs(
    A: Any,
    B: Any,
    top: int | None,
    order: str,
    threads: int,
    progress: bool | Callable[[float], None],
) -> Counts | TopOverlaps:
    a = A if isinstance(A, SparseSets) else SparseSets.of(A)
    if B is not None and not _is_sparse(B):
        raise TypeError(f"A holds sparse sets and B is a {type(B).__name__}: wanted them in both")
    b = a if B is None else B if isinstance(B, SparseSets) else SparseSets.of(B)
    sides, n_elements = _sides(a, b)
    with share_bar(progress is True, "set overlaps") as bar:
        update = progress if callable(progress) else bar
        if top is None:
            return _core.count_overlaps(
                *sides, n_elements=n_elements, n_threads=threads, progress=update
            )
        sets, counts = _core.top_overlaps(
            *sides,
            n_elements=n_elements,
            top=whole_number("top", top, most=_MOST),
            by_jaccard=order == "jaccard",
            only_others=B is None,
            n_threads=threads,
            progress=update,
        )
    if not len(b):
        return TopOverlaps(sets, counts, np.zeros(counts.shape))
    union = a.sizes[:, None] + b.sizes[np.maximum(sets, 0)] - counts
    return TopOverlaps(sets, counts, counts / np.maximum(union, 1))


def _sides(
    a: SparseSets, b: SparseSets
) -> tuple[tuple[NDArray[np.int64], Counts, NDArray[np.int64], Counts], int]:
    """Offsets and elements of both, and how many elements there are."""
    most = max(
        whole_number(f"n_elements of {name}", sets.n_elements, least=0, most=_MOST)
        for sets, name in ((a, "A"), (b, "B"))
    )
    first = as_points(np.asarray(a.elements), "A")
    second = first if b is a else as_points(np.asarray(b.elements), "B")
    # What is out of range, the core names.
    if all(not one.size or (one.min() >= 0 and one.max() < most) for one in (first, second)):
        first, second, most = _numbered(first, second)
    return (_offsets(a, "A"), first, _offsets(b, "B"), second), most


def _offsets(sets: SparseSets, name: str) -> NDArray[np.int64]:
    values = np.asarray(sets.offsets)
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"offsets of {name} have dtype {values.dtype}, wanted whole numbers")
    return np.ascontiguousarray(values, np.int64)


def _is_sparse(sets: Any) -> bool:
    return isinstance(sets, SparseSets) or hasattr(sets, "tocsr")


def _lists(lists: Any, name: str) -> Counts:
    values = np.asarray(lists.indices if isinstance(lists, NeighborGraph) else lists)
    if values.ndim not in (2, 3):
        raise ValueError(f"{name} has shape {values.shape}, wanted (n, k) or (layers, n, k)")
    return as_points(values, name)


def as_points(indices: NDArray[Any], name: str = "indices") -> Counts:
    """Numbers of points as the core takes them; ValueError where they do not fit in int32."""
    return np.ascontiguousarray(_whole(indices, name))


def _whole(values: NDArray[Any], name: str) -> Counts:
    if values.dtype == np.int32:
        return values
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"{name} has dtype {values.dtype}, wanted whole numbers")
    if values.size and (values.min() < 0 or values.max() >= 2**31):
        raise ValueError(
            f"{name} holds numbers from {values.min()} to {values.max()}, wanted them from 0 and "
            "below 2^31"
        )
    return values.astype(np.int32)
