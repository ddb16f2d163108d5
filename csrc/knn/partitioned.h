// The approximate graph: partitions into overlapping leaves, the exact engine's filter inside them,
// neighbour descent, float64 distances of what is returned.
//
//   robust_frame.h  where rows are seen from
//   rounded_rows.h  all rows in the filter's precision, and on a few directions (the sketch)
//   partition.h     leaves
//   join.h          products
//   best_columns.h  the best columns of each row so far: the merge
//   descent.h       neighbours of neighbours
//   pilot.h         rows whose exact neighbours are known: what they tell
//
// What is found depends on the seed and the instruction set, not on the number of threads. What is
// returned is ordered by (distance, index) as the exact engine orders it, with the same distances.
#pragma once

#include <cstdint>
#include <vector>

#include "core/matrix_view.h"
#include "core/parallel.h"
#include "knn/kernels/kernels.h"
#include "knn/pilot.h"
#include "knn/rows.h"

namespace ilo {

struct PartitionedOptions {
  std::int64_t n_neighbors = 5;
  Metric metric = Metric::cosine;
  std::uint64_t seed = 0;
  std::int64_t leaf_rows = 1024;
  std::vector<std::int64_t> overlap;  // see partition.h
  std::int64_t leaders = 2048;
  std::int64_t batch_rows = std::int64_t{1} << 21;  // see partition.h
  std::int64_t directions = 192;                    // that partitions look at; 0: all values
  std::int64_t spare = 6;     // entries of a list beyond k: the filter may order them wrongly
  std::int64_t group = 48;    // rows that descend together
  std::int64_t links = 12;    // of a row, in each direction, that a descent follows
  std::int64_t descents = 1;  // after each partition, at most
  std::int64_t rounds = 8;    // of partitions, at most
  // Rounds go on until this share of the pilot rows' neighbours is found, by one standard error
  // more; without pilot rows there is one round.
  double recall = 0.99;
  // Stop, with info.exact_is_cheaper, once that is to be expected. No neighbours are written then.
  bool exact_may_be_cheaper = false;
};

struct PartitionedInfo {
  std::int64_t rows = 0, unique_rows = 0, rounds = 0, descents = 0, leaves = 0;
  double leaf_pairs = 0, descent_pairs = 0, refine_pairs = 0;  // scored
  bool is_float32 = false, is_sketched = false, exact_is_cheaper = false, is_stalled = false;
  std::vector<double> pilot_recall;  // after each step
  double seconds_prepare = 0, seconds_partition = 0, seconds_leaves = 0, seconds_descent = 0,
         seconds_refine = 0, seconds_rerank = 0;
};

// indices[n][k], distances[n][k]. `work`: what it tells the team's progress altogether.
PartitionedInfo partitioned_graph(const MatrixView& x, const PartitionedOptions& options,
                                  const Kernels& kernels, Team& team, const Pilot& pilot,
                                  double work, std::int64_t* indices, float* distances);

}  // namespace ilo
