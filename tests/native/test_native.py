"""The core's own tests, without Python; tests/native/run.sh runs them under sanitizers, too."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "run.sh"


@pytest.mark.skipif(os.name != "posix" or not shutil.which("bash"), reason="no bash here")
def test_native_core(tmp_path):
    done = subprocess.run(
        ["bash", str(SCRIPT), "plain", "2"],
        env={**os.environ, "ILO_FAST_NATIVE_BUILD": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    if done.returncode == 77:  # no compiler or no cmake
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all right\n")
