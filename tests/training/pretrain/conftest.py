"""A finished run, made once."""

from __future__ import annotations

import pytest
from helpers.pretraining import run

from ilo_fast import Pretrained


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return run(tmp_path_factory.mktemp("made") / "run", mixture={"eng_Latn": 0.5})
