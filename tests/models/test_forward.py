"""What a model's passes change for the whole process is as it was, whatever threads do."""

from __future__ import annotations

import threading

import torch
from torch import nn

from ilo_fast.models.forward import inference


def test_the_default_type_is_that_of_before_whichever_thread_leaves_first() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with inference(nn.Linear(2, 2).double()):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with inference(nn.Linear(2, 2).double()):
        thread.start()
        entered.wait()
    between = torch.get_default_dtype()
    leave.set()
    thread.join()
    after = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    assert between == torch.float64  # the other still runs
    assert after == torch.float32
