// What the certificate claims, pair by pair, so that tests can hold it against exact arithmetic.
// Needs an n x n matrix, which the engine never has: for tests only.
#pragma once

#include "core/matrix_view.h"
#include "core/parallel.h"
#include "knn/kernels/kernels.h"
#include "knn/rows.h"

namespace ilo {

// bounds[n][n]: a lower bound of scale * |u_i - u_j| from the filter's score of column j in row i;
// rows must be distinct. Returns the scale.
double certified_bounds(const MatrixView& x, Metric metric, const Kernels& kernels, Team& team,
                        double* bounds);

}  // namespace ilo
