// Products of the rows of a leaf, and of rows with columns.
#include "knn/join.h"

#include <algorithm>

#include "core/arithmetic.h"

namespace ilo {

namespace {

// Columns in a product: what stays in the second-level cache beside the tile.
std::int64_t block_of(const RoundedRows& rows) {
  constexpr std::int64_t kBytes = std::int64_t{1} << 18, kLeast = 192, kMost = 768;
  const std::int64_t fit = kBytes / rows.packed_bytes(1) * rows.padded(1);
  return rows.padded(std::clamp(fit, kLeast, kMost));
}

// Rows of the tile do not lie a power of two apart: they would share few lines of the cache.
std::int64_t stride_of(std::int64_t padded) { return padded % 64 == 0 ? padded + 16 : padded; }

}  // namespace

Joiner::Joiner(const RoundedRows& rows, BestColumns& best, std::int64_t leaf_rows)
    : rows_(rows),
      best_(best),
      block_(block_of(rows)),
      stride_(stride_of(std::max(block_, rows.padded(leaf_rows)))),
      panels_(rows.packed_bytes(leaf_rows)),
      column_panels_(rows.packed_bytes(block_)),
      tile_(rows.padded(leaf_rows) * stride_),
      half_(rows.padded(leaf_rows)),
      column_half_(block_),
      hits_(std::max(block_, rows.padded(leaf_rows))),
      merged_(best.capacity()) {}

void Joiner::leaf(const std::int32_t* ids, std::int64_t count) {
  const Kernels& kernels = rows_.kernels();
  rows_.gather(ids, count, panels_.data(), half_.data());
  for (std::int64_t r = 0; r < count; ++r) best_.prefetch(ids[r]);
  const std::int64_t padded = rows_.padded(count), bytes = kernels.panel_bytes(rows_.d());
  const auto panel = [&](std::int64_t row) { return panels_.data() + row / kernels.panel * bytes; };
  float* tile = tile_.data();
  for (std::int64_t i = 0; i < padded; i += kernels.panel) {
    const std::int64_t end = i + kernels.panel;
    kernels.product(panel(i), 1, panel(i), (padded - i) / kernels.panel, rows_.d(),
                    tile + i * stride_ + i, stride_);
    // The product of two rows is the same value seen from either. Strips keep to few lines.
    constexpr std::int64_t kStrip = 16;
    for (std::int64_t r0 = i; r0 < end; r0 += kStrip)
      for (std::int64_t c = end; c < padded; ++c)
        for (std::int64_t r = r0; r < std::min(r0 + kStrip, end); ++r)
          tile[c * stride_ + r] = tile[r * stride_ + c];
  }
  pairs_ += 0.5 * static_cast<double>(count) * static_cast<double>(count);
  for (std::int64_t r = 0; r < count; ++r)
    scan(ids[r], tile + r * stride_, half_.data(), ids, padded);
}

void Joiner::rectangle(const std::int32_t* ids, std::int64_t count, const std::int32_t* columns,
                       std::int64_t n_columns) {
  const Kernels& kernels = rows_.kernels();
  rows_.gather(ids, count, panels_.data(), half_.data());
  for (std::int64_t r = 0; r < count; ++r) best_.prefetch(ids[r]);
  for (std::int64_t j = 0; j < n_columns; j += block_) {
    const std::int64_t width = std::min(block_, n_columns - j), padded = rows_.padded(width);
    rows_.gather(columns + j, width, column_panels_.data(), column_half_.data());
    kernels.product(panels_.data(), ceil_div(count, kernels.panel), column_panels_.data(),
                    padded / kernels.panel, rows_.d(), tile_.data(), stride_);
    for (std::int64_t r = 0; r < count; ++r)
      scan(ids[r], tile_.data() + r * stride_, column_half_.data(), columns + j, padded);
  }
  pairs_ += static_cast<double>(count) * static_cast<double>(n_columns);
}

void Joiner::scan(std::int32_t row, const float* scores, const float* half,
                  const std::int32_t* columns, std::int64_t padded) {
  std::lock_guard lock(best_.lock(row));
  std::int64_t found =
      rows_.kernels().scan_row(scores, half, best_.threshold(row), padded, hits_.data());
  std::int64_t others = 0;
  for (std::int64_t h = 0; h < found; ++h) {
    const std::int32_t column = columns[hits_[h].column];
    if (column != row) hits_[others++] = {hits_[h].score, column};
  }
  if (others > 0) best_.offer(row, hits_.data(), others, merged_.data());
}

}  // namespace ilo
