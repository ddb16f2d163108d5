"""Check the installed package: no test double in it, graphs and scores those of a brute force.

    python tools/check_wheel.py

For the interpreter of an installation without ILO_FAST_TESTING; needs NumPy and filelock alone of
what the package depends on. Exit status 1 where something is wrong.
"""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from time import perf_counter

DOUBLE = re.compile(rb"emulated|emulator|on_cpu|_core_testing", re.IGNORECASE)


def main() -> int:
    """Print what is wrong; the exit status."""
    files = metadata.files("ilo_fast") or []
    binaries = [file for file in files if file.suffix in (".so", ".pyd")]
    found = [str(file) for file in files if DOUBLE.search(str(file).encode())]
    for file in binaries:
        for match in set(DOUBLE.findall(Path(str(file.locate())).read_bytes())):
            found.append(f"{file}: {match.decode()}")
    problems = [f"a test double in the product: {line}" for line in found]
    problems += wrong_results()
    for line in problems:
        print(line, file=sys.stderr)
    size = sum(file.locate().stat().st_size for file in files if file.locate().exists()) / 1e6
    print(f"{len(files)} files, {size:.1f} MB, {len(binaries)} compiled, {len(problems)} wrong")
    return 1 if problems or not binaries else 0


def wrong_results() -> list[str]:
    """Graphs and scores of fresh random rows that differ from their definitions."""
    began = perf_counter()
    import numpy as np

    import ilo_fast
    from ilo_fast import _core

    loaded = perf_counter() - began
    seed = int(np.random.SeedSequence().entropy % 2**32)
    rng = np.random.default_rng(seed)
    heavy = [name for name in ("torch", "transformers") if name in sys.modules]
    problems = [f"import ilo_fast loads {name}" for name in heavy]
    languages = {f"l{i}": rng.normal(size=(40, 24)) for i in range(6)}
    X = np.concatenate(list(languages.values()))
    of_row = np.repeat(np.arange(6), 40)

    for metric in ("cosine", "euclidean"):
        rows = X / np.linalg.norm(X, axis=1, keepdims=True) if metric == "cosine" else X
        squares = ((rows[:, None] - rows[None]) ** 2).sum(-1)
        np.fill_diagonal(squares, np.inf)
        nearest = np.argsort(squares, axis=1, kind="stable")[:, :5]
        if not np.array_equal(ilo_fast.knn_graph(X, 5, metric=metric).indices, nearest):
            problems.append(f"another {metric} graph than the brute force's (seed {seed})")
        if metric == "cosine":
            scores = ilo_fast.overlap(languages)
            for language in range(6):
                met = [
                    set(of_row[nearest[i]]) - {language} for i in np.flatnonzero(of_row == language)
                ]
                bridge = sum(len(others) >= 3 for others in met) / 40
                reach = len(set().union(*met)) / 5
                ilo = 2 * bridge * reach / (bridge + reach) if bridge + reach else 0.0
                if not np.allclose(scores.ilo[0, language], ilo, rtol=1e-12, atol=0):
                    problems.append(f"another score than the definition's (seed {seed})")
    print(
        f"Python {platform.python_version()}, {platform.machine()}, NumPy {np.__version__}: "
        f"{_core.simd_available()[-1]}, imports {loaded:.2f} s, all {perf_counter() - began:.2f} s"
    )
    return problems


if __name__ == "__main__":
    sys.exit(main())
