// Rows in float64, as the definition has them (knn/rows.h). Half a warp takes a row, and thread l
// of it the columns l, l + 16, ...: so sums come out in the defined order, bit by bit
// (knn/kernels/rows.inl).
//
// All threads of a warp have to call these together.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/matrix_view.h"
#include "cuda/half.h"

namespace ilo::gpu {

constexpr unsigned kWarp = 0xffffffffu;
constexpr int kLanes = 16;

struct F16 {
  static __device__ double read(const std::byte* at) {
    return half_to_float(*reinterpret_cast<const std::uint16_t*>(at));
  }
};
struct BF16 {
  static __device__ double read(const std::byte* at) {
    return __uint_as_float(static_cast<unsigned>(*reinterpret_cast<const std::uint16_t*>(at))
                           << 16);
  }
};
struct F32 {
  static __device__ double read(const std::byte* at) { return *reinterpret_cast<const float*>(at); }
};
struct F64 {
  static __device__ double read(const std::byte* at) {
    return *reinterpret_cast<const double*>(at);
  }
};

// call(F16{}) or another of them.
template <class Call>
void with_dtype(DType dtype, Call call) {
  switch (dtype) {
    case DType::f16:
      return call(F16{});
    case DType::bf16:
      return call(BF16{});
    case DType::f32:
      return call(F32{});
    case DType::f64:
      return call(F64{});
  }
}

// Where rows lie in the device's memory.
struct Values {
  const std::byte* const* rows;
  std::ptrdiff_t col_stride;  // bytes
  std::int64_t d;
};

// What makes u of x: by number of the row.
struct Norms {
  const double* multiplier;
  const double* norm;
};

template <class Element>
struct Row {
  const std::byte* at;
  std::ptrdiff_t col_stride;
  double multiplier, norm;

  __device__ Row(const Values& v, std::int64_t row, const Norms& norms, std::int64_t number)
      : at(v.rows[row]),
        col_stride(v.col_stride),
        multiplier(norms.multiplier[number]),
        norm(norms.norm[number]) {}
  __device__ double x(std::int64_t k) const { return Element::read(at + k * col_stride); }
  __device__ double u(std::int64_t k) const {
    const double value = x(k);
    if (norm != 1.0) return value * multiplier / norm;
    return multiplier != 1.0 ? value * multiplier : value;
  }
};

__device__ inline int lane16() { return static_cast<int>(threadIdx.x) & (kLanes - 1); }

// The sum of 16 partial sums, added as kernels/rows.inl does; every thread gets it.
__device__ inline double add_lanes(double sum) {
  for (int width = kLanes / 2; width > 0; width /= 2) sum += __shfl_xor_sync(kWarp, sum, width);
  return sum;
}

__device__ inline double largest_of_lanes(double value) {
  for (int width = kLanes / 2; width > 0; width /= 2) {
    const double other = __shfl_xor_sync(kWarp, value, width);
    value = value > other ? value : other;
  }
  return value;
}

template <class U, class V>
__device__ double squared_distance(const U& u, const V& v, std::int64_t d) {
  constexpr int kAhead = 8;  // values on their way at a time
  double sum = 0;
  std::int64_t k = lane16();
  for (; k + (kAhead - 1) * kLanes < d; k += kAhead * kLanes) {
    double loaded[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) loaded[a] = v(k + a * kLanes);
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const double e = u(k + a * kLanes) - loaded[a];
      sum += e * e;
    }
  }
  for (; k < d; k += kLanes) {
    const double e = u(k) - v(k);
    sum += e * e;
  }
  return add_lanes(sum);
}

// Numbers of half-warps: of the whole launch, and of this thread's.
__device__ inline std::int64_t half_warps() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x / kLanes;
}
__device__ inline std::int64_t half_warp() {
  return (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kLanes;
}

}  // namespace ilo::gpu
