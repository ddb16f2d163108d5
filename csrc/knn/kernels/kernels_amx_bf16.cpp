// bfloat16 in AMX tiles (Sapphire Rapids and later); the rest on AVX-512, which all of them have.
// The blocking is in amx_bf16.inl. Tile registers are configured at the start of every product and
// given back at its end, so that nothing of them outlives a call.
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "knn/kernels/kernels.h"

namespace ilo {

#include "knn/kernels/filter_bf16.inl"
#include "knn/kernels/rows.inl"
#include "knn/kernels/scan_avx512.inl"

namespace {

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes_a_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
// Constant: the intrinsic shows compilers only its first bytes, and they might not write the rest.
constexpr TileConfig kConfig;
void tile_begin() { _tile_loadconfig(&kConfig); }

// Macros, for the number of a tile has to be a literal.
#define tile_end() _tile_release()
#define tile_zero(t) _tile_zero(t)
#define tile_load(t, from, stride) _tile_loadd(t, from, stride)
#define tile_store(t, to, stride) _tile_stored(t, to, stride)
#define tile_multiply(sum, rows, columns) _tile_dpbf16ps(sum, rows, columns)

}  // namespace

#include "knn/kernels/amx_bf16.inl"
#include "knn/kernels/table.inl"

const Kernels* kernels_amx_bf16() {
  static constexpr Kernels table = table_of("amx_bf16", kernels_avx512);
  return &table;
}

}  // namespace ilo
