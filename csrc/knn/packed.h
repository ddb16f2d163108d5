// Unique rows packed for a filter, a superblock at a time where memory does not hold all of them,
// and what the certificate needs to know of each.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/arithmetic.h"
#include "knn/buffer.h"
#include "knn/certificate.h"
#include "knn/rows.h"

namespace ilo {

class PackedRows {
 public:
  // Unique rows `ids`, seen from `frame`; blocks of `block` rows, superblocks of `superblock`, both
  // multiples of the filter's panel. Bounds of all rows are known from here on.
  PackedRows(const Rows& rows, const Frame& frame, const Kernels& kernels, Team& team,
             std::vector<std::int64_t> ids, std::int64_t block, std::int64_t superblock)
      : rows_(rows),
        frame_(frame),
        kernels_(kernels),
        team_(team),
        ids_(std::move(ids)),
        block_(block),
        superblock_(std::min(superblock, padded(count()))) {
    half_.resize(padded(count()));
    bounds_.resize(half_.size());
    for (std::int64_t s = n_superblocks() - 1; s >= 0; --s) load(s, 0);
  }

  static std::int64_t bytes(const Kernels& kernels, std::int64_t rows, std::int64_t d) {
    return ceil_div(rows, kernels.panel) * kernels.panel_bytes(d);
  }

  // Rows that may be packed at a time: all of `count`, or whole blocks in one of `slots` parts.
  static std::int64_t superblock(const Kernels& kernels, std::int64_t block, std::int64_t count,
                                 std::int64_t d, std::int64_t available, std::int64_t slots) {
    const std::int64_t all = std::max<std::int64_t>(1, ceil_div(count, block)) * block;
    if (bytes(kernels, all, d) <= available) return all;
    return std::clamp<std::int64_t>(available / slots / bytes(kernels, block, d) * block, block,
                                    all);
  }

  std::int64_t count() const { return static_cast<std::int64_t>(ids_.size()); }
  std::int64_t id(std::int64_t row) const { return ids_[row]; }
  std::int64_t d() const { return rows_.d(); }
  std::int64_t block_rows() const { return block_; }
  std::int64_t padded(std::int64_t rows) const {
    return ceil_div(rows, kernels_.panel) * kernels_.panel;
  }
  const float* half() const { return half_.data(); }
  const RowBound& bound(std::int64_t row) const { return bounds_[row]; }
  const std::vector<RowBound>& bounds() const { return bounds_; }
  // A certificate for which these rows are the columns.
  Certificate certificate() const {
    Certificate out(kernels_, d(), frame_.scale);
    for (std::int64_t row = 0; row < count(); ++row) out.admit(bounds_[row]);
    return out;
  }

  std::int64_t n_superblocks() const { return ceil_div(count(), superblock_); }
  std::int64_t first_row(std::int64_t s) const { return s * superblock_; }
  std::int64_t rows_in(std::int64_t s) const {
    return std::min(superblock_, count() - s * superblock_);
  }
  std::int64_t blocks_in(std::int64_t s) const { return ceil_div(rows_in(s), block_); }

  // Packs superblock s into one of two slots, unless it lies there already.
  void load(std::int64_t s, int slot) {
    if (loaded_[slot] == s) return;
    if (!panels_[slot].data())
      panels_[slot] = Buffer<std::byte>(bytes(kernels_, superblock_, rows_.d()));
    const std::int64_t first = first_row(s);
    rows_.pack(kernels_, frame_, &ids_[first], rows_in(s), panels_[slot].data(), &half_[first],
               &bounds_[first], team_);
    loaded_[slot] = s;
  }

  // Packed row `row` of the superblock in `slot`, counted from the superblock's first; the first of
  // a panel.
  const std::byte* panel(int slot, std::int64_t row) const {
    return panels_[slot].data() + row / kernels_.panel * kernels_.panel_bytes(rows_.d());
  }

 private:
  const Rows& rows_;
  const Frame& frame_;
  const Kernels& kernels_;
  Team& team_;
  std::vector<std::int64_t> ids_;
  std::int64_t block_, superblock_;
  std::vector<float> half_;
  std::vector<RowBound> bounds_;
  Buffer<std::byte> panels_[2];
  std::int64_t loaded_[2] = {-1, -1};
};

}  // namespace ilo
