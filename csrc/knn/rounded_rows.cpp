// Rounds rows once, and gathers chosen ones into panels.
#include "knn/rounded_rows.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/arithmetic.h"

namespace ilo {

RoundedRows::RoundedRows(const Rows& rows, const Kernels& kernels, Team& team)
    : kernels_(kernels),
      count_(rows.n_columns()),
      d_(rows.d()),
      // An odd number of cache lines: a column of many rows does not fall on few lines.
      stride_((ceil_div(rows.d(), 16) | 1) * 16),
      half_(rows.n_columns()) {
  constexpr std::int64_t kChunk = 64;
  // Only the bfloat16 filters have a more precise one behind them.
  const bool is_narrow = kernels.fallback != nullptr;
  if (is_narrow)
    narrow_ = Buffer<std::uint16_t>(count_ * d_);
  else
    wide_ = Buffer<float>(count_ * d_);
  struct Scratch {
    std::vector<double> u;
    std::vector<float> y;
  };
  std::vector<Scratch> scratch(team.size());
  for (Scratch& s : scratch) s.u.resize(d_), s.y.resize(d_);
  const Frame& frame = rows.frame();
  team.run(ceil_div(count_, kChunk), [&](std::int64_t chunk, int worker) {
    Scratch& s = scratch[worker];
    for (std::int64_t g = chunk * kChunk; g < std::min(count_, (chunk + 1) * kChunk); ++g) {
      rows.load(g, s.u.data());
      const RowSquares squares =
          kernels.round_row(s.u.data(), frame.centre.data(), frame.scale, d_, s.y.data());
      half_[g] = static_cast<float>(0.5 * squares.rounded);
      if (!is_narrow) {
        std::copy_n(s.y.data(), d_, wide_.data() + g * d_);
        continue;
      }
      std::uint16_t* out = narrow_.data() + g * d_;
      for (std::int64_t k = 0; k < d_; ++k) {  // exact: the lower half of the bits is zero
        std::uint32_t bits;
        std::memcpy(&bits, &s.y[k], 4);
        out[k] = static_cast<std::uint16_t>(bits >> 16);
      }
    }
  });
}

std::int64_t RoundedRows::padded(std::int64_t rows) const {
  return ceil_div(rows, kernels_.panel) * kernels_.panel;
}

std::int64_t RoundedRows::packed_bytes(std::int64_t rows) const {
  return ceil_div(rows, kernels_.panel) * kernels_.panel_bytes(d_);
}

void RoundedRows::gather(const std::int32_t* ids, std::int64_t count, std::byte* panels,
                         float* half, float* values) const {
  const std::int64_t width = kernels_.panel, bytes = kernels_.panel_bytes(d_);
  for (std::int64_t begin = 0; begin < count; begin += width) {
    const std::int64_t rows = std::min(width, count - begin);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t id = ids[begin + r];
      half[begin + r] = half_[id];
      float* y = values + r * stride_;
      if (wide_.data()) {
        std::copy_n(wide_.data() + id * d_, d_, y);
        continue;
      }
      const std::uint16_t* in = narrow_.data() + id * d_;
      auto* bits = reinterpret_cast<unsigned char*>(y);
      for (std::int64_t k = 0; k < d_; ++k) {
        const std::uint32_t value = static_cast<std::uint32_t>(in[k]) << 16;
        std::memcpy(bits + 4 * k, &value, 4);
      }
    }
    for (std::int64_t r = rows; r < width; ++r)
      half[begin + r] = std::numeric_limits<float>::infinity();
    kernels_.pack_panel(values, stride_, static_cast<int>(rows), d_,
                        panels + begin / width * bytes);
  }
}

}  // namespace ilo
