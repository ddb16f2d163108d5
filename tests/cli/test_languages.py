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
    assert listed("chin").startswith("code") and "zho_Hans" in listed("chin")
    assert listed("en").splitlines()[1].split()[:4] == ["eng_Latn", "English", "en", "eng"]
    assert listed("zh-TW", "--codes").split(",")[0] == "zho_Hant\n"
    assert "gug_Latn" in listed("guarani", "--codes")
    assert json.loads(listed("ger", "--json"))[0]["aliases"] == ["de", "deu", "ger"]
    assert main(["languages", "--set", "bogus"]) == 2
    assert "paper31" in capsys.readouterr().err


def test_near_misses_get_suggestions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["languages", "englsh"]) == 0
    assert "did you mean eng_Latn (English)" in capsys.readouterr().err
    for flag, typed, meant in (
        ("--set", "paper13", "paper31"),
        ("--script", "Latin", "Latn"),
        ("--family", "Dravidan", "Dravidian"),
        ("--region", "south-east asia", "Southeast Asia"),
    ):
        assert main(["languages", flag, typed]) == 2
        assert f"did you mean {meant}? There are" in capsys.readouterr().err
