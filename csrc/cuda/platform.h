// The CUDA runtime as this engine uses it: errors as exceptions, and typed launches.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace ilo::gpu {

struct OutOfMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // or the next check would see it again
  const std::string message = std::string(what) + ": " + cudaGetErrorString(error);
  if (error == cudaErrorMemoryAllocation) throw OutOfMemory(message);
  throw std::runtime_error(message);
}

// Queues a kernel on the stream. A grid without blocks launches nothing.
template <class... P, class... A>
void launch(cudaStream_t stream, dim3 grid, dim3 block, std::size_t shared_bytes,
            void (*kernel)(P...), A&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  // A kernel has to ask for more than the default. That is a property of the kernel, not of the
  // launch: every launch asks for the same number, since another thread may launch in between.
  constexpr std::size_t default_limit = 48 * 1024, raised_limit = 64 * 1024;
  if (shared_bytes > default_limit)
    check(cudaFuncSetAttribute(
              kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
              static_cast<int>(shared_bytes > raised_limit ? shared_bytes : raised_limit)),
          "shared memory of a kernel");
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...), "launch of a kernel");
}

}  // namespace ilo::gpu
