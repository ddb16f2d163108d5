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

}  // namespace
