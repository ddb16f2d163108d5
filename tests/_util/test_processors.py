"""How many threads a process should use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ilo_fast._util.processors import quota_processors, usable_processors
from ilo_fast.graph.options import thread_count


@pytest.mark.parametrize(
    ("value", "wanted"), [("1", 1), ("1,4", 1), ("", None), ("0", None), ("many", None)]
)
def test_omp_num_threads_is_a_limit(
    value: str, wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    free = usable_processors()
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert usable_processors() == (wanted or free)
    assert thread_count(None) == (wanted or free)
    assert thread_count(7) == 7  # what is asked for is given


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux")
def test_affinity_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert usable_processors() == 1


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000", "job/cpu.max": "300000 100000"}, 3),
        ({"job/step/cpu.max": "400000 100000", "job/cpu.max": "100000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_quota_of_the_control_group_and_those_around_it_is_a_limit(
    files: dict[str, str], wanted: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    own = tmp_path / "own"
    own.write_text("0::/job/step\n")
    assert quota_processors(tmp_path, own) == wanted
