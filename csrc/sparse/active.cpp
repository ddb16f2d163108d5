// What rows of entries have to be, and the counting sort of entries by feature.
#include "sparse/active.h"

#include "core/errors.h"

namespace ilo {

void check_entries(const ActiveRows& rows, std::int64_t entries) {
  if (rows.indptr[0] != 0 || rows.indptr[rows.n] != entries)
    throw InvalidArgument(text("indptr go from ", rows.indptr[0], " to ", rows.indptr[rows.n],
                               ", wanted from 0 to the ", entries, " indices"));
  for (std::int64_t t = 0; t < rows.n; ++t)
    if (rows.indptr[t + 1] < rows.indptr[t])
      throw InvalidArgument(text("indptr fall from ", rows.indptr[t], " to ", rows.indptr[t + 1],
                                 " at ", t + 1, ", wanted them to rise"));
  for (std::int64_t e = 0; e < entries; ++e)
    if (rows.indices[e] < 0 || rows.indices[e] >= rows.columns())
      throw InvalidArgument(text("indices[", e, "]=", rows.indices[e], " is not in [0, ",
                                 rows.columns(), "), the features of ", rows.n_layers, " layers"));
  // The order in which outputs are added up.
  for (std::int64_t t = 0; t < rows.n; ++t)
    for (std::int64_t e = rows.indptr[t] + 1; e < rows.indptr[t + 1]; ++e)
      if (rows.indices[e] <= rows.indices[e - 1])
        throw InvalidArgument(text("indices[", e, "]=", rows.indices[e], " comes after ",
                                   rows.indices[e - 1], " in token ", t,
                                   ", wanted ascending: sort the entries of each token"));
}

ByFeature::ByFeature(const ActiveRows& rows, std::int64_t first, std::int64_t last)
    : offsets(rows.columns() + 2),
      entry(rows.indptr[last] - rows.indptr[first]),
      token(entry.size()) {
  // Two places further on, so that each offset, counted up while entries are placed, ends where the
  // next column begins.
  for (std::int64_t e = rows.indptr[first]; e < rows.indptr[last]; ++e)
    ++offsets[rows.indices[e] + 2];
  for (std::int64_t c = 0; c < rows.columns(); ++c) offsets[c + 2] += offsets[c + 1];
  for (std::int64_t t = first; t < last; ++t)
    for (std::int64_t e = rows.indptr[t]; e < rows.indptr[t + 1]; ++e) {
      const std::int64_t at = offsets[rows.indices[e] + 1]++;
      entry[at] = static_cast<std::int32_t>(e);
      token[at] = static_cast<std::int32_t>(t - first);
    }
  offsets.pop_back();
}

}  // namespace ilo
