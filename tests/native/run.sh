#!/usr/bin/env bash
# Builds and runs the tests of the core that need no Python.
#
#     tests/native/run.sh [plain|address|thread|aarch64] [rounds]
#
# address: with the address and undefined-behaviour sanitizers. thread: with the thread sanitizer.
# aarch64: cross-compiled, on an emulated processor with BFMMLA and on one without; the CUDA emulator is
# left to the others. Exit status 77: something it needs is not installed.
# The build goes to $ILO_FAST_NATIVE_BUILD, or to build/native of the project.
set -euo pipefail
kind="${1:-plain}"
here="$(cd "$(dirname "$0")" && pwd)"
build="${ILO_FAST_NATIVE_BUILD:-$here/../../build/native}/$kind"

need() {
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 77; }
  done
}

need cmake
options=()
launch=(env)  # xargs fills {} into arguments, not into the name of the program
tests=(graph device_graph fused_filter emulator tensor_core overlap deletions set_overlap communities sparse kernels dispatch)  # the longest first
rounds=20
case "$kind" in
  plain) ;;
  address) options=(-DILO_FAST_SANITIZE=address) rounds=8 ;;
  thread)
    options=(-DILO_FAST_SANITIZE=thread) rounds=4
    tests=(graph emulator overlap deletions set_overlap sparse)  # the rest keeps to one thread
    # Older runtimes cannot live with all of the address randomisation of newer kernels.
    if setarch -R true 2>/dev/null; then launch=(setarch -R); fi
    ;;
  aarch64)
    need aarch64-linux-gnu-g++ qemu-aarch64-static
    options=(-DCMAKE_TOOLCHAIN_FILE="$here/../../csrc/toolchains/aarch64-linux-gnu.cmake" -DILO_FAST_EMULATED=ON)
    emulate() { qemu-aarch64-static -L /usr/aarch64-linux-gnu "$@"; }
    tests=(graph sparse set_overlap kernels dispatch) rounds=1
    ;;
  *) echo "$kind is not plain, address, thread or aarch64" >&2; exit 2 ;;
esac
if [ "$kind" != aarch64 ]; then need "${CXX:-c++}"; fi
if command -v ninja >/dev/null; then options+=(-G Ninja); fi

cmake -S "$here" -B "$build" "${options[@]}" >/dev/null
cmake --build "$build" --parallel 2 --target "${tests[@]/%/_test}" >&2
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"
if [ "$kind" = aarch64 ]; then
  for test in "${tests[@]}"; do
    ILO_FAST_EXPECTED_LEVELS="scalar neon neon_bf16" emulate -cpu max "$build/${test}_test" "${2:-$rounds}"
  done
  for test in kernels dispatch; do  # Armv8.0: what differs is which kernels are chosen
    ILO_FAST_EXPECTED_LEVELS="scalar neon" emulate -cpu cortex-a72 "$build/${test}_test" "${2:-$rounds}"
  done
else
  printf '%s\n' "${tests[@]}" | xargs -P 2 -I{} "${launch[@]}" "$build/{}_test" "${2:-$rounds}"
fi
echo "all right"
