// Lists of points, one for each row at each layer: the neighbours of a point, nearest first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ilo {

struct List {
  const std::int32_t* begin;
  std::int64_t size;
};

struct RowLists {
  const std::int32_t* entries;  // in [0, n_points); in no list a number twice
  const std::int64_t* offsets;  // (n_layers n + 1); or null: k entries in each list
  std::int64_t n_layers, n, k;  // k: the longest

  std::int64_t start(std::int64_t layer, std::int64_t row) const {
    const std::int64_t list = layer * n + row;
    return offsets ? offsets[list] : list * k;
  }
  List at(std::int64_t layer, std::int64_t row) const {
    const std::int64_t first = start(layer, row);
    return {entries + first, offsets ? offsets[layer * n + row + 1] - first : k};
  }
};

// Throws InvalidArgument for a number outside [0, n_points), or twice in a list. `name`: of the
// argument.
void check_lists(const RowLists& lists, std::int64_t n_points, const std::string& name);

// Of each point the rows whose list holds it, ascending: the links of a graph turned round.
class ReversedLists {
 public:
  // The numbers of rows and points are the same: n.
  explicit ReversedLists(const RowLists& lists);
  RowLists lists() const;

 private:
  std::vector<std::int32_t> entries_;
  std::vector<std::int64_t> offsets_;
  std::int64_t n_layers_, n_, longest_ = 0;
};

// Permutations of the n points: point i gets the number order[i]. The list of row order[i] is that
// of row i, with all numbers replaced.
class Renumbering {
 public:
  Renumbering(const std::int32_t* order, std::int64_t n) : order_(order), source_(n) {
    for (std::int64_t i = 0; i < n; ++i) source_[order[i]] = static_cast<std::int32_t>(i);
  }
  std::int64_t source(std::int64_t row) const { return source_[row]; }
  std::int32_t number(std::int32_t point) const { return order_[point]; }

 private:
  const std::int32_t* order_;
  std::vector<std::int32_t> source_;
};

struct Permutations {
  const std::int32_t* orders;  // (count, n)
  std::int64_t count;
};

}  // namespace ilo
