// bfloat16 on AVX-512 (BF16 extension: Cooper Lake, Sapphire Rapids, Zen 4 and later).
// product: as kernels_avx512.cpp, but a step is a pair of terms: VDPBF16PS multiplies two bfloat16
// values by two, and adds both products to a float32. A panel holds pair p of row r at
// [p * kPanel + r], four bytes. A chunk of 96 pairs of a panel is 18 KiB.
//
// The bound: products of two bfloat16 values are exact in float32. How the instruction rounds the
// two additions, and in which order, its makers describe differently; no order has a term meet more
// than two roundings in a step. Subnormal results are flushed to zero: at most 2^-126 each.
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"

namespace {
constexpr int kPanel = 48, kVectors = kPanel / 16, kRows = 8, kPairs = 96;
constexpr int kAhead = 16;  // steps between the fetch of a row's pair and its use
}  // namespace

namespace ilo {

#include "knn/kernels/filter_bf16.inl"
#include "knn/kernels/interleave_avx512.inl"
#include "knn/kernels/panels.inl"
#include "knn/kernels/rows.inl"
#include "knn/kernels/scan_avx512.inl"

namespace {

constexpr double kUnderflow = 0x1p-124;

std::int64_t pairs(std::int64_t d) { return (d + 1) / 2; }

std::int64_t panel_bytes(std::int64_t d) { return pairs(d) * kPanel * 4; }

// Sixteen pairs of a row; odd words of float32 values are what is left of them in bfloat16.
inline __m512i pairs_of_row(const float* y, std::int64_t values) {
  const auto mask = [](std::int64_t n) {
    return static_cast<__mmask16>(n >= 16 ? 0xffff : n > 0 ? (1 << n) - 1 : 0);
  };
  const __m512i low = _mm512_maskz_loadu_epi32(mask(values), y);
  const __m512i high = _mm512_maskz_loadu_epi32(mask(values - 16), y + 16);
  const __m512i count = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i odd_words = _mm512_add_epi32(
      _mm512_mullo_epi32(count, _mm512_set1_epi32(0x00040004)), _mm512_set1_epi32(0x00030001));
  return _mm512_permutex2var_epi16(low, odd_words, high);
}

void pack_panel(const float* __restrict y, std::int64_t stride, int rows, std::int64_t d,
                std::byte* packed) {
  auto* out = reinterpret_cast<std::uint32_t*>(packed);
  for (std::int64_t k = 0; k < d; k += 32, out += 16 * kPanel) {
    const std::int64_t n_pairs = d - k < 32 ? pairs(d - k) : 16;
    for (int first = 0; first < kPanel; first += 16) {
      __m512i m[16];
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r)
        m[r] = first + r < rows ? pairs_of_row(y + (first + r) * stride + k, d - k)
                                : _mm512_setzero_si512();
      transpose(m);
      for (std::int64_t p = 0; p < n_pairs; ++p) _mm512_store_si512(out + p * kPanel + first, m[p]);
    }
  }
}

void pack_rows(const void* const* stored, int rows, std::int64_t d, std::byte* packed) {
  interleave(stored, rows, pairs(d), packed);
}

inline __m512bh pairs_at(const std::uint32_t* p) { return (__m512bh)_mm512_load_si512(p); }

void micro(const std::uint32_t* __restrict a, const std::uint32_t* __restrict b, std::int64_t steps,
           bool first, float* __restrict tile, std::int64_t ld) {
  __m512 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < kVectors; ++c) sum[r][c] = _mm512_setzero_ps();
  for (std::int64_t k = 0; k < steps; ++k, a += kPanel, b += kPanel) {
    _mm_prefetch(reinterpret_cast<const char*>(a + kAhead * kPanel), _MM_HINT_T0);
    const __m512bh b0 = pairs_at(b), b1 = pairs_at(b + 16), b2 = pairs_at(b + 32);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto x = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r]));
      sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, b0);
      sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, b1);
      sum[r][2] = _mm512_dpbf16_ps(sum[r][2], x, b2);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < kVectors; ++c) {
      float* at = tile + r * ld + c * 16;
      _mm512_store_ps(at, first ? sum[r][c] : _mm512_add_ps(_mm512_load_ps(at), sum[r][c]));
    }
}

void product(const std::byte* a, std::int64_t a_panels, const std::byte* b, std::int64_t b_panels,
             std::int64_t d, float* tile, std::int64_t ld) {
  product_of_panels<std::uint32_t>(micro, kRows, kPairs, a, a_panels, b, b_panels, pairs(d),
                                   panel_bytes(d), tile, ld);
}

std::int64_t roundings(std::int64_t d) {
  const std::int64_t n_pairs = pairs(d);
  return 2 * (n_pairs < kPairs ? n_pairs : kPairs) + (n_pairs + kPairs - 1) / kPairs + 1;
}

double peak(std::int64_t steps) {
  constexpr int kChains = 16;  // more than latency times ports
  __m512 sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = _mm512_set1_ps(static_cast<float>(c));
  const auto one = (__m512bh)_mm512_set1_epi32(0x00003f80);  // (1, 0): sums stay small
  const auto tiny = (__m512bh)_mm512_set1_epi32(0x20002000);
  for (std::int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) sum[c] = _mm512_dpbf16_ps(sum[c], one, tiny);
  }
  __m512 total = sum[0];
  for (int c = 1; c < kChains; ++c) total = _mm512_add_ps(total, sum[c]);
  volatile float used = _mm512_cvtss_f32(total);  // or the optimiser would drop it all
  (void)used;
  return static_cast<double>(steps) * kChains * 32 * 2;
}

}  // namespace

#include "knn/kernels/table.inl"

const Kernels* kernels_avx512_bf16() {
  static constexpr Kernels table = table_of("avx512_bf16", kernels_avx512);
  return &table;
}

}  // namespace ilo
