// float32 on AVX-512 (F, BW, DQ, VL: every AVX-512 server since Skylake).
// product: 8 rows x 48 columns of the tile in 24 of the 32 registers; 24 multiply-adds for 11 loads
// a step, so that the two multiply-add ports are the limit. A chunk of 96 terms of a panel is 18
// KiB: the column panel stays in the first-level cache while row panels stream from the second,
// fetched ahead (blocking after Goto & van de Geijn, "Anatomy of high-performance matrix
// multiplication", 2008).
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"

namespace {
constexpr int kPanel = 48, kVectors = kPanel / 16, kRows = 8, kDepth = 96;
constexpr int kAhead = 16;  // steps between the fetch of a row value and its use
}  // namespace

namespace ilo {

#include "knn/kernels/filter_f32.inl"
#include "knn/kernels/interleave_avx512.inl"
#include "knn/kernels/panels.inl"
#include "knn/kernels/rows.inl"
#include "knn/kernels/scan_avx512.inl"

namespace {

void micro(const float* __restrict a, const float* __restrict b, std::int64_t depth, bool first,
           float* __restrict tile, std::int64_t ld) {
  __m512 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < kVectors; ++c) sum[r][c] = _mm512_setzero_ps();
  for (std::int64_t k = 0; k < depth; ++k, a += kPanel, b += kPanel) {
    _mm_prefetch(reinterpret_cast<const char*>(a + kAhead * kPanel), _MM_HINT_T0);
    const __m512 b0 = _mm512_load_ps(b), b1 = _mm512_load_ps(b + 16), b2 = _mm512_load_ps(b + 32);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512 x = _mm512_set1_ps(a[r]);
      sum[r][0] = _mm512_fmadd_ps(x, b0, sum[r][0]);
      sum[r][1] = _mm512_fmadd_ps(x, b1, sum[r][1]);
      sum[r][2] = _mm512_fmadd_ps(x, b2, sum[r][2]);
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
  product_of_panels<float>(micro, kRows, kDepth, a, a_panels, b, b_panels, d, panel_bytes(d), tile,
                           ld);
}

std::int64_t roundings(std::int64_t d) { return chain_roundings(d, kDepth, 1); }

double peak(std::int64_t steps) {
  constexpr int kChains = 12;  // more than latency times ports
  __m512 sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = _mm512_set1_ps(static_cast<float>(c));
  const __m512 half = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1.0f);
  for (std::int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sum[c] = _mm512_fmadd_ps(sum[c], half, one);
  }
  __m512 total = sum[0];
  for (int c = 1; c < kChains; ++c) total = _mm512_add_ps(total, sum[c]);
  volatile float used = _mm512_cvtss_f32(total);  // or the optimiser would drop it all
  (void)used;
  return static_cast<double>(steps) * kChains * 16 * 2;
}

}  // namespace

namespace {

void pack_rows(const void* const* stored, int rows, std::int64_t d, std::byte* packed) {
  interleave(stored, rows, d, packed);
}

}  // namespace

#include "knn/kernels/table.inl"

const Kernels* kernels_avx512() {
  static constexpr Kernels table = table_of("avx512", nullptr);
  return &table;
}

}  // namespace ilo
