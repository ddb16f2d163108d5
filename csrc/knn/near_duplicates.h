// Uncertified rows in near-duplicate clusters, solved among themselves.
//
// A filter cannot order rows whose distances are far below its rounding of their norms, but it
// knows which rows are near one another. So: take an uncertified row p as leader, and let C be all
// columns that the filter cannot prove to be farther from p than R, a few times the distance of p's
// k-th neighbour so far. For an uncertified row i with |u_i - u_p| + delta_i <= R, delta_i the
// distance of its k-th neighbour so far, every column within delta_i is within R of p (triangle
// inequality), and thus in C: among C its neighbours are those among all. Seen from p instead of
// the mean, norms are as small as the distances, and the float32 filter orders C as it orders any
// rows. What it leaves uncertified is measured in float64, in C alone.
//
// (The pruning is that of metric trees; the change of frame is what makes low precision exact.)
#pragma once

#include <vector>

#include "core/parallel.h"
#include "knn/certificate.h"
#include "knn/decide.h"
#include "knn/output.h"
#include "knn/packed.h"

namespace ilo {

// Writes the neighbours of uncertified rows that are found in clusters; returns the others. `base`:
// all columns in the order of their numbers, packed for `kernels`. A cluster's packed rows take at
// most max_bytes: larger ones count as none.
std::vector<Uncertified> solve_near_duplicates(std::vector<Uncertified> uncertified,
                                               PackedRows& base, const Rows& rows,
                                               const Kernels& kernels,
                                               const Certificate& certificate, Team& team,
                                               Output& output, std::int64_t n_neighbors,
                                               std::int64_t max_bytes);

}  // namespace ilo
