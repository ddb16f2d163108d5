// The AMX filter with its tiles in plain C++, after the pseudocode of Intel's manual: layout,
// blocking, bound and everything around it can be tested on any processor.
#include "testing/amx_bf16_emulated.h"

#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"

namespace ilo {

#include "knn/kernels/filter_bf16.inl"
#include "knn/kernels/rows.inl"
#include "knn/kernels/scan_portable.inl"

namespace {

struct Tiles {
  std::uint32_t word[8][16][16];
};
thread_local Tiles tiles;

void tile_begin() { std::memset(&tiles, 0xff, sizeof tiles); }  // NaN: what is not set is seen
void tile_end() {}
void tile_zero(int t) { std::memset(tiles.word[t], 0, sizeof tiles.word[t]); }
void tile_load(int t, const void* from, std::size_t stride) {
  for (int r = 0; r < 16; ++r)
    std::memcpy(tiles.word[t][r], static_cast<const std::byte*>(from) + r * stride, 64);
}
void tile_store(int t, void* to, std::size_t stride) {
  for (int r = 0; r < 16; ++r)
    std::memcpy(static_cast<std::byte*>(to) + r * stride, tiles.word[t][r], 64);
}

inline float as_float(std::uint32_t bits) {
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}
inline float flush(float x) { return std::fabs(x) < 0x1p-126f ? 0.0f : x; }

// Even and odd terms in a chain each, from zero; then both together onto the tile.
void tile_multiply(int sum, int rows, int columns) {
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 16; ++n) {
      float even = 0, odd = 0;
      for (int p = 0; p < 16; ++p) {
        const std::uint32_t x = tiles.word[rows][m][p], y = tiles.word[columns][p][n];
        // Products are exact in float32: an addition after them is a fused multiply-add.
        even = flush(even + as_float(x << 16) * as_float(y << 16));
        odd = flush(odd + as_float(x & 0xffff0000u) * as_float(y & 0xffff0000u));
      }
      float old;
      std::memcpy(&old, &tiles.word[sum][m][n], 4);
      const float now = flush(flush(old) + flush(even + odd));
      std::memcpy(&tiles.word[sum][m][n], &now, 4);
    }
}

}  // namespace

#include "knn/kernels/amx_bf16.inl"
#include "knn/kernels/table.inl"

const Kernels* kernels_amx_bf16_emulated() {
  static constexpr Kernels table = table_of("amx_bf16_emulated", kernels_scalar);
  return &table;
}

}  // namespace ilo
