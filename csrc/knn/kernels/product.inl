// The loops around an instruction set's micro(): chunks of kDepth terms outermost, so that all
// panels of a block pair pass through the second-level cache a chunk at a time, then column panels,
// which stay in the first level while the row panels pass by.
//
// Needs before inclusion, in the same anonymous namespace: kPanel, kRows, kDepth and micro().

void product(const float* a, std::int64_t a_panels, const float* b, std::int64_t b_panels,
             std::int64_t d, float* tile, std::int64_t ld) {
  for (std::int64_t k = 0; k < d; k += kDepth) {
    const std::int64_t depth = d - k < kDepth ? d - k : kDepth;
    for (std::int64_t q = 0; q < b_panels; ++q)
      for (std::int64_t p = 0; p < a_panels; ++p)
        for (int r = 0; r < kPanel; r += kRows)
          micro(a + p * kPanel * d + k * kPanel + r, b + q * kPanel * d + k * kPanel, depth, k == 0,
                tile + (p * kPanel + r) * ld + q * kPanel, ld);
  }
}
