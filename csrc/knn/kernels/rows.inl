// Row operations in float64, written once and compiled anew, in an anonymous namespace, by every
// instruction set's translation unit: plain loops over 16 lanes that the compiler vectorises
// without changing a bit (no reassociation, no contraction: see -ffp-contract=off in
// CMakeLists.txt).
//
// Needs before inclusion: kernels.h, <cmath>, <cstring>, <immintrin.h> where __F16C__ is defined,
// and a filter_*.inl.

namespace {

constexpr int kLanes = 16;

inline float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 0x1f, fraction = h & 0x3ff;
  std::uint32_t bits;
  if (exponent == 0x1f) {
    bits = sign | 0x7f800000u | (fraction << 13);
  } else if (exponent != 0) {
    bits = sign | ((exponent + 112) << 23) | (fraction << 13);
  } else {  // zero or subnormal: fraction * 2^-24, exact
    const float magnitude = static_cast<float>(fraction) * 5.9604644775390625e-8f;
    return sign ? -magnitude : magnitude;
  }
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

inline float bfloat_to_float(std::uint16_t b) {
  const std::uint32_t bits = static_cast<std::uint32_t>(b) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

inline double read(const unsigned char* at, int dtype) {
  switch (dtype) {
    case 0: {
      std::uint16_t v;
      std::memcpy(&v, at, 2);
      return half_to_float(v);
    }
    case 1: {
      std::uint16_t v;
      std::memcpy(&v, at, 2);
      return bfloat_to_float(v);
    }
    case 2: {
      float v;
      std::memcpy(&v, at, 4);
      return v;
    }
    default: {
      double v;
      std::memcpy(&v, at, 8);
      return v;
    }
  }
}

// Divides by one divisor, correctly rounded, values that were float32 or narrower and are at most
// about the divisor, their norm: nothing leaves the range of normal numbers.
//
// Several times as fast as the instruction: y = 1 / divisor rounded; q = u y; then twice
// q = q + (u - divisor q) y with fused multiply-adds. The first step leaves q less than one unit in
// the last place from the quotient; so the second remainder is exact, and the sum rounds to the
// quotient's own rounding (Markstein, IBM J. Res. Dev. 34, 1990; Muller et al., Handbook of
// Floating-Point Arithmetic, 2nd ed., sec. 4.7). A zero may change its sign, which nothing sees.
struct Quotient {
  explicit Quotient(double by) : divisor(by), y(1 / by) {}
  double operator()(double u) const {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    double q = u * y;
    q = __builtin_fma(__builtin_fma(-divisor, q, u), y, q);
    return __builtin_fma(__builtin_fma(-divisor, q, u), y, q);
#else
    return u / divisor;
#endif
  }
  double divisor, y;
};

void load_row(const void* row, int dtype, std::ptrdiff_t col_stride, std::int64_t d,
              double multiplier, double divisor, double* __restrict out) {
  const auto* bytes = static_cast<const unsigned char*>(row);
  const std::ptrdiff_t size = dtype == 3 ? 8 : dtype == 2 ? 4 : 2;
  const bool is_quotient = divisor != 1.0 && multiplier == 1.0 && dtype != 3;
  const Quotient quotient(divisor);
  if (is_quotient && dtype == 2 && col_stride == size) {  // the usual case, in one go
    const auto* x = static_cast<const float*>(row);
    for (std::int64_t k = 0; k < d; ++k) out[k] = quotient(x[k]);
    return;
  }
  if (col_stride != size) {
    for (std::int64_t k = 0; k < d; ++k) out[k] = read(bytes + k * col_stride, dtype);
  } else if (dtype == 3) {
    std::memcpy(out, row, static_cast<std::size_t>(d) * 8);
  } else if (dtype == 2) {
    const auto* x = static_cast<const float*>(row);
    for (std::int64_t k = 0; k < d; ++k) out[k] = x[k];
  } else if (dtype == 1) {
    const auto* x = static_cast<const std::uint16_t*>(row);
    for (std::int64_t k = 0; k < d; ++k) out[k] = bfloat_to_float(x[k]);
  } else {
    const auto* x = static_cast<const std::uint16_t*>(row);
    std::int64_t k = 0;
#if defined(__F16C__)
    for (; k + 8 <= d; k += 8) {
      const __m256 v = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + k)));
      _mm256_storeu_pd(out + k, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
      _mm256_storeu_pd(out + k + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
    }
#endif
    for (; k < d; ++k) out[k] = half_to_float(x[k]);
  }
  if (is_quotient) {
    for (std::int64_t k = 0; k < d; ++k) out[k] = quotient(out[k]);
  } else if (divisor != 1.0) {
    for (std::int64_t k = 0; k < d; ++k) out[k] = out[k] * multiplier / divisor;
  } else if (multiplier != 1.0) {
    for (std::int64_t k = 0; k < d; ++k) out[k] = out[k] * multiplier;
  }
}

inline double add_lanes(double* lanes) {
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  return lanes[0];
}

bool all_finite(const double* __restrict u, std::int64_t d) {
  // x - x is 0 for a finite x and NaN otherwise; the sum is NaN if any is.
  double lanes[kLanes] = {};
  std::int64_t k = 0;
  for (; k + kLanes <= d; k += kLanes)
    for (int l = 0; l < kLanes; ++l) lanes[l] += u[k + l] - u[k + l];
  for (int l = 0; k + l < d; ++l) lanes[l] += u[k + l] - u[k + l];
  return add_lanes(lanes) == 0;
}

// Eight chains, so that they run side by side.
std::uint64_t hash_row(const double* __restrict u, std::int64_t d) {
  constexpr int kChains = 8;
  constexpr std::uint64_t kFactor = 0xff51afd7ed558ccdu;
  std::uint64_t h[kChains];
  for (int c = 0; c < kChains; ++c) h[c] = 0x9e3779b97f4a7c15u + c;
  const auto mix = [](std::uint64_t old, double value) {
    const double v = value + 0.0;  // -0 equals 0
    std::uint64_t bits;
    std::memcpy(&bits, &v, 8);
    const std::uint64_t now = (old ^ bits) * kFactor;
    return now ^ (now >> 32);
  };
  std::int64_t k = 0;
  for (; k + kChains <= d; k += kChains)
    for (int c = 0; c < kChains; ++c) h[c] = mix(h[c], u[k + c]);
  for (int c = 0; k + c < d; ++c) h[c] = mix(h[c], u[k + c]);
  std::uint64_t out = 0;
  for (int c = 0; c < kChains; ++c) {
    out = (out ^ h[c]) * kFactor;
    out ^= out >> 32;
  }
  return out;
}

void accumulate(const double* __restrict u, std::int64_t d, double* __restrict sum) {
  for (std::int64_t k = 0; k < d; ++k) sum[k] += u[k];
}

double squared_distance(const double* __restrict x, const double* __restrict y, std::int64_t d) {
  double lanes[kLanes] = {};
  std::int64_t k = 0;
  for (; k + kLanes <= d; k += kLanes)
    for (int l = 0; l < kLanes; ++l) {
      const double e = x[k + l] - y[k + l];
      lanes[l] += e * e;
    }
  for (int l = 0; k + l < d; ++l) {
    const double e = x[k + l] - y[k + l];
    lanes[l] += e * e;
  }
  return add_lanes(lanes);
}

// Of d values whose first falls on the first lane.
inline void add_squares(const double* __restrict x, std::int64_t d, double* __restrict out) {
  double lanes[kLanes];
  for (int l = 0; l < kLanes; ++l) lanes[l] = out[l];
  std::int64_t k = 0;
  for (; k + kLanes <= d; k += kLanes)
    for (int l = 0; l < kLanes; ++l) lanes[l] += x[k + l] * x[k + l];
  for (int l = 0; l < kLanes; ++l) out[l] = lanes[l];
  for (int l = 0; k + l < d; ++l) out[l] += x[k + l] * x[k + l];
}

// A piece at a time: what was converted is still in the first-level cache when it is used, and of
// `next` no more lines are asked for at once than the processor can wait for.
double squared_distance_to(const double* __restrict x, const void* row, int dtype,
                           std::ptrdiff_t col_stride, std::int64_t d, double multiplier,
                           double divisor, const void* next, double* __restrict y) {
  constexpr std::int64_t kPiece = Kernels::kPiece;
  const std::ptrdiff_t size = dtype == 3 ? 8 : dtype == 2 ? 4 : 2;
  const auto* from = static_cast<const char*>(row);
  const auto* ahead = static_cast<const char*>(next);
  double lanes[kLanes] = {};
  std::int64_t k = 0;
  for (; k < d; k += kPiece) {
    const std::int64_t n = d - k < kPiece ? d - k : kPiece;
    if (ahead && col_stride == size)
      for (std::int64_t b = 0; b < n * size; b += 64)
        __builtin_prefetch(ahead + k * size + b, 0, 2);
    load_row(from + k * col_stride, dtype, col_stride, n, multiplier, divisor, y);
    for (std::int64_t l = 0; l < n; ++l) y[l] = x[k + l] - y[l];
    add_squares(y, n, lanes);
  }
  return add_lanes(lanes);
}

double sum_of_squares(const double* __restrict x, std::int64_t d) {
  double lanes[kLanes] = {};
  std::int64_t k = 0;
  for (; k + kLanes <= d; k += kLanes)
    for (int l = 0; l < kLanes; ++l) lanes[l] += x[k + l] * x[k + l];
  for (int l = 0; k + l < d; ++l) lanes[l] += x[k + l] * x[k + l];
  return add_lanes(lanes);
}

// round_to_filter, of the including file: what one value becomes. Pieces and plain loops, which the
// compiler vectorises.
RowSquares round_row(const double* __restrict u, const double* __restrict centre, double scale,
                     std::int64_t d, float* __restrict y) {
  constexpr std::int64_t kPiece = Kernels::kPiece;
  double source[kLanes] = {}, rounded[kLanes] = {}, residual[kLanes] = {};
  alignas(64) double z[kPiece], f[kPiece], e[kPiece];
  for (std::int64_t begin = 0; begin < d; begin += kPiece) {
    const std::int64_t n = d - begin < kPiece ? d - begin : kPiece;
    for (std::int64_t k = 0; k < n; ++k) z[k] = scale * (u[begin + k] - centre[begin + k]);
    for (std::int64_t k = 0; k < n; ++k) y[begin + k] = static_cast<float>(z[k]);
    for (std::int64_t k = 0; k < n; ++k) y[begin + k] = round_to_filter(y[begin + k]);
    for (std::int64_t k = 0; k < n; ++k) f[k] = y[begin + k];
    for (std::int64_t k = 0; k < n; ++k) e[k] = z[k] - f[k];
    add_squares(z, n, source);
    add_squares(f, n, rounded);
    add_squares(e, n, residual);
  }
  return {add_lanes(source), add_lanes(rounded), add_lanes(residual)};
}

}  // namespace
