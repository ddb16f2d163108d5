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
  // indices[rows or queries][k], distances[...][k]: for every row of `rows`, or for those that
  // `queries` lists.
  Output(const Rows& rows, std::int64_t k, const std::vector<std::int64_t>* queries,
         std::int64_t* indices, float* distances)
      : rows_(rows), k_(k), indices_(indices), distances_(distances) {
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
    return std::min(k_, rows_.n_columns() - (g < rows_.n_columns() ? 1 : 0));
  }

  // The rows that answer for unique row g.
  std::int64_t answers(std::int64_t g) const {
    std::int64_t count = 0;
    for (const std::int64_t* m = rows_.members_begin(g); m != rows_.members_end(g); ++m)
      count += slot(*m) >= 0;
    return count;
  }

  // Writes the neighbours of every row that equals unique row g: its equals at distance 0, and the
  // members of the columns found, in the order (distance, index).
  void write(std::int64_t g, const std::vector<Nearest::Entry>& columns) {
    std::vector<Nearest::Entry> all;
    for (const std::int64_t* row = rows_.members_begin(g); row != rows_.members_end(g); ++row) {
      if (slot(*row) < 0) continue;
      all.clear();
      for_base_members(g, [&](std::int64_t m) {
        if (m != *row) all.emplace_back(0.0, m);
        return static_cast<std::int64_t>(all.size()) < k_;
      });
      for (const auto& [squared, column] : columns) {
        if (static_cast<std::int64_t>(all.size()) >= k_ && squared > all.back().first) break;
        std::int64_t taken = 0;
        for_base_members(column, [&, s = squared](std::int64_t m) {
          all.emplace_back(s, m);
          return ++taken < k_;
        });
      }
      if (static_cast<std::int64_t>(all.size()) < k_) throw RowsChanged{};  // k were there
      std::sort(all.begin(), all.end());
      for (std::int64_t p = 0; p < k_; ++p) {
        indices_[slot(*row) * k_ + p] = all[p].second;
        distances_[slot(*row) * k_ + p] = rows_.distance(all[p].first);
      }
    }
  }

 private:
  std::int64_t slot(std::int64_t row) const { return slot_.empty() ? row : slot_[row]; }

  // Ascending, until visit returns false.
  template <class Visit>
  void for_base_members(std::int64_t g, Visit visit) const {
    for (const std::int64_t* m = rows_.members_begin(g);
         m != rows_.members_end(g) && *m < rows_.n_base(); ++m)
      if (!visit(*m)) return;
  }

  const Rows& rows_;
  std::int64_t k_;
  std::int64_t* indices_;
  float* distances_;
  std::vector<std::int64_t> slot_, row_;  // of rows, and of slots; empty: they are the same
};

}  // namespace ilo
