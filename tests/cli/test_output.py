"""The output folder."""

from __future__ import annotations

from ilo_fast.cli.output import folder_name


def test_folder_names_are_safe() -> None:
    assert folder_name("org/model-1.5", "flores+") == "org__model-1.5__flores+"
    assert folder_name("../../etc", "a b\n<c>") == "etc__a_b_c"
    assert folder_name("...") == "unnamed"
    assert len(folder_name("x" * 999)) <= 150
