"""extract(): the flow from a model and text to :class:`~ilo_fast.Representations`.

Everything that can be wrong with the input is looked at before the first forward pass: the text,
the tokens, the layers, the room on disk or in memory, and the hooks themselves.
"""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm.auto import tqdm

from ilo_fast._util.hashing import digest
from ilo_fast._util.memory import available_memory
from ilo_fast._util.workers import Workers
from ilo_fast.cache import CacheWriter, MemoryWriter, Store, default_cache_dir, total_bytes
from ilo_fast.corpora.opening import open_corpus
from ilo_fast.models.source import Subject
from ilo_fast.representations.batches import plan_batches
from ilo_fast.representations.pooling import PooledForward, choose_pad_id
from ilo_fast.representations.pooling import verify as verify_hooks
from ilo_fast.representations.result import Representations
from ilo_fast.representations.tokens import (
    TokenizedText,
    length_limit,
    tokenize,
)

logger = logging.getLogger(__name__)

# Padded tokens a batch, by measurement (benchmarks/pipeline.py --budgets).
CPU_BATCH_TOKENS = 1024
GPU_BATCH_TOKENS = 16384

# Languages are worked on together until they hold this many sentences: enough to fill batches with
# sentences of one length, also where each language has only a few.
_GROUP_SENTENCES = 2048


def extract(
    model: str | os.PathLike[str] | nn.Module,
    corpus: Any,
    *,
    tokenizer: Any = None,
    layers: int | Sequence[int] | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    batch_tokens: int | None = None,
    cache: bool | str | os.PathLike[str] | None = None,
    pooling: str = "mean",
    special_tokens: str = "include",
    max_length: int | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    verify: bool = True,
    progress: bool = True,
) -> Representations:
    """Represent every sentence, in every language, at every layer.

    The representation of a sentence at layer h is the mean over its tokens of the model's
    ``hidden_states[h]``, as published (arXiv 2503.11280): h = 0 is the input of the first block,
    the last is what the model returns, after its final norm where it has one. Padding never counts.

    Parameters
    ----------
    model
        A Hub name, a local folder, or a loaded transformers module (also inside PEFT or
        sentence-transformers). Decoder-only, encoder-only, or encoder-decoder (its encoder).
    corpus
        A ParallelCorpus, or a mapping from language code to sentences.
    tokenizer
        Needed for a loaded module whose ``name_or_path`` names none; else the model's own.
    layers
        Hidden states to keep; negative counts from the last. None keeps all. The result has them in
        ascending order, without duplicates.
    device
        None: a GPU where there is one, else the CPU. A loaded module stays where it is.
    dtype
        None: the checkpoint's own on a GPU, float32 on a CPU. A loaded module stays as it is. The
        mean is taken in float32 whatever this is; ``info["dtype"]`` says what the model ran in.
    batch_tokens
        Padded tokens in a batch. On a GPU too small for it, it is halved until it fits.
    cache
        A folder; True for the default one (``ILO_FAST_CACHE``, else ``$HF_ASSETS_CACHE/ilo_fast``);
        None or False for none. With a cache, results stay on disk and are mapped, a second call
        with equal inputs loads no weights, and an interrupted call goes on where it stopped.
    pooling
        ``"mean"``, the only one.
    special_tokens
        ``"include"`` pools over BOS, CLS, SEP and EOS too, as published; ``"exclude"`` does not.
    max_length
        Tokens kept of a sentence; None: what the tokenizer and the model allow.
    revision
        Branch, tag or commit on the Hub.
    trust_remote_code
        Allow Python code from the model's repository to run.
    verify
        Before the work starts, hold the hooks against the model's ``output_hidden_states`` and a
        padded batch against single sentences.
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
    """
    started = time.perf_counter()
    _check_choice("pooling", pooling, ("mean",))
    _check_choice("special_tokens", special_tokens, ("include", "exclude"))
    _check_positive("batch_tokens", batch_tokens)
    _check_positive("max_length", max_length)
    opened = open_corpus(corpus)
    store = _open_store(cache)
    subject = Subject.open(
        model,
        tokenizer=tokenizer,
        device=device,
        dtype=dtype,
        revision=revision,
        trust_remote_code=trust_remote_code,
        store=store,
        progress=progress,
    )
    facts = subject.facts()
    limit = length_limit(subject.tokenizer, facts.position_limit, max_length)
    exclude = special_tokens == "exclude"
    texts = {
        code: tokenize(subject.tokenizer, code, lines, limit=limit, exclude_special=exclude)
        for code, lines in opened.sentences.items()
    }
    _report_truncation(texts, limit)
    chosen = resolve_layers(layers, facts.n_blocks)

    job = _Job(
        subject=subject,
        texts=texts,
        layers=chosen,
        exclude=exclude,
        batch_tokens=batch_tokens,
        store=store if subject.key is not None else None,
        check=verify,
        settings={
            "layers": list(chosen),
            "pooling": pooling,
            "special_tokens": special_tokens,
            "matmul_precision": torch.get_float32_matmul_precision(),
        },
    )
    arrays = job.run(progress)
    info = {
        **subject.describe(),
        "layers": list(chosen),
        "pooling": pooling,
        "special_tokens": special_tokens,
        "max_length": limit,
        "truncated": {code: text.truncated for code, text in texts.items() if text.truncated},
        "n_tokens": {code: sum(map(len, text.ids)) for code, text in texts.items()},
        "batch_tokens": job.budget,
        "verified": job.verified,
        "cache": str(job.store.root) if job.store is not None else None,
        "cache_hits": list(job.hits),
        "seconds": round(time.perf_counter() - started, 3),
        "forward_seconds": round(job.forward_seconds, 3),
    }
    return Representations(arrays, chosen, parallel=opened.parallel, info=info)


def resolve_layers(layers: int | Sequence[int] | None, n_blocks: int) -> tuple[int, ...]:
    """Layer numbers in ascending order, negative ones counted from the last.

    Raises
    ------
    ValueError
        For a layer that does not exist, naming those that do.
    """
    if layers is None:
        return tuple(range(n_blocks + 1))
    wanted: list[int] = []
    for layer in [layers] if isinstance(layers, int) else layers:
        try:
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


Writer = MemoryWriter | CacheWriter


@dataclass
class _Job:
    """One call of extract(): what is there already, what is left, and the loop over it."""

    subject: Subject
    texts: Mapping[str, TokenizedText]
    layers: tuple[int, ...]
    exclude: bool
    batch_tokens: int | None
    store: Store | None
    check: bool
    settings: dict[str, Any]
    hits: list[str] = field(default_factory=list)
    budget: int | None = None
    verified: bool = False
    forward_seconds: float = 0.0
    workers: Workers = field(default_factory=lambda: Workers(1))

    def run(self, progress: bool) -> dict[str, NDArray[np.float32]]:
        """All languages, in the order of the corpus."""
        arrays = self._cached()
        self.hits = list(arrays)
        left = [code for code in self.texts if code not in arrays]
        total = sum(len(text.ids) for text in self.texts.values())
        with tqdm(
            total=total,
            initial=total - sum(len(self.texts[code].ids) for code in left),
            desc="extract",
            unit="sentence",
            unit_scale=False,
            disable=not progress or not left,
            dynamic_ncols=True,
        ) as bar:
            if left:
                arrays.update(self._compute(left, bar))
        return {code: arrays[code] for code in self.texts}

    def _cached(self) -> dict[str, NDArray[np.float32]]:
        found = {}
        if self.store is not None and self.subject.key is not None:
            for code in self.texts:
                array = self.store.read(self.subject.key, code, self._key(code))
                if array is not None:
                    found[code] = array
        return found

    def _key(self, code: str) -> str:
        return digest(self._parts(code))

    def _parts(self, code: str) -> dict[str, Any]:
        """All that one language's numbers depend on.

        The token ids stand for the text and the tokenizer, and for max_length: they are what the
        model is given.
        """
        return {**self.settings, "model": self.subject.key, "tokens": self.texts[code].digest}

    def _compute(self, left: list[str], bar: Any) -> dict[str, NDArray[np.float32]]:
        parts = self.subject.load()
        shapes = {code: (len(self.layers), len(self.texts[code].ids), parts.dim) for code in left}
        self._check_room(shapes)
        pad_id = choose_pad_id(parts, self.subject.tokenizer)
        if self.check:
            verify_hooks(parts, self.layers, pad_id, self._samples(left))
            self.verified = True
        on_cpu = self.subject.device.type == "cpu"
        if on_cpu:
            _warn_of_slow_dtype(self.subject.facts().dtype)
        self.budget = self.batch_tokens or (CPU_BATCH_TOKENS if on_cpu else GPU_BATCH_TOKENS)
        arrays: dict[str, NDArray[np.float32]] = {}
        self.workers = Workers(torch.get_num_threads() if on_cpu else 1)
        with PooledForward(parts, self.layers, pad_id) as forward, self.workers:
            busy: list[str] = []
            for group in _groups(left, self.texts):
                arrays.update(self._compute_group(forward, group, shapes, bar, busy))
            # Languages that another process was at work on: most are there by now.
            for code in busy:
                arrays.update(self._compute_group(forward, [code], shapes, bar, None))
        return arrays

    def _compute_group(
        self,
        forward: PooledForward,
        group: list[str],
        shapes: Mapping[str, tuple[int, int, int]],
        bar: Any,
        busy: list[str] | None,
    ) -> dict[str, NDArray[np.float32]]:
        """Work on a few languages together; `busy` takes those that another process holds."""
        with contextlib.ExitStack() as stack:
            writers: dict[str, Writer] = {}
            for code in group:
                writer = self._writer(code, shapes[code], wait=busy is None)
                if writer is None:
                    assert busy is not None
                    busy.append(code)
                    continue
                stack.callback(writer.close)
                writers[code] = writer
            items = []
            for code, writer in writers.items():
                items += [(code, int(row)) for row in np.flatnonzero(~writer.done)]
                bar.update(int(writer.done.sum()))
            self._forward_all(forward, items, writers, bar)
            return {code: writer.finish() for code, writer in writers.items()}

    def _writer(self, code: str, shape: tuple[int, int, int], wait: bool) -> Writer | None:
        if self.store is None or self.subject.key is None:
            return MemoryWriter(shape)
        return self.store.writer(
            self.subject.key, code, self._key(code), shape, self._parts(code), wait=wait
        )

    def _forward_all(
        self,
        forward: PooledForward,
        items: list[tuple[str, int]],
        writers: Mapping[str, Writer],
        bar: Any,
    ) -> None:
        assert self.budget is not None
        lengths = [len(self.texts[code].ids[row]) for code, row in items]
        todo = plan_batches(lengths, range(len(items)), self.budget)
        begun = time.perf_counter()

        def pool(members: Sequence[int]) -> NDArray[np.float32]:
            texts = [(self.texts[items[i][0]], items[i][1]) for i in members]
            ids = [text.ids[row] for text, row in texts]
            special = [text.special[row] for text, row in texts] if self.exclude else None
            return forward(ids, special)

        while todo:
            finished = 0
            try:
                for members, block in zip(todo, self.workers.map(pool, todo), strict=True):
                    batch = [items[i] for i in members]
                    self._check_finite(block, batch)
                    _distribute(batch, block, writers)
                    bar.update(len(batch))
                    finished += 1
                todo = []
            except torch.cuda.OutOfMemoryError as error:
                members = todo[finished]
                if len(members) == 1:
                    code, row = items[members[0]]
                    raise type(error)(
                        f"one sentence of {lengths[members[0]]} tokens ({code}, line {row + 1}) "
                        "does not fit on the GPU: pass max_length=, dtype='bfloat16', or "
                        "device='cpu'"
                    ) from error
                self._halve(members, lengths)
                rest = [i for batch_members in todo[finished:] for i in batch_members]
                todo = plan_batches(lengths, rest, self.budget)
        self.forward_seconds += time.perf_counter() - begun

    def _halve(self, members: Sequence[int], lengths: Sequence[int]) -> None:
        assert self.budget is not None
        taken = len(members) * max(lengths[i] for i in members)
        self.budget = max(1, min(self.budget, taken) // 2)
        logger.warning("out of GPU memory: going on with batch_tokens=%d", self.budget)
        torch.cuda.empty_cache()

    def _check_finite(self, block: NDArray[np.float32], batch: Sequence[tuple[str, int]]) -> None:
        finite = np.isfinite(block).all(axis=2)
        if finite.all():
            return
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        code, line = batch[column]
        dtype = self.subject.facts().dtype
        hint = (
            "float16 overflows above 65504: use dtype='bfloat16' or 'float32'"
            if dtype == "float16"
            else f"the model ran in {dtype}; are its weights sound?"
        )
        raise FloatingPointError(
            f"{code}, line {line + 1}, layer {self.layers[row]}: the representation is infinite or "
            f"not a number ({int((~finite).any(axis=0).sum())} of {len(batch)} sentences of its "
            f"batch); {hint}"
        )

    def _check_room(self, shapes: Mapping[str, tuple[int, int, int]]) -> None:
        needed = total_bytes(shapes.values())
        if self.store is not None:
            self.store.check_space(needed)
            return
        free = available_memory()
        if free is not None and needed > free:
            raise MemoryError(
                f"the representations take {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB of "
                "memory are free: pass cache=True (or a folder) to keep them on disk, or choose "
                "fewer layers="
            )

    def _samples(self, codes: Sequence[str]) -> list[Sequence[int]]:
        """A short and a longer sentence to verify with, neither of them the longest there is."""
        rows = sorted(self.texts[codes[0]].ids, key=len)
        short, long = rows[len(rows) // 10], rows[len(rows) * 9 // 10]
        return [short, long] if len(long) > len(short) else [short]


def _distribute(
    batch: Sequence[tuple[str, int]], block: NDArray[np.float32], writers: Mapping[str, Writer]
) -> None:
    """Hand each language its part of a batch."""
    for code in dict.fromkeys(code for code, _ in batch):
        columns = [i for i, (owner, _) in enumerate(batch) if owner == code]
        rows = np.array([batch[i][1] for i in columns], dtype=np.int64)
        writers[code].add(rows, block[:, columns])


def _groups(codes: Sequence[str], texts: Mapping[str, TokenizedText]) -> Iterator[list[str]]:
    group: list[str] = []
    count = 0
    for code in codes:
        group.append(code)
        count += len(texts[code].ids)
        if count >= _GROUP_SENTENCES:
            yield group
            group, count = [], 0
    if group:
        yield group


def _open_store(cache: bool | str | os.PathLike[str] | None) -> Store | None:
    if cache is None or cache is False:
        return None
    return Store(default_cache_dir() if cache is True else Path(cache).expanduser())


def _report_truncation(texts: Mapping[str, TokenizedText], limit: int | None) -> None:
    cut = {code: text.truncated for code, text in texts.items() if text.truncated}
    if cut:
        logger.warning(
            "%d sentences are longer than %s tokens and were truncated (%s)",
            sum(cut.values()),
            limit,
            ", ".join(f"{code}: {count}" for code, count in cut.items()),
        )


def _warn_of_slow_dtype(dtype: str) -> None:
    """Half precision without instructions for it is slower than float32, not faster."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    needed = {"bfloat16": ("avx512_bf16", "amx_bf16"), "float16": ("avx512_fp16", "amx_fp16")}
    # On other processors the names differ: say nothing rather than something wrong.
    known = [capabilities[name] for name in needed.get(dtype, ()) if name in capabilities]
    if known and not any(known):
        logger.warning(
            "dtype=%r: this processor has no instructions for it, float32 is faster", dtype
        )


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} is unknown: choose {' or '.join(map(repr, choices))}")


def _check_positive(name: str, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{name}={value!r}: wanted a whole number above 0, or None")
