"""The diagnosis: it never fails, and says what is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ilo_fast import doctor
from ilo_fast.cli import main
from ilo_fast.graph import cuda
from ilo_fast.graph.knn import simd_available


def by_name(findings: list[doctor.Finding]) -> dict[tuple[str, str], doctor.Finding]:
    return {(finding.section, finding.name): finding for finding in findings}


def test_it_tells_the_engine_the_libraries_and_the_corpus() -> None:
    found = by_name(doctor.diagnose())
    assert found["engine", "instruction sets"].value == ", ".join(simd_available())
    assert found["libraries", "torch"].status == "ok"
    assert "31 languages x 60 sentences" in found["embedded", "corpus"].value
    assert not any(finding.name == "check failed" for finding in found.values())


def test_an_instruction_set_that_is_not_there_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ILO_FAST_SIMD", "sse9")
    chosen = by_name(doctor.diagnose())["engine", "chosen"]
    assert chosen.status == "broken"
    assert "sse9" in chosen.value


def test_a_check_that_raises_becomes_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no\nluck")

    monkeypatch.setattr(doctor, "_gpu", fail)
    finding = by_name(doctor.diagnose())["GPU", "check failed"]
    assert finding.value == "RuntimeError: no luck"
    assert finding.status == "note"


def gpu_findings(monkeypatch: pytest.MonkeyPatch, **status: object) -> dict[str, doctor.Finding]:
    """What is said of the engine, with this status."""
    found = {
        "built": True,
        "architectures": "80-real, 90",
        "problem": "",
        "runtime": 13000,
        "driver": 13010,
        "devices": [],
        **status,
    }
    monkeypatch.setattr(cuda, "status", lambda: found)
    return {name: finding for (_, name), finding in by_name([*doctor._gpu_engine()]).items()}


def test_it_tells_whether_the_engine_for_gpus_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gpu_findings(monkeypatch, built=False, problem="no engine")
    assert list(found) == ["k-NN engine"]
    assert found["k-NN engine"].value.startswith("not built")
    assert "ILO_FAST_CUDA=ON" in found["k-NN engine"].advice


def test_it_tells_what_the_engine_for_gpus_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = gpu_findings(monkeypatch, driver=0, problem="no driver")
    assert found["k-NN engine"].value == "built with CUDA 13.0 for 80-real, 90"
    assert found["driver"].value == "none"
    assert found["engine's devices"].value.startswith("none")
    assert found["cuBLASLt"].status == "ok"  # of no use without a device

    h200 = {"name": "H200", "capability": (9, 0), "memory": 141 << 30, "l2": 50 << 20}
    monkeypatch.setattr(cuda, "library", lambda: "")
    found = gpu_findings(monkeypatch, devices=[h200])
    assert found["driver"].value == "for CUDA 13.1"
    assert found["engine's devices"].value == "cuda:0, H200, compute capability 9.0, 141 GiB"
    assert found["engine's devices"].status == "ok"
    assert found["cuBLASLt"].status == "note"

    found = gpu_findings(monkeypatch, devices=[{**h200, "capability": (7, 5)}])
    assert found["engine's devices"].status == "note"
    assert "compute capability 7.5" in found["engine's devices"].advice


def test_a_gpu_is_used_by_the_cuda_backend_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "backend='cuda' only" in gpu_findings(monkeypatch)["used by"].value


def test_a_missing_library_is_broken_or_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "package_version", lambda name: None)
    monkeypatch.setattr(doctor, "_NEEDED", ("no_such_module_here",))
    found = by_name(doctor.diagnose())
    assert found["libraries", "no_such_module_here"].status == "broken"
    assert found["libraries", "matplotlib"].advice == "pip install 'ilo_fast[report]'"
    assert found["libraries", "accelerate"].advice == "pip install 'ilo_fast[train]'"


def test_the_cache_is_found_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ILO_FAST_CACHE", str(tmp_path))
    (tmp_path / "x").write_bytes(bytes(3 * 2**20))
    found = by_name(doctor.diagnose())
    assert str(tmp_path) in found["cache", "folder"].value
    assert found["cache", "size"].value == "3.0 MiB"


def test_offline_mode_is_named_and_the_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = by_name(doctor.diagnose(online=True))
    assert "HF_HUB_OFFLINE" in found["hub", "mode"].value
    assert found["hub", "answer"].value.startswith("not asked")
    assert ("hub", "answer") not in by_name(doctor.diagnose())


def test_the_command_prints_json_and_its_status_says_if_run_works(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = doctor.Finding("engine", "chosen", "scalar")
    bad = doctor.Finding("embedded", "model", "missing", "broken", "install again")
    monkeypatch.setattr(doctor, "diagnose", lambda online: [fine])
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["value"] == "scalar"
    monkeypatch.setattr(doctor, "diagnose", lambda online: [fine, bad])
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "x model" in text
    assert "-> install again" in text
    assert "1 broken" in text
