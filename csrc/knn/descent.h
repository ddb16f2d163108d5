// Neighbour descent: a neighbour's neighbour is likely a neighbour (Dong, Moses and Li, WWW 2011).
//
// Candidates of a row are the neighbours, and the rows that have it for a neighbour, of its
// neighbours and of the rows that have it for one. Measured one by one they would cost a cache miss
// each; so rows go in groups that lie together, whose candidates are largely the same: every row of
// a group meets the candidates of all of them, in a product of the filter.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/parallel.h"
#include "knn/best_columns.h"
#include "knn/join.h"
#include "knn/partition.h"

namespace ilo {

struct DescentOptions {
  std::int64_t neighbors = 10;  // of a row that count
  std::int64_t reverse = 10;    // rows that have it for a neighbour, the nearest of them
};

// One round over all groups, which hold every row once. The lists that a round starts from are
// those before it, whatever was found meanwhile: the same for any number of threads.
void descend(const RoundedRows& rows, const BestColumns& best, const Leaves& groups,
             const DescentOptions& options, Team& team,
             std::vector<std::unique_ptr<Joiner>>& joiners, double work);

}  // namespace ilo
