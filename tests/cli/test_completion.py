"""What the shells complete: bash's function is run by bash itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ilo_fast.cli import main


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_flags_and_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "completion").write_text(script("bash", capsys))
    (tmp_path / "my-arrays.npz").touch()
    lines = ["set -u", "source ./completion"]
    wanted = [
        ("ex", {"extract"}),
        ("run --n-", {"--n-neighbors", "--n-threads"}),
        ("run --metric ", {"cosine", "euclidean"}),
        ("run --limit 3 --met", {"--metric"}),
        ("cache cl", {"clear"}),
        ("completion z", {"zsh"}),
        ("score my", {"my-arrays.npz"}),
    ]
    for typed, _ in wanted:
        words = ["ilo-fast", *typed.split(" ")]
        array = " ".join(f"'{word}'" for word in words)
        lines += [
            f"COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _ilo_fast",
            'echo "${COMPREPLY[*]-}"',
        ]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], capture_output=True, text=True, cwd=tmp_path, timeout=30
    )
    assert done.returncode == 0, done.stderr
    found = [set(line.split()) for line in done.stdout.splitlines()]
    assert found == [names for _, names in wanted]


def test_other_shells_get_their_own_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert script("zsh", capsys).startswith("#compdef ilo-fast\n")
    fish = script("fish", capsys)
    assert "complete -c ilo-fast -n __fish_use_subcommand -f -a run\n" in fish
    assert "-l metric -x -a 'cosine euclidean'" in fish
