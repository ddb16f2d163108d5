"""extract(): the flow from a model and text to :class:`~ilo_fast.Representations`.

Everything that can be wrong with the input is checked before the first forward pass: the text, the
tokens, the layers, the room on disk or in memory, and the hooks themselves.
"""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from ilo_fast._util.checks import whole_number
from ilo_fast.cache import Store
from ilo_fast.corpora.opening import Corpus, open_corpus
from ilo_fast.corpora.parallel import ParallelCorpus
from ilo_fast.models.limits import length_limit
from ilo_fast.models.source import ModelSource
from ilo_fast.representations.job import Job, run_job
from ilo_fast.representations.language_codes import language_codes
from ilo_fast.representations.poolings import POOLINGS
from ilo_fast.representations.ray.backend import Extraction, on_cluster
from ilo_fast.representations.ray.options import RayWorkers
from ilo_fast.representations.result import Representations
from ilo_fast.representations.tokens import tokenize

logger = logging.getLogger(__name__)


def extract(
    model: str | os.PathLike[str] | nn.Module,
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
    backend: Literal["local", "ray"] = "local",
    workers: RayWorkers | None = None,
    progress: bool = False,
) -> Representations:
    """Represent every sentence, in every language, at every layer.

    The representation of a sentence at layer h is, unless `pooling` says otherwise, the mean over
    its tokens of the model's
    ``hidden_states[h]``, as published (arXiv 2503.11280): h = 0 is the input of the first block,
    the last is what the model returns, after its final norm where it has one. Padding never counts.

    Parameters
    ----------
    model
        A Hub name, a local folder (also of a PEFT adapter, or of a run of
        :func:`~ilo_fast.finetune` or :func:`~ilo_fast.pretrain`), ``"demo"``, or a loaded
        transformers module (also inside PEFT or sentence-transformers). Decoder-only, encoder-only,
        or encoder-decoder (its encoder).
    corpus
        A ParallelCorpus, a folder or name of one (see :meth:`~ilo_fast.ParallelCorpus.load`), or a
        mapping from language code to sentences, which need not be parallel.
    tokenizer
        A tokenizer of transformers, its name or folder. Needed for a loaded module whose
        ``name_or_path`` names none; else the model's own.
    tokenizer_languages
        For tokenizers that mark each sentence with its language (NLLB, mBART-50, M2M-100): their
        codes for languages of the corpus, ``{"eng_Latn": "en_XX"}``, where the right ones are not
        found by themselves. ``info["language_codes"]`` says which were used.
    layers
        Hidden states to keep; negative counts from the last. None keeps all. The result has them in
        ascending order, without duplicates.
    device
        None: a GPU where there is one, else the CPU. A loaded module stays where it is.
    dtype
        None: the checkpoint's own on a GPU, float32 on a CPU. A loaded module stays as it is. The
        pooling is always done in float32; ``info["dtype"]`` says what the model ran in.
    batch_tokens
        Padded tokens in a batch. On a GPU too small for it, it is halved until it fits.
    cache
        A folder; True for the default one (``ILO_FAST_CACHE``, else ``$HF_ASSETS_CACHE/ilo_fast``);
        None or False for none. With a cache, results stay on disk and are mapped, a second call
        with equal inputs loads no weights, and an interrupted call continues where it stopped.
    pooling
        ``"mean"`` over the tokens; ``"weighted_mean"``, in which the i-th token counts i times
        (SGPT, arXiv 2202.08904); ``"last"`` or ``"first"`` token; ``"max"`` in each dimension.
    special_tokens
        ``"include"`` pools over BOS, CLS, SEP and EOS too, as published; ``"exclude"`` does not.
    prefix
        Text put before every sentence, as a model was trained to see it: ``"query: "`` of E5. Its
        tokens count in the pooling.
    max_length
        Tokens kept per sentence; None: what the tokenizer and the model allow.
    revision
        Branch, tag or commit on the Hub.
    trust_remote_code
        Allow Python code from the model's repository to run.
    verify
        Before the work starts, compare the hooks with the model's ``output_hidden_states``, and a
        padded batch with single sentences.
    name
        What the model is called in tables and figures (``info["model_name"]``). None: its Hub name,
        the name of its folder, or that of the run that trained it.
    backend
        ``"local"``: this process. ``"ray"``: workers on a Ray cluster that runs; they load the
        model themselves, from its folder or the Hub, and write to the cache, which all nodes must
        see. The batches are the same, and so are the bytes (``docs/how-to/scale.md`` says when).
        A call that was killed goes on from the shards that are finished, with any number of nodes.
    workers
        How many for ``"ray"``, and what each takes of its node.
    progress
        A bar on stderr.

    Returns
    -------
    Representations

    Raises
    ------
    AccessError
        The model is absent, gated or offline.
    CorpusError
        An empty line, or one without tokens; names language and line.
    ValueError
        An argument out of range, or an architecture that the hooks cannot read.
    FloatingPointError
        Infinite or undefined values; names language, line and layer.
    MemoryError
        Without a cache, results larger than memory.
    OSError
        The disk is full, naming the path and the bytes needed.
    RuntimeError
        For ``"ray"``: no cluster, no node for a worker, a shard whose worker is lost again and
        again, nothing that moves within the limits of ``representations/ray/pool.py``.
    FileNotFoundError
        For ``"ray"``: a node cannot see the cache.
    ImportError
        ``"ray"`` without its package.
    """
    _check_choice("pooling", pooling, POOLINGS)
    _check_choice("backend", backend, ("local", "ray"))
    if backend != "ray" and workers is not None:
        raise ValueError("workers is for backend='ray', not for backend='local'")
    _check_choice("special_tokens", special_tokens, ("include", "exclude"))
    _check_types(
        {
            "verify": (verify, bool),
            "progress": (progress, bool),
            "trust_remote_code": (trust_remote_code, bool),
            "revision": (revision, str),
            "name": (name, str),
            "prefix": (prefix, str),
        }
    )
    if batch_tokens is not None:
        batch_tokens = whole_number("batch_tokens", batch_tokens)
    if max_length is not None:
        max_length = whole_number("max_length", max_length)
    opened = open_corpus(corpus)
    with contextlib.ExitStack() as stack:
        cluster: Extraction | None = None
        if backend == "ray":
            cluster = stack.enter_context(on_cluster(model, cache, device, workers))
        source = ModelSource.open(
            model,
            tokenizer=tokenizer,
            device=device if cluster is None else cluster.device,
            dtype=dtype,
            revision=revision,
            trust_remote_code=trust_remote_code,
            store=Store.open(cache),
            progress=progress,
            label=name,
            elsewhere=cluster is not None,
        )
        return extract_from(
            source,
            opened,
            tokenizer_languages=tokenizer_languages,
            layers=layers,
            batch_tokens=batch_tokens,
            pooling=pooling,
            special_tokens=special_tokens,
            prefix=prefix,
            max_length=max_length,
            verify=verify,
            cluster=cluster,
            progress=progress,
        )


def extract_from(
    source: ModelSource,
    corpus: Corpus | ParallelCorpus,
    *,
    tokenizer_languages: Mapping[str, str] | None = None,
    layers: int | Sequence[int] | None = None,
    batch_tokens: int | None = None,
    pooling: str = "mean",
    special_tokens: str = "include",
    prefix: str = "",
    max_length: int | None = None,
    verify: bool = True,
    cluster: Extraction | None = None,
    progress: bool = False,
) -> Representations:
    """The same of a model that is opened: it is loaded if it must be, and stays loaded.

    Parameters
    ----------
    source
        The model, with the cache that it was opened with.
    corpus, tokenizer_languages, layers, batch_tokens, pooling, special_tokens, prefix, max_length
        As :func:`extract` has them, checked.
    verify, progress
        As there.
    cluster
        Workers; None: this process.
    """
    started = time.perf_counter()
    opened, store = open_corpus(corpus), source.store
    source.check_languages(tuple(opened.sentences))
    if cluster is not None:
        cluster.info(source, {code: len(lines) for code, lines in opened.sentences.items()})
    model_info = source.info()
    limit = length_limit(source.tokenizer, model_info.position_limit, max_length)
    _check_room_for_text(source.tokenizer, limit)
    spoken = language_codes(source.tokenizer, opened.sentences, tokenizer_languages)
    texts = {
        code: tokenize(
            source.tokenizer,
            code,
            [prefix + line for line in lines] if prefix else lines,
            limit=limit,
            exclude_special=special_tokens == "exclude",
            language=spoken.get(code),
        )
        for code, lines in opened.sentences.items()
    }
    truncated = {code: text.truncated for code, text in texts.items() if text.truncated}
    _report_truncation(truncated, limit)
    job = Job(
        source=source,
        texts=texts,
        layers=resolve_layers(layers, model_info.n_blocks),
        pooling=pooling,
        special_tokens=special_tokens,
        batch_tokens=batch_tokens,
        verify=verify,
        store=store if source.key is not None else None,
    )
    compute = None if cluster is None else cluster.compute
    outcome = run_job(job, progress=progress, compute=compute)
    info = {
        **source.describe(),
        "layers": list(job.layers),
        "pooling": pooling,
        "special_tokens": special_tokens,
        "prefix": prefix,
        "max_length": limit,
        "language_codes": spoken or None,
        "truncated": truncated,
        "corpus_sha256": opened.sha256,
        "n_tokens": {code: sum(map(len, text.ids)) for code, text in texts.items()},
        "batch_tokens": outcome.batch_tokens,
        "padding": outcome.padding,
        "verified": outcome.verified,
        "cache": str(job.store.root) if job.store is not None else None,
        "cache_hits": outcome.cache_hits,
        "seconds": round(time.perf_counter() - started, 3),
        "forward_seconds": round(outcome.forward_seconds, 3),
        **({} if outcome.cluster is None else {"cluster": outcome.cluster}),
    }
    return Representations(
        outcome.arrays,
        job.layers,
        parallel=opened.parallel,
        groups=opened.groups,
        info=info,
    )


def resolve_layers(layers: int | Sequence[int] | None, n_blocks: int) -> tuple[int, ...]:
    """Layer numbers in ascending order, negative ones counted from the last.

    Raises
    ------
    ValueError
        A layer that does not exist; names those that do.
    """
    if layers is None:
        return tuple(range(n_blocks + 1))
    wanted: list[int] = []
    given: Any = (
        layers if isinstance(layers, Iterable) and not isinstance(layers, str) else [layers]
    )
    for layer in given:
        try:
            if isinstance(layer, (bool, np.bool_)):
                raise TypeError
            index = operator.index(layer)
        except TypeError:
            raise ValueError(f"layers holds {layer!r}, wanted whole numbers") from None
        resolved = index + n_blocks + 1 if index < 0 else index
        if not 0 <= resolved <= n_blocks:
            raise ValueError(
                f"layers holds {index}, but this model has {n_blocks} blocks: layers 0 (the "
                f"embedding output) to {n_blocks} (its output), or -1 to {-n_blocks - 1}"
            )
        wanted.append(resolved)
    if not wanted:
        raise ValueError("layers is empty: name at least one, or pass None for all")
    return tuple(sorted(set(wanted)))


def _report_truncation(truncated: Mapping[str, int], limit: int | None) -> None:
    if truncated:
        logger.warning(
            "%d sentences are longer than %s tokens and were truncated (%s)",
            sum(truncated.values()),
            limit,
            ", ".join(f"{code}: {count}" for code, count in truncated.items()),
        )


def _check_room_for_text(tokenizer: Any, limit: int | None) -> None:
    count = getattr(tokenizer, "num_special_tokens_to_add", None)
    added = count() if callable(count) else 0
    if limit is not None and limit <= added:
        raise ValueError(
            f"{limit} tokens per sentence, the tokenizer's model_max_length, leave no room for "
            f"text beside {added} special tokens: pass max_length={added + 1} or more"
        )


def _check_types(options: Mapping[str, tuple[Any, type]]) -> None:
    for name, (value, kind) in options.items():
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name}={value!r} must be a {kind.__name__}")


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={value!r} is unknown: choose {' or '.join(map(repr, choices))}")
