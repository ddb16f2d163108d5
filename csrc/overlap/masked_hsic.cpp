// As they are, a task is a pair of layers. Renumbered, hardly any links are in both graphs: a task
// is a permutation, which goes once over the rows of all pairs and notes what they have in common.
// Sums run over the rows in their order, so that they do not depend on threads.
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

double hsic_of(std::int64_t n, double trace, double sum_a, double sum_b, double product) {
  const auto m = static_cast<double>(n);
  return (trace + sum_a * sum_b / ((m - 1) * (m - 2)) - 2 * product / (m - 2)) / (m * (m - 3));
}

// Of one pair of layers.
class PairSums {
 public:
  explicit PairSums(std::int64_t n) : places_(n, -1), columns_of_a_(n), rows_of_b_(n) {}

  double hsic(const KernelGraph& a, const std::vector<std::uint8_t>& a_both, std::int64_t a_layer,
              const KernelGraph& b, const std::vector<std::uint8_t>& b_both, std::int64_t b_layer) {
    const std::int64_t n = a.neighbors.n;
    std::fill(columns_of_a_.begin(), columns_of_a_.end(), 0);
    double trace = 0, sum_a = 0, sum_b = 0;
    for (std::int64_t row = 0; row < n; ++row) {
      const List own = a.neighbors.at(a_layer, row);
      for (std::int64_t p = 0; p < own.size; ++p)
        places_[own.begin[p]] = static_cast<std::int32_t>(p);
      const List other = b.neighbors.at(b_layer, row);
      const std::int64_t a_start = a.neighbors.start(a_layer, row);
      const std::int64_t b_start = b.neighbors.start(b_layer, row);
      double row_of_b = 0;
      for (std::int64_t p = 0; p < other.size; ++p) {
        const std::int32_t point = other.begin[p];
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
    return hsic_of(n, trace, sum_a, sum_b, product);
  }

 private:
  std::vector<std::int32_t> places_;  // in the list of a, -1 elsewhere
  std::vector<double> columns_of_a_, rows_of_b_;
};

// What all pairs of layers have in common under one permutation.
class CommonLinks {
 public:
  CommonLinks(const KernelGraph& a, const std::vector<std::uint8_t>& a_both, const KernelGraph& b,
              const std::vector<std::uint8_t>& b_both)
      : a_(a),
        b_(b),
        a_both_(a_both),
        b_both_(b_both),
        numbers_(a.neighbors.n, -1),
        rows_of_b_(a.neighbors.n) {}

  // out: (a layers, b layers).
  void hsic(const Renumbering& renumbering, double* out, const Team& team) {
    const std::int64_t a_layers = a_.neighbors.n_layers, b_layers = b_.neighbors.n_layers;
    // Two lists have k k / n points in common by chance: in all rows k k.
    const std::int64_t expected = std::max<std::int64_t>(a_.neighbors.k * b_.neighbors.k, 1);
    const std::int64_t height = std::clamp<std::int64_t>(kMostLinks / expected, 1, kLists);
    const std::int64_t width = std::max<std::int64_t>(kMostLinks / (expected * height), 1);
    for (std::int64_t i = 0; i < a_layers; i += height)
      for (std::int64_t j = 0; j < b_layers && !team.cancelled(); j += width) {
        first_a_ = i, count_a_ = std::min(height, a_layers - i);
        first_b_ = j, count_b_ = std::min(width, b_layers - j);
        find(renumbering);
        for (std::int64_t pair = 0; pair < count_a_ * count_b_; ++pair)
          out[(i + pair / count_b_) * b_layers + j + pair % count_b_] = of_pair(links_[pair]);
      }
  }

 private:
  using Word = std::uint64_t;
  static constexpr std::int64_t kLists = 64, kMostLinks = 1 << 22;
  struct Link {
    std::int32_t row, point;
    double in_a, in_b;
    bool both_ways;
  };

  void find(const Renumbering& renumbering) {
    links_.resize(std::max<std::size_t>(links_.size(), count_a_ * count_b_));
    for (auto& links : links_) links.clear();
    for (std::int64_t row = 0; row < a_.neighbors.n; ++row) {
      take_in(row);
      const std::int64_t source = renumbering.source(row);
      for (std::int64_t j = 0; j < count_b_; ++j) {
        const List list = b_.neighbors.at(first_b_ + j, source);
        const std::int64_t start = b_.neighbors.start(first_b_ + j, source);
        for (std::int64_t p = 0; p < list.size; ++p) {
          const std::int32_t point = renumbering.number(list.begin[p]), number = numbers_[point];
          if (number < 0) continue;
          for (Word left = holders_[number]; left; left &= left - 1) {
            const std::int64_t i = __builtin_ctzll(left), at = places_[number * count_a_ + i];
            links_[i * count_b_ + j].push_back({static_cast<std::int32_t>(row), point,
                                                a_.values[at], b_.values[start + p],
                                                a_both_[at] && b_both_[start + p]});
          }
        }
      }
      for (const std::int32_t point : points_) numbers_[point] = -1;
    }
  }

  // The points of the lists of a in this row get numbers, and each a word of the lists it is in.
  void take_in(std::int64_t row) {
    points_.clear();
    holders_.clear();
    places_.clear();
    for (std::int64_t i = 0; i < count_a_; ++i) {
      const List list = a_.neighbors.at(first_a_ + i, row);
      const std::int64_t start = a_.neighbors.start(first_a_ + i, row);
      for (std::int64_t p = 0; p < list.size; ++p) {
        std::int32_t& number = numbers_[list.begin[p]];
        if (number < 0) {
          number = static_cast<std::int32_t>(points_.size());
          points_.push_back(list.begin[p]);
          holders_.push_back(0);
          places_.resize(places_.size() + count_a_);
        }
        holders_[number] |= Word{1} << i;
        places_[number * count_a_ + i] = start + p;
      }
    }
  }

  double of_pair(const std::vector<Link>& links) {
    double trace = 0, sum_a = 0, sum_b = 0, product = 0;
    for (const Link& link : links) {
      rows_of_b_[link.row] += link.in_b;
      sum_a += link.in_a;
      sum_b += link.in_b;
      if (link.both_ways) trace += link.in_a * link.in_b;
    }
    for (const Link& link : links) product += link.in_a * rows_of_b_[link.point];
    for (const Link& link : links) rows_of_b_[link.row] = 0;
    return hsic_of(a_.neighbors.n, trace, sum_a, sum_b, product);
  }

  const KernelGraph &a_, &b_;
  const std::vector<std::uint8_t>&a_both_, &b_both_;
  std::int64_t first_a_ = 0, count_a_ = 0, first_b_ = 0, count_b_ = 0;
  std::vector<std::int32_t> numbers_;     // of the points of this row, -1 of all others
  std::vector<std::int32_t> points_;      // by number
  std::vector<Word> holders_;             // by number: the lists of a that hold the point
  std::vector<std::int64_t> places_;      // [number][list]: where among the entries
  std::vector<std::vector<Link>> links_;  // of each pair
  std::vector<double> rows_of_b_;
};

}  // namespace

void masked_hsic(const KernelGraph& a, const KernelGraph& b, const Permutations& permutations,
                 double* out, Team& team) {
  const std::vector<std::uint8_t> a_both = links_both_ways(a.neighbors);
  const std::vector<std::uint8_t> b_both = links_both_ways(b.neighbors);
  const std::int64_t n = a.neighbors.n, b_layers = b.neighbors.n_layers;
  const std::int64_t n_pairs = a.neighbors.n_layers * b_layers;
  team.expect(static_cast<double>(n_pairs + permutations.count));
  std::vector<std::optional<PairSums>> sums(team.size());
  team.run(n_pairs, [&](std::int64_t pair, int worker) {
    if (!sums[worker]) sums[worker].emplace(n);
    out[pair] = sums[worker]->hsic(a, a_both, pair / b_layers, b, b_both, pair % b_layers);
    team.advance(1);
  });
  std::vector<std::optional<CommonLinks>> links(team.size());
  team.run(permutations.count, [&](std::int64_t p, int worker) {
    if (!links[worker]) links[worker].emplace(a, a_both, b, b_both);
    const Renumbering renumbering(permutations.orders + p * n, n);
    links[worker]->hsic(renumbering, out + (1 + p) * n_pairs, team);
    team.advance(1);
  });
}

}  // namespace ilo
