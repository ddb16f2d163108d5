// Rows into panels that hold unit u (four bytes) of row r at [u * kPanel + r], on AVX-512: 16 x 16
// units at a time, in four rounds of 16 shuffles.
//
// Needs before inclusion: kernels.h, <immintrin.h>, the constant kPanel, a multiple of 16.

namespace {

// Under a mask of all, GCC does not warn of registers that it leaves unset otherwise.
constexpr __mmask16 kAll = 0xffff;
constexpr __mmask8 kAllPairs = 0xff;

inline void transpose_16(const void* const* stored, int rows, std::int64_t u, int width,
                         std::uint32_t* out) {
  __m512i a[16], b[16];
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r)
    a[r] = r < rows ? _mm512_load_si512(static_cast<const std::uint32_t*>(stored[r]) + u)
                    : _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int r = 0; r < 16; r += 2) {
    b[r] = _mm512_maskz_unpacklo_epi32(kAll, a[r], a[r + 1]);
    b[r + 1] = _mm512_maskz_unpackhi_epi32(kAll, a[r], a[r + 1]);
  }
  // Then a[4 q + c] holds unit c of every lane of four, of rows 4 q to 4 q + 3.
#pragma GCC unroll 4
  for (int q = 0; q < 16; q += 4) {
    a[q] = _mm512_maskz_unpacklo_epi64(kAllPairs, b[q], b[q + 2]);
    a[q + 1] = _mm512_maskz_unpackhi_epi64(kAllPairs, b[q], b[q + 2]);
    a[q + 2] = _mm512_maskz_unpacklo_epi64(kAllPairs, b[q + 1], b[q + 3]);
    a[q + 3] = _mm512_maskz_unpackhi_epi64(kAllPairs, b[q + 1], b[q + 3]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i low = _mm512_maskz_shuffle_i32x4(kAll, a[c], a[4 + c], 0x88);
    const __m512i high = _mm512_maskz_shuffle_i32x4(kAll, a[c], a[4 + c], 0xdd);
    const __m512i low2 = _mm512_maskz_shuffle_i32x4(kAll, a[8 + c], a[12 + c], 0x88);
    const __m512i high2 = _mm512_maskz_shuffle_i32x4(kAll, a[8 + c], a[12 + c], 0xdd);
    b[c] = _mm512_maskz_shuffle_i32x4(kAll, low, low2, 0x88);
    b[8 + c] = _mm512_maskz_shuffle_i32x4(kAll, low, low2, 0xdd);
    b[4 + c] = _mm512_maskz_shuffle_i32x4(kAll, high, high2, 0x88);
    b[12 + c] = _mm512_maskz_shuffle_i32x4(kAll, high, high2, 0xdd);
  }
#pragma GCC unroll 16
  for (int w = 0; w < 16; ++w)
    if (w < width) _mm512_store_si512(out + w * kPanel, b[w]);
}

void interleave(const void* const* stored, int rows, std::int64_t units, std::byte* packed) {
  auto* out = reinterpret_cast<std::uint32_t*>(packed);
  for (int r = 0; r < kPanel; r += 16)
    for (std::int64_t u = 0; u < units; u += 16)
      transpose_16(stored + r, rows - r, u, units - u < 16 ? static_cast<int>(units - u) : 16,
                   out + u * kPanel + r);
}

}  // namespace
