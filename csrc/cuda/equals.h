// Which rows of a layer are equal, found on the host from hashes that the device computed.
#pragma once

#include <cstdint>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "cuda/platform.h"

namespace ilo::gpu {

// Unique rows in order of their first appearance; their members ascending (knn/rows.h).
struct EqualRows {
  std::vector<int> first, unique_of, offset, members;
  int n_columns = 0;  // unique rows that occur in the base

  int count() const { return static_cast<int>(first.size()); }
};

// are_equal(pairs) says of every pair of rows whether they are; queries of rows with equal hashes
// only.
inline EqualRows find_equal_rows(
    const std::vector<unsigned long long>& hashes, std::int64_t n_base,
    const std::function<std::vector<std::uint8_t>(const std::vector<std::pair<int, int>>&)>&
        are_equal) {
  const int n = static_cast<int>(hashes.size());
  std::vector<int> first_of(n), rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  std::size_t slots = 16;
  while (slots < 2 * static_cast<std::size_t>(n)) slots *= 2;
  std::vector<int> table;
  // Once, unless different rows have the same hash: then again for those that were taken for
  // others.
  while (!rows.empty()) {
    table.assign(slots, -1);
    std::vector<std::pair<int, int>> pairs;
    for (const int row : rows) {
      std::size_t s = hashes[row] & (slots - 1);
      while (table[s] >= 0 && hashes[table[s]] != hashes[row]) s = (s + 1) & (slots - 1);
      if (table[s] < 0) {
        table[s] = row;
        first_of[row] = row;
      } else {
        first_of[row] = table[s];
        pairs.emplace_back(table[s], row);
      }
    }
    rows.clear();
    const std::vector<std::uint8_t> equal = are_equal(pairs);
    for (std::size_t p = 0; p < pairs.size(); ++p)
      if (!equal[p]) rows.push_back(pairs[p].second);
  }
  EqualRows out;
  out.unique_of.resize(n);
  for (int row = 0; row < n; ++row) {
    if (first_of[row] == row) {
      out.unique_of[row] = out.count();
      out.first.push_back(row);
      if (row < n_base) out.n_columns = out.count();
    } else {
      out.unique_of[row] = out.unique_of[first_of[row]];
    }
  }
  out.offset.assign(out.first.size() + 1, 0);
  for (const int g : out.unique_of) ++out.offset[g + 1];
  std::partial_sum(out.offset.begin(), out.offset.end(), out.offset.begin());
  out.members.resize(n);
  std::vector<int> at(out.offset.begin(), out.offset.end() - 1);
  for (int row = 0; row < n; ++row) out.members[at[out.unique_of[row]]++] = row;
  return out;
}

}  // namespace ilo::gpu
