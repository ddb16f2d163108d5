// Computes all pairs of a small matrix through the filter.
#include "testing/knn_bounds.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/errors.h"
#include "knn/certificate.h"
#include "knn/packed.h"

namespace ilo {

double certified_bounds(const MatrixView& x, Metric metric, const Kernels& kernels, Team& team,
                        double* bounds) {
  const StandardFloatingPoint standard;
  const Rows rows(x, x.n(), metric, kernels, team);
  const std::int64_t n = rows.n();
  if (rows.n_unique() != n) throw InvalidArgument("the rows of X must be distinct");
  std::vector<std::int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), std::int64_t{0});
  const std::int64_t padded = ceil_div(n, kernels.panel) * kernels.panel;
  const PackedRows packed(rows, rows.frame(), kernels, team, ids, padded, padded);
  const Certificate certificate = packed.certificate();
  Buffer<float> tile(padded * padded);
  kernels.product(packed.panel(0, 0), padded / kernels.panel, packed.panel(0, 0),
                  padded / kernels.panel, rows.d(), tile.data(), padded);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      const float score = tile.data()[i * padded + j] - packed.half()[j];
      bounds[i * n + j] = certificate.lower_bound(score, packed.bound(i), packed.bound(j));
    }
  return rows.frame().scale;
}

}  // namespace ilo
