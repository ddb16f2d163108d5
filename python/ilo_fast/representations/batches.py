"""Batches of texts of about equal length, made smaller when the memory of a GPU runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ilo_fast.representations.workers import Workers

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# Padded tokens per batch, measured by benchmarks/pipeline.py --budgets.
_CPU_TOKENS = 1024
_GPU_TOKENS = 16384


def default_batch_tokens(device: torch.device) -> int:
    """Padded tokens per batch, unless the caller sets them."""
    return _CPU_TOKENS if device.type == "cpu" else _GPU_TOKENS


def batch_workers(device: torch.device, *, one_at_a_time: bool = False) -> Workers:
    """One thread per core on a CPU; a GPU takes one batch after the other.

    So does a model whose weights accelerate brings and takes away, layer by layer.
    """
    side_by_side = device.type == "cpu" and not one_at_a_time
    return Workers(torch.get_num_threads() if side_by_side else 1)


def run_batches(
    work: Callable[[Sequence[int]], Result],
    lengths: Sequence[int],
    batch_tokens: int,
    workers: Workers,
    *,
    same_length: bool = False,
    on_result: Callable[[Sequence[int], Result], None],
    name: Callable[[int], str],
) -> int:
    """Run `work` over all items in batches; when a GPU runs out of memory, halve the batches.

    Parameters
    ----------
    work
        Takes the numbers of the items in a batch; called in a thread of `workers`.
    lengths
        Tokens of every item.
    batch_tokens
        Padded tokens per batch.
    same_length
        Only items of one length share a batch.
    on_result
        Takes the same numbers and what `work` returned; called in the calling thread.
    name
        Names an item, for the error.

    Returns
    -------
    int
        The `batch_tokens` that fitted.

    Raises
    ------
    torch.cuda.OutOfMemoryError
        One item alone does not fit; names it.
    """
    todo = plan_batches(lengths, range(len(lengths)), batch_tokens, same_length=same_length)
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
        logger.warning("out of GPU memory: continuing with batch_tokens=%d", batch_tokens)
        torch.cuda.empty_cache()
        left = [i for members in todo[finished:] for i in members]
        todo = plan_batches(lengths, left, batch_tokens, same_length=same_length)
    return batch_tokens


def plan_batches(
    lengths: Sequence[int],
    members: Sequence[int],
    batch_tokens: int,
    *,
    same_length: bool = False,
) -> list[list[int]]:
    """Split `members` into batches of about equal length, the longest first.

    The longest come first: a batch that does not fit fails at the start and not after an hour, and
    the first blocks of the allocator are large enough for all later batches.

    Parameters
    ----------
    lengths
        Tokens of every sentence.
    members
        The indices into `lengths` to split.
    batch_tokens
        Most tokens of a batch: number of sentences times the length of the longest. A sentence that
        is longer becomes a batch of its own.
    same_length
        Only sentences of one length share a batch: nothing is padded.
    """
    order = sorted(members, key=lambda i: -lengths[i])
    batches: list[list[int]] = []
    for member in order:
        longest = lengths[batches[-1][0]] if batches else 0
        fits = batches and (len(batches[-1]) + 1) * longest <= batch_tokens
        if fits and (not same_length or lengths[member] == longest):
            batches[-1].append(member)
        else:
            batches.append([member])
    return batches
