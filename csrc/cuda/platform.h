// CUDA as kernels and host code here use it, on both machines: nvcc's own, or a stand-in for g++
// (on_cpu). Everything on top of it stands in namespace ilo::ILO_MACHINE.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define ILO_MACHINE gpu
#define ILO_UNROLL _Pragma("unroll")
#else
#include "cuda/on_cpu/kernel.h"
#define ILO_MACHINE emulated
#define ILO_UNROLL  // a pragma that g++ does not know
#endif

namespace ilo::ILO_MACHINE {

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

#if defined(__CUDACC__)
template <class T>
__device__ __forceinline__ T* dynamic_shared() {  // aligned to 128 bytes
  extern __shared__ __align__(128) unsigned char ilo_dynamic_shared[];
  return reinterpret_cast<T*>(ilo_dynamic_shared);
}

// fp16, as its bits; to nearest, ties to even.
__host__ __device__ inline float half_to_float(std::uint16_t bits) {
  return __half2float(__half(__half_raw{bits}));
}
__host__ __device__ inline std::uint16_t float_to_half(float value) {
  return static_cast<__half_raw>(__float2half_rn(value)).x;
}
#endif

// A grid without blocks is no launch.
template <class... P, class... A>
void launch(cudaStream_t stream, dim3 grid, dim3 block, std::size_t shared_bytes,
            void (*kernel)(P...), A&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
#if defined(__CUDACC__)
  // A property of the kernel, not of the launch: always the same number, or a launch of another
  // thread might come between.
  constexpr std::size_t without_asking = 48 * 1024, enough = 64 * 1024;
  if (shared_bytes > without_asking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes > enough ? shared_bytes : enough)),
          "shared memory of a kernel");
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<P>(arguments)...);
  check(cudaGetLastError(), "launch of a kernel");
#else
  check(launch_error(grid, block, shared_bytes), "launch of a kernel");
  enqueue_launch(stream, grid, block, shared_bytes, kernel,
                 std::tuple<P...>(static_cast<P>(arguments)...));
#endif
}

}  // namespace ilo::ILO_MACHINE
