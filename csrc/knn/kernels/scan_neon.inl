// Hits in a row of a tile, eight columns at a time, for every filter on NEON; panels are multiples
// of eight.
//
// Needs before inclusion: kernels.h, <arm_neon.h>.

namespace {

// Eight columns' masks as the bytes of one word.
inline std::uint64_t bytes_of(uint32x4_t low, uint32x4_t high) {
  const uint16x8_t both = vcombine_u16(vmovn_u32(low), vmovn_u32(high));
  return vget_lane_u64(vreinterpret_u64_u8(vmovn_u16(both)), 0);
}

// Survivors are rare: one test and one branch for eight columns, then column by column.
inline std::int64_t take(float32x4_t low, float32x4_t high, std::uint64_t mask, std::int64_t j,
                         Hit* hits, std::int64_t count) {
  float values[8];
  vst1q_f32(values, low);
  vst1q_f32(values + 4, high);
  for (int lane = 0; lane < 8; ++lane)
    if (mask >> (8 * lane) & 1) hits[count++] = {values[lane], static_cast<std::int32_t>(j + lane)};
  return count;
}

std::int64_t scan_row(const float* c, const float* half, float threshold, std::int64_t n,
                      Hit* hits) {
  const float32x4_t limit = vdupq_n_f32(threshold);
  std::int64_t count = 0;
  for (std::int64_t j = 0; j < n; j += 8) {
    const float32x4_t low = vsubq_f32(vld1q_f32(c + j), vld1q_f32(half + j));
    const float32x4_t high = vsubq_f32(vld1q_f32(c + j + 4), vld1q_f32(half + j + 4));
    const std::uint64_t mask = bytes_of(vcgtq_f32(low, limit), vcgtq_f32(high, limit));
    if (mask) count = take(low, high, mask, j, hits, count);
  }
  return count;
}

void scan_both(const float* c, const float* half, float threshold, float own_half,
               const float* thresholds, std::int64_t n, Hit* row_hits, std::int64_t* n_row,
               Hit* column_hits, std::int64_t* n_column) {
  const float32x4_t limit = vdupq_n_f32(threshold), own = vdupq_n_f32(own_half);
  std::int64_t in_row = 0, in_columns = 0;
  for (std::int64_t j = 0; j < n; j += 8) {
    const float32x4_t low = vld1q_f32(c + j), high = vld1q_f32(c + j + 4);
    const float32x4_t row_low = vsubq_f32(low, vld1q_f32(half + j));
    const float32x4_t row_high = vsubq_f32(high, vld1q_f32(half + j + 4));
    const float32x4_t column_low = vsubq_f32(low, own), column_high = vsubq_f32(high, own);
    const std::uint64_t r = bytes_of(vcgtq_f32(row_low, limit), vcgtq_f32(row_high, limit));
    const std::uint64_t k = bytes_of(vcgtq_f32(column_low, vld1q_f32(thresholds + j)),
                                     vcgtq_f32(column_high, vld1q_f32(thresholds + j + 4)));
    if (!(r | k)) continue;
    if (r) in_row = take(row_low, row_high, r, j, row_hits, in_row);
    if (k) in_columns = take(column_low, column_high, k, j, column_hits, in_columns);
  }
  *n_row = in_row;
  *n_column = in_columns;
}

}  // namespace
