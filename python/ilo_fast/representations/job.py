"""The work behind extract(): take what the cache has, compute the rest in batches.

Languages are computed a few at a time, so that batches can be filled with sentences of one length
although each language has only a few of them.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from ilo_fast.representations.batches import batch_workers
from ilo_fast.representations.pooling import PooledForward, choose_pad_id
from ilo_fast.representations.preparation import prepare
from ilo_fast.representations.sentences import Sentence, by_language, cost, represent
from ilo_fast.representations.shards import Group, Shard, groups
from ilo_fast.representations.tokens import TokenizedText
from ilo_fast.representations.verification import check_vocabulary, choose_samples
from ilo_fast.representations.workers import Workers

logger = logging.getLogger(__name__)


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

    def sentences(self, shard: Shard) -> Iterator[Sentence]:
        """The sentences of a shard, as the model takes them."""
        exclude = self.special_tokens == "exclude"
        for piece in shard:
            text = self.texts[piece.code]
            for row in range(piece.begin, piece.end):
                special = text.special[row] if exclude else None
                yield Sentence(piece.code, row, text.ids[row], special)

    def longest_first(self, shards: Sequence[Shard]) -> list[Shard]:
        """Ordered by the longest sentence: what does not fit fails at the start."""
        return sorted(shards, key=lambda shard: -max(len(s.ids) for s in self.sentences(shard)))

    def bar(
        self, progress: bool, codes: Sequence[str], dim: int
    ) -> contextlib.AbstractContextManager[CostBar]:
        """A bar for the sentences of some languages."""
        lengths = [len(ids) for code in codes for ids in self.texts[code].ids]
        total = sum(cost(length, dim) for length in lengths)
        return cost_bar(progress, "extract", cost=total, items=len(lengths), unit="sentence")


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
        Time in forward passes; of all workers together.
    cluster
        What there is to say of workers on a cluster; None: there were none.
    """

    arrays: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    cache_hits: list[str] = field(default_factory=list)
    batch_tokens: int | None = None
    padding: str | None = None
    verified: bool = False
    forward_seconds: float = 0.0
    cluster: dict[str, int] | None = None


# Computes languages that the cache lacks, and adds them to the outcome; the flag asks for a bar.
Compute = Callable[[Job, list[str], Outcome, bool], None]


def run_job(job: Job, *, progress: bool, compute: Compute | None = None) -> Outcome:
    """Represent all languages of `job`; raises as extract() does.

    Parameters
    ----------
    compute
        None: in this process.
    """
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
        (compute or _compute)(job, left, outcome, progress)
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
    counts = {code: len(job.texts[code].ids) for code in left}
    _check_room(job.store, 4 * len(job.layers) * sum(counts.values()) * parts.dim)
    pad_id = choose_pad_id(parts, job.source.tokenizer)
    check_vocabulary(
        parts.vocabulary, type(parts.backbone).__name__, {code: job.texts[code] for code in left}
    )
    device, dtype = job.source.device, job.source.info().dtype
    prepared = prepare(
        parts,
        job.layers,
        pad_id,
        choose_samples([job.texts[code] for code in left]),
        checked=job.verify,
        batch_tokens=job.batch_tokens,
        device=device,
        dtype=dtype,
    )
    outcome.batch_tokens, outcome.padding = prepared.batch_tokens, prepared.padding
    with (
        PooledForward(parts, job.layers, pad_id, job.pooling) as forward,
        batch_workers(device, one_at_a_time=is_offloaded(parts.backbone)) as workers,
        job.bar(progress, left, prepared.dim) as bar,
    ):
        work = _Languages(job, outcome, prepared.dim, dtype, forward, workers, bar)
        busy: list[str] = []
        for group in groups(counts):
            busy += work.compute(group, wait=False)
        # Languages that another process was computing: most are finished by now.
        for code in busy:
            for group in groups({code: counts[code]}):
                work.compute(group, wait=True)


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
    dim: int
    dtype: str
    forward: PooledForward
    workers: Workers
    bar: CostBar

    def compute(self, group: Group, *, wait: bool) -> list[str]:
        """Compute a few languages together; returns those that another process holds."""
        busy = []
        with contextlib.ExitStack() as stack:
            writers: dict[str, MemoryWriter | CacheWriter] = {}
            for code in group.codes:
                writer = self._writer(code, wait=wait)
                if writer is None:
                    busy.append(code)
                else:
                    stack.callback(writer.close)
                    writers[code] = writer
            for shard in self.job.longest_first(group.shards):
                self._run_batches(shard, writers)
            for code, writer in writers.items():
                self.outcome.arrays[code] = writer.finish()
        return busy

    def _writer(self, code: str, *, wait: bool) -> MemoryWriter | CacheWriter | None:
        shape = (len(self.job.layers), len(self.job.texts[code].ids), self.dim)
        if self.job.store is None:
            return MemoryWriter(shape)
        return self.job.store.writer(self.job.entry(code), shape, wait=wait)

    def _run_batches(self, shard: Shard, writers: Mapping[str, MemoryWriter | CacheWriter]) -> None:
        """Forward passes over every sentence that is not done."""
        sentences: list[Sentence] = []
        done: list[Sentence] = []
        for sentence in self.job.sentences(shard):
            if sentence.code in writers:
                finished = writers[sentence.code].done[sentence.row]
                (done if finished else sentences).append(sentence)
        self.bar.advance(self._cost(done), len(done), free=True)

        def store(batch: Sequence[Sentence], block: NDArray[np.float32]) -> None:
            for code, (rows, part) in by_language(batch, block).items():
                writers[code].add(rows, part)
            self.bar.advance(self._cost(batch), len(batch))

        assert self.outcome.batch_tokens is not None
        begun = time.perf_counter()
        self.outcome.batch_tokens = represent(
            self.forward,
            self.workers,
            sentences,
            batch_tokens=self.outcome.batch_tokens,
            same_length=self.outcome.padding == "none",
            dtype=self.dtype,
            on_result=store,
        )
        self.outcome.forward_seconds += time.perf_counter() - begun

    def _cost(self, sentences: Sequence[Sentence]) -> float:
        return sum(cost(len(sentence.ids), self.dim) for sentence in sentences)


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
