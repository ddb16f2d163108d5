"""Check that the tree is the flow: directions of imports, circles, private names, sizes of files.

    python tools/check_layout.py [ROOT]

A file of the package may import its own layer and those below it (LAYERS, low to high), also inside
functions and under TYPE_CHECKING, and no two files may import each other, not even by way of
others. Production code of csrc includes its own room and those below it (CSRC_ROOMS), no test
double, and Python only in the bindings. Prints every breach and exits with 1 where there is one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

LAYERS = (
    ("_util",),
    ("errors",),
    ("corpora",),
    ("cache",),
    ("models",),
    ("representations",),
    ("graph",),
    ("plots",),
    ("scores",),
    ("evaluation",),
    ("pipeline",),
    ("training",),
    ("report",),
    ("transcoders",),
    ("doctor", "integrations"),
    ("cli",),
    ("__init__", "__main__"),
)
MAY_IMPORT_CORE = ("graph", "scores", "transcoders")
LONGEST = {"python": 400, "csrc": 400, "tests": 500, "studies": 500}
# Rooms of csrc, low to high; a file may include its own and those below. The kernels of knn/ are a
# room of their own below simd/, which chooses one of them.
CSRC_ROOMS = (
    "core",
    "knn/kernels",
    "sparse/kernels",
    "simd",
    "knn",
    "overlap",
    "sparse",
    "cuda",
    "bindings",
)
SOURCES = (".py", ".cpp", ".h", ".inl", ".cu")

PACKAGE = "ilo_fast"
CORE = f"{PACKAGE}._core"


def main(root: Path) -> int:
    """Print what is wrong; the exit status."""
    package = root / "python" / PACKAGE
    modules = {module_name(path, package): path for path in sorted(package.rglob("*.py"))}
    edges = {name: sorted(set(imported(path, modules))) for name, path in modules.items()}
    problems = [
        *against_the_flow(edges),
        *circles(edges),
        *private_names(modules),
        *wrong_includes(root / "csrc"),
        *too_long(root),
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(modules)} modules, {sum(map(len, edges.values()))} imports, {len(problems)} wrong")
    return 1 if problems else 0


def module_name(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    return ".".join((PACKAGE, *parts)) if parts != ("__init__",) else PACKAGE


def imports(path: Path) -> Iterator[tuple[int, str, str | None]]:
    """Line, module, and the name taken from it (None: the module itself) of every import."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, module, alias.name) for alias in node.names)


def imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the package, and the extension, that a file imports."""
    for _, module, name in imports(path):
        full = f"{module}.{name}"
        if full in modules or full == CORE:
            yield full
        elif module in modules or module == CORE:
            yield module
        elif module.startswith("."):
            yield module  # a relative import: named as a breach below


def layer(module: str) -> int:
    room = module.split(".")[1] if "." in module else "__init__"
    for number, rooms in enumerate(LAYERS):
        if room in rooms:
            return number
    raise SystemExit(f"{module}: the room {room!r} has no layer; add it to LAYERS or think again")


def against_the_flow(edges: Mapping[str, list[str]]) -> Iterator[str]:
    for module, targets in edges.items():
        own = layer(module)
        for target in targets:
            if target == CORE:
                if module.split(".")[1] not in MAY_IMPORT_CORE:
                    yield f"{module} imports the extension; only {', '.join(MAY_IMPORT_CORE)} may"
            elif target.startswith("."):
                yield f"{module} imports {target}: write absolute imports"
            elif layer(target) > own:
                yield f"{module} imports {target}: against the flow"


def circles(edges: Mapping[str, list[str]]) -> Iterator[str]:
    """Every circle once, by depth-first search."""
    state: dict[str, int] = {}
    path: list[str] = []
    found: list[str] = []

    def visit(module: str) -> None:
        state[module] = 1
        path.append(module)
        for target in edges.get(module, ()):
            if state.get(target) == 1:
                circle = [*path[path.index(target) :], target]
                found.append("circle: " + " -> ".join(circle))
            elif target not in state:
                visit(target)
        path.pop()
        state[module] = 2

    for module in edges:
        if module not in state:
            visit(module)
    yield from found


def private_names(modules: Mapping[str, Path]) -> Iterator[str]:
    """Names with a leading underscore that are taken from another module."""
    for module, path in modules.items():
        for line, source, name in imports(path):
            taken = f"{source}.{name}"
            private = name is not None and name.startswith("_") and not name.startswith("__")
            if private and source.startswith(PACKAGE) and taken not in (CORE, f"{PACKAGE}._util"):
                yield f"{module}:{line} takes the private name {taken}"


def csrc_room(path: str) -> int:
    """The number of the room of a path below csrc; -1 if it lies in none."""
    rooms = [room for room in CSRC_ROOMS if path.startswith(f"{room}/")]
    return CSRC_ROOMS.index(max(rooms, key=len)) if rooms else -1


def wrong_includes(csrc: Path) -> Iterator[str]:
    """Includes of production code against the flow, of test doubles, and of Python."""
    emulator = csrc / "testing" / "cuda_emulator"
    # The doubles of production headers, and of CUDA's own, are found by the order of the paths.
    doubles = {path.name for path in emulator.glob("*.h")}
    for path in sorted(csrc.rglob("*")):
        if path.suffix not in SOURCES:
            continue
        name = path.relative_to(csrc).as_posix()
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(
            r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', text, re.MULTILINE
        ):
            target = match[1]
            of_python = target == "Python.h" or target.startswith("pybind11/")
            if of_python and not name.startswith(("bindings/", "testing/bindings/")):
                yield f"csrc/{name} includes {target}: Python belongs to the bindings"
            if name.startswith("testing/"):
                continue
            if target.startswith("testing/") or target in doubles:
                yield f"csrc/{name} includes {target}: production code knows no test double"
            elif csrc_room(target) > csrc_room(name) >= 0:
                yield f"csrc/{name} includes {target}: against the flow"


def too_long(root: Path) -> Iterator[str]:
    for folder, longest in LONGEST.items():
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SOURCES:
                count = len(path.read_text(encoding="utf-8").splitlines())
                if count > longest:
                    yield f"{path.relative_to(root)} has {count} lines, at most {longest}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1])))
