"""What can be refused before a model runs: languages, k, threshold, metric and backend."""

from __future__ import annotations

from collections.abc import Mapping

from ilo_fast._util.checks import whole_number
from ilo_fast._util.messages import listed
from ilo_fast._util.optional import require
from ilo_fast.graph import cuda
from ilo_fast.graph.options import check_metric, chosen_backend, thread_count


def check_measurable(
    sizes: Mapping[str, int],
    *,
    n_neighbors: int,
    threshold: int,
    metric: str,
    backend: str,
    n_threads: int | None,
    parallel: bool | None,
) -> None:
    """Raise where `overlap` would refuse languages of these sizes, whatever their vectors.

    Parameters
    ----------
    sizes
        Language -> its number of sentences.
    n_neighbors, threshold, metric, backend, n_threads, parallel
        As `overlap` has them.

    Raises
    ------
    ValueError, TypeError
        As `overlap`.
    ImportError
        The backend needs a package that is missing.
    """
    check_metric(metric)
    chosen = chosen_backend(backend)
    thread_count(n_threads)
    if chosen == "hnsw":
        require("hnswlib", "hnsw")
    if chosen == "ray":
        require("ray", "ray")
    if chosen == "cuda" and cuda.problem():
        raise ValueError(f"backend='cuda' cannot be used: {cuda.problem()}")
    check_pool(
        sizes,
        n_neighbors=whole_number("n_neighbors", n_neighbors),
        threshold=whole_number("threshold", threshold),
        parallel=bool(parallel),
        what="corpus",
    )


def check_pool(
    sizes: Mapping[str, int],
    *,
    n_neighbors: int,
    threshold: int,
    parallel: bool,
    what: str = "representations",
) -> None:
    """Raise where no point can have so many neighbours, or meet so many languages.

    `what` is the argument that has the languages, for the message.
    """
    if len(sizes) < 2:
        only = f" ({next(iter(sizes))})" if sizes else ""
        raise ValueError(
            f"{what} has {len(sizes)} language(s){only}: overlap between languages needs at least 2"
        )
    if empty := [code for code, n in sizes.items() if n == 0]:
        raise ValueError(f"{what}[{empty[0]!r}] has no sentences: leave it out")
    total = sum(sizes.values())
    if n_neighbors >= total:
        raise ValueError(
            f"n_neighbors={n_neighbors} needs at least {n_neighbors + 1} sentences over all "
            f"languages, got {total} of {len(sizes)} languages: use n_neighbors={total - 1} or less"
        )
    reachable = min(len(sizes) - 1, n_neighbors)
    if threshold > reachable:
        raise ValueError(
            f"threshold={threshold} cannot be reached with {len(sizes)} languages "
            f"and n_neighbors={n_neighbors}: use threshold={reachable} or less"
        )
    if parallel and len(set(sizes.values())) > 1:
        counts = listed([f"{code}: {n}" for code, n in sizes.items()])
        raise ValueError(
            f"parallel=True needs the same number of sentences in every language, got {counts}"
        )
