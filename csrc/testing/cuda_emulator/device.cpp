// The one emulated device: its state, its errors, and what tests may ask of it (controls.h).
#include <exception>
#include <utility>

#include "testing/cuda_emulator/controls.h"
#include "testing/cuda_emulator/state.h"

namespace ilo::emulated {

thread_local std::exception_ptr pending;

namespace {
thread_local cudaError_t last_error = cudaSuccess;
}  // namespace

Device& device() {
  static Device& only = *new Device;  // outlives whatever is cleaned up when the process ends
  return only;
}

cudaError_t failed(cudaError_t error) {
  last_error = error;
  return error;
}

void throw_pending() {
  if (pending) std::rethrow_exception(std::exchange(pending, nullptr));
}

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
  }
  return "unknown error";
}
cudaError_t cudaGetDevice(int* ordinal) {
  *ordinal = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int ordinal) {
  return ordinal == 0 ? cudaSuccess : failed(cudaErrorInvalidDevice);
}

// ---- controls

void set_memory_limit(std::size_t bytes) {
  Lock lock(device().mutex);
  device().limit = bytes ? bytes : kDefaultLimit;
}
void fail_allocation(int nth) {
  Lock lock(device().mutex);
  device().fail_in = nth;
}
bool failure_pending() {
  Lock lock(device().mutex);
  return device().fail_in > 0;
}
void set_order(std::uint64_t seed) {
  Lock lock(device().mutex);
  device().seed = seed;
  device().random.seed(seed);
}
std::size_t live_bytes() {
  Lock lock(device().mutex);
  return device().live;
}
std::size_t peak_bytes() {
  Lock lock(device().mutex);
  return device().peak;
}
void reset_peak() {
  Lock lock(device().mutex);
  device().peak = device().live;
}
std::int64_t launches() {
  Lock lock(device().mutex);
  return device().launches;
}
bool problem_pending() { return pending != nullptr; }

bool next_launch_descends() {
  Device& d = device();
  ++d.launches;
  return d.seed && d.random() % 2;
}

}  // namespace ilo::emulated
