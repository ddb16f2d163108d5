"""The whole flow in one call: extract representations, then score their overlap."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast.corpora.opening import Corpus, open_corpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.representations.extraction import extract
from ilo_fast.scores.overlap import overlap
from ilo_fast.scores.result import OverlapScores

if TYPE_CHECKING:
    import torch


def measure(
    model: str | Path | torch.nn.Module,
    corpus: Corpus | ParallelCorpus | Mapping[str, Sequence[str]] | str | Path,
    **options: Any,
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
    **options
        Any keyword of :func:`~ilo_fast.extract` (``layers``, ``dtype``,
        ``cache``, ...) or of :func:`~ilo_fast.overlap` (``n_neighbors``, ``threshold``,
        ``metric``, ``backend``, ...). Each goes to the function that knows it; ``progress`` goes
        to both.

    Returns
    -------
    OverlapScores
        bridge, reach and ILO, each (layers, languages).

    Raises
    ------
    TypeError
        An option that neither function knows.
    AccessError
        The model or the corpus cannot be reached.
    CorpusError
        The text is wrong.
    """
    extract_names, overlap_names = option_names(extract), option_names(overlap)
    unknown = [name for name in options if name not in extract_names | overlap_names]
    if unknown:
        raise TypeError(
            f"measure() got unknown options: {', '.join(unknown)}. "
            f"extract() takes {', '.join(sorted(extract_names))}; "
            f"overlap() takes {', '.join(sorted(overlap_names))}"
        )
    representations = extract(model, open_corpus(corpus), **_only(options, extract_names))
    return overlap(representations, **_only(options, overlap_names))


def option_names(function: Callable[..., Any]) -> frozenset[str]:
    """Names of the keyword-only parameters of ``function``."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def _only(options: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}
