// All unique rows in the filter's precision, row by row, in memory: any choice of them can be
// packed for a product. bfloat16 takes two bytes per value, float32 four.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "knn/buffer.h"
#include "knn/kernels/kernels.h"
#include "knn/rows.h"

namespace ilo {

// What the filter's rounding takes from a value at most, relative to it.
inline double rounding_of(const Kernels& kernels) { return kernels.fallback ? 0x1p-9 : 0x1p-24; }

class RoundedRows {
 public:
  RoundedRows(const Rows& rows, const Frame& frame, const Kernels& kernels, Team& team);
  // The same rows on `directions` orthonormal directions of much variance, found with `seed`: what
  // tells far rows from near ones, for a fraction of the price of a product.
  RoundedRows(const RoundedRows& rows, std::int64_t directions, std::uint64_t seed, Team& team);

  std::int64_t count() const { return count_; }
  std::int64_t d() const { return d_; }
  const Kernels& kernels() const { return kernels_; }
  std::int64_t padded(std::int64_t rows) const;
  std::int64_t packed_bytes(std::int64_t rows) const;
  // |y|^2 / 2 of a row.
  float half(std::int64_t row) const { return half_[row]; }

  void read(std::int64_t row, double* out) const;

  // Rows ids[0..count) as the product takes them. half[padded(count)]: infinite for what fills the
  // last panel, so that its score passes no threshold.
  void gather(const std::int32_t* ids, std::int64_t count, std::byte* panels, float* half) const;

 private:
  RoundedRows(const Kernels& kernels, std::int64_t count, std::int64_t d);
  const std::byte* stored(std::int64_t row) const { return rows_.data() + row * row_bytes_; }
  // Keeps y, already rounded, as row `row`.
  void store(std::int64_t row, const float* y);

  const Kernels& kernels_;
  bool is_narrow_;  // only the bfloat16 filters have a more precise one behind them
  std::int64_t count_, d_, row_bytes_;
  Buffer<std::byte> rows_;
  std::vector<float> half_;
};

}  // namespace ilo
