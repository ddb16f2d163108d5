// Compares what was found with what is there.
#include "knn/pilot.h"

#include <algorithm>

namespace ilo {

double share_too_near(const Pilot& pilot, std::int64_t k, const Rows& rows, const Frame& frame,
                      const Kernels& kernels, double rounding) {
  constexpr double kMoved = 0.1;
  std::vector<double> u(rows.d()), v(rows.d());
  std::vector<float> y(rows.d());
  std::int64_t near = 0;
  for (std::int64_t p = 0; p < pilot.size(); ++p) {
    rows.load(rows.unique_of(pilot.rows[p]), u.data());
    rows.load(rows.unique_of(pilot.exact[(p + 1) * k - 1]), v.data());
    const double s =
        frame.scale * std::sqrt(kernels.squared_distance(u.data(), v.data(), rows.d()));
    const RowSquares squares =
        kernels.round_row(u.data(), frame.centre.data(), frame.scale, rows.d(), y.data());
    near += s > 0 && doubt(0.5 * squares.rounded, s, rounding) > kMoved * s * s / 2;
  }
  return pilot.empty() ? 0 : static_cast<double>(near) / static_cast<double>(pilot.size());
}

double share_lost(const Pilot& pilot, std::int64_t k, const Rows& rows, const RoundedRows& sketch,
                  const BestColumns& best) {
  std::vector<double> y(sketch.d()), other(sketch.d());
  std::int64_t lost = 0;
  for (std::int64_t p = 0; p < pilot.size(); ++p) {
    const std::int64_t row = rows.unique_of(pilot.rows[p]);
    if (best.size(row) < best.capacity()) continue;
    const double worst = best.best(row)[best.capacity() - 1].score;
    sketch.read(row, y.data());
    for (std::int64_t q = 0; q < k; ++q) {
      const std::int64_t column = rows.unique_of(pilot.exact[p * k + q]);
      if (column == row) continue;
      sketch.read(column, other.data());
      double score = -sketch.half(column);
      for (std::int64_t c = 0; c < sketch.d(); ++c) score += y[c] * other[c];
      lost += score < worst;
    }
  }
  return pilot.empty() ? 0 : static_cast<double>(lost) / static_cast<double>(k * pilot.size());
}

Found share_found(const Pilot& pilot, std::int64_t k, std::int64_t n, const std::int64_t* indices) {
  double sum = 0, squares = 0;
  std::vector<std::int64_t> own(k), wanted(k);
  for (std::int64_t p = 0; p < pilot.size(); ++p) {
    std::copy_n(indices + pilot.rows[p] * k, k, own.begin());
    std::copy_n(pilot.exact + p * k, k, wanted.begin());
    std::sort(own.begin(), own.end());
    std::sort(wanted.begin(), wanted.end());
    std::int64_t found = 0;
    for (const std::int64_t w : wanted) found += std::binary_search(own.begin(), own.end(), w);
    const double share = static_cast<double>(found) / static_cast<double>(k);
    sum += share;
    squares += share * share;
  }
  const auto size = static_cast<double>(pilot.size());
  const double mean = sum / size, rest = 1 - size / static_cast<double>(n);
  return {mean, std::sqrt(std::max(0.0, (squares / size - mean * mean) / size * rest))};
}

}  // namespace ilo
