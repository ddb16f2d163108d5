#!/usr/bin/env bash
# Tests with the lowest versions of the dependencies that pyproject.toml allows, in a new environment.
#
#     tools/lowest.sh [FOLDER]
#
# PYTHON: the interpreter (python3.11; NumPy 1.26 has no wheel for 3.13). LOWEST: versions that replace
# the lowest ones, such as "torch==2.13.0" where an old build for CPUs cannot be had, or
# "transformers<5" to see what fails. Needs a C++ compiler.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
folder="${1:-$here/build/lowest}"
"${PYTHON:-python3.11}" -m venv "$folder"
python="$folder/bin/python"
lowest="$("$python" - "$here/pyproject.toml" ${LOWEST:-} <<'PY'
import re, sys, tomllib
name = lambda requirement: re.match(r"[\w-]+", requirement)[0]
instead = {name(requirement): requirement for requirement in sys.argv[2:]}
for requirement in tomllib.load(open(sys.argv[1], "rb"))["project"]["dependencies"]:
    print(instead.get(name(requirement), requirement.replace(">=", "==")))
PY
)"
echo "$lowest"
"$python" -m pip install --quiet $lowest 'pytest>=8'
SKBUILD_CMAKE_DEFINE="ILO_FAST_TESTING=ON;ILO_FAST_CUDA=OFF" "$python" -m pip install --quiet --no-deps "$here"
cd "$folder"
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
# Warnings of old packages are not ours.
"$python" -m pytest -q -p no:cacheprovider -c "$here/pyproject.toml" --rootdir "$here" -W default -k "not hnsw" \
  "$here"/tests/{test_demo,scores/test_overlap,models/test_structure,models/test_forward,representations/test_poolings}.py
"$folder/bin/ilo-fast" run -o "$folder/results" | grep '^[*]'  # the best layer: ILO, translation share
