"""``ilo-fast languages``: lists and filters."""

from __future__ import annotations

import json

import pytest

from ilo_fast.cli import main


def test_languages_are_listed_and_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    def listed(*argv: str) -> str:
        assert main(["languages", *argv]) == 0
        return capsys.readouterr().out

    assert "\n31 languages\n" in listed("--set", "paper31")
    assert listed("swahili", "--codes") == "swh_Latn\n"
    dravidian = json.loads(listed("--family", "dravidian", "--json"))
    assert {"tam_Taml", "tel_Telu"} <= {entry["code"] for entry in dravidian}
    thai = listed("--script", "Thai", "--region", "Southeast Asia", "--resource-class", "3")
    assert "tha_Thai" in thai
    assert "\n0 languages\n" in listed("no such language")
    assert main(["languages", "--set", "bogus"]) == 1
    assert "paper31" in capsys.readouterr().err
