// float32 on NEON, which every aarch64 has.
// product: 8 rows x 12 columns of the tile in 24 of the 32 registers, 3 more hold the columns, 2
// the rows, whose values the multiply-adds take lane by lane: 24 multiply-adds for 5 loads a step.
// A panel is 24 rows: three such blocks down, two across. A chunk of 160 terms of it is 15 KiB: two
// of them fit a first-level cache of 32 KiB (blocking after Goto & van de Geijn, "Anatomy of
// high-performance matrix multiplication", ACM TOMS 2008).
//
// The bound: FMLA is fused, so a term meets one rounding a step, as on AVX2.
#include <arm_neon.h>

#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"

namespace {
constexpr int kPanel = 24, kRows = 8, kColumns = 12, kVectors = kColumns / 4, kDepth = 160;
constexpr int kAhead = 16;  // steps between the fetch of a row value and its use
}  // namespace

namespace ilo {

#include "knn/kernels/filter_f32.inl"
#include "knn/kernels/interleave.inl"
#include "knn/kernels/panels.inl"
#include "knn/kernels/rows.inl"
#include "knn/kernels/scan_neon.inl"

namespace {

// Row `lane` of four: its value times the three vectors of columns.
template <int lane>
inline void add_row(float32x4_t* sum, float32x4_t rows, const float32x4_t* columns) {
  sum[0] = vfmaq_laneq_f32(sum[0], columns[0], rows, lane);
  sum[1] = vfmaq_laneq_f32(sum[1], columns[1], rows, lane);
  sum[2] = vfmaq_laneq_f32(sum[2], columns[2], rows, lane);
}

inline void block(const float* __restrict a, const float* __restrict b, std::int64_t depth,
                  bool first, float* __restrict tile, std::int64_t ld) {
  float32x4_t sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < kVectors; ++c) sum[r][c] = vdupq_n_f32(0);
  for (std::int64_t k = 0; k < depth; ++k, a += kPanel, b += kPanel) {
    __builtin_prefetch(a + kAhead * kPanel);
    const float32x4_t columns[kVectors] = {vld1q_f32(b), vld1q_f32(b + 4), vld1q_f32(b + 8)};
    const float32x4_t upper = vld1q_f32(a), lower = vld1q_f32(a + 4);
    add_row<0>(sum[0], upper, columns);
    add_row<1>(sum[1], upper, columns);
    add_row<2>(sum[2], upper, columns);
    add_row<3>(sum[3], upper, columns);
    add_row<0>(sum[4], lower, columns);
    add_row<1>(sum[5], lower, columns);
    add_row<2>(sum[6], lower, columns);
    add_row<3>(sum[7], lower, columns);
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 3
    for (int c = 0; c < kVectors; ++c) {
      float* at = tile + r * ld + c * 4;
      vst1q_f32(at, first ? sum[r][c] : vaddq_f32(vld1q_f32(at), sum[r][c]));
    }
}

void micro(const float* a, const float* b, std::int64_t depth, bool first, float* tile,
           std::int64_t ld) {
  block(a, b, depth, first, tile, ld);
  block(a, b + kColumns, depth, first, tile + kColumns, ld);
}

void product(const std::byte* a, std::int64_t a_panels, const std::byte* b, std::int64_t b_panels,
             std::int64_t d, float* tile, std::int64_t ld) {
  product_of_panels<float>(micro, kRows, kDepth, a, a_panels, b, b_panels, d, panel_bytes(d), tile,
                           ld);
}

std::int64_t roundings(std::int64_t d) { return chain_roundings(d, kDepth, 1); }

double peak(std::int64_t steps) {
  constexpr int kChains = 24;  // more than latency times pipelines
  float32x4_t sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = vdupq_n_f32(0.001f * static_cast<float>(c));
  const float32x4_t x = vdupq_n_f32(0.5f), tiny = vdupq_n_f32(0x1p-60f);
  for (std::int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 24
    for (int c = 0; c < kChains; ++c) sum[c] = vfmaq_f32(sum[c], x, tiny);
  }
  float32x4_t total = sum[0];
  for (int c = 1; c < kChains; ++c) total = vaddq_f32(total, sum[c]);
  volatile float used = vaddvq_f32(total);  // or the optimiser would drop it all
  (void)used;
  return static_cast<double>(steps) * kChains * 4 * 2;
}

}  // namespace

namespace {

void pack_rows(const void* const* stored, int rows, std::int64_t d, std::byte* packed) {
  interleave<float>(stored, rows, d, packed);
}

}  // namespace

#include "knn/kernels/table.inl"

const Kernels* kernels_neon() {
  static constexpr Kernels table = table_of("neon", nullptr);
  return &table;
}

}  // namespace ilo
