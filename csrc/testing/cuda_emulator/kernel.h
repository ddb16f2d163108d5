// Kernels as plain functions: the blocks of a grid one after the other, the threads of a block as
// fibers that take turns where they wait for each other.
//
// What cannot end (a barrier that some threads never reach) and what is undefined (threads of a
// warp that exchange values in different places, lanes that are named but are not there) is thrown
// as std::logic_error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "testing/cuda_emulator/include/cuda_runtime.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static thread_local
#define __align__(n) alignas(n)

namespace ilo::emulated {

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
extern __thread uint3 threadIdx, blockIdx, blockDim, gridDim;

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
};

struct alignas(16) float4 {
  float x, y, z, w;
};

// ---- launches

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*thread)(const void*),
              const void* arguments);
// Whether a GPU would take it: also sets the last error.
cudaError_t launch_error(const void* kernel, const cudaLaunchConfig_t& config);

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
cudaError_t set_shared_limit(const void* kernel, int bytes);
template <class... P>
cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute, int bytes) {
  return set_shared_limit(reinterpret_cast<const void*>(kernel), bytes);
}

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(P...),
                               A&&... arguments) {
  const cudaError_t error = launch_error(reinterpret_cast<const void*>(kernel), *config);
  if (error != cudaSuccess) return error;
  using Call = std::pair<void (*)(P...), std::tuple<P...>>;
  enqueue(config->stream, [grid = config->gridDim, block = config->blockDim,
                           bytes = config->dynamicSmemBytes,
                           call = Call(kernel, std::tuple<P...>(arguments...))] {
    run_grid(
        grid, block, bytes,
        [](const void* c) {
          std::apply(static_cast<const Call*>(c)->first, static_cast<const Call*>(c)->second);
        },
        &call);
  });
  return cudaSuccess;
}

void* dynamic_shared_memory();

// ---- among threads

// Where something stands in the source: threads that meet have to meet there.
struct Place {
  const char* what;
  const char* file;
  int line;
};
#define ILO_PLACE(what) \
  Place { what, file, line }
#define ILO_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

void barrier(const Place& place);
// The lanes of `mask` meet. Each brings an item; the last to come has `together` look at all of
// them, with null for lanes not in the mask.
void meet(unsigned mask, const Place& place, void* item, void (*together)(void* const* items));
unsigned lane_of_warp();

inline void __syncthreads(ILO_CALLER) { barrier(ILO_PLACE("__syncthreads")); }
inline void __syncwarp(unsigned mask = 0xffffffffu, ILO_CALLER) {
  meet(mask, ILO_PLACE("__syncwarp"), nullptr, [](void* const*) {});
}

template <class T>
struct Exchange {
  T value, got;
  int from;
};
template <class T>
T exchange(unsigned mask, T value, int from, const Place& place) {
  Exchange<T> item{value, value, from};
  meet(mask, place, &item, [](void* const* items) {
    for (int lane = 0; lane < 32; ++lane)
      if (auto* to = static_cast<Exchange<T>*>(items[lane])) {
        const auto* with = static_cast<const Exchange<T>*>(items[to->from]);
        if (with)
          to->got = with->value;
        else  // undefined
          std::memset(static_cast<void*>(&to->got), 0xff, sizeof to->got);
      }
  });
  return item.got;
}
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32, ILO_CALLER) {
  const int lane = static_cast<int>(lane_of_warp());
  return exchange(mask, value, (lane & -width) | (from & (width - 1)), ILO_PLACE("__shfl_sync"));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32, ILO_CALLER) {
  const int lane = static_cast<int>(lane_of_warp()), from = lane ^ with;
  return exchange(mask, value, from < (lane & -width) + width ? from : lane,
                  ILO_PLACE("__shfl_xor_sync"));
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, ILO_CALLER) {
  const int lane = static_cast<int>(lane_of_warp()), from = lane + static_cast<int>(by);
  return exchange(mask, value, from < (lane & -width) + width ? from : lane,
                  ILO_PLACE("__shfl_down_sync"));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, ILO_CALLER) {
  const int lane = static_cast<int>(lane_of_warp()), from = lane - static_cast<int>(by);
  return exchange(mask, value, from >= (lane & -width) ? from : lane, ILO_PLACE("__shfl_up_sync"));
}

struct Vote {
  bool mine;
  unsigned all;
};
inline unsigned vote(unsigned mask, bool mine, const Place& place) {
  Vote item{mine, 0};
  meet(mask, place, &item, [](void* const* items) {
    unsigned all = 0;
    for (int lane = 0; lane < 32; ++lane)
      if (items[lane] && static_cast<Vote*>(items[lane])->mine) all |= 1u << lane;
    for (int lane = 0; lane < 32; ++lane)
      if (items[lane]) static_cast<Vote*>(items[lane])->all = all;
  });
  return item.all;
}
inline unsigned __ballot_sync(unsigned mask, int mine, ILO_CALLER) {
  return vote(mask, mine != 0, ILO_PLACE("__ballot_sync"));
}

// ---- in one thread: blocks and threads take turns, so that these are plain

#define ILO_ATOMIC(T)                                                                       \
  inline T atomicAdd(T* at, T by) {                                                         \
    const T old = *at;                                                                      \
    *at = static_cast<T>(static_cast<std::uint64_t>(old) + static_cast<std::uint64_t>(by)); \
    return old;                                                                             \
  }                                                                                         \
  inline T atomicMax(T* at, T with) {                                                       \
    const T old = *at;                                                                      \
    if (with > old) *at = with;                                                             \
    return old;                                                                             \
  }                                                                                         \
  inline T atomicMin(T* at, T with) {                                                       \
    const T old = *at;                                                                      \
    if (with < old) *at = with;                                                             \
    return old;                                                                             \
  }                                                                                         \
  inline T atomicOr(T* at, T with) {                                                        \
    const T old = *at;                                                                      \
    *at = old | with;                                                                       \
    return old;                                                                             \
  }
ILO_ATOMIC(int)
ILO_ATOMIC(unsigned)
ILO_ATOMIC(unsigned long long)
#undef ILO_ATOMIC

template <class To, class From>
To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
inline unsigned __float_as_uint(float x) { return bits_as<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return bits_as<float>(x); }
inline long long __double_as_longlong(double x) { return bits_as<long long>(x); }
inline double __longlong_as_double(long long x) { return bits_as<double>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }

// ---- copies and products of kernels/intrinsics.h

// The 16 bytes are undefined (NaN) until the thread waits for the group.
void copy_async(void* shared, const void* global);
void copy_async_commit();
void copy_async_wait(int groups);  // until at most so many groups are under way

// With the fragments of the PTX instructions ldmatrix.x4 and mma.m16n8k16.
void load_matrices(unsigned (&r)[4], const void* row, const Place& place);
void multiply_matrices(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                       const Place& place);

}  // namespace ilo::emulated
