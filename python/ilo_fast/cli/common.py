"""What several commands do: open the text, run the model, score, and say how it was done."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ilo_fast._util.messages import counted
from ilo_fast._util.processors import usable_processors
from ilo_fast.cli.beside import measure_beside
from ilo_fast.cli.output import draw_results, kept_scores
from ilo_fast.cli.parser import UsageError
from ilo_fast.models.demo import DEMO
from ilo_fast.models.folders import display_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ilo_fast.corpora.parallel import ParallelCorpus
    from ilo_fast.models.source import ModelSource
    from ilo_fast.representations.result import Representations
    from ilo_fast.scores.result import OverlapScores

logger = logging.getLogger(__name__)

_SAMPLING = ("run", "extract")  # elsewhere --seed is of the training


def load_corpus(args: argparse.Namespace, languages: str | None) -> ParallelCorpus:
    """The text that the flags name, in some languages of it."""
    from ilo_fast.corpora.parallel import ParallelCorpus

    seed = getattr(args, "seed", None) if args.command in _SAMPLING else None
    if seed is not None and args.limit is None:
        raise UsageError("--seed draws the sentences of --limit: give both, or neither")
    corpus = ParallelCorpus.load(
        args.corpus,
        languages,
        args.limit if seed is None else None,
        split=args.split,
        revision=args.corpus_revision,
        allow_unknown=args.allow_unknown,
        progress=wants_bars(args),
    )
    if seed is not None:
        corpus = corpus.sample(args.limit, seed=seed)
    documents = corpus.info["n_documents"]
    logger.info(
        "text: %s, %d languages x %d sentences%s%s",
        corpus.name, len(corpus.languages), corpus.n_sentences,
        "" if documents is None else f" of {counted(documents, 'document')}",
        "" if args.limit is None else " (--limit: for trying out)",
    )  # fmt: skip
    return corpus


def model_title(args: argparse.Namespace) -> str:
    """A model's name for titles: ``--name``, else as it is displayed anywhere."""
    return str(args.name or display_name(args.model))


def model_name(args: argparse.Namespace) -> str:
    """A model's name for messages and folders: short for the demo, else as in titles."""
    return DEMO if args.model == DEMO and not args.name else model_title(args)


def open_source(args: argparse.Namespace) -> ModelSource:
    """The model that the flags name, its weights not yet loaded."""
    from ilo_fast.cache import Store
    from ilo_fast.models.source import ModelSource

    with model_output(args.quiet):
        return ModelSource.open(
            args.model,
            device=args.device,
            dtype=args.dtype,
            revision=args.revision,
            trust_remote_code=args.trust_remote_code,
            store=Store.open(False if args.no_cache else args.cache or True),
            progress=not args.quiet,
            label=args.name,
        )


def extract_representations(
    args: argparse.Namespace, corpus: ParallelCorpus, source: ModelSource | None = None
) -> Representations:
    """Run the model that the flags name over ``corpus``; ``source``: that model, opened before."""
    logger.info("model: %s", model_name(args))
    from ilo_fast.representations.extraction import extract_from

    set_threads(args)
    source = source or open_source(args)
    with model_output(args.quiet):
        return extract_from(
            source,
            corpus,
            layers=args.layers,
            batch_tokens=args.batch_tokens,
            pooling=args.pooling,
            tokenizer_languages=args.tokenizer_languages,
            special_tokens=args.special_tokens,
            prefix=args.prefix,
            max_length=args.max_length,
            progress=not args.quiet,
        )


def set_threads(args: argparse.Namespace) -> None:
    """As many CPU threads as asked for, else no more than the process may use."""
    import torch

    wanted = args.n_threads or min(torch.get_num_threads(), usable_processors())
    torch.set_num_threads(wanted)


def wants_bars(args: argparse.Namespace) -> bool:
    """Whether bars are to be drawn that cannot be lines of a log: those of downloads."""
    return not args.quiet and sys.stderr.isatty()


def model_output(quiet: bool) -> contextlib.AbstractContextManager[None]:
    """Around everything that loads a model: what transformers prints itself.

    Its bars never show, for ours do: one at a time. With ``-q`` its remarks do not either.
    """
    from ilo_fast.models.output import hidden_bars, suppress_output

    return suppress_output() if quiet else hidden_bars()


def score_into(
    folder: Path,
    representations: Mapping[str, NDArray[Any]],
    settings: dict[str, Any],
    args: argparse.Namespace,
    began: float,
    *,
    parallel: bool | None = None,
    texts: Mapping[str, Sequence[str]] | None = None,
    drawn: bool = True,
) -> tuple[OverlapScores, list[Path]]:
    """Score, unless the folder has these very scores, and write what is to be written.

    ``texts`` are the sentences, where they are at hand; else the corpus that was recorded is asked.
    ``drawn``: with tables, figures and the page.
    """
    from ilo_fast.report.files import write_scores
    from ilo_fast.scores.overlap import overlap
    from ilo_fast.scores.result import SCORES_FILE

    settings = settings | content_of(representations)
    scores = kept_scores(folder, settings, overwrite=args.overwrite)
    fresh = scores is None
    if scores is None:
        scores = overlap(
            representations,
            n_neighbors=args.n_neighbors,
            threshold=args.threshold,
            metric=args.metric,
            backend=args.backend,
            n_threads=args.n_threads,
            parallel=parallel,
            intervals=not args.quick,
            n_permutations=0 if args.quick else args.permutations,
            groups=False if args.unit == "sentence" else None,
            neighbors=not args.quick,
            progress=not args.quiet,
        )
        run_info = settings | finished(began)
        scores = dataclasses.replace(scores, info={**scores.info, "run": run_info})
    else:
        logger.info("%s has these scores already; they are kept", folder)
    written = write_scores(scores, folder) if fresh else [folder / SCORES_FILE]
    written += measure_beside(folder, representations, scores, args, fresh=fresh)
    if drawn:
        written += draw_results(
            folder, scores, with_texts=not args.no_text, texts=texts, progress=not args.quiet
        )
    return scores, written


def check_unit(args: argparse.Namespace, text: Any) -> None:
    """Refuse documents as units where `text` (a corpus, or representations) knows none."""
    if args.unit == "document" and getattr(text, "groups", None) is None:
        raise UsageError(
            "--unit document: this text does not say which sentences are of one document; put a "
            "groups.txt beside it (one name per sentence), or leave --unit out"
        )


def extract_settings(args: argparse.Namespace, corpus: ParallelCorpus) -> dict[str, Any]:
    """What the representations depend on, as far as it is known before the model runs."""
    return {
        "command": args.command,
        "model": args.model,
        "model_name": model_title(args),
        "model_revision": args.revision,
        "corpus": args.corpus,
        "corpus_name": "demo corpus" if args.corpus == "demo" else corpus.name,
        "corpus_sha256": corpus.fingerprint(),
        "documents_sha256": corpus.info["documents_sha256"],
        "languages": list(corpus.languages),
        "limit": args.limit,
        "seed": getattr(args, "seed", None),
        "split": getattr(args, "split", None),
        "layers": "all" if args.layers is None else list(args.layers),
        "pooling": args.pooling,
        "special_tokens": args.special_tokens,
        "prefix": args.prefix,
        "max_length": args.max_length,
        "tokenizer_languages": args.tokenizer_languages,
        "dtype": args.dtype or "default",
        "batch_tokens": args.batch_tokens,
        "device": args.device or "default",
    }


def overlap_settings(args: argparse.Namespace) -> dict[str, Any]:
    """What the scores depend on besides the representations."""
    from ilo_fast.graph.options import APPROXIMATE

    return {
        "n_neighbors": args.n_neighbors,
        "threshold": args.threshold,
        "metric": args.metric,
        "backend": args.backend if args.backend in APPROXIMATE else "exact",
        "threads": args.n_threads,
        "intervals": not args.quick,
        "n_permutations": 0 if args.quick else args.permutations,
        "unit": args.unit,
    }


def content_of(representations: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """What tells whether two runs scored the same: hashes of the weights, if known, and values."""
    import numpy as np

    from ilo_fast.corpora.documents import partition_hash

    digest = hashlib.sha256()
    for code in sorted(representations):
        array = representations[code]
        digest.update(f"{code}\0{array.dtype.str}\0{array.shape}\0".encode())
        for part in array if array.ndim == 3 else (array,):
            digest.update(np.ascontiguousarray(part).view(np.uint8).data)
    found = {
        "values_sha256": digest.hexdigest(),
        "documents_sha256": partition_hash(getattr(representations, "groups", None)),
    }
    weights = getattr(representations, "info", {}).get("weights_sha256")
    return found if weights is None else {"weights_sha256": weights, **found}


def finished(began: float) -> dict[str, Any]:
    """When the work ended, and how long it took (``began``: of :func:`time.monotonic`)."""
    return {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.monotonic() - began, 2),
    }


def when_interrupted(args: argparse.Namespace) -> str:
    """What a reader of "interrupted" must know: what is kept, and how to go on."""
    if args.no_cache:
        return "With --no-cache nothing is kept of an unfinished run."
    from ilo_fast.cache import default_cache_dir

    folder = args.cache or default_cache_dir()
    if not _has_work_since(folder, args.began):
        return "Nothing was extracted yet; the same command begins again."
    return f"What was extracted is kept in {folder}; the same command goes on from there."


def _has_work_since(folder: Path, began: float) -> bool:
    return any(
        path.suffix in (".npy", ".partial") and path.stat().st_mtime >= began
        for path in folder.rglob("*")
        if path.is_file()
    )


def check_scorable(args: argparse.Namespace, corpus: ParallelCorpus) -> None:
    """Refuse before the model runs what scoring would refuse after it."""
    from ilo_fast.scores.checks import check_measurable

    check_measurable(
        dict.fromkeys(corpus.languages, corpus.n_sentences),
        n_neighbors=args.n_neighbors,
        threshold=args.threshold,
        metric=args.metric,
        backend=args.backend,
        n_threads=args.n_threads,
        parallel=True,
    )
