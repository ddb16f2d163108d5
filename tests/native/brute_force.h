// The neighbours by a brute force in float64 that is slow and obvious, in the order of summation
// that the definition asks for.
#pragma once

#include <vector>

#include "knn/rows.h"
#include "random_rows.h"

namespace native {

using ilo::Metric;

struct Answer {
  std::vector<Index> indices;
  std::vector<float> distances;
};

// The k nearest of the first n_base rows, for every row in `queries`, itself left out.
Answer brute_force(const Matrix& x, Index n_base, const std::vector<Index>& queries, Index k,
                   Metric metric);

std::vector<Index> all_rows(Index n);

void compare(const Answer& got, const Answer& wanted);

}  // namespace native
