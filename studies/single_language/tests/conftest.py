from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpora() -> Path:
    """A folder of real corpora (flores200_devtest/, ...), named by an environment variable."""
    path = os.environ.get("ILO_FAST_TEST_CORPORA")
    if not path:
        pytest.skip("ILO_FAST_TEST_CORPORA is not set: no real corpora to test with")
    return Path(path)
