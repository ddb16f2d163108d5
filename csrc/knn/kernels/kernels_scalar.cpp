// float32 without any instruction set: nothing beyond the compiler's baseline.
// product: 4 x 8 entries of the tile at a time in local sums, depth 128; the compiler may vectorise
// over the 8 columns (SSE2, NEON), which changes no bit.
#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"

namespace {
constexpr int kPanel = 8, kRows = 4, kDepth = 128;
}  // namespace

namespace ilo {

#include "knn/kernels/filter_f32.inl"
#include "knn/kernels/interleave.inl"
#include "knn/kernels/panels.inl"
#include "knn/kernels/rows.inl"
#include "knn/kernels/scan_portable.inl"

namespace {

void micro(const float* __restrict a, const float* __restrict b, std::int64_t depth, bool first,
           float* __restrict tile, std::int64_t ld) {
  float sum[kRows][kPanel] = {};
  for (std::int64_t k = 0; k < depth; ++k)
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kPanel; ++c) sum[r][c] += a[k * kPanel + r] * b[k * kPanel + c];
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kPanel; ++c) {
      float& entry = tile[r * ld + c];
      entry = first ? sum[r][c] : entry + sum[r][c];
    }
}

void product(const std::byte* a, std::int64_t a_panels, const std::byte* b, std::int64_t b_panels,
             std::int64_t d, float* tile, std::int64_t ld) {
  product_of_panels<float>(micro, kRows, kDepth, a, a_panels, b, b_panels, d, panel_bytes(d), tile,
                           ld);
}

std::int64_t roundings(std::int64_t d) { return chain_roundings(d, kDepth, 2); }

double peak(std::int64_t steps) {
  constexpr int kChains = 32;
  float sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = static_cast<float>(c);
  for (std::int64_t s = 0; s < steps; ++s)
    for (int c = 0; c < kChains; ++c) sum[c] = sum[c] * 0.5f + 1.0f;
  float total = 0;
  for (int c = 0; c < kChains; ++c) total += sum[c];
  volatile float used = total;  // or the optimiser would drop it all
  (void)used;
  return static_cast<double>(steps) * kChains * 2;
}

}  // namespace

namespace {

void pack_rows(const void* const* stored, int rows, std::int64_t d, std::byte* packed) {
  interleave<float>(stored, rows, d, packed);
}

}  // namespace

#include "knn/kernels/table.inl"

const Kernels* kernels_scalar() {
  static constexpr Kernels table = table_of("scalar", nullptr);
  return &table;
}

}  // namespace ilo
