#include "sparse/merge_rows.h"

#include <algorithm>
#include <limits>

#include "core/errors.h"

namespace ilo {

namespace {

void check_groups(const RowGroups& groups, std::int64_t n) {
  if (groups.starts[0] != 0 || groups.starts[groups.n_groups] != groups.n_rows)
    throw InvalidArgument(text("starts goes from ", groups.starts[0], " to ",
                               groups.starts[groups.n_groups], ", wanted from 0 to the ",
                               groups.n_rows, " rows of the groups"));
  for (std::int64_t g = 0; g < groups.n_groups; ++g)
    if (groups.starts[g + 1] < groups.starts[g])
      throw InvalidArgument(text("starts[", g + 1, "]=", groups.starts[g + 1], " is less than ",
                                 groups.starts[g], " before it, wanted ascending"));
  for (std::int64_t i = 0; i < groups.n_rows; ++i)
    if (groups.rows[i] < 0 || groups.rows[i] >= n)
      throw InvalidArgument(
          text("rows[", i, "]=", groups.rows[i], " is not in [0, ", n, "), the rows there are"));
}

// The columns of one group; all zero between groups.
struct Columns {
  explicit Columns(std::int64_t n) : counts(n), sums(n), maxima(n) {}

  std::vector<std::int64_t> counts;
  std::vector<double> sums;
  std::vector<float> maxima;
  std::vector<std::int32_t> touched;
};

void gather(const ActiveRows& rows, const EntryTotals& totals, const RowGroups& groups,
            std::int64_t group, Columns& columns) {
  for (std::int64_t i = groups.starts[group]; i < groups.starts[group + 1]; ++i) {
    const std::int64_t row = groups.rows[i];
    for (std::int64_t e = rows.indptr[row]; e < rows.indptr[row + 1]; ++e) {
      const std::int32_t column = rows.indices[e];
      const std::int64_t count = totals.counts ? totals.counts[e] : 1;
      if (count < 1) throw InvalidArgument(text("counts[", e, "]=", count, ", wanted at least 1"));
      const float value = totals.maxima ? totals.maxima[e] : totals.sums[e];
      if (columns.counts[column] == 0) {
        columns.touched.push_back(column);
        columns.maxima[column] = value;
      }
      columns.counts[column] += count;
      columns.sums[column] += totals.sums[e];
      columns.maxima[column] = std::max(columns.maxima[column], value);
    }
  }
  std::sort(columns.touched.begin(), columns.touched.end());
}

void append(Columns& columns, MergedRows& out) {
  for (const std::int32_t column : columns.touched) {
    if (columns.counts[column] > std::numeric_limits<std::int32_t>::max())
      throw InvalidArgument(text("counts of column ", column, " add up to ", columns.counts[column],
                                 ", wanted at most 2^31 - 1 in a group"));
    out.indices.push_back(column);
    out.counts.push_back(static_cast<std::int32_t>(columns.counts[column]));
    out.sums.push_back(static_cast<float>(columns.sums[column]));
    out.maxima.push_back(columns.maxima[column]);
    columns.counts[column] = 0;
    columns.sums[column] = 0;
  }
  out.indptr.push_back(static_cast<std::int64_t>(out.indices.size()));
  columns.touched.clear();
}

template <class T>
void join(std::vector<T>& all, const std::vector<T>& part) {
  all.insert(all.end(), part.begin(), part.end());
}

}  // namespace

MergedRows merge_rows(const ActiveRows& rows, const EntryTotals& totals, const RowGroups& groups,
                      Team& team) {
  check_groups(groups, rows.n);
  // A run of groups is a task, and its results are joined in order.
  constexpr std::int64_t kGroups = 64;
  const std::int64_t n_tasks = (groups.n_groups + kGroups - 1) / kGroups;
  std::vector<MergedRows> parts(n_tasks);
  std::vector<Columns> columns(team.size(), Columns(rows.columns()));
  team.expect(static_cast<double>(groups.n_groups));
  team.run(n_tasks, [&](std::int64_t task, int worker) {
    const std::int64_t last = std::min(groups.n_groups, (task + 1) * kGroups);
    for (std::int64_t group = task * kGroups; group < last; ++group) {
      gather(rows, totals, groups, group, columns[worker]);
      append(columns[worker], parts[task]);
      team.advance(1);
    }
  });
  MergedRows out;
  out.indptr.push_back(0);
  for (MergedRows& part : parts) {
    const std::int64_t before = out.indptr.back();
    for (const std::int64_t end : part.indptr) out.indptr.push_back(before + end);
    join(out.indices, part.indices);
    join(out.counts, part.counts);
    join(out.sums, part.sums);
    join(out.maxima, part.maxima);
    part = {};
  }
  return out;
}

}  // namespace ilo
