#include "knn/inspect.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/errors.h"
#include "knn/buffer.h"
#include "knn/certificate.h"

namespace ilo {

double certified_bounds(const MatrixView& x, Metric metric, const Kernels& kernels, Team& team,
                        double* bounds) {
  const StandardFloatingPoint standard;
  const Rows rows(x, metric, kernels, team);
  const std::int64_t n = rows.n(), d = rows.d(), width = kernels.panel;
  if (rows.n_unique() != n) throw InvalidArgument("the rows of X must be distinct");
  const std::int64_t n_panels = (n + width - 1) / width, padded = n_panels * width;
  FloatBuffer panels(padded * d), tile(padded * padded);
  std::vector<float> half(padded);
  std::vector<double> norm(padded), residual(padded);
  std::vector<std::int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), std::int64_t{0});
  rows.pack(ids.data(), n, panels.data(), half.data(), norm.data(), residual.data(), team);
  const Certificate certificate(kernels, d, rows.scale(),
                                *std::max_element(norm.begin(), norm.end()),
                                *std::max_element(residual.begin(), residual.end()));
  kernels.product(panels.data(), n_panels, panels.data(), n_panels, d, tile.data(), padded);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      const float score = tile.data()[i * padded + j] - half[j];
      bounds[i * n + j] =
          certificate.lower_bound(score, norm[i], residual[i], norm[j], residual[j]);
    }
  return rows.scale();
}

}  // namespace ilo
