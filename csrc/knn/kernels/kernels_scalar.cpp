// Portable kernels: no instruction set beyond the compiler's baseline.
// product: 4 x 8 entries of the tile at a time in local sums, depth 128; the compiler may vectorise
// over the 8 columns (SSE2, NEON), which changes no bit.
#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"
#include "knn/kernels/rows.inl"

namespace ilo {
namespace {

constexpr int kPanel = 8, kRows = 4, kDepth = 128;

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

#include "knn/kernels/product.inl"

std::int64_t scan_row(const float* c, const float* half, float threshold, std::int64_t n,
                      Hit* hits) {
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const float score = c[j] - half[j];
    if (score > threshold) hits[count++] = {score, static_cast<std::int32_t>(j)};
  }
  return count;
}

std::int64_t scan_columns(const float* c, float half, const float* thresholds, std::int64_t n,
                          Hit* hits) {
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const float score = c[j] - half;
    if (score > thresholds[j]) hits[count++] = {score, static_cast<std::int32_t>(j)};
  }
  return count;
}

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

const Kernels* kernels_scalar() {
  static const Kernels table{"scalar",         kPanel,         kDepth,       2,
                             product,          scan_row,       scan_columns, load_row,
                             squared_distance, sum_of_squares, centre_row,   peak};
  return &table;
}

}  // namespace ilo
