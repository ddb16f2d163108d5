// From candidates to neighbours: float64 distances, and what happens to rows without proof.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "knn/candidates.h"
#include "knn/certificate.h"
#include "knn/output.h"
#include "knn/packed.h"
#include "knn/workers.h"

namespace ilo {

// What the team's progress counts for a row of rerank(), in pairs of rows filtered.
constexpr double kRerankWork = 500;

// What fall_back() may take a worker for rows in float64, unless a single one is larger.
constexpr std::int64_t kMeasureBytes = std::int64_t{4} << 20;

// A unique row whose neighbours are not yet certified, and a squared distance within which they
// lie.
struct Uncertified {
  std::int64_t group;
  double worst;
};

struct Decided {
  std::vector<Uncertified> uncertified;
  std::int64_t rows = 0;       // whose neighbours are written
  std::int64_t distances = 0;  // computed in float64
};

// Writes the neighbours of all rows of `queries` that their candidates among `base` prove (of none,
// if none_is_certified).
Decided rerank(const PackedRows& queries, const PackedRows& base, const Rows& rows,
               const Certificate& certificate, Team& team, std::vector<Worker>& workers,
               Candidates& candidates, Output& output, bool none_is_certified);

// Writes the neighbours of all uncertified rows: they meet every column again in `base`, which is
// packed for the more precise filter `kernels`, and every column that its bound does not exclude is
// measured in float64. queries: the uncertified rows, packed for it.
void fall_back(PackedRows& queries, PackedRows& base, const Uncertified* uncertified,
               const Rows& rows, const Kernels& kernels, const Certificate& certificate, Team& team,
               std::vector<Worker>& workers, Output& output);

// The same for any number of rows, `batch` of them packed at a time.
void fall_back_in_batches(PackedRows& base, const std::vector<Uncertified>& uncertified,
                          std::int64_t batch, std::int64_t block, const Rows& rows,
                          const Kernels& kernels, const Certificate& certificate, Team& team,
                          std::vector<Worker>& workers, Output& output);

}  // namespace ilo
