"""Check that the installed package holds no test double, by the names of its files and in its code.

    python tools/check_wheel.py

For the interpreter of an installation without ILO_FAST_TESTING. Exit status 1 if it does.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

DOUBLE = re.compile(rb"emulated|emulator|on_cpu|_core_testing", re.IGNORECASE)


def main() -> int:
    """Print what is wrong; the exit status."""
    files = metadata.files("ilo_fast") or []
    binaries = [file for file in files if file.suffix in (".so", ".pyd")]
    found = [str(file) for file in files if DOUBLE.search(str(file).encode())]
    for file in binaries:
        for match in set(DOUBLE.findall(Path(str(file.locate())).read_bytes())):
            found.append(f"{file}: {match.decode()}")
    for line in found:
        print(f"a test double in the product: {line}", file=sys.stderr)
    print(f"{len(files)} files, {len(binaries)} compiled, {len(found)} wrong")
    return 1 if found or not binaries else 0


if __name__ == "__main__":
    sys.exit(main())
