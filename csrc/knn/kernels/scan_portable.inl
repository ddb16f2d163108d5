// Hits in a row of a tile, column by column.
//
// Needs before inclusion: kernels.h.

namespace {

std::int64_t scan_row(const float* c, const float* half, float threshold, std::int64_t n,
                      Hit* hits) {
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const float score = c[j] - half[j];
    if (score > threshold) hits[count++] = {score, static_cast<std::int32_t>(j)};
  }
  return count;
}

void scan_both(const float* c, const float* half, float threshold, float own_half,
               const float* thresholds, std::int64_t n, Hit* row_hits, std::int64_t* n_row,
               Hit* column_hits, std::int64_t* n_column) {
  std::int64_t in_columns = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const float score = c[j] - own_half;
    if (score > thresholds[j]) column_hits[in_columns++] = {score, static_cast<std::int32_t>(j)};
  }
  *n_row = scan_row(c, half, threshold, n, row_hits);
  *n_column = in_columns;
}

}  // namespace
