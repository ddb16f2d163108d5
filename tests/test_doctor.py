"""The diagnosis: it never fails, and says what is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ilo_fast import doctor
from ilo_fast.cli import main
from ilo_fast.graph import simd_available


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
