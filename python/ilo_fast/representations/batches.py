"""Batches of about equal length; smaller ones where the memory of a GPU runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ilo_fast._util.workers import Workers

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# Padded tokens a batch, by measurement (benchmarks/pipeline.py --budgets).
_CPU_TOKENS = 1024
_GPU_TOKENS = 16384


def default_batch_tokens(device: torch.device) -> int:
    """Padded tokens in a batch, where the caller says nothing."""
    return _CPU_TOKENS if device.type == "cpu" else _GPU_TOKENS


def batch_workers(device: torch.device) -> Workers:
    """A thread a core for batches on a CPU; a GPU takes one batch after the other."""
    return Workers(torch.get_num_threads() if device.type == "cpu" else 1)


def run_batches(
    work: Callable[[Sequence[int]], Result],
    lengths: Sequence[int],
    batch_tokens: int,
    workers: Workers,
    *,
    on_result: Callable[[Sequence[int], Result], None],
    name: Callable[[int], str],
) -> int:
    """Run `work` over all items, in batches; halve the batches as often as a GPU is too small.

    Parameters
    ----------
    work
        Called with the numbers of the items in a batch, in a thread of `workers`.
    lengths
        Tokens of every item.
    batch_tokens
        Padded tokens in a batch.
    on_result
        Called with the same numbers and what `work` returned, in the calling thread.
    name
        Of an item, for the error.

    Returns
    -------
    int
        The `batch_tokens` that the last batch fitted in.

    Raises
    ------
    torch.cuda.OutOfMemoryError
        One item alone does not fit; names it.
    """
    todo = plan_batches(lengths, range(len(lengths)), batch_tokens)
    while todo:
        finished = 0
        try:
            for members, result in zip(todo, workers.map(work, todo), strict=True):
                on_result(members, result)
                finished += 1
            return batch_tokens
        except torch.cuda.OutOfMemoryError as error:
            members = todo[finished]
            longest = max(lengths[i] for i in members)
            if len(members) == 1:
                raise type(error)(
                    f"one text of {longest} tokens ({name(members[0])}) does not fit on the GPU: "
                    "pass max_length=, dtype='bfloat16', or device='cpu'"
                ) from error
            batch_tokens = max(1, min(batch_tokens, len(members) * longest) // 2)
        logger.warning("out of GPU memory: going on with batch_tokens=%d", batch_tokens)
        torch.cuda.empty_cache()
        left = [i for members in todo[finished:] for i in members]
        todo = plan_batches(lengths, left, batch_tokens)
    return batch_tokens


def plan_batches(
    lengths: Sequence[int], members: Sequence[int], batch_tokens: int
) -> list[list[int]]:
    """Split `members` into batches of about equal length, the longest first.

    Longest first, so that a batch that does not fit is met at the start and not after an hour, and
    so that the allocator's first blocks serve all that follow.

    Parameters
    ----------
    lengths
        Tokens of every sentence.
    members
        Indices into `lengths` to be split.
    batch_tokens
        Budget: sentences in a batch times the length of its longest. One sentence alone may
        exceed it.
    """
    order = sorted(members, key=lambda i: -lengths[i])
    batches: list[list[int]] = []
    for member in order:
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= batch_tokens:
            batches[-1].append(member)
        else:
            batches.append([member])
    return batches
