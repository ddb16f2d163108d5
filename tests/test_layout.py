"""The check of the layout finds what it is there to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[1] / "tools" / "check_layout.py"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(CHECK), str(root)], capture_output=True, text=True)


def write_package(root: Path, files: dict[str, str]) -> None:
    for name, text in {"__init__.py": "", **files}.items():
        path = root / "python" / "ilo_fast" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_this_tree_passes() -> None:
    done = check(CHECK.parents[1])
    assert done.returncode == 0, done.stderr


def test_a_flow_of_two_layers_passes(tmp_path: Path) -> None:
    write_package(
        tmp_path,
        {
            "graph/knn.py": "from ilo_fast import _core\n",
            "scores/overlap.py": "from ilo_fast.graph.knn import knn_graph\n",
        },
    )
    done = check(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 modules, 2 imports, 0 wrong\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {
                "graph/knn.py": "def f():\n    from ilo_fast.scores.overlap import overlap\n",
                "scores/overlap.py": "",
            },
            "ilo_fast.graph.knn imports ilo_fast.scores.overlap: against the flow",
        ),
        (
            {
                "scores/a.py": "import ilo_fast.scores.b\n",
                "scores/b.py": "from ilo_fast.scores import c\n",
                "scores/c.py": "def f():\n    from ilo_fast.scores.a import x\n",
            },
            "circle: ilo_fast.scores.a -> ilo_fast.scores.b -> ilo_fast.scores.c -> "
            "ilo_fast.scores.a",
        ),
        ({"report/html.py": "from ilo_fast._core import overlap\n"}, "imports the extension"),
        (
            {"scores/a.py": "from ilo_fast.scores.b import _x\n", "scores/b.py": ""},
            "ilo_fast.scores.a:1 takes the private name ilo_fast.scores.b._x",
        ),
        ({"scores/a.py": "from . import b\n"}, "write absolute imports"),
        ({"kitchen/a.py": ""}, "the room 'kitchen' has no layer"),
        ({"scores/a.py": "x = 1\n" * 401}, "scores/a.py has 401 lines, at most 400"),
    ],
    ids=["against-the-flow", "circle", "extension", "private", "relative", "room", "size"],
)
def test_a_breach_is_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    write_package(tmp_path, files)
    done = check(tmp_path)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("name", "include", "message"),
    [
        ("knn/graph.h", '"cuda/device.h"', "csrc/knn/graph.h includes cuda/device.h: against the"),
        ("knn/kernels/rows.inl", '"simd/dispatch.h"', "includes simd/dispatch.h: against the flow"),
        ("cuda/search.h", '"testing/cuda_bounds.h"', "production code knows no test double"),
        ("cuda/search.h", '"fibers.h"', "production code knows no test double"),
        ("knn/graph.h", "<pybind11/stl.h>", "Python belongs to the bindings"),
        ("testing/knn_bounds.h", "<Python.h>", "Python belongs to the bindings"),
    ],
    ids=["flow", "kernels", "testing", "emulator", "pybind11", "python"],
)
def test_a_wrong_include_is_named(tmp_path: Path, name: str, include: str, message: str) -> None:
    write_package(tmp_path, {})
    double = tmp_path / "csrc" / "testing" / "cuda_emulator" / "fibers.h"
    double.parent.mkdir(parents=True)
    double.touch()
    path = tmp_path / "csrc" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#pragma once\n#include {include}\n")
    done = check(tmp_path)
    assert done.returncode == 1
    assert message in done.stderr


def test_includes_of_the_room_and_of_those_below_pass(tmp_path: Path) -> None:
    write_package(tmp_path, {})
    for name, include in (
        ("simd/dispatch.cpp", '"knn/kernels/kernels.h"'),
        ("knn/graph.cpp", '"simd/dispatch.h"'),
        ("bindings/module.cpp", "<pybind11/stl.h>"),
        ("testing/knn_bounds.cpp", '"testing/knn_bounds.h"'),
    ):
        path = tmp_path / "csrc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#include {include}\n")
    done = check(tmp_path)
    assert done.returncode == 0, done.stderr
