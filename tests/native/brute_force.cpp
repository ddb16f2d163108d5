// Sorts all distances of a row.
#include "brute_force.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace native {

namespace {

// In the order that the definition asks for: 16 strided partial sums, added pairwise.
template <class Term>
double lane_sum(Index d, Term&& term) {
  double lanes[16] = {};
  for (Index k = 0; k < d; ++k) lanes[k % 16] += term(k);
  for (int width = 8; width; width /= 2)
    for (int l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  return lanes[0];
}

}  // namespace

Answer brute_force(const Matrix& x, Index n_base, const std::vector<Index>& queries, Index k,
                   Metric metric) {
  std::vector<double> u = x.values;
  if (metric == Metric::cosine)
    for (Index i = 0; i < x.n; ++i) {
      double* row = &u[i * x.d];
      const double norm = std::sqrt(lane_sum(x.d, [&](Index c) { return row[c] * row[c]; }));
      for (Index c = 0; c < x.d; ++c) row[c] /= norm;
    }
  Answer out;
  for (const Index q : queries) {
    std::vector<std::pair<double, Index>> all;
    for (Index j = 0; j < n_base; ++j) {
      if (j == q) continue;
      const double* a = &u[q * x.d];
      const double* b = &u[j * x.d];
      all.emplace_back(lane_sum(x.d, [&](Index c) { return (a[c] - b[c]) * (a[c] - b[c]); }), j);
    }
    std::sort(all.begin(), all.end());
    for (Index p = 0; p < k; ++p) {
      out.indices.push_back(all[p].second);
      out.distances.push_back(static_cast<float>(
          metric == Metric::cosine ? 0.5 * all[p].first : std::sqrt(all[p].first)));
    }
  }
  return out;
}

std::vector<Index> all_rows(Index n) {
  std::vector<Index> rows(n);
  for (Index i = 0; i < n; ++i) rows[i] = i;
  return rows;
}

void compare(const Answer& got, const Answer& wanted) {
  check(got.indices == wanted.indices, "wrong neighbours");
  for (std::size_t p = 0; p < wanted.distances.size(); ++p)
    check(std::fabs(got.distances[p] - wanted.distances[p]) <= 3e-7f * wanted.distances[p],
          "wrong distance");
}

}  // namespace native
