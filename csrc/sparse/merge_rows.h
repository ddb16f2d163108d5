// Rows of sparse matrices merged into groups: tokens into the line that they are of, lines into
// their document. A column of a group knows how often it was counted, its sum and its maximum.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "sparse/active.h"

namespace ilo {

// What each entry brings along. Tokens count once, and their value is sum and maximum.
struct EntryTotals {
  const std::int32_t* counts;  // null: one each
  const float* sums;
  const float* maxima;  // null: the sums
};

// Which rows each group has: those numbered rows[starts[g]] to before rows[starts[g + 1]].
struct RowGroups {
  const std::int64_t* rows;    // in [0, n), any order, a row in several groups or in none
  const std::int64_t* starts;  // (n_groups + 1)
  std::int64_t n_groups, n_rows;
};

struct MergedRows {
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices, counts;
  std::vector<float> sums, maxima;
};

// Columns ascend in every group. Sums are taken in double, row after row in the order of the group.
// Throws InvalidArgument for groups that do not lie within the rows, or a count beyond 2^31 - 1.
MergedRows merge_rows(const ActiveRows& rows, const EntryTotals& totals, const RowGroups& groups,
                      Team& team);

}  // namespace ilo
