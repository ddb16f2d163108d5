// Two sets of rows, each searched for the neighbours of the other: a part of a larger graph.
//
// Every product is computed once and used for both sides, as within one set (graph.h). The answer
// is exact among the rows of the part, and its distances are those of the whole: they depend on
// nothing but the two rows. Only the filter's centre and the certificate are the part's own. So
// parts that cover all pairs, merged (merge.h), give the graph of all rows to the bit.
#pragma once

#include <cstdint>

#include "core/matrix_view.h"
#include "core/parallel.h"
#include "knn/graph.h"
#include "knn/kernels/kernels.h"

namespace ilo {

// For each row of one side min(n_neighbors, rows of the other side) of the other's.
struct RectangleSide {
  std::int64_t* indices;  // row numbers of x
  double* squared;        // in float64, as the definition compares them
};

struct RectangleInfo {
  std::int64_t certified_rows = 0, fallback_rows = 0;  // of both sides
  double candidates_per_row = 0;
  std::uint64_t fingerprint[2] = {0, 0};  // of each side, as knn_triangle() gives it
};

// Rows [0, n_first) of x against the rest. Of the options the checkpoint is not used, and n_base.
RectangleInfo knn_rectangle(const MatrixView& x, std::int64_t n_first, const GraphOptions& options,
                            const Kernels& kernels, Team& team, const RectangleSide& first,
                            const RectangleSide& second);

// The work that it announces to the team's progress.
double expected_rectangle_work(std::int64_t n_first, std::int64_t n_second);

}  // namespace ilo
