// Rows into panels that hold unit u (four bytes) of row r at [u * kPanel + r], on AVX-512: 16 x 16
// units at a time, in four rounds of 16 shuffles.
//
// Needs before inclusion: kernels.h, <immintrin.h>, the constant kPanel, a multiple of 16.

namespace {

// Rows of sixteen 32-bit values into columns. (The forms with a mask: GCC 12 takes the others for
// uninitialised.)
inline void transpose(__m512i (&m)[16]) {
  constexpr __mmask16 kAll16 = 0xffff;
  constexpr __mmask8 kAll8 = 0xff;
  __m512i t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_maskz_unpacklo_epi32(kAll16, m[i], m[i + 1]);
    t[i + 1] = _mm512_maskz_unpackhi_epi32(kAll16, m[i], m[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // m[i + c]: column 4 q + c of rows i to i + 3 in its quarter q
    m[i] = _mm512_maskz_unpacklo_epi64(kAll8, t[i], t[i + 2]);
    m[i + 1] = _mm512_maskz_unpackhi_epi64(kAll8, t[i], t[i + 2]);
    m[i + 2] = _mm512_maskz_unpacklo_epi64(kAll8, t[i + 1], t[i + 3]);
    m[i + 3] = _mm512_maskz_unpackhi_epi64(kAll8, t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    // Quarters 0 and 2, then 1 and 3, of rows 0 to 7; the same of rows 8 to 15.
    t[c] = _mm512_maskz_shuffle_i32x4(kAll16, m[c], m[c + 4], 0x88);
    t[c + 4] = _mm512_maskz_shuffle_i32x4(kAll16, m[c], m[c + 4], 0xdd);
    t[c + 8] = _mm512_maskz_shuffle_i32x4(kAll16, m[c + 8], m[c + 12], 0x88);
    t[c + 12] = _mm512_maskz_shuffle_i32x4(kAll16, m[c + 8], m[c + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    m[c] = _mm512_maskz_shuffle_i32x4(kAll16, t[c], t[c + 8], 0x88);
    m[c + 4] = _mm512_maskz_shuffle_i32x4(kAll16, t[c + 4], t[c + 12], 0x88);
    m[c + 8] = _mm512_maskz_shuffle_i32x4(kAll16, t[c], t[c + 8], 0xdd);
    m[c + 12] = _mm512_maskz_shuffle_i32x4(kAll16, t[c + 4], t[c + 12], 0xdd);
  }
}

inline void transpose_16(const void* const* stored, int rows, std::int64_t u, int width,
                         std::uint32_t* out) {
  __m512i m[16];
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r)
    m[r] = r < rows ? _mm512_load_si512(static_cast<const std::uint32_t*>(stored[r]) + u)
                    : _mm512_setzero_si512();
  transpose(m);
#pragma GCC unroll 16
  for (int w = 0; w < 16; ++w)
    if (w < width) _mm512_store_si512(out + w * kPanel, m[w]);
}

void interleave(const void* const* stored, int rows, std::int64_t units, std::byte* packed) {
  auto* out = reinterpret_cast<std::uint32_t*>(packed);
  for (int r = 0; r < kPanel; r += 16)
    for (std::int64_t u = 0; u < units; u += 16)
      transpose_16(stored + r, rows - r, u, units - u < 16 ? static_cast<int>(units - u) : 16,
                   out + u * kPanel + r);
}

}  // namespace
