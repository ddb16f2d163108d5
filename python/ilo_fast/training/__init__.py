"""Training: freeze, fine-tune, pre-train, watch the overlap meanwhile, measure what transfers.

    texts, labelled/ ─▶ finetuning/  ─▶ transfer/
    texts            ─▶ pretraining/
                        both: freezing (uses), callback (records), loop, card (trained)
    statistics: intervals and F1, of evaluations and of transfer

Every loop is the transformers ``Trainer``'s. The public names are those of ``ilo_fast``.
"""

from __future__ import annotations

import os


def need_one_process(call: str) -> None:
    """Refuse to run under torchrun, before anything waits for the other processes.

    Raises
    ------
    RuntimeError
        There are others.
    """
    if os.environ.get("WORLD_SIZE", "1") not in ("", "1"):
        raise RuntimeError(f"{call} runs in one process: start it without torchrun")
