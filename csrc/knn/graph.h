// The exact k-nearest-neighbour graph of one matrix: centre, filter, certify, re-rank, widen.
//
//   rows.h         what the distances are; centring, rounding, duplicates
//   kernels/       products of packed blocks, one file per instruction set
//   candidates.h   the best few columns of each row, by rounded score
//   certificate.h  the proof that nothing discarded belongs among the k
//   graph.cpp      the schedule, and what happens to rows without proof
#pragma once

#include <cstdint>
#include <vector>

#include "core/matrix_view.h"
#include "core/parallel.h"
#include "knn/kernels/kernels.h"
#include "knn/rows.h"

namespace ilo {

struct GraphOptions {
  std::int64_t n_neighbors = 5;
  Metric metric = Metric::cosine;
  // Bytes for everything that grows with the rows. Lists of candidates and the result (about 16 to
  // 28 bytes a row and neighbour) are taken off first; packed rows get the rest, or two blocks.
  std::int64_t max_memory = std::int64_t{480} << 20;
  // Rows of a block; 0 chooses. Tests set it, and force_widening, to walk every path.
  std::int64_t block_rows = 0;
  bool force_widening = false;
};

struct GraphInfo {
  std::int64_t rows = 0, unique_rows = 0, certified_rows = 0, widened_rows = 0;
  std::int64_t superblocks = 0;
  double seconds_prepare = 0, seconds_filter = 0, seconds_rerank = 0, seconds_widen = 0;
};

// indices[rows][k], distances[rows][k]: for every row, or for `queries` only (rows of x, each
// once).
GraphInfo knn_graph(const MatrixView& x, const GraphOptions& options, const Kernels& kernels,
                    Team& team, const std::vector<std::int64_t>* queries, std::int64_t* indices,
                    float* distances);

// The work that knn_graph announces to the team's progress, in its units.
double expected_work(std::int64_t n, std::int64_t n_queries);

}  // namespace ilo
