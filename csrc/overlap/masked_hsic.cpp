// A task is a pair of layers under one permutation: sums run over the rows in their order, so that
// they do not depend on threads.
#include "overlap/masked_hsic.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace ilo {

namespace {

// Of each entry, whether its link goes both ways.
std::vector<std::uint8_t> links_both_ways(const RowLists& lists) {
  const ReversedLists reversed(lists);
  std::vector<std::uint8_t> both(lists.n_layers * lists.n * lists.k);
  std::vector<std::int64_t> last(lists.n, -1);  // the list that a row was met in last
  for (std::int64_t layer = 0; layer < lists.n_layers; ++layer)
    for (std::int64_t row = 0; row < lists.n; ++row) {
      const std::int64_t own = layer * lists.n + row;
      const List into = reversed.lists().at(layer, row), out_of = lists.at(layer, row);
      for (std::int64_t p = 0; p < into.size; ++p) last[into.begin[p]] = own;
      for (std::int64_t p = 0; p < out_of.size; ++p)
        both[own * lists.k + p] = last[out_of.begin[p]] == own;
    }
  return both;
}

class PairSums {
 public:
  explicit PairSums(std::int64_t n) : places_(n, -1), columns_of_a_(n), rows_of_b_(n) {}

  double hsic(const KernelGraph& a, const std::vector<std::uint8_t>& a_both, std::int64_t a_layer,
              const KernelGraph& b, const std::vector<std::uint8_t>& b_both, std::int64_t b_layer,
              const Renumbering* renumbering) {
    const std::int64_t n = a.neighbors.n;
    std::fill(columns_of_a_.begin(), columns_of_a_.end(), 0);
    double trace = 0, sum_a = 0, sum_b = 0;
    for (std::int64_t row = 0; row < n; ++row) {
      const List own = a.neighbors.at(a_layer, row);
      for (std::int64_t p = 0; p < own.size; ++p)
        places_[own.begin[p]] = static_cast<std::int32_t>(p);
      const std::int64_t source = renumbering ? renumbering->source(row) : row;
      const List other = b.neighbors.at(b_layer, source);
      const std::int64_t a_start = a.neighbors.start(a_layer, row);
      const std::int64_t b_start = b.neighbors.start(b_layer, source);
      double row_of_b = 0;
      for (std::int64_t p = 0; p < other.size; ++p) {
        const std::int32_t point =
            renumbering ? renumbering->number(other.begin[p]) : other.begin[p];
        const std::int32_t place = places_[point];
        if (place < 0) continue;
        const double in_a = a.values[a_start + place], in_b = b.values[b_start + p];
        columns_of_a_[point] += in_a;
        sum_a += in_a;
        row_of_b += in_b;
        if (a_both[a_start + place] && b_both[b_start + p]) trace += in_a * in_b;
      }
      rows_of_b_[row] = row_of_b;
      sum_b += row_of_b;
      for (std::int64_t p = 0; p < own.size; ++p) places_[own.begin[p]] = -1;
    }
    double product = 0;
    for (std::int64_t row = 0; row < n; ++row) product += columns_of_a_[row] * rows_of_b_[row];
    const auto m = static_cast<double>(n);
    return (trace + sum_a * sum_b / ((m - 1) * (m - 2)) - 2 * product / (m - 2)) / (m * (m - 3));
  }

 private:
  std::vector<std::int32_t> places_;  // in the list of a, -1 elsewhere
  std::vector<double> columns_of_a_, rows_of_b_;
};

}  // namespace

void masked_hsic(const KernelGraph& a, const KernelGraph& b, const Permutations& permutations,
                 double* out, Team& team) {
  const std::vector<std::uint8_t> a_both = links_both_ways(a.neighbors);
  const std::vector<std::uint8_t> b_both = links_both_ways(b.neighbors);
  const std::int64_t n = a.neighbors.n, b_layers = b.neighbors.n_layers;
  const std::int64_t n_pairs = a.neighbors.n_layers * b_layers;
  std::vector<std::optional<PairSums>> sums(team.size());
  team.expect(static_cast<double>((1 + permutations.count) * n_pairs));
  for (std::int64_t p = 0; p <= permutations.count; ++p) {
    std::optional<Renumbering> renumbering;
    if (p > 0) renumbering.emplace(permutations.orders + (p - 1) * n, n);
    team.run(n_pairs, [&](std::int64_t pair, int worker) {
      if (!sums[worker]) sums[worker].emplace(n);
      out[p * n_pairs + pair] =
          sums[worker]->hsic(a, a_both, pair / b_layers, b, b_both, pair % b_layers,
                             renumbering ? &*renumbering : nullptr);
      team.advance(1);
    });
  }
}

}  // namespace ilo
