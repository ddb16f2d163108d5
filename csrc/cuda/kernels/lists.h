// Candidates of rows, in the device's memory: what a filter appends to, and how it looks at a
// product.
//
// As on the CPU (knn/candidates.h): hits above a row's threshold are appended, full lists are cut,
// and everything ever discarded scored at most the final threshold; what met a full list counts,
// too.
#pragma once

#include <cstdint>

#include "cuda/platform.h"
#include "knn/kernels/kernels.h"

namespace ilo::gpu {

// Floats as integers of the same order, for atomicMax. NaN has no place in it.
__device__ inline unsigned ordered(float value) {
  const unsigned bits = __float_as_uint(value);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__device__ inline float from_ordered(unsigned key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}
constexpr unsigned kNothing = 0;  // below every number's key

struct Lists {
  Hit* hits;         // [rows][capacity]
  int* count;        // [rows] offered since the last cut: may exceed the capacity
  float* threshold;  // [rows] only what scores more is offered
  unsigned* lost;    // [rows] ordered(the best that met a full list), or kNothing
  int capacity;
  int first = 0;  // row of the first list of `hits`; the other arrays begin with row 0

  __device__ Hit* of(int row) const {
    return hits + static_cast<std::int64_t>(row - first) * capacity;
  }
};

__device__ inline void offer(const Lists& lists, int row, int column, float score) {
  const int at = atomicAdd(&lists.count[row], 1);
  if (at < lists.capacity)
    lists.of(row)[at] = Hit{score, column};
  else
    atomicMax(&lists.lost[row], ordered(score));
}

// Rows of one operand of a product. Row r has the number first + r, which indexes lists and `own`.
struct Side {
  const std::uint16_t* packed;  // [count][stride] fp16
  const float* factor;          // [count] a power of two: row = packed * factor
  const float* half;            // [count] |row|^2 / 2
  std::int64_t stride;          // values, a multiple of 64; zero beyond d
  int first, count;
};

// acc * factor_i * factor_j, exact but for underflow.
__device__ inline float scaled(float acc, float factor_i, float factor_j) {
  return acc * factor_i * factor_j;
}

}  // namespace ilo::gpu
