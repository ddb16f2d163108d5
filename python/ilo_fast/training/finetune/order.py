"""The order in which examples come: batches of about one length, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer, TrainerCallback

# Batches are made from this many batches' worth of neighbours in the shuffled order.
_POOL = 50


class LengthTrainer(Trainer):
    """A ``Trainer`` whose batches hold examples of about one length, in an order of the seed's.

    Parameters
    ----------
    mean_loss
        The model's loss is a mean over the batch whatever else it is told, as every classification
        head's: where steps accumulate batches, the Trainer shall divide it. Left to itself, the
        Trainer takes ``**kwargs`` in the model's signature for a promise to divide by
        ``num_items_in_batch`` (transformers issue 47688).
    """

    def __init__(self, *, mean_loss: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        if mean_loss:
            self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> Any:
        examples: Any = self.train_dataset
        lengths = [len(example["input_ids"]) for example in examples]
        sampler = LengthSampler(lengths, self._train_batch_size, self.args.seed)
        # accelerate tells the sampler of the epoch, in most of its versions; this does in all.
        self.remove_callback(_EpochOfOrder)
        self.add_callback(_EpochOfOrder(sampler))
        loader = DataLoader(
            examples,
            batch_size=self._train_batch_size,
            sampler=sampler,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)


class _EpochOfOrder(TrainerCallback):
    def __init__(self, sampler: LengthSampler) -> None:
        self._sampler = sampler

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        self._sampler.set_epoch(int(state.epoch or 0))


class LengthSampler(Sampler[int]):
    """Indices so ordered that the batches cut from them hold examples of about one length.

    The order depends on the seed and the epoch alone: a resumed run finds it again. Every example
    comes once an epoch; batches come in random order, the incomplete one last.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self._epoch])
        shuffled = rng.permutation(len(self))
        size = self._batch_size
        full = len(self) - len(self) % size
        batches: list[NDArray[np.int64]] = []
        for start in range(0, full, _POOL * size):
            part = shuffled[start : min(start + _POOL * size, full)]
            part = part[np.argsort(self._lengths[part], kind="stable")]
            batches += [part[i : i + size] for i in range(0, len(part), size)]
        order = [batches[position] for position in rng.permutation(len(batches))]
        return (int(index) for batch in [*order, shuffled[full:]] for index in batch)
