// Counting sort of entries by feature.
#include "sparse/active.h"

namespace ilo {

ByFeature::ByFeature(const ActiveRows& rows, Team& team)
    : offsets(rows.columns() + 1), entry(rows.entries()), token(rows.entries()) {
  for (std::int64_t e = 0; e < rows.entries(); ++e) ++offsets[rows.indices[e] + 1];
  for (std::int64_t c = 0; c < rows.columns(); ++c) offsets[c + 1] += offsets[c];
  std::vector<std::int64_t> next(offsets.begin(), offsets.end() - 1);
  for (std::int64_t t = 0; t < rows.n; ++t) {
    if (t % 4096 == 0) team.poll();
    for (std::int64_t e = rows.indptr[t]; e < rows.indptr[t + 1]; ++e) {
      const std::int64_t at = next[rows.indices[e]]++;
      entry[at] = static_cast<std::int32_t>(e);
      token[at] = static_cast<std::int32_t>(t);
    }
  }
}

}  // namespace ilo
