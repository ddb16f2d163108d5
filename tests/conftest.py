from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from helpers import engine
from helpers.browser import Browser

# Variables that run the suite on every path of the engine, and on the emulated AMX.
engine.force_from_environment()

# Nothing in the tests may reach for a hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A shell starts background jobs with Ctrl-C ignored, and what they start inherits that: the tests
# of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pytest -n starts a process per core: two threads in each would only wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """A folder of real corpora (flores200_devtest/, ...), named by an environment variable."""
    path = os.environ.get("ILO_FAST_TEST_CORPORA")
    if not path:
        pytest.skip("ILO_FAST_TEST_CORPORA is not set: no real corpora to test with")
    return Path(path)


@pytest.fixture(scope="session")
def browser() -> Browser:
    """A headless Chromium, where one is installed."""
    return Browser()
