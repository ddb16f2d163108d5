"""What this machine and this installation can do.

A check returns findings. One that raises becomes a finding itself, so that a broken library does
not hide the rest.
"""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ilo_fast._util.messages import counted
from ilo_fast._util.processors import omp_threads, quota_processors
from ilo_fast._util.versions import __version__, installed_version
from ilo_fast.errors import AccessError

Status = Literal["ok", "note", "broken"]

_NEEDED = ("numpy", "torch", "transformers", "tqdm")
_OPTIONAL = {  # what for, and what to install
    "hnswlib": ("backend hnsw", "'ilo_fast[hnsw]'"),
    "ray": ("backend ray", "'ilo_fast[ray]'"),
    "datasets": ("corpora from the Hub", "datasets"),
    "matplotlib": ("figures", "'ilo_fast[report]'"),
    "jinja2": ("the HTML report", "'ilo_fast[report]'"),
    "pandas": ("to_dataframe()", "pandas"),
    "accelerate": ("finetune and pretrain", "'ilo_fast[train]'"),
    "peft": ("LoRA", "'ilo_fast[lora]'"),
}
_OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
_HUB_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes
    ----------
    section, name
        What was checked.
    value
        What was found, in words.
    status
        ``"ok"``; ``"note"``: works, but read it; ``"broken"``: ``ilo-fast run`` cannot work.
    advice
        What to do about it; "" for nothing.
    """

    section: str
    name: str
    value: str
    status: Status = "ok"
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """The fields, JSON-able."""
        return asdict(self)


def diagnose(*, online: bool = False) -> list[Finding]:
    """All findings, in the order in which they are shown.

    Parameters
    ----------
    online
        Ask the Hugging Face Hub whether it answers. Without it, no network is used.
    """
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("system", _system),
        ("engine", _engine),
        ("GPU", _gpu),
        ("libraries", _libraries),
        ("embedded", _embedded),
        ("cache", _cache),
        ("hub", lambda: _hub(online)),
    ]
    findings: list[Finding] = []
    for section, check in checks:
        try:
            findings.extend(check())
        except Exception as error:  # a broken library must not hide the other findings
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            status: Status = "broken" if section in ("engine", "embedded") else "note"
            findings.append(Finding(section, "check failed", reason, status))
    return findings


def text(findings: list[Finding]) -> str:
    """The findings as lines, section by section, with a verdict at the end."""
    width = max(len(finding.name) for finding in findings)
    lines: list[str] = []
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            lines += ["", section] if lines else [section]
        mark = {"ok": " ", "note": "!", "broken": "x"}[finding.status]
        lines.append(f"{mark} {finding.name:<{width}}  {finding.value}".rstrip())
        if finding.advice:
            lines.append(f"  {'':<{width}}  -> {finding.advice}")
    broken = [finding for finding in findings if finding.status == "broken"]
    verdict = (
        f"{len(broken)} broken: `ilo-fast run` will not work"
        if broken
        else "`ilo-fast run` is ready"
    )
    return "\n".join([*lines, "", verdict]) + "\n"


def _system() -> Iterator[Finding]:
    yield Finding("system", "ilo_fast", __version__)
    yield Finding("system", "Python", platform.python_version())
    yield Finding("system", "platform", platform.platform())


def _engine() -> Iterator[Finding]:
    from ilo_fast._util.processors import usable_processors
    from ilo_fast.graph.knn import simd_available, simd_level

    override = os.environ.get("ILO_FAST_SIMD")
    yield Finding("engine", "instruction sets", ", ".join(simd_available()))
    try:
        chosen = simd_level()
    except (ValueError, RuntimeError) as error:
        yield Finding(
            "engine", "chosen", f"ILO_FAST_SIMD={override}: {error}", "broken",
            "unset ILO_FAST_SIMD, or name one of the above",
        )  # fmt: skip
    else:
        why = "by ILO_FAST_SIMD" if override else "the best there is"
        yield Finding("engine", "chosen", f"{chosen} ({why})")
    yield Finding("engine", "threads", _threads(usable_processors()))


def _threads(used: int) -> str:
    """How many, and what limits them."""
    limits = {
        "OMP_NUM_THREADS": omp_threads(),
        "the control group's quota": quota_processors(),
    }
    named = [f"{name} {n}" for name, n in limits.items() if n is not None]
    why = f" ({', '.join(named)})" if named else ""
    return f"{used} of {counted(os.cpu_count() or 1, 'processor')}{why}"


def _gpu() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            memory = properties.total_memory / 2**30
            yield Finding("GPU", f"cuda:{index}", f"{properties.name}, {memory:.0f} GiB")
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "mps", "Apple GPU")
    else:
        built = (
            f"torch built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch for CPU"
        )
        yield Finding("GPU", "none", f"models run on the CPU ({built})")

    yield from _gpu_engine()


def _gpu_engine() -> Iterator[Finding]:
    from ilo_fast.graph import cuda

    name = "k-NN engine"
    found = cuda.status()
    if not found["built"]:
        yield Finding(
            "GPU", name, "not built: graphs are computed on the CPU", "ok",
            "on a machine with an NVIDIA GPU, install a CUDA toolkit (nvcc) and build ilo_fast "
            "again: SKBUILD_CMAKE_DEFINE=ILO_FAST_CUDA=ON pip install .",
        )  # fmt: skip
        return
    runtime, driver = (_cuda_version(found[part]) for part in ("runtime", "driver"))
    yield Finding("GPU", name, f"built with CUDA {runtime} for {found['architectures']}")
    yield Finding("GPU", "driver", f"for CUDA {driver}" if found["driver"] else "none")
    if found["problem"]:
        yield Finding("GPU", "engine's devices", "none: graphs are computed on the CPU")
    for index, device in enumerate(found["devices"]):
        major, minor = device["capability"]
        value = (
            f"cuda:{index}, {device['name']}, compute capability {major}.{minor}, "
            f"{device['memory'] / 2**30:.0f} GiB"
        )
        problem = cuda.problem(index)
        yield Finding("GPU", "engine's devices", value, "note" if problem else "ok", problem)
    library = cuda.library()
    missing = not library and bool(found["devices"])
    yield Finding(
        "GPU",
        "cuBLASLt",
        library or "not among the installed packages",
        "note" if missing else "ok",
        "where the loader does not find it either, the engine uses its own kernels"
        if missing
        else "",
    )
    yield Finding("GPU", "use of the engine", 'on request (backend="cuda"); "auto" uses the CPU')


def _cuda_version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _libraries() -> Iterator[Finding]:
    for name in _NEEDED:
        version = installed_version(name)
        try:
            importlib.import_module(name)
        except Exception as error:  # an installed library that cannot be loaded
            reason = f"{version or 'not installed'} ({' '.join(str(error).split())})"
            yield Finding("libraries", name, reason, "broken", f"pip install {name}")
        else:
            yield Finding("libraries", name, version or "unknown version")
    for name, (purpose, wanted) in _OPTIONAL.items():
        version = installed_version(name)
        if version is None:
            missing = f"not installed (for {purpose})"
            yield Finding("libraries", name, missing, "note", f"pip install {wanted}")
        else:
            yield Finding("libraries", name, version)


def _embedded() -> Iterator[Finding]:
    from ilo_fast.corpora.parallel import ParallelCorpus
    from ilo_fast.models.demo import demo_model_path

    corpus = ParallelCorpus.demo()
    size = f"{len(corpus.languages)} languages x {corpus.n_sentences} sentences"
    yield Finding("embedded", "corpus", size)
    try:
        folder = demo_model_path()
    except AccessError as error:
        advice = "the installation is incomplete: install ilo_fast again"
        yield Finding("embedded", "model", str(error), "broken", advice)
    else:
        weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        yield Finding("embedded", "model", f"{_size(weights)} in {folder}")


def _cache() -> Iterator[Finding]:
    from ilo_fast.cache import default_cache_dir

    folder = default_cache_dir()
    origin = "ILO_FAST_CACHE" if os.environ.get("ILO_FAST_CACHE") else "default"
    yield Finding("cache", "folder", f"{folder} ({origin})")
    if not folder.exists():
        yield Finding("cache", "size", "nothing yet")
        return
    if not os.access(folder, os.W_OK):
        yield Finding(
            "cache", "writable", "no", "note",
            "set ILO_FAST_CACHE to a folder of yours, or pass --cache DIR or --no-cache",
        )  # fmt: skip
    yield Finding("cache", "size", _size(_folder_bytes(folder)))


def _folder_bytes(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:  # another process has just removed it
                continue
    return total


def _hub(online: bool) -> Iterator[Finding]:
    offline = [
        name
        for name in _OFFLINE_VARIABLES
        if os.environ.get(name, "").strip().upper() in {"1", "ON", "YES", "TRUE"}
    ]
    if offline:
        yield Finding(
            "hub", "mode", f"offline by {', '.join(offline)}", "note",
            f"unset {' '.join(offline)} to fetch models and corpora",
        )  # fmt: skip
    else:
        yield Finding("hub", "mode", "online allowed")
    hub: Any = importlib.import_module("huggingface_hub")
    constants: Any = importlib.import_module("huggingface_hub.constants")
    yield Finding("hub", "downloads", str(constants.HF_HUB_CACHE))
    token = hub.get_token()
    yield Finding(
        "hub", "login", "a token is set" if token else "none",
        "ok" if token else "note",
        "" if token else "gated models and FLORES+ need one: hf auth login, or set HF_TOKEN",
    )  # fmt: skip
    if online:
        yield _ask_hub(hub, constants, token, offline)


def _ask_hub(hub: Any, constants: Any, token: str | None, offline: list[str]) -> Finding:
    if offline:
        return Finding("hub", "answer", "not asked: offline mode is set", "note")
    try:
        if token:
            name = hub.whoami(token=token).get("name", "unknown")
            return Finding("hub", "answer", f"{constants.ENDPOINT} knows you as {name}")
        hub.HfApi().model_info("bert-base-cased", timeout=_HUB_TIMEOUT_S)
    except Exception as error:  # no route, no such name, a refused token: all are an answer here
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return Finding("hub", "answer", reason, "note", "check network, proxy and token")
    return Finding("hub", "answer", f"{constants.ENDPOINT} answers")


def _size(n_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"
