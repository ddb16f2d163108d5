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

class RoundedRows {
 public:
  RoundedRows(const Rows& rows, const Kernels& kernels, Team& team);

  std::int64_t count() const { return count_; }
  std::int64_t d() const { return d_; }
  const Kernels& kernels() const { return kernels_; }
  std::int64_t padded(std::int64_t rows) const;
  std::int64_t packed_bytes(std::int64_t rows) const;
  // |y|^2 / 2 of a row.
  float half(std::int64_t row) const { return half_[row]; }

  // Rows ids[0..count) as the product takes them. half[padded(count)]: infinite for what fills the
  // last panel, so that its score passes no threshold. values: scratch of unpack_values() floats.
  void gather(const std::int32_t* ids, std::int64_t count, std::byte* panels, float* half,
              float* values) const;
  std::int64_t unpack_values() const { return kernels_.panel * stride_; }

 private:
  const Kernels& kernels_;
  std::int64_t count_, d_, stride_;
  Buffer<std::uint16_t> narrow_;  // one of the two
  Buffer<float> wide_;
  std::vector<float> half_;
};

}  // namespace ilo
