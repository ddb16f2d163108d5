// From unique rows to all rows: where the neighbours of a row go.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/errors.h"
#include "knn/nearest.h"
#include "knn/rows.h"

namespace ilo {

class Output {
 public:
  // The rows that are searched.
  struct Searched {
    std::int64_t begin, end;
  };
  // [rows or queries][k], each. Distances as the caller wants them, or squared, as the definition
  // compares them; the other is null.
  struct Arrays {
    std::int64_t* indices;
    float* distances;
    double* squared;
  };

  // For every row of `rows`, or for those that `queries` lists; n_columns: the unique rows that
  // have members among the searched.
  Output(const Rows& rows, std::int64_t k, const std::vector<std::int64_t>* queries,
         Searched searched, std::int64_t n_columns, Arrays arrays)
      : rows_(rows), k_(k), searched_(searched), n_columns_(n_columns), arrays_(arrays) {
    if (!queries) return;
    row_ = *queries;
    slot_.assign(rows.n(), -1);
    for (std::size_t s = 0; s < queries->size(); ++s)
      slot_[(*queries)[s]] = static_cast<std::int64_t>(s);
  }

  // The row that output row `out` is of.
  std::int64_t row(std::int64_t out) const { return row_.empty() ? out : row_[out]; }

  // How many columns a unique row may need: as many as there are beside itself, at most k.
  std::int64_t wanted(std::int64_t g) const {
    bool is_column = false;
    for_searched(g, [&](std::int64_t) { return !(is_column = true); });
    return std::min(k_, n_columns_ - (is_column ? 1 : 0));
  }

  // What a column stands for among candidates: its first searched row, which decides ties. (Numbers
  // of unique rows follow all rows, of which some may not be searched.)
  std::int64_t place(std::int64_t g) const {
    const std::int64_t* begin = rows_.members_begin(g);
    if (searched_.begin == 0) return *begin;
    return *std::lower_bound(begin, rows_.members_end(g), searched_.begin);
  }

  // The rows that answer for unique row g.
  std::int64_t answers(std::int64_t g) const {
    std::int64_t count = 0;
    for (const std::int64_t* m = rows_.members_begin(g); m != rows_.members_end(g); ++m)
      count += slot(*m) >= 0;
    return count;
  }

  // Writes the neighbours of every row that equals unique row g: its equals at distance 0, and the
  // members of the columns found, by their places, in the order (distance, index).
  void write(std::int64_t g, const std::vector<Nearest::Entry>& columns) {
    std::vector<Nearest::Entry> all;
    for (const std::int64_t* row = rows_.members_begin(g); row != rows_.members_end(g); ++row) {
      if (slot(*row) < 0) continue;
      all.clear();
      for_searched(g, [&](std::int64_t m) {
        if (m != *row) all.emplace_back(0.0, m);
        return static_cast<std::int64_t>(all.size()) < k_;
      });
      for (const auto& [squared, place] : columns) {
        if (static_cast<std::int64_t>(all.size()) >= k_ && squared > all.back().first) break;
        std::int64_t taken = 0;
        for_searched(rows_.unique_of(place), [&, s = squared](std::int64_t m) {
          all.emplace_back(s, m);
          return ++taken < k_;
        });
      }
      if (static_cast<std::int64_t>(all.size()) < k_) throw RowsChanged{};  // k were there
      std::sort(all.begin(), all.end());
      for (std::int64_t p = 0; p < k_; ++p) {
        const std::int64_t at = slot(*row) * k_ + p;
        arrays_.indices[at] = all[p].second;
        if (arrays_.squared)
          arrays_.squared[at] = all[p].first;
        else
          arrays_.distances[at] = rows_.distance(all[p].first);
      }
    }
  }

 private:
  std::int64_t slot(std::int64_t row) const { return slot_.empty() ? row : slot_[row]; }

  // The searched members of a unique row, ascending, until visit returns false.
  template <class Visit>
  void for_searched(std::int64_t g, Visit visit) const {
    const std::int64_t* end = rows_.members_end(g);
    for (const std::int64_t* m = std::lower_bound(rows_.members_begin(g), end, searched_.begin);
         m != end && *m < searched_.end; ++m)
      if (!visit(*m)) return;
  }

  const Rows& rows_;
  std::int64_t k_;
  Searched searched_;
  std::int64_t n_columns_;
  Arrays arrays_;
  std::vector<std::int64_t> slot_, row_;  // of rows, and of slots; empty: they are the same
};

}  // namespace ilo
