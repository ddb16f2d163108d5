// For each row, the points of up to 64 lists of stack a get small numbers, and each a word: bit l
// says whether list l holds it. A list of stack b then meets all of them in one pass, and what has
// nothing in common, nearly everything where points are renumbered at random, costs nothing more.
#include "overlap/set_overlap.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/arithmetic.h"
#include "overlap/list_order.h"

namespace ilo {

namespace {

using Word = std::uint64_t;
constexpr std::int64_t kLists = 64, kRowsOfTask = 256;

std::int64_t value_of_nothing(const ListComparison& in) {
  return in.measure == RowMeasure::edit_distance ? std::max(in.a.k, in.b.k) : 0;
}

class RowComparer {
 public:
  explicit RowComparer(const ListComparison& in)
      : in_(in),
        ordered_(in.measure == RowMeasure::lcs || in.measure == RowMeasure::edit_distance),
        numbers_(in.n_points, -1) {}

  // Calls put(layer of a, layer of b, value) wherever the lists have an entry in common.
  template <class Put>
  void compare(std::int64_t row, const Renumbering* renumbering, const Put& put) {
    for (std::int64_t first = 0; first < in_.a.n_layers; first += kLists) {
      const std::int64_t count = std::min(kLists, in_.a.n_layers - first);
      take_in(row, first, count);
      const std::int64_t source = renumbering ? renumbering->source(row) : row;
      for (std::int64_t layer = 0; layer < in_.b.n_layers; ++layer) {
        const List b = in_.b.at(layer, source);
        const Word met = find(b, renumbering);
        for (Word left = met; left; left &= left - 1) {
          const int l = __builtin_ctzll(left);
          put(first + l, layer, value(l, count, in_.a.at(first + l, row).size, b.size));
        }
      }
      for (const std::int32_t point : points_) numbers_[point] = -1;
    }
  }

 private:
  struct Hit {
    std::int64_t place;  // in list b
    std::int32_t number;
  };

  void take_in(std::int64_t row, std::int64_t first, std::int64_t count) {
    points_.clear();
    holders_.clear();
    places_.clear();
    for (std::int64_t l = 0; l < count; ++l) {
      const List list = in_.a.at(first + l, row);
      for (std::int64_t p = 0; p < list.size; ++p) {
        std::int32_t& number = numbers_[list.begin[p]];
        if (number < 0) {
          number = static_cast<std::int32_t>(points_.size());
          points_.push_back(list.begin[p]);
          holders_.push_back(0);
          if (ordered_) places_.resize(places_.size() + count);
        }
        holders_[number] |= Word{1} << l;
        if (ordered_) places_[number * count + l] = static_cast<std::int32_t>(p);
      }
    }
  }

  // Which lists hold any entry of b; notes those that any holds.
  Word find(const List& b, const Renumbering* renumbering) {
    hits_.clear();
    Word met = 0;
    for (std::int64_t p = 0; p < b.size; ++p) {
      const std::int32_t point = renumbering ? renumbering->number(b.begin[p]) : b.begin[p];
      const std::int32_t number = numbers_[point];
      if (number < 0) continue;
      met |= holders_[number];
      hits_.push_back({p, number});
    }
    return met;
  }

  std::int32_t value(int l, std::int64_t count, std::int64_t a_size, std::int64_t b_size) {
    if (in_.measure == RowMeasure::cycle) return 1;
    if (!ordered_) {
      std::int32_t common = 0;
      for (const Hit hit : hits_) common += holders_[hit.number] >> l & 1;
      return common;
    }
    const bool all = in_.measure == RowMeasure::edit_distance;
    sequence_.assign(all ? b_size : 0, -1);
    for (const Hit hit : hits_) {
      if (!(holders_[hit.number] >> l & 1)) continue;
      const std::int32_t place = places_[hit.number * count + l];
      if (all)
        sequence_[hit.place] = place;
      else
        sequence_.push_back(place);
    }
    return all ? edit_distance_(a_size, sequence_) : longest_increasing(sequence_, piles_);
  }

  const ListComparison& in_;
  const bool ordered_;
  std::vector<std::int32_t> numbers_;  // of the points of this row, -1 of all others
  std::vector<std::int32_t> points_;   // by number
  std::vector<Word> holders_;          // by number: the lists of a that hold the point
  std::vector<std::int32_t> places_;   // [number][list]: where
  std::vector<Hit> hits_;
  std::vector<std::int32_t> sequence_, piles_;
  EditDistance edit_distance_;
};

// One for each worker, made where it starts.
class RowComparers {
 public:
  RowComparers(const ListComparison& in, Team& team) : in_(in), of_worker_(team.size()) {}
  RowComparer& operator[](int worker) {
    if (!of_worker_[worker]) of_worker_[worker].emplace(in_);
    return *of_worker_[worker];
  }

 private:
  const ListComparison& in_;
  std::vector<std::optional<RowComparer>> of_worker_;
};

// A cycle is an entry of b that has the row among its own neighbours in a: one that the list of the
// row in the reversed graph holds, too.
class Prepared {
 public:
  explicit Prepared(const ListComparison& in) : in_(in) {
    if (in.measure != RowMeasure::cycle) return;
    reversed_.emplace(in.a);
    in_.a = reversed_->lists();
  }
  const ListComparison& comparison() const { return in_; }

 private:
  ListComparison in_;
  std::optional<ReversedLists> reversed_;
};

template <class Task>
void for_blocks_of_rows(std::int64_t n, Team& team, const Task& task) {
  team.run(ceil_div(n, kRowsOfTask), [&](std::int64_t block, int worker) {
    for (std::int64_t row = block * kRowsOfTask; row < std::min(n, (block + 1) * kRowsOfTask);
         ++row)
      task(row, worker);
    team.advance(1);
  });
}

}  // namespace

std::int64_t largest_value(const ListComparison& in) {
  switch (in.measure) {
    case RowMeasure::cycle:
      return 1;
    case RowMeasure::edit_distance:
      return std::max(in.a.k, in.b.k);
    default:
      return std::min(in.a.k, in.b.k);
  }
}

void compare_rows(const ListComparison& given, std::int32_t* out, Team& team) {
  const Prepared prepared(given);
  const ListComparison& in = prepared.comparison();
  std::fill_n(out, in.a.n_layers * in.b.n_layers * in.a.n,
              static_cast<std::int32_t>(value_of_nothing(given)));
  RowComparers comparers(in, team);
  team.expect(static_cast<double>(ceil_div(in.a.n, kRowsOfTask)));
  for_blocks_of_rows(in.a.n, team, [&](std::int64_t row, int worker) {
    comparers[worker].compare(row, nullptr,
                              [&](std::int64_t a, std::int64_t b, std::int32_t value) {
                                out[(a * in.b.n_layers + b) * in.a.n + row] = value;
                              });
  });
}

void sum_rows(const ListComparison& given, const double* weights, const Permutations& permutations,
              double* out, Team& team) {
  const Prepared prepared(given);
  const ListComparison& in = prepared.comparison();
  const std::int64_t n = in.a.n, n_pairs = in.a.n_layers * in.b.n_layers;
  const std::int64_t n_values = largest_value(given) + 1, nothing = value_of_nothing(given);
  RowComparers comparers(in, team);
  std::vector<std::vector<std::int64_t>> counts(team.size());  // [pair][value], of each worker
  team.expect(static_cast<double>((1 + permutations.count) * ceil_div(n, kRowsOfTask)));
  for (std::int64_t p = 0; p <= permutations.count; ++p) {
    std::optional<Renumbering> renumbering;
    if (p > 0) renumbering.emplace(permutations.orders + (p - 1) * n, n);
    for (auto& own : counts) own.assign(n_pairs * n_values, 0);
    for_blocks_of_rows(n, team, [&](std::int64_t row, int worker) {
      std::int64_t* const own = counts[worker].data();
      comparers[worker].compare(row, renumbering ? &*renumbering : nullptr,
                                [&](std::int64_t a, std::int64_t b, std::int32_t value) {
                                  ++own[(a * in.b.n_layers + b) * n_values + value];
                                });
    });
    for (std::int64_t pair = 0; pair < n_pairs; ++pair) {
      double sum = 0;
      std::int64_t left = n;
      for (std::int64_t value = 0; value < n_values; ++value) {
        std::int64_t rows = 0;
        for (const auto& own : counts) rows += own[pair * n_values + value];
        sum += static_cast<double>(rows) * weights[value];
        left -= rows;
      }
      out[p * n_pairs + pair] = sum + static_cast<double>(left) * weights[nothing];
    }
  }
}

}  // namespace ilo
