// float32 on AVX2 and FMA.
// product: 4 rows x 24 columns of the tile in 12 of the 16 registers, 3 more hold the columns, 1
// the broadcast row: 12 multiply-adds for 7 loads a step, so that the two multiply-add ports are
// the limit. A chunk of 128 terms of a panel is 12 KiB: of rows, of columns and of the tile all
// that is at work fits the first-level cache (blocking after Goto & van de Geijn, "Anatomy of
// high-performance matrix multiplication", ACM TOMS 2008).
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"

namespace {
constexpr int kPanel = 24, kRows = 4, kDepth = 128;
constexpr int kAhead = 16;  // steps between the fetch of a row value and its use
}  // namespace

namespace ilo {

#include "knn/kernels/filter_f32.inl"
#include "knn/kernels/interleave.inl"
#include "knn/kernels/panels.inl"
#include "knn/kernels/rows.inl"

namespace {

// sum += x * y. In assembly, or GCC would copy and spill sums where two steps stand together.
inline void add_product(__m256& sum, __m256 x, __m256 y) {
  asm("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(x), "x"(y));
}

void micro(const float* __restrict a, const float* __restrict b, std::int64_t depth, bool first,
           float* __restrict tile, std::int64_t ld) {
  __m256 sum[kRows][3];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < 3; ++c) sum[r][c] = _mm256_setzero_ps();
// Two steps a turn: processors that take four operations a cycle have time for 24 while 12
// multiply-adds run.
#pragma GCC unroll 2
  for (std::int64_t k = 0; k < depth; ++k, a += kPanel, b += kPanel) {
    _mm_prefetch(reinterpret_cast<const char*>(a + kAhead * kPanel), _MM_HINT_T0);
    const __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + 8), b2 = _mm256_load_ps(b + 16);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m256 x = _mm256_broadcast_ss(a + r);
      add_product(sum[r][0], x, b0);
      add_product(sum[r][1], x, b1);
      add_product(sum[r][2], x, b2);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < 3; ++c) {
      float* at = tile + r * ld + c * 8;
      _mm256_store_ps(at, first ? sum[r][c] : _mm256_add_ps(_mm256_load_ps(at), sum[r][c]));
    }
}

void product(const std::byte* a, std::int64_t a_panels, const std::byte* b, std::int64_t b_panels,
             std::int64_t d, float* tile, std::int64_t ld) {
  product_of_panels<float>(micro, kRows, kDepth, a, a_panels, b, b_panels, d, panel_bytes(d), tile,
                           ld);
}

std::int64_t roundings(std::int64_t d) { return chain_roundings(d, kDepth, 1); }

// Survivors are rare: one compare and one branch for eight columns, then bit by bit.
inline std::int64_t take(__m256 score, int mask, std::int64_t j, Hit* hits, std::int64_t count) {
  alignas(32) float values[8];
  _mm256_store_ps(values, score);
  for (; mask; mask &= mask - 1) {
    const int lane = __builtin_ctz(static_cast<unsigned>(mask));
    hits[count++] = {values[lane], static_cast<std::int32_t>(j + lane)};
  }
  return count;
}

std::int64_t scan_row(const float* c, const float* half, float threshold, std::int64_t n,
                      Hit* hits) {
  const __m256 limit = _mm256_set1_ps(threshold);
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < n; j += 8) {
    const __m256 score = _mm256_sub_ps(_mm256_load_ps(c + j), _mm256_loadu_ps(half + j));
    const int mask = _mm256_movemask_ps(_mm256_cmp_ps(score, limit, _CMP_GT_OQ));
    if (mask) count = take(score, mask, j, hits, count);
  }
  return count;
}

void scan_both(const float* c, const float* half, float threshold, float own_half,
               const float* thresholds, std::int64_t n, Hit* row_hits, std::int64_t* n_row,
               Hit* column_hits, std::int64_t* n_column) {
  const __m256 limit = _mm256_set1_ps(threshold), own = _mm256_set1_ps(own_half);
  std::int64_t in_row = 0, in_columns = 0;
  for (std::int64_t j = 0; j < n; j += 8) {
    const __m256 value = _mm256_load_ps(c + j);
    const __m256 row = _mm256_sub_ps(value, _mm256_loadu_ps(half + j));
    const __m256 column = _mm256_sub_ps(value, own);
    const int r = _mm256_movemask_ps(_mm256_cmp_ps(row, limit, _CMP_GT_OQ));
    const int k =
        _mm256_movemask_ps(_mm256_cmp_ps(column, _mm256_loadu_ps(thresholds + j), _CMP_GT_OQ));
    if (!(r | k)) continue;
    in_row = take(row, r, j, row_hits, in_row);
    in_columns = take(column, k, j, column_hits, in_columns);
  }
  *n_row = in_row;
  *n_column = in_columns;
}

double peak(std::int64_t steps) {
  constexpr int kChains = 12;  // more than latency times ports
  __m256 sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = _mm256_set1_ps(static_cast<float>(c));
  const __m256 half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1.0f);
  for (std::int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sum[c] = _mm256_fmadd_ps(sum[c], half, one);
  }
  __m256 total = sum[0];
  for (int c = 1; c < kChains; ++c) total = _mm256_add_ps(total, sum[c]);
  volatile float used = _mm256_cvtss_f32(total);  // or the optimiser would drop it all
  (void)used;
  return static_cast<double>(steps) * kChains * 8 * 2;
}

}  // namespace

namespace {

void pack_rows(const void* const* stored, int rows, std::int64_t d, std::byte* packed) {
  interleave<float>(stored, rows, d, packed);
}

}  // namespace

#include "knn/kernels/table.inl"

const Kernels* kernels_avx2() {
  static constexpr Kernels table = table_of("avx2", nullptr);
  return &table;
}

}  // namespace ilo
