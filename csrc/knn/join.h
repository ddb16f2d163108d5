// Rows meet rows: everything in one leaf with everything, or some rows with some columns, by the
// exact engine's filter (kernels.h). What is better than a row's worst so far goes to its list.
#pragma once

#include <cstdint>
#include <vector>

#include "knn/best_columns.h"
#include "knn/buffer.h"
#include "knn/rounded_rows.h"

namespace ilo {

// Of one thread.
class Joiner {
 public:
  Joiner(const RoundedRows& rows, BestColumns& best, std::int64_t leaf_rows);

  // All pairs of the rows of a leaf, which are distinct, at most leaf_rows.
  void leaf(const std::int32_t* ids, std::int64_t count);
  // Every row with every column; both distinct, rows at most leaf_rows.
  void rectangle(const std::int32_t* ids, std::int64_t count, const std::int32_t* columns,
                 std::int64_t n_columns);

  // That were scored so far.
  double pairs() const { return pairs_; }

 private:
  void scan(std::int32_t row, const float* scores, const float* half, const std::int32_t* columns,
            std::int64_t padded);

  const RoundedRows& rows_;
  BestColumns& best_;
  std::int64_t block_, stride_;
  Buffer<std::byte> panels_, column_panels_;
  Buffer<float> tile_, half_, column_half_;
  std::vector<Hit> hits_, merged_;
  double pairs_ = 0;
};

}  // namespace ilo
