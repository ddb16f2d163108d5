// Rows into panels that hold unit u of row r at [u * kPanel + r], for filters without a faster way.
//
// Needs before inclusion: kernels.h, the constant kPanel.

namespace {

// Sixteen units at a time: their places in the panel stay in the first-level cache meanwhile.
template <class Unit>
void interleave(const void* const* stored, int rows, std::int64_t units, std::byte* packed) {
  auto* __restrict out = reinterpret_cast<Unit*>(packed);
  for (std::int64_t u = 0; u < units; u += 16) {
    const int width = units - u < 16 ? static_cast<int>(units - u) : 16;
    for (int r = 0; r < kPanel; ++r) {
      const auto* in = r < rows ? static_cast<const Unit*>(stored[r]) + u : nullptr;
      for (int w = 0; w < width; ++w) out[(u + w) * kPanel + r] = in ? in[w] : Unit{};
    }
  }
}

}  // namespace
