// bfloat16 in tiles: 32 x 32 entries of the result in four tiles of 16 x 16, fed by two tiles of
// rows and two of columns; a step is 32 terms. TDPBF16PS multiplies a tile of 16 rows x 32 terms
// with one of 16 pairs of terms x 16 columns, so a panel is stored in both shapes, the one for rows
// first. Chunks of 16 steps: a column panel's (32 KiB) stays in the first-level cache while row
// panels stream from the second; in between, results rest in the float32 tile.
//
// The bound: in one instruction a term meets at most 33 additions (32 terms and the tile), with two
// roundings each if the product were rounded too; in every later one at most two. Subnormals are
// flushed.
//
// Needs before inclusion: kernels.h, filter_bf16.inl, <cstring>, and in the same namespace
// tile_begin, tile_end, tile_zero, tile_load, tile_store, tile_multiply.

namespace {

constexpr int kPanel = 32, kTerms = 32, kSteps = 16;
constexpr std::int64_t kTileBytes = 1024, kStepBytes = 2 * kTileBytes;
constexpr double kUnderflow = 0x1p-120;

std::int64_t steps_of(std::int64_t d) { return (d + kTerms - 1) / kTerms; }

std::int64_t panel_bytes(std::int64_t d) { return 2 * steps_of(d) * kStepBytes; }

void pack_panel(const float* __restrict y, std::int64_t stride, int rows, std::int64_t d,
                std::byte* packed) {
  const std::int64_t steps = steps_of(d);
  std::memset(packed, 0, static_cast<std::size_t>(panel_bytes(d)));
  for (std::int64_t s = 0; s < steps; ++s) {
    auto* by_row = reinterpret_cast<std::uint32_t*>(packed + s * kStepBytes);
    auto* by_column = reinterpret_cast<std::uint32_t*>(packed + (steps + s) * kStepBytes);
    for (int r = 0; r < rows; ++r)
      for (int p = 0; p < 16; ++p) {
        const std::int64_t k = s * kTerms + 2 * p;
        if (k >= d) break;
        const std::uint32_t both =
            pair(y[r * stride + k], k + 1 < d ? y[r * stride + k + 1] : 0.0f);
        by_row[r * 16 + p] = both;
        by_column[(r / 16) * 256 + p * 16 + r % 16] = both;
      }
  }
}

void pack_rows(const void* const* stored, int rows, std::int64_t d, std::byte* packed) {
  const std::int64_t steps = steps_of(d);
  std::memset(packed, 0, static_cast<std::size_t>(panel_bytes(d)));
  for (std::int64_t s = 0; s < steps; ++s)
    for (int r = 0; r < rows; ++r) {
      const auto* in = static_cast<const std::uint32_t*>(stored[r]) + s * 16;
      std::memcpy(packed + s * kStepBytes + r * 64, in, 64);
      auto* by_column = reinterpret_cast<std::uint32_t*>(packed + (steps + s) * kStepBytes);
      for (int p = 0; p < 16; ++p) by_column[(r / 16) * 256 + p * 16 + r % 16] = in[p];
    }
}

void product(const std::byte* a, std::int64_t a_panels, const std::byte* b, std::int64_t b_panels,
             std::int64_t d, float* tile, std::int64_t ld) {
  const std::int64_t stride = panel_bytes(d), steps = steps_of(d);
  const auto row_bytes = static_cast<std::size_t>(ld) * 4;
  tile_begin();
  for (std::int64_t begin = 0; begin < steps; begin += kSteps) {
    const std::int64_t end = begin + kSteps < steps ? begin + kSteps : steps;
    for (std::int64_t q = 0; q < b_panels; ++q)
      for (std::int64_t p = 0; p < a_panels; ++p) {
        float* out = tile + p * kPanel * ld + q * kPanel;
        if (begin == 0) {
          tile_zero(0);
          tile_zero(1);
          tile_zero(2);
          tile_zero(3);
        } else {
          tile_load(0, out, row_bytes);
          tile_load(1, out + 16, row_bytes);
          tile_load(2, out + 16 * ld, row_bytes);
          tile_load(3, out + 16 * ld + 16, row_bytes);
        }
        const std::byte* rows = a + p * stride + begin * kStepBytes;
        const std::byte* columns = b + q * stride + (steps + begin) * kStepBytes;
        for (std::int64_t s = begin; s < end; ++s, rows += kStepBytes, columns += kStepBytes) {
          tile_load(4, rows, 64);
          tile_load(6, columns, 64);
          tile_multiply(0, 4, 6);
          tile_load(7, columns + kTileBytes, 64);
          tile_multiply(1, 4, 7);
          tile_load(5, rows + kTileBytes, 64);
          tile_multiply(2, 5, 6);
          tile_multiply(3, 5, 7);
        }
        tile_store(0, out, row_bytes);
        tile_store(1, out + 16, row_bytes);
        tile_store(2, out + 16 * ld, row_bytes);
        tile_store(3, out + 16 * ld + 16, row_bytes);
      }
  }
  tile_end();
}

std::int64_t roundings(std::int64_t d) { return 66 + 2 * steps_of(d); }

double peak(std::int64_t steps) {
  tile_begin();
  tile_zero(0);
  tile_zero(1);
  tile_zero(2);
  tile_zero(3);
  tile_zero(4);
  tile_zero(5);
  tile_zero(6);
  tile_zero(7);
  for (std::int64_t s = 0; s < steps; ++s) {
    tile_multiply(0, 4, 6);
    tile_multiply(1, 4, 7);
    tile_multiply(2, 5, 6);
    tile_multiply(3, 5, 7);
  }
  tile_end();
  return static_cast<double>(steps) * 4 * 16 * 16 * 32 * 2;
}

}  // namespace
