// Hits in a row of a tile, sixteen columns at a time, for every filter on AVX-512.
//
// Needs before inclusion: kernels.h, <immintrin.h>.

namespace {

// Survivors are rare: one compare and one branch for sixteen columns, then bit by bit.
inline std::int64_t take(__m512 score, __mmask16 mask, std::int64_t j, Hit* hits,
                         std::int64_t count) {
  alignas(64) float values[16];
  _mm512_store_ps(values, score);
  for (unsigned bits = mask; bits; bits &= bits - 1) {
    const int lane = __builtin_ctz(bits);
    hits[count++] = {values[lane], static_cast<std::int32_t>(j + lane)};
  }
  return count;
}

std::int64_t scan_row(const float* c, const float* half, float threshold, std::int64_t n,
                      Hit* hits) {
  const __m512 limit = _mm512_set1_ps(threshold);
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < n; j += 16) {
    const __m512 score = _mm512_sub_ps(_mm512_load_ps(c + j), _mm512_loadu_ps(half + j));
    const __mmask16 mask = _mm512_cmp_ps_mask(score, limit, _CMP_GT_OQ);
    if (mask) count = take(score, mask, j, hits, count);
  }
  return count;
}

void scan_both(const float* c, const float* half, float threshold, float own_half,
               const float* thresholds, std::int64_t n, Hit* row_hits, std::int64_t* n_row,
               Hit* column_hits, std::int64_t* n_column) {
  const __m512 limit = _mm512_set1_ps(threshold), own = _mm512_set1_ps(own_half);
  std::int64_t in_row = 0, in_columns = 0;
  for (std::int64_t j = 0; j < n; j += 16) {
    const __m512 value = _mm512_load_ps(c + j);
    const __m512 row = _mm512_sub_ps(value, _mm512_loadu_ps(half + j));
    const __m512 column = _mm512_sub_ps(value, own);
    const __mmask16 r = _mm512_cmp_ps_mask(row, limit, _CMP_GT_OQ);
    const __mmask16 k = _mm512_cmp_ps_mask(column, _mm512_loadu_ps(thresholds + j), _CMP_GT_OQ);
    if (_mm512_kortestz(r, k)) continue;
    in_row = take(row, r, j, row_hits, in_row);
    in_columns = take(column, k, j, column_hits, in_columns);
  }
  *n_row = in_row;
  *n_column = in_columns;
}

}  // namespace
