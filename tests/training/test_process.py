"""What training does to the process around it: Ctrl-C is noted, then acts."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ilo_fast.training.process import deferred_interrupts


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_first_ctrl_c_is_noted_and_the_second_acts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupts() as came:
        assert not came()
        os.kill(os.getpid(), signal.SIGINT)
        assert came()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_of_others_are_left_alone() -> None:
    found: list[bool] = []

    def work() -> None:
        with deferred_interrupts() as came:
            found.append(came())

    thread = threading.Thread(target=work)  # where Python allows no handlers
    thread.start()
    thread.join()
    assert found == [False]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupts() as came:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert not came()
    finally:
        signal.signal(signal.SIGINT, before)
