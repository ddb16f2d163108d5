"""What a worker of the cluster does: load the model once, and represent shards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ilo_fast._util.versions import __version__
from ilo_fast.cache import Store
from ilo_fast.cache.shards import write_shard
from ilo_fast.models.forward import is_offloaded
from ilo_fast.models.loading import open_files, resolve_device, resolve_dtype
from ilo_fast.models.source import ModelSource
from ilo_fast.representations.batches import batch_workers
from ilo_fast.representations.pooling import PooledForward, choose_pad_id
from ilo_fast.representations.preparation import Prepared, prepare
from ilo_fast.representations.ray.work import Done, Identity, Settings, ShardWork, Spec
from ilo_fast.representations.sentences import Sentence, by_language, represent


class Worker:
    """A process that has loaded the model; where it is made again, it loads it again."""

    def __init__(self, spec: Spec) -> None:
        # Nothing that can fail: Ray would tell it as the death of the worker.
        self._spec = spec
        self._source: ModelSource | None = None

    def identify(self) -> Identity:
        """Load the model, and say what it is.

        Raises
        ------
        ValueError
            Another version of ilo_fast, or a model that cannot be identified.
        AccessError
            The model cannot be loaded here.
        """
        source = self._loaded()
        parts = source.load()
        if source.key is None or source.weights_hash is None:
            raise ValueError(
                f"Ray workers keep shards under a key of the model's content, and {source.name!r} "
                "has none (the log of the worker says why): extract in one process"
            )
        return Identity(
            source.info(),
            source.key,
            source.weights_hash,
            parts.vocabulary,
            type(parts.backbone).__name__,
        )

    def prepare(
        self, settings: Settings, samples: Sequence[Sequence[int]], checked: bool
    ) -> Prepared:
        """As :func:`~ilo_fast.representations.preparation.prepare`."""
        source = self._loaded()
        parts = source.load()
        torch.set_float32_matmul_precision(settings.matmul_precision)
        return prepare(
            parts,
            settings.layers,
            choose_pad_id(parts, source.tokenizer),
            samples,
            checked=checked,
            batch_tokens=settings.batch_tokens,
            device=source.device,
            dtype=source.info().dtype,
        )

    def represent(self, work: ShardWork) -> Done:
        """Represent a shard, and write a file for every language in it.

        Raises
        ------
        ValueError
            The model here is another.
        FloatingPointError, torch.cuda.OutOfMemoryError
            As :func:`~ilo_fast.representations.sentences.represent`.
        OSError
            The folder cannot be written to, or seen.
        """
        source = self._loaded()
        if source.key != work.model_key:
            raise ValueError(
                f"the model {source.name!r} is another here, by its weights, configuration, code "
                "or libraries, than where the work began: give all nodes the same files and "
                "versions"
            )
        start = time.perf_counter()
        settings, prepared, parts = work.settings, work.prepared, source.load()
        torch.set_float32_matmul_precision(settings.matmul_precision)
        begins = {of.piece.code: of.piece.begin for of in work.pieces}
        blocks = {
            of.piece.code: np.empty(
                (len(settings.layers), len(of.lengths), prepared.dim), np.float32
            )
            for of in work.pieces
        }

        def keep(batch: Sequence[Sentence], block: NDArray[np.float32]) -> None:
            for code, (rows, part) in by_language(batch, block).items():
                blocks[code][:, rows - begins[code]] = part

        pad_id = choose_pad_id(parts, source.tokenizer)
        alone = is_offloaded(parts.backbone)
        with (
            PooledForward(parts, settings.layers, pad_id, settings.pooling) as forward,
            batch_workers(source.device, one_at_a_time=alone) as workers,
        ):
            fitted = represent(
                forward,
                workers,
                [sentence for of in work.pieces for sentence in of.sentences()],
                # Anew for each shard, so that it does not depend on those before.
                batch_tokens=prepared.batch_tokens,
                same_length=prepared.padding == "none",
                dtype=source.info().dtype,
                on_result=keep,
            )
        for of in work.pieces:
            if of.folder is not None:
                span = (of.piece.begin, of.piece.end)
                write_shard(Path(of.folder), of.key, span, blocks[of.piece.code])
        return Done(fitted, time.perf_counter() - start)

    def _loaded(self) -> ModelSource:
        spec = self._spec
        if spec.version != __version__:
            raise ValueError(
                f"ilo_fast {__version__} is installed here, {spec.version} where the work was "
                "asked for: install one version everywhere"
            )
        if self._source is None:
            torch.set_num_threads(spec.n_threads)
            files = open_files(
                spec.model,
                revision=spec.revision,
                trust_remote_code=spec.trust_remote_code,
                adapters=True,
            )
            source = ModelSource(
                name=files.name,
                tokenizer=spec.pad_ids,
                device=resolve_device(spec.device),
                dtype=resolve_dtype(spec.dtype),
                store=_store(spec.cache),
                files=files,
                revision=spec.revision,
                label=spec.label,
            )
            source.load()
            self._source = source
        return self._source


def _store(cache: str) -> Store:
    """The cache, where it is there: one that was made here would be another than the asker's."""
    if not Path(cache).is_dir():
        raise FileNotFoundError(2, "cannot be seen from here", cache)
    return Store(Path(cache))
