"""``extract(..., backend="ray")``: what one process would compute, by workers on a cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ilo_fast._util.ray_cluster import connected, nodes, threads_of_task
from ilo_fast.cache import Entry, Store
from ilo_fast.cache.shards import assemble, held, remove_shards, shard_folder, shards_there
from ilo_fast.models.demo import DEMO
from ilo_fast.models.folders import local_folder
from ilo_fast.models.source import ModelInfo, ModelSource
from ilo_fast.representations.job import Job, Outcome
from ilo_fast.representations.ray.options import RayWorkers
from ilo_fast.representations.ray.pool import Pool, Size
from ilo_fast.representations.ray.work import (
    Identity,
    PadIds,
    PieceWork,
    Settings,
    ShardWork,
    Spec,
)
from ilo_fast.representations.sentences import cost
from ilo_fast.representations.shards import Piece, Shard, groups
from ilo_fast.representations.verification import check_vocabulary, choose_samples

_THREADS = 8  # of a worker: it runs eight batches at a time, each on one thread
_MEMORY = 1 << 30  # of a worker, beside its weights
_ROUNDS = 3  # of shards that turn out damaged when they are put together
_WASTE = 2.0  # padding, at most


@contextlib.contextmanager
def on_cluster(
    model: Any, cache: Any, device: str | torch.device | None, workers: RayWorkers | None
) -> Iterator[Extraction]:
    """Workers for one call of extract(); they end with the block.

    Raises
    ------
    TypeError, ValueError
        A model in memory, no cache, or a device that workers cannot choose.
    ImportError, RuntimeError
        ray is missing, or no cluster runs.
    """
    if not isinstance(workers, RayWorkers | None):
        raise TypeError(f"workers={workers!r}, wanted RayWorkers(...)")
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(
            f"model is a {type(model).__name__}, and Ray workers need a Hub name or a folder: each "
            "loads the model itself. Save it (save_pretrained), and pass the folder"
        )
    if cache is None or cache is False:
        raise ValueError(
            "Ray workers need cache=, a folder that all nodes mount under one path: they write "
            "their results to it"
        )
    with connected() as ray:
        extraction = Extraction(ray, model, device, workers or RayWorkers())
        try:
            yield extraction
        finally:
            extraction.close()


class Extraction:
    """The workers, which are made when they are needed.

    Attributes
    ----------
    device
        What each worker runs on.
    """

    def __init__(
        self,
        ray: Any,
        model: str | os.PathLike[str],
        device: str | torch.device | None,
        workers: RayWorkers,
    ) -> None:
        self._ray = ray
        folder = None if model == DEMO else local_folder(model)
        self._model = os.fspath(model) if folder is None else str(folder.absolute())
        self._workers = workers
        self._available = nodes(ray)
        self.device = _device(device, any(node.gpus for node in self._available))
        self._pool: Pool | None = None
        self._identity: Identity | None = None
        self._finished: list[tuple[Store, Entry]] = []

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.close()
        for store, entry in self._finished:  # a copy of a shard may have come after the end
            remove_shards(store, entry)

    def _let_go(self) -> None:
        """End the workers before a long wait: who is waited for may need their room."""
        self.close()
        self._identity = None  # workers that are made anew are asked again

    def info(self, source: ModelSource, counts: Mapping[str, int]) -> ModelInfo:
        """What the model is: from the cache, or from a worker that has loaded it.

        Parameters
        ----------
        counts
            Language -> its number of sentences.
        """
        known = source.known_info()
        if known is not None:
            return known
        self._start(source, sum(len(group.shards) for group in groups(counts)))
        return source.info()

    def compute(self, job: Job, left: list[str], outcome: Outcome, progress: bool) -> None:
        """Represent the languages that the cache lacks; see `run_job`."""
        assert job.store is not None
        with held(job.store, [job.entry(code) for code in left], self._let_go):
            for code in list(left):  # another process may have finished some in the meantime
                found = job.cached(code)
                if found is not None:
                    outcome.arrays[code] = found
                    left.remove(code)
            if left:
                self._compute(job, left, outcome, progress)

    def _start(self, source: ModelSource, n_shards: int) -> tuple[Pool, Identity]:
        """Make the workers; they load the model."""
        if self._pool is None:
            spec, size = self._spec(source), self._size(source)
            most = min(n_shards, self._workers.count or n_shards)
            self._pool = Pool(self._ray, spec, size, most)
        if self._identity is None:
            found = self._identity = self._pool.identify()
            source.identify(found.info, found.key, found.weights_hash)
        return self._pool, self._identity

    def _spec(self, source: ModelSource) -> Spec:
        files, store, tokenizer = source.files, source.store, source.tokenizer
        assert files is not None and store is not None
        ids = [getattr(tokenizer, name, None) for name in ("pad_token_id", "eos_token_id")]
        return Spec(
            model=self._model,
            label=source.label,
            revision=files.revision or source.revision,  # the commit, where the name has one
            trust_remote_code=files.trust_remote_code,
            device=str(self.device),
            dtype=None if source.dtype is None else str(source.dtype),
            cache=str(store.root.absolute()),
            pad_ids=PadIds(*(found if isinstance(found, int) else None for found in ids)),
            n_threads=self._size(source).n_threads,
        )

    def _size(self, source: ModelSource) -> Size:
        assert source.files is not None
        gpus = 1 if self.device.type == "cuda" else 0
        asked = self._workers.n_threads or (1 if gpus else _THREADS)
        threads = threads_of_task(self._available, asked) if self._available else asked
        weights = sum(path.stat().st_size for path in source.files.weight_files())
        return Size(threads, self._workers.memory or 2 * weights + _MEMORY, gpus)

    def _compute(self, job: Job, left: Sequence[str], outcome: Outcome, progress: bool) -> None:
        store, texts = job.store, {code: job.texts[code] for code in left}
        assert store is not None
        counts = {code: len(text.ids) for code, text in texts.items()}
        shards = [shard for group in groups(counts) for shard in group.shards]
        pool, model = self._start(job.source, len(shards))
        check_vocabulary(model.vocabulary, model.backbone, texts)
        settings = Settings(
            job.layers, job.pooling, job.batch_tokens, torch.get_float32_matmul_precision()
        )
        samples = [list(ids) for ids in choose_samples(list(texts.values()))]
        prepared = pool.prepare(settings, samples, job.verify)
        outcome.batch_tokens, outcome.padding = prepared.batch_tokens, prepared.padding
        dim = prepared.dim
        entries = {code: job.entry(code) for code in left}
        folders = {code: shard_folder(store, entry) for code, entry in entries.items()}
        there = {code: shards_there(folder) for code, folder in folders.items()}
        key = model.key

        def missing(piece: Piece) -> bool:
            return piece.code in unfinished and (piece.begin, piece.end) not in there[piece.code]

        def packed(shard: Shard) -> ShardWork:
            pieces = []
            for piece in shard:
                folder = folders[piece.code].absolute() if missing(piece) else None
                sentences = list(job.sentences((piece,)))
                pieces.append(PieceWork.of(piece, sentences, folder, entries[piece.code].key))
            return ShardWork(tuple(pieces), key, settings, prepared)

        def price(shard: Shard) -> float:
            return sum(cost(len(sentence.ids), dim) for sentence in job.sentences(shard))

        unfinished, resumed = set(left), 0
        # The shards that are left, and the array of one language that is put together from them.
        rows = sum(p.end - p.begin for shard in shards for p in shard if missing(p))
        store.check_space(4 * len(job.layers) * dim * (rows + max(counts.values())))
        with job.bar(progress, left, dim) as bar:
            for attempt in range(_ROUNDS):
                there.update({code: shards_there(folders[code]) for code in unfinished})
                todo = [shard for shard in shards if any(map(missing, shard))]
                if attempt == 0:
                    resumed = len(shards) - len(todo)
                    for shard in set(shards) - set(todo):
                        bar.advance(price(shard), _count(shard), free=True)
                # 12 dim² products for each token in each block, twice for what is padded.
                work = _WASTE * 12 * dim**2 * model.info.n_blocks * max(map(price, todo), default=0)
                for shard, done in pool.run(job.longest_first(todo), packed, work):
                    outcome.forward_seconds += done.seconds
                    outcome.batch_tokens = min(outcome.batch_tokens, done.batch_tokens)
                    if attempt == 0:
                        bar.advance(price(shard), _count(shard))
                for code in [code for code in left if code in unfinished]:
                    spans = [(p.begin, p.end) for s in shards for p in s if p.code == code]
                    shape = (len(job.layers), counts[code], dim)
                    if not assemble(store, entries[code], shape, spans):
                        path = store.path(entries[code], ".npy")
                        outcome.arrays[code] = np.load(path, mmap_mode="r", allow_pickle=False)
                        unfinished.remove(code)
                        self._finished.append((store, entries[code]))
                if not unfinished:
                    break
        outcome.cluster = {
            "workers": pool.count,
            "shards": len(shards),
            "resumed_shards": resumed,
            "most_in_flight": pool.most_in_flight,
        }
        if unfinished:
            raise OSError(
                f"shards of {min(unfinished)} are damaged or missing in {store.root} again and "
                "again after workers wrote them: do all nodes mount the same folder?"
            )


def _count(shard: Shard) -> int:
    return sum(piece.end - piece.begin for piece in shard)


def _device(device: str | torch.device | None, gpus: bool) -> torch.device:
    """What workers run on: as asked, else a GPU where the cluster has any."""
    if device is None:
        return torch.device("cuda" if gpus else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is no device: pass 'cpu' or 'cuda'") from error
    if found.type not in ("cpu", "cuda") or found.index is not None:
        raise ValueError(
            f"device={str(device)!r}: workers of backend='ray' run on 'cpu' or 'cuda', and Ray "
            "gives each a GPU of its own"
        )
    return found
