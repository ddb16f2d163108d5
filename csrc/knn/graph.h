// The exact k-nearest-neighbour graph of one matrix: centre, filter, certify, re-rank, fall back.
//
//   rows.h         what the distances are; centring, rounding, duplicates
//   packed.h       rows as the filter multiplies them, a superblock at a time
//   kernels/       products of packed blocks, one file per instruction set
//   filter.h       the schedule: every pair of blocks once
//   candidates.h   the best few columns of each row, by rounded score
//   certificate.h  the proof that nothing discarded belongs among the k
//   decide.h       float64 distances, and what happens to rows without proof
//   near_duplicates.h  clusters of near-duplicates, solved among themselves
//   output.h       from unique rows back to all rows
//   rectangle.h    two sets of rows, each searched for the other: a part of a larger graph
//   merge.h        parts put together
//   checkpoint.h   finished work on disk
//   graph.cpp      how they work together, and who gets how much memory
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/matrix_view.h"
#include "core/parallel.h"
#include "knn/kernels/kernels.h"
#include "knn/rows.h"

namespace ilo {

struct GraphOptions {
  std::int64_t n_neighbors = 5;
  Metric metric = Metric::cosine;
  // The first n_base rows are searched; 0: all of them.
  std::int64_t n_base = 0;
  // Bytes for all that grows with the rows, beside x and the result. Lists and bookkeeping are
  // taken off first (graph.cpp says how much); packed rows get the rest, or two blocks.
  std::int64_t max_memory = std::int64_t{480} << 20;
  // A file for finished work; empty: none. Saved when so many seconds have passed, and at the end.
  std::string checkpoint;
  double checkpoint_seconds = 30;
  std::size_t checkpoint_piece = std::size_t{1} << 26;  // bytes written between two polls
  // For tests, to walk every path: rows of a block, and the most candidates that a row may keep (0
  // chooses), and whether no row is certified in the first pass.
  std::int64_t block_rows = 0, max_candidates = 0;
  bool force_fallback = false;
};

struct GraphInfo {
  std::int64_t rows = 0, queries = 0, unique_rows = 0, certified_rows = 0, fallback_rows = 0;
  std::int64_t superblocks = 0;
  double candidates_per_row = 0, resumed_share = 0;
  double seconds_prepare = 0, seconds_filter = 0, seconds_rerank = 0, seconds_fallback = 0;
  std::uint64_t fingerprint = 0;  // of the rows, whatever their place in memory
  std::string problem;            // that did not stop the work
};

// indices[rows][k], distances[rows][k]: for every row of x, or for `queries` only (numbers of rows,
// each once). A row of the base is not its own neighbour.
GraphInfo knn_graph(const MatrixView& x, const GraphOptions& options, const Kernels& kernels,
                    Team& team, const std::vector<std::int64_t>* queries, std::int64_t* indices,
                    float* distances);

// The same for all rows of x, without a checkpoint, with the squared distances in float64 that the
// definition compares: what neighbours found in parts are merged by (merge.h).
GraphInfo knn_triangle(const MatrixView& x, const GraphOptions& options, const Kernels& kernels,
                       Team& team, std::int64_t* indices, double* squared);

// The work that knn_graph announces to the team's progress, in its units.
double expected_work(std::int64_t n_base, std::int64_t n_queries);

}  // namespace ilo
