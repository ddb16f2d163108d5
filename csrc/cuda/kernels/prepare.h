// Kernels before the filter: norms, hashes, the mean, equal rows, and rows in scaled float16.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/kernels/values.h"
#include "knn/certificate.h"

namespace ilo::gpu {

// Of all rows of a layer, gathered by atomics; start from {kNoRow, 0, 0}.
struct RowStatistics {
  unsigned long long bad;           // 2 * (first row that cannot be used) + (it is a zero vector)
  unsigned long long largest_norm;  // bits of float64, as of the next
  unsigned long long largest_value;
};
constexpr unsigned long long kNoRow = ~0ull;

__device__ inline double bring_to_one(double largest) {
  const int exponent = -ilogb(largest);
  return ldexp(1.0, exponent < 1023 ? exponent : 1023);
}
__device__ inline bool out_of_range(double largest) {  // for squares in float64
  return largest > 0 && (largest > 0x1p400 || largest < 0x1p-400);
}

// The largest magnitude of all values, for float64 under the Euclidean metric.
template <class Element>
__global__ void find_largest(Values v, std::int64_t count, RowStatistics* statistics) {
  double largest = 0;
  const std::int64_t step = half_warps();
  for (std::int64_t row = half_warp(); row < count; row += step)
    for (std::int64_t k = lane16(); k < v.d; k += kLanes) {
      const double x = fabs(Element::read(v.rows[row] + k * v.col_stride));
      if (x > largest && x <= 0x1.fffffffffffffp1023) largest = x;  // measure_rows finds the others
    }
  atomicMax(&statistics->largest_value,
            static_cast<unsigned long long>(__double_as_longlong(largest)));
}

__device__ inline unsigned long long scramble(unsigned long long h) {
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

// Rows first .. first + count: what u needs, a hash of u (equal for equal rows, -0 equals 0), and
// what is wrong with them.
template <class Element>
__global__ void measure_rows(Values v, std::int64_t first, std::int64_t count, bool cosine,
                             bool may_leave_range, double global_multiplier, double* multiplier,
                             double* norm, unsigned long long* hash, RowStatistics* statistics) {
  const std::int64_t step = half_warps();
  for (std::int64_t at = half_warp(); at - (at & 1) < count; at += step) {
    const bool mine = at < count;  // the second half of a warp may have none: it goes along
    const std::int64_t i = mine ? at : count - 1;
    const auto x = [&](std::int64_t k) { return Element::read(v.rows[i] + k * v.col_stride); };
    double wrong = 0, largest = 0;
    for (std::int64_t k = lane16(); k < v.d; k += kLanes) {
      wrong += x(k) - x(k);  // NaN unless finite
      largest = fabs(x(k)) > largest ? fabs(x(k)) : largest;
    }
    const bool finite = add_lanes(wrong) == 0;
    largest = largest_of_lanes(largest);
    double m = global_multiplier;
    if (cosine && may_leave_range && finite && out_of_range(largest)) m = bring_to_one(largest);
    double sum = 0;
    for (std::int64_t k = lane16(); k < v.d; k += kLanes) {
      const double value = x(k) * m;
      sum += value * value;
    }
    const double length = sqrt(add_lanes(sum));
    const double divisor = cosine && length > 0 ? length : 1.0;
    unsigned long long h = 0;
    for (std::int64_t k = lane16(); k < v.d; k += kLanes) {
      const double value = (divisor != 1.0 ? x(k) * m / divisor : x(k) * m) + 0.0;
      h += scramble(static_cast<unsigned long long>(__double_as_longlong(value)) +
                    0x9e3779b97f4a7c15ull * static_cast<unsigned long long>(k + 1));
    }
    for (int width = kLanes / 2; width > 0; width /= 2) h += __shfl_xor_sync(kWarp, h, width);
    if (!mine || lane16() != 0) continue;
    multiplier[first + i] = m;
    norm[first + i] = divisor;
    hash[first + i] = h;
    const bool zero = cosine && length == 0;
    if (!finite || zero)
      atomicMin(&statistics->bad,
                static_cast<unsigned long long>(first + i) * 2 + (finite ? 1 : 0));
    else
      atomicMax(&statistics->largest_norm,
                static_cast<unsigned long long>(__double_as_longlong(cosine ? 1.0 : length)));
  }
}

// Column of the first value of a row that is not finite, and whether that is NaN. One thread.
template <class Element>
__global__ void find_bad_value(Values v, std::int64_t row, std::int64_t* column, int* is_nan) {
  std::int64_t k = 0;
  double x = 0;
  for (; k < v.d; ++k) {
    x = Element::read(v.rows[row] + k * v.col_stride);
    if (!(x - x == 0)) break;
  }
  *column = k;
  *is_nan = x != x;
}

// sums[slice][k] += u over the slice's rows, one after another. Grid: columns, slices.
template <class Element>
__global__ void add_rows(Values v, std::int64_t first, std::int64_t count, std::int64_t slice,
                         Norms norms, double* sums) {
  const std::int64_t k = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (k >= v.d) return;
  const std::int64_t begin = blockIdx.y * slice;
  const std::int64_t end = begin + slice < count ? begin + slice : count;
  double sum = sums[blockIdx.y * v.d + k];
  for (std::int64_t i = begin; i < end; ++i) sum += Row<Element>(v, i, norms, first + i).u(k);
  sums[blockIdx.y * v.d + k] = sum;
}

inline __global__ void finish_centre(const double* sums, std::int64_t slices, std::int64_t d,
                                     std::int64_t n, double* centre) {
  const std::int64_t k = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (k >= d) return;
  double sum = 0;
  for (std::int64_t s = 0; s < slices; ++s) sum += sums[s * d + k];
  centre[k] = sum / static_cast<double>(n);
}

// Whether rows 2 p and 2 p + 1 of v, numbers[2 p] and numbers[2 p + 1], are equal.
template <class Element>
__global__ void compare_rows(Values v, std::int64_t pairs, const int* numbers, Norms norms,
                             std::uint8_t* equal) {
  const std::int64_t step = half_warps();
  for (std::int64_t at = half_warp(); at - (at & 1) < pairs; at += step) {
    const std::int64_t p = at < pairs ? at : pairs - 1;
    const Row<Element> a(v, 2 * p, norms, numbers[2 * p]);
    const Row<Element> b(v, 2 * p + 1, norms, numbers[2 * p + 1]);
    double differences = 0;
    for (std::int64_t k = lane16(); k < v.d; k += kLanes) differences += a.u(k) != b.u(k);
    differences = add_lanes(differences);
    if (at < pairs && lane16() == 0) equal[p] = differences == 0;
  }
}

// 0 where every operation is rounded by itself, as the definition wants it, and x where float32
// keeps subnormals.
inline __global__ void probe_arithmetic(double a, double b, float x, double* out) {
  out[0] = a * b - 1;
  out[1] = x * 1.0f;
}

// float16 of z = scale (u - centre), each row times the power of two that brings its largest value
// to 2^14 or more: float16 then keeps 11 bits of whatever is within 2^-28 of it. What is lost all
// the same is in the row's residual. A warp takes a row.
struct Packing {
  std::uint16_t* packed;  // [count][stride]
  float* factor;          // [count], as the next two
  float* half;
  RowBound* bound;
  std::int64_t stride;
};

template <class Element>
__global__ void pack_rows(Values v, std::int64_t count, const int* numbers, Norms norms,
                          const double* centre, double scale, Packing out) {
  const std::int64_t step = half_warps() / 2;
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const double slack = static_cast<double>(v.d + 16) * 0x1p-52;  // as in Rows::pack
  for (std::int64_t i = half_warp() / 2; i < count; i += step) {
    const Row<Element> row(v, i, norms, numbers[i]);
    double largest = 0;
    for (std::int64_t k = lane; k < v.d; k += 32) {
      const double z = fabs(scale * (row.u(k) - centre[k]));
      largest = z > largest ? z : largest;
    }
    for (int width = 16; width > 0; width /= 2) {
      const double other = __shfl_xor_sync(kWarp, largest, width);
      largest = other > largest ? other : largest;
    }
    // Not below 2^-110: products of two factors have to stay in float32's range.
    int exponent = largest > 0 ? ilogb(largest) - 14 : 0;
    exponent = exponent > -110 ? exponent : -110;
    const double up = ldexp(1.0, -exponent), factor = ldexp(1.0, exponent);
    double source = 0, rounded = 0, residual = 0;
    std::uint16_t* packed = out.packed + i * out.stride;
    for (std::int64_t k = lane; k < out.stride; k += 32) {
      if (k >= v.d) {
        packed[k] = 0;
        continue;
      }
      const double z = scale * (row.u(k) - centre[k]);
      const std::uint16_t h = float_to_half(static_cast<float>(z * up));
      packed[k] = h;
      const double y = static_cast<double>(half_to_float(h)) * factor, e = z - y;
      source += z * z;
      rounded += y * y;
      residual += e * e;
    }
    for (int width = 16; width > 0; width /= 2) {
      source += __shfl_xor_sync(kWarp, source, width);
      rounded += __shfl_xor_sync(kWarp, rounded, width);
      residual += __shfl_xor_sync(kWarp, residual, width);
    }
    if (lane != 0) continue;
    out.factor[i] = static_cast<float>(factor);
    out.half[i] = static_cast<float>(0.5 * rounded);
    out.bound[i] = row_bound(source, rounded, residual, slack);
  }
}

}  // namespace ilo::gpu
