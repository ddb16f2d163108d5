#!/usr/bin/env bash
# The engine for GPUs on a real one, within 9 minutes and offline: build, tests, sanitizer, benchmark.
#
#     tools/gpu_check.sh [FOLDER]               # results in $OUT, or in FOLDER (default: build/gpu_check)
#     tools/gpu_check.sh --emulator [FOLDER]    # rehearses every step on the CUDA emulator, without a GPU
#
# Needs CUDA, a C++ compiler, CMake, and Python with torch, transformers, numpy, pybind11 and pytest;
# installs nothing. $PYTHON names the interpreter. A step that fails or takes too long does not stop
# those after it. FOLDER gets gpu_check.json and a log per step. Exit status 1: a step failed.
set -uo pipefail

emulator=
if [ "${1:-}" = --emulator ]; then emulator=1; shift; fi
here="$(cd "$(dirname "$0")/.." && pwd)"
out="${OUT:-${1:-$here/build/gpu_check}}"
python="${PYTHON:-python3}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
steps="$work/steps.tsv"
: > "$steps"
cd "$here"

export PYTHONPATH="$work/site" PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
# The cache of torch would hide reads beyond the end of an input from the sanitizer.
sanitized=(env PYTORCH_NO_CUDA_MEMORY_CACHING=1)

# step NAME SECONDS COMMAND...: runs it with this limit, keeps its output, notes how it went.
step() {
  local name="$1" limit="$2" start end code state
  shift 2
  if [ -n "$emulator" ]; then limit=$((5 * limit)); fi  # a rehearsal may share its machine
  echo "== $name (at most $limit s)"
  start="$(date +%s.%N)"
  timeout --kill-after=10 "$limit" "$@" > "$out/$name.log" 2>&1
  code=$?
  end="$(date +%s.%N)"
  case $code in
    0) state=ok ;;
    124 | 137) state="timed out" ;;
    *) state=failed ;;
  esac
  printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$state" "$code" "$start" "$end" >> "$steps"
  tail -n 4 "$out/$name.log"
  [ "$state" = ok ]
}

skip() {
  echo "== $1: skipped, $2"
  printf '%s\tskipped: %s\t0\t0\t0\n' "$1" "$2" >> "$steps"
}

build() {
  local options=(-DILO_FAST_TESTING=ON "-DPython_EXECUTABLE=$(command -v "$python")"
                 "-Dpybind11_DIR=$("$python" -m pybind11 --cmakedir)")
  if [ -n "$emulator" ]; then
    options+=(-DILO_FAST_CUDA=OFF)
  else
    local capability  # of the first GPU: nothing is compiled for others
    capability="$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)"
    options+=(-DILO_FAST_CUDA=ON "-DCMAKE_CUDA_ARCHITECTURES=${capability:-90}-real")
  fi
  if command -v ninja > /dev/null; then options+=(-G Ninja); fi
  mkdir -p "$work/site" && cp -r python/ilo_fast "$work/site/" && rm -f "$work"/site/ilo_fast/*.so &&
    cmake -S . -B "$work/build" "${options[@]}" &&
    cmake --build "$work/build" --parallel "$(nproc)" &&
    cmake --install "$work/build" --prefix "$work/site"
}

# What the package says of the machine; fails where the engine finds no device.
show_machine() {
  "$python" -m ilo_fast doctor
  "$python" -c 'import sys; from ilo_fast import _core; status = _core.cuda_status(); print(status)
sys.exit(bool(status["problem"]) and sys.argv[1] == "gpu")' "$machine"
}

# pytest of what runs on this machine: `gpu` or `emulated`, by the ids of the tests.
if [ -n "$emulator" ]; then machine=emulated; else machine=gpu; fi
run_tests() { "$python" -m pytest -q -p no:cacheprovider "$@"; }

export -f build run_tests show_machine
export work python emulator machine

nvidia-smi > "$out/nvidia-smi.log" 2>&1 || true
step build 200 bash -c build
step doctor 30 bash -c show_machine

# The telling part of tests/cuda; all of it takes longer than this script may.
part="any_number_of_rows or any_stride or test_queries or every_path or few_uncertified_rows"
if [ -n "$emulator" ]; then
  step tests 150 bash -c 'run_tests tests/cuda -k "emulated and (any_number_of_rows or few_uncertified)"'
  step certificate 60 bash -c 'run_tests tests/graph/test_certificate.py -k "emulator and isotropic"'
else
  step certificate 40 bash -c 'run_tests tests/graph/test_certificate.py -k gpu'
  step tests 120 bash -c "run_tests tests/cuda -k 'gpu and ($part)'"
fi

for tool in memcheck racecheck synccheck initcheck; do
  if [ -n "$emulator" ]; then
    skip "sanitizer-$tool" "compute-sanitizer needs a GPU"
  elif ! command -v compute-sanitizer > /dev/null; then
    skip "sanitizer-$tool" "compute-sanitizer is not installed"
  else
    options=(--tool "$tool" --error-exitcode 1)
    if [ "$tool" = initcheck ]; then options+=(--track-unused-memory no); fi
    step "sanitizer-$tool" 22 "${sanitized[@]}" compute-sanitizer "${options[@]}" \
      "$python" -m pytest -x -q -p no:cacheprovider tests/cuda -k "gpu and (few_uncertified_rows or any_stride)"
  fi
done

benchmark=("$python" benchmarks/knn_graph_gpu.py -o "$out/benchmark.json" --data anisotropic -k 5)
if [ -n "$emulator" ]; then
  step benchmark 90 "${benchmark[@]}" --machine emulated --shape 300x64 --repeats 1
else
  step benchmark 60 "${benchmark[@]}" --shape 31372x1024 --shape 31372x4096 --budget 30
fi

"$python" - "$steps" "$out" "$machine" "$(git rev-parse HEAD 2> /dev/null)" << 'PYTHON'
"""One JSON of everything, and a table."""

import json
import sys
from pathlib import Path

steps, out, machine, commit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
report = {"machine": machine, "commit": commit, "steps": []}
for line in steps.read_text().splitlines():
    name, state, code, start, end = line.split("\t")
    log = out / f"{name}.log"
    tail = log.read_text(errors="replace").splitlines()[-30:] if log.exists() else []
    report["steps"].append(
        {"name": name, "state": state, "exit_status": int(code), "end_of_log": tail}
        | {"seconds": round(float(end) - float(start), 1)}
    )
smi = out / "nvidia-smi.log"
report["nvidia_smi"] = smi.read_text(errors="replace").splitlines()[:20] if smi.exists() else []
benchmark = out / "benchmark.json"
if benchmark.exists():
    report["benchmark"] = json.loads(benchmark.read_text())
(out / "gpu_check.json").write_text(json.dumps(report, indent=1) + "\n")

print("\n| step | state | seconds | last line |\n|---|---|---|---|")
for s in report["steps"]:
    last = s["end_of_log"][-1][:90].replace("|", "/") if s["end_of_log"] else ""
    print(f"| {s['name']} | {s['state']} | {s['seconds']} | {last} |")
for case in report.get("benchmark", {}).get("cases", []):
    print(f"\n| {case['data']}, {case['n']} x {case['d']}, k = {case['n_neighbors']} | median s |\n|---|---|")
    for name, result in case["results"].items():
        print(f"| {name} | {result['median_seconds']:.4f} |")
bad = [s["name"] for s in report["steps"] if s["state"] in ("failed", "timed out")]
print(f"\nresults: {out / 'gpu_check.json'}; " + (f"FAILED: {', '.join(bad)}" if bad else "all right"))
sys.exit(1 if bad else 0)
PYTHON
