"""The whole flow in one call: extract representations, then score their overlap."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ilo_fast.corpora.opening import Corpus, open_corpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.representations.extraction import extract
from ilo_fast.representations.ray.options import RayWorkers
from ilo_fast.scores.checks import check_measurable
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.result import OverlapScores

if TYPE_CHECKING:
    import torch


def measure(
    model: str | os.PathLike[str] | torch.nn.Module,
    corpus: Corpus | ParallelCorpus | Mapping[str, Sequence[str]] | str | os.PathLike[str],
    *,
    tokenizer: Any = None,
    tokenizer_languages: Mapping[str, str] | None = None,
    layers: int | Sequence[int] | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    batch_tokens: int | None = None,
    cache: bool | str | os.PathLike[str] | None = None,
    pooling: str = "mean",
    special_tokens: str = "include",
    prefix: str = "",
    max_length: int | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    verify: bool = True,
    name: str | None = None,
    workers: RayWorkers | None = None,
    n_neighbors: int = 5,
    threshold: int = 3,
    metric: str = "cosine",
    backend: str = "auto",
    n_threads: int | None = None,
    parallel: bool | None = None,
    groups: Sequence[str] | Literal[False] | None = None,
    intervals: bool = False,
    n_permutations: int = 0,
    level: float = 0.95,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> OverlapScores:
    """Measure the Interlingual Local Overlap of ``model`` on ``corpus``, layer by layer.

    Parameters
    ----------
    model
        A Hugging Face Hub name, a local folder, or a loaded module (with ``tokenizer=``).
    corpus
        Parallel text: a :class:`~ilo_fast.ParallelCorpus`, a folder of ``<code>.txt`` files
        or a corpus name (see :meth:`~ilo_fast.ParallelCorpus.load`). A plain mapping of
        language codes to sentences is taken as it comes, and need not be parallel.
    tokenizer, tokenizer_languages, layers, device, dtype, batch_tokens, cache, pooling
        As in :func:`~ilo_fast.extract`.
    special_tokens, prefix, max_length, revision, trust_remote_code, verify, name
        As there.
    workers
        Extract on a Ray cluster, with these workers (``RayWorkers()``: as many as it holds), which
        needs a `cache` that all nodes see. None: in this process, whatever `backend` is.
    n_neighbors, threshold, metric, backend, n_threads, parallel
        As in :func:`~ilo_fast.overlap`; ``backend="ray"`` makes the graphs on the cluster.
    groups, intervals, n_permutations, level, seed, checkpoint
        As there.
    progress
        Bars on standard error.

    Returns
    -------
    OverlapScores
        bridge, reach and ILO, each (layers, languages).

    Raises
    ------
    AccessError
        The model or the corpus cannot be reached.
    CorpusError
        The text is wrong.
    ValueError
        Fewer than two languages, k or a threshold out of reach; before the model runs.
    """
    opened = open_corpus(corpus)
    check_measurable(
        {code: len(lines) for code, lines in opened.sentences.items()},
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric=metric,
        backend=backend,
        n_threads=n_threads,
        parallel=opened.parallel if parallel is None else parallel,
    )
    representations = extract(
        model,
        opened,
        tokenizer=tokenizer,
        tokenizer_languages=tokenizer_languages,
        layers=layers,
        device=device,
        dtype=dtype,
        batch_tokens=batch_tokens,
        cache=cache,
        pooling=pooling,
        special_tokens=special_tokens,
        prefix=prefix,
        max_length=max_length,
        revision=revision,
        trust_remote_code=trust_remote_code,
        verify=verify,
        name=name,
        backend="local" if workers is None else "ray",
        workers=workers,
        progress=progress,
    )
    return overlap(
        representations,
        n_neighbors=n_neighbors,
        threshold=threshold,
        metric=metric,
        backend=backend,
        n_threads=n_threads,
        parallel=parallel,
        groups=groups,
        intervals=intervals,
        n_permutations=n_permutations,
        level=level,
        seed=seed,
        checkpoint=checkpoint,
        progress=progress,
    )
