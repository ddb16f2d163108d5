// Rows whose exact neighbours are known, and what they tell of a search: whether rounding leaves
// their order, whether a sketch does, and what was found.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "knn/best_columns.h"
#include "knn/rounded_rows.h"
#include "knn/rows.h"

namespace ilo {

// Rows, each once, and exact[rows][k] their exact neighbours; may be empty.
struct Pilot {
  std::vector<std::int64_t> rows;
  const std::int64_t* exact = nullptr;

  bool empty() const { return rows.empty(); }
  std::int64_t size() const { return static_cast<std::int64_t>(rows.size()); }
};

// By how much half of a squared distance s^2 of a row may err, whose values lose a share `rounding`
// each, half: |y|^2 / 2. The errors of values add up like random ones in few directions, which is
// more than they do in most data; sums of squares err by some units of their last place.
inline double doubt(double half, double s, double rounding) {
  const double e = rounding * std::sqrt(2 * half);
  return 2 * e * (s + e) + 64 * 0x1p-24 * half;
}

// The share of the pilot rows whose k-th squared distance is so small that doubt moves it by a
// tenth.
double share_too_near(const Pilot& pilot, std::int64_t k, const Rows& rows, const Frame& frame,
                      const Kernels& kernels, double rounding);

// The share of their neighbours that are too far in a sketch to enter the lists.
double share_lost(const Pilot& pilot, std::int64_t k, const Rows& rows, const RoundedRows& sketch,
                  const BestColumns& best);

// The share of their neighbours that was found, and its standard error, none if they are all rows.
struct Found {
  double share = 0, error = 0;
};
Found share_found(const Pilot& pilot, std::int64_t k, std::int64_t n, const std::int64_t* indices);

}  // namespace ilo
