#!/usr/bin/env bash
# The Python package on emulated aarch64: cross-compiled, under an aarch64 Python of Debian, by QEMU.
#
#     tests/native/package_aarch64.sh [arguments of pytest]      # without any: the graph's tests
#
# Two rounds: on neon_bf16, then on neon.
# Nothing is installed: Python and its wheels are unpacked beside the build, in $ILO_FAST_NATIVE_BUILD or
# build/native of the project. Needs a Debian of the same release for apt-get, g++-aarch64-linux-gnu,
# qemu-user-static, cmake, and pybind11 in the python3 that runs. There is no torch: what needs it is skipped.
# Exit status 77: something it needs is not installed.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
project="$(cd "$here/../.." && pwd)"
build="${ILO_FAST_NATIVE_BUILD:-$project/build/native}/package_aarch64"
mkdir -p "$build"
build="$(cd "$build" && pwd)"
root="$build/root" site="$build/site"

for program in apt-get dpkg cmake aarch64-linux-gnu-g++ qemu-aarch64-static; do
  command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 77; }
done
python3 -c 'import pybind11' || exit 77

if [ ! -x "$root/usr/bin/python3" ]; then
  mkdir -p "$build"/apt/{lists,archives}/partial "$root"
  : > "$build/apt/status"
  apt=(apt-get -q -y -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Install-Recommends=false
    -o Dir::State="$build/apt" -o Dir::State::lists="$build/apt/lists" -o Dir::State::status="$build/apt/status"
    -o Dir::Cache="$build/apt" -o Dir::Cache::archives="$build/apt/archives")
  "${apt[@]}" update
  "${apt[@]}" install --download-only python3 libpython3-dev libstdc++6
  for package in "$build"/apt/archives/*.deb; do dpkg -x "$package" "$root"; done
fi
version="$(basename "$(readlink "$root/usr/bin/python3")")"  # python3.11

# What sys.executable says, for the tests that start another Python.
cat > "$build/python" <<END
#!/bin/sh
export PYTHONHOME="$root/usr"
exec qemu-aarch64-static -cpu max -L "$root" -0 "\$0" "$root/usr/bin/$version" "\$@"
END
chmod +x "$build/python"

if [ ! -d "$site" ]; then
  python3 -m pip download -q -d "$build/wheels" --only-binary=:all: --implementation cp \
    --python-version "${version#python}" --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 \
    -c "$project/constraints.txt" numpy scipy filelock tqdm pytest
  for wheel in "$build"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$site"; done
fi

options=()
if command -v ninja >/dev/null; then options+=(-G Ninja); fi
if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
cmake -S "$project" -B "$build/core" "${options[@]}" -DILO_FAST_TESTING=ON -DILO_FAST_CUDA=OFF \
  -DCMAKE_TOOLCHAIN_FILE="$project/csrc/toolchains/aarch64-linux-gnu.cmake" -DCMAKE_CXX_FLAGS="-I$root/usr/include" \
  -Dpybind11_DIR="$(python3 -m pybind11 --cmakedir)" \
  -DPython_EXECUTABLE="$(python3 -c 'import sys; print(sys.executable)')" \
  -DPython_INCLUDE_DIR="$root/usr/include/$version" \
  -DPYTHON_MODULE_EXTENSION=.so -DPYTHON_MODULE_DEBUG_POSTFIX= >/dev/null
cmake --build "$build/core" --parallel 2 >&2
rm -rf "$build/package"
mkdir "$build/package"
cp -r "$project/python/ilo_fast" "$build/package"
rm -f "$build"/package/ilo_fast/*.so
cp "$build"/core/_core*.so "$build/package/ilo_fast"

# Not tests/conftest.py, which wants torch, nor hnswlib, which has no wheel; the rest is left out by .ci/run, too,
# or takes minutes here.
graph=(tests/graph -k "not hnsw")
for left_out in ray tiles test_tiles_core.py test_exports.py test_partitioned.py test_changing_rows.py; do
  graph+=(--ignore "tests/graph/$left_out")
done
if [ $# -gt 0 ]; then graph=("$@"); fi
export PYTHONPATH="$build/package:$site:$project/tests" OPENBLAS_NUM_THREADS=1
cd "$project"
for level in neon_bf16 neon; do
  ILO_FAST_SIMD="$level" "$build/python" -m pytest -q -p no:cacheprovider --confcutdir=tests/graph "${graph[@]}"
done
echo "all right"
