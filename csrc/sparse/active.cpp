// Counting sort of entries by feature.
#include "sparse/active.h"

namespace ilo {

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
