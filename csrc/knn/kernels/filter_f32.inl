// The float32 filter: values are rounded to float32; panels hold value k of row r at
// [k * kPanel + r].
//
// Needs before inclusion: kernels.h, the constant kPanel.

namespace {

inline float round_to_filter(float z) { return z; }

constexpr double kUnderflow = 0x1p-148;  // half a subnormal, twice

// Chains of `depth` terms, added one after the other.
std::int64_t chain_roundings(std::int64_t d, std::int64_t depth, int a_term) {
  return (d < depth ? d : depth) * a_term + (d + depth - 1) / depth + 1;
}

std::int64_t panel_bytes(std::int64_t d) { return (d * kPanel * 4 + 63) / 64 * 64; }

void pack_panel(const float* __restrict y, std::int64_t stride, int rows, std::int64_t d,
                std::byte* packed) {
  float* __restrict out = reinterpret_cast<float*>(packed);
  for (std::int64_t k = 0; k < d; ++k, out += kPanel)
    for (int r = 0; r < kPanel; ++r) out[r] = r < rows ? y[r * stride + k] : 0.0f;
}

// micro makes rows_a_call rows of a panel's tile, and sums `depth` terms in registers before they
// are added to it. Chunks of so many terms are outermost, so that all panels of a block pair pass
// through the second-level cache a chunk at a time, then column panels, which stay in the first
// level while the row panels pass by.
template <class Micro>
void product_of_panels(Micro micro, int rows_a_call, std::int64_t depth, const std::byte* a,
                       std::int64_t a_panels, const std::byte* b, std::int64_t b_panels,
                       std::int64_t d, float* tile, std::int64_t ld) {
  const std::int64_t stride = panel_bytes(d);
  for (std::int64_t k = 0; k < d; k += depth) {
    const std::int64_t terms = d - k < depth ? d - k : depth;
    for (std::int64_t q = 0; q < b_panels; ++q)
      for (std::int64_t p = 0; p < a_panels; ++p)
        for (int r = 0; r < kPanel; r += rows_a_call)
          micro(reinterpret_cast<const float*>(a + p * stride) + k * kPanel + r,
                reinterpret_cast<const float*>(b + q * stride) + k * kPanel, terms, k == 0,
                tile + (p * kPanel + r) * ld + q * kPanel, ld);
  }
}

}  // namespace
