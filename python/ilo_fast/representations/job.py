"""The work behind extract(): take what the cache has, compute the rest in batches.

Languages are computed a few at a time, so that batches can be filled with sentences of one length
although each language has only a few of them.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast._util.memory import available_memory
from ilo_fast._util.messages import byte_size, counted
from ilo_fast._util.progress import CostBar, cost_bar
from ilo_fast.cache import CacheWriter, Entry, Store
from ilo_fast.models.forward import is_offloaded
from ilo_fast.models.source import ModelSource
from ilo_fast.representations.batches import batch_workers, default_batch_tokens, run_batches
from ilo_fast.representations.pooling import PooledForward, choose_pad_id
from ilo_fast.representations.tokens import TokenizedText
from ilo_fast.representations.verification import (
    Padding,
    check_vocabulary,
    choose_samples,
    find_padding,
    verify,
)
from ilo_fast.representations.workers import Workers

logger = logging.getLogger(__name__)

# Languages are computed together until they hold this many sentences.
_GROUP_SENTENCES = 2048


@dataclass(frozen=True)
class Job:
    """What is to be computed, with every argument of extract() checked and resolved.

    Attributes
    ----------
    source
        The model.
    texts
        Language code -> its tokens.
    layers
        Hidden states to pool, ascending.
    pooling, special_tokens, verify
        As extract() has them.
    batch_tokens
        Padded tokens per batch; None: the default of the device.
    store
        None: no cache.
    """

    source: ModelSource
    texts: Mapping[str, TokenizedText]
    layers: tuple[int, ...]
    pooling: str
    special_tokens: str
    batch_tokens: int | None
    verify: bool
    store: Store | None

    def entry(self, code: str, *, verified: bool | None = None) -> Entry:
        """The place of a language in the cache, by all that its numbers depend on.

        The token ids stand for the text, the tokenizer and max_length. Verified numbers do not
        depend on how sentences were batched; unverified ones may (padding may leak).

        Parameters
        ----------
        verified
            None: as `verify` says.
        """
        verified = self.verify if verified is None else verified
        batching = "any" if verified else self.batch_tokens or "default"
        parts = {
            "layers": list(self.layers),
            "pooling": self.pooling,
            "special_tokens": self.special_tokens,
            "matmul_precision": torch.get_float32_matmul_precision(),
            "model": self.source.key,
            "tokens": self.texts[code].digest,
            "verified": verified,
            "batch_tokens": batching,
        }
        return Entry(code, parts)

    def cached(self, code: str) -> NDArray[np.float32] | None:
        """A language that the cache has: verified, or else as unverified as this job's."""
        assert self.store is not None
        found = self.store.read(self.entry(code, verified=True))
        if found is None and not self.verify:
            found = self.store.read(self.entry(code))
        return found


@dataclass
class Outcome:
    """What a job gave.

    Attributes
    ----------
    arrays
        Language code -> (layers, sentences, dim), in the order of the corpus.
    cache_hits
        Languages that the cache had.
    batch_tokens
        What fitted into memory; None where nothing was computed.
    padding
        How sentences shared batches: "right", or "none" where only those of one length did, because
        the model does not mask padding; None where nothing was computed.
    verified
        Whether the hooks were compared with the model's own hidden states, now or when the cached
        results were made.
    forward_seconds
        Time in forward passes.
    """

    arrays: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    cache_hits: list[str] = field(default_factory=list)
    batch_tokens: int | None = None
    padding: str | None = None
    verified: bool = False
    forward_seconds: float = 0.0


def run_job(job: Job, *, progress: bool) -> Outcome:
    """Represent all languages of `job`; raises as extract() does."""
    outcome = Outcome(verified=job.verify)
    if job.store is not None:
        for code in job.texts:
            array = job.cached(code)
            if array is not None:
                outcome.arrays[code] = array
    outcome.cache_hits = list(outcome.arrays)
    left = [code for code in job.texts if code not in outcome.arrays]
    if left:
        if progress:
            _report_cost(job, left)
        _compute(job, left, outcome, progress)
    outcome.arrays = {code: outcome.arrays[code] for code in job.texts}
    return outcome


def _report_cost(job: Job, left: Sequence[str]) -> None:
    """Say before the long work how much it is."""
    lengths = [len(ids) for code in left for ids in job.texts[code].ids]
    size = byte_size(4 * len(job.layers) * len(lengths) * job.source.info().dim)
    logger.info(
        "to extract: %s sentences, %s tokens, %s; %s %s",
        f"{len(lengths):,}", f"{sum(lengths):,}", counted(len(job.layers), "layer"), size,
        "in memory" if job.store is None else f"in the cache {job.store.root}",
    )  # fmt: skip


def _compute(job: Job, left: list[str], outcome: Outcome, progress: bool) -> None:
    parts = job.source.load()
    count = sum(len(job.texts[code].ids) for code in left)
    _check_room(job.store, 4 * len(job.layers) * count * parts.dim)
    pad_id = choose_pad_id(parts, job.source.tokenizer)
    check_vocabulary(parts, {code: job.texts[code] for code in left})
    samples = choose_samples([job.texts[code] for code in left])
    if job.verify:
        verify(parts, job.layers, pad_id, samples)
    padding = find_padding(parts, job.layers, pad_id, samples)
    device = job.source.device
    if device.type == "cpu":
        _warn_of_slow_dtype(job.source.info().dtype)
    outcome.batch_tokens = job.batch_tokens or default_batch_tokens(device)
    _settle_batches(outcome, padding, type(parts.backbone).__name__)
    sentences = [ids for code in left for ids in job.texts[code].ids]
    with (
        PooledForward(parts, job.layers, pad_id, job.pooling) as forward,
        batch_workers(device, one_at_a_time=is_offloaded(parts.backbone)) as workers,
        cost_bar(
            progress,
            "extract",
            cost=sum(_cost(len(ids), parts.dim) for ids in sentences),
            items=len(sentences),
            unit="sentence",
        ) as bar,
    ):
        dim = parts.dim
        if job.layers == (parts.n_blocks,):
            # The last layer may be wider: a projection (AltCLIP), two streams (Reformer).
            dim = forward([min(samples, key=len)]).shape[2]
        shapes = {code: (len(job.layers), len(job.texts[code].ids), dim) for code in left}
        work = _Languages(job, outcome, shapes, forward, workers, bar)
        busy: list[str] = []
        for group in _groups(left, job.texts):
            busy += work.compute(group, wait=False)
        # Languages that another process was computing: most are finished by now.
        for code in busy:
            work.compute([code], wait=True)


def _settle_batches(outcome: Outcome, padding: Padding, name: str) -> None:
    outcome.padding = "right" if padding == "right" else "none"
    if padding == "none":
        logger.info("%s does not mask padding: only sentences of one length share a batch", name)
    if padding == "alone":
        logger.info("%s reads a sentence otherwise beside others: one sentence at a time", name)
        outcome.batch_tokens = 1


class MemoryWriter:
    """Collects the batches of one language in memory; the counterpart of CacheWriter.

    Attributes
    ----------
    done : ndarray of bool
        True for each sentence that is finished.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.done = np.zeros(shape[1], dtype=bool)
        self._array = np.empty(shape, dtype=np.float32)

    def add(self, rows: NDArray[np.int64], block: NDArray[np.float32]) -> None:
        """Add `block` (layers, len(rows), dim) as the given sentences."""
        self._array[:, rows] = block
        self.done[rows] = True

    def finish(self) -> NDArray[np.float32]:
        """The whole language, (layers, sentences, dim), read-only."""
        self._array.flags.writeable = False
        return self._array

    def close(self) -> None:
        """Does nothing: there is no file to close."""


@dataclass(frozen=True)
class _Languages:
    """Computes languages with a model that is ready."""

    job: Job
    outcome: Outcome
    shapes: Mapping[str, tuple[int, int, int]]
    forward: PooledForward
    workers: Workers
    bar: CostBar

    def compute(self, codes: Sequence[str], *, wait: bool) -> list[str]:
        """Compute a few languages together; returns those that another process holds."""
        busy = []
        with contextlib.ExitStack() as stack:
            writers: dict[str, MemoryWriter | CacheWriter] = {}
            for code in codes:
                writer = self._writer(code, wait=wait)
                if writer is None:
                    busy.append(code)
                else:
                    stack.callback(writer.close)
                    writers[code] = writer
            self._run_batches(writers)
            for code, writer in writers.items():
                self.outcome.arrays[code] = writer.finish()
        return busy

    def _writer(self, code: str, *, wait: bool) -> MemoryWriter | CacheWriter | None:
        if self.job.store is None:
            return MemoryWriter(self.shapes[code])
        return self.job.store.writer(self.job.entry(code), self.shapes[code], wait=wait)

    def _run_batches(self, writers: Mapping[str, MemoryWriter | CacheWriter]) -> None:
        """Forward passes over every sentence that is not done."""
        sentences: list[tuple[str, int]] = []
        for code, writer in writers.items():
            sentences += [(code, int(row)) for row in np.flatnonzero(~writer.done)]
            done = [int(row) for row in np.flatnonzero(writer.done)]
            self.bar.advance(sum(self._cost(code, row) for row in done), len(done), free=True)
        texts = self.job.texts
        exclude = self.job.special_tokens == "exclude"

        def pool(members: Sequence[int]) -> NDArray[np.float32]:
            batch = [(texts[code], row) for code, row in (sentences[i] for i in members)]
            special = [text.special[row] for text, row in batch] if exclude else None
            return self.forward([text.ids[row] for text, row in batch], special)

        def store(members: Sequence[int], block: NDArray[np.float32]) -> None:
            batch = [sentences[i] for i in members]
            self._check_finite(block, batch)
            for code in dict.fromkeys(code for code, _ in batch):
                columns = [i for i, (owner, _) in enumerate(batch) if owner == code]
                rows = np.array([batch[i][1] for i in columns], dtype=np.int64)
                writers[code].add(rows, block[:, columns])
            self.bar.advance(sum(self._cost(*sentence) for sentence in batch), len(batch))

        def name(i: int) -> str:
            code, row = sentences[i]
            return f"{code}, line {row + 1}"

        assert self.outcome.batch_tokens is not None
        begun = time.perf_counter()
        self.outcome.batch_tokens = run_batches(
            pool,
            [len(texts[code].ids[row]) for code, row in sentences],
            self.outcome.batch_tokens,
            self.workers,
            same_length=self.outcome.padding == "none",
            on_result=store,
            name=name,
        )
        self.outcome.forward_seconds += time.perf_counter() - begun

    def _cost(self, code: str, row: int) -> float:
        return _cost(len(self.job.texts[code].ids[row]), self.shapes[code][2])

    def _check_finite(self, block: NDArray[np.float32], batch: Sequence[tuple[str, int]]) -> None:
        finite = np.isfinite(block).all(axis=2)
        if finite.all():
            return
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        code, line = batch[column]
        dtype = self.job.source.info().dtype
        hint = (
            "float16 overflows above 65504: use dtype='bfloat16' or 'float32'"
            if dtype == "float16"
            else f"the model ran in {dtype}; check its weights"
        )
        raise FloatingPointError(
            f"{code}, line {line + 1}, layer {self.job.layers[row]}: the representation is "
            f"infinite or not a number ({int((~finite).any(axis=0).sum())} of {len(batch)} "
            f"sentences of its batch); {hint}"
        )


def _cost(n_tokens: int, dim: int) -> float:
    """What a sentence costs, in tokens: attention grows with the square of the length.

    A block takes about 24 dim² operations per token, and 4 dim more for each token it looks at.
    """
    return n_tokens * (1.0 + n_tokens / (6 * dim))


def _check_room(store: Store | None, needed: int) -> None:
    if store is not None:
        store.check_space(needed)
        return
    free = available_memory()
    if free is not None and needed > free:
        raise MemoryError(
            f"the representations take {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB of "
            "memory are free: pass cache=True (or a folder) to keep them on disk, or choose fewer "
            "layers="
        )


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
