// The stages of a graph for two sides: filter both at once, then decide each.
#include "knn/rectangle.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "knn/candidates.h"
#include "knn/certificate.h"
#include "knn/decide.h"
#include "knn/filter.h"
#include "knn/output.h"
#include "knn/packed.h"
#include "knn/workers.h"

namespace ilo {

namespace {

std::vector<std::int64_t> numbers(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> out(end - begin);
  std::iota(out.begin(), out.end(), begin);
  return out;
}

class Rectangle {
 public:
  Rectangle(const MatrixView& x, std::int64_t n_first, const GraphOptions& options,
            const Kernels& kernels, Team& team, const RectangleSide& first,
            const RectangleSide& second)
      : options_(options),
        kernels_(kernels),
        team_(team),
        rows_(x, n_first, options.metric, kernels, team),
        ids_{numbers(0, rows_.n_columns()), unique_rows(n_first, rows_.n())},
        numbers_{numbers(0, n_first), numbers(n_first, rows_.n())},
        output_{output(0, first), output(1, second)} {
    rows_.check_unscaled();
    info_.fingerprint[0] = rows_.fingerprint(0, n_first);
    info_.fingerprint[1] = rows_.fingerprint(n_first, rows_.n());
    plan();
  }

  RectangleInfo run() {
    std::unique_ptr<PackedRows> packed[2];
    for (int side = 0; side < 2; ++side) packed[side] = pack(kernels_, ids_[side], block_);
    const Certificate certificate[2] = {packed[0]->certificate(), packed[1]->certificate()};
    std::vector<Uncertified> uncertified[2];
    filter(packed, certificate, uncertified);
    for (int side = 0; side < 2; ++side) {
      for (const Uncertified& o : uncertified[side])
        info_.fallback_rows += output_[side].answers(o.group);
      team_.expect_more(static_cast<double>(uncertified[side].size()) * count(1 - side));
      PackedRows& base = *packed[1 - side];
      // A few rows measure the hundreds of columns that this filter leaves them; for more it pays
      // to pack everything anew for a filter that leaves them fewer.
      const bool are_many =
          static_cast<std::int64_t>(uncertified[side].size()) * 128 > count(1 - side);
      if (kernels_.fallback && (are_many || base.n_superblocks() > 1)) continue;
      fall_back_on(base, certificate[1 - side], kernels_, block_, side, uncertified[side]);
      uncertified[side].clear();
    }
    for (auto& side : packed) side.reset();
    for (int side = 0; side < 2; ++side) {
      if (uncertified[side].empty()) continue;
      const Kernels& fallback = *kernels_.fallback();
      const std::int64_t block = ceil_div(block_, fallback.panel) * fallback.panel;
      const auto base = pack(fallback, ids_[1 - side], block);
      fall_back_on(*base, base->certificate(), fallback, block, side, uncertified[side]);
    }
    rows_.check_unchanged(team_);
    return info_;
  }

 private:
  std::int64_t count(int side) const { return static_cast<std::int64_t>(ids_[side].size()); }

  // Unique rows that have members in [begin, end).
  std::vector<std::int64_t> unique_rows(std::int64_t begin, std::int64_t end) const {
    std::vector<std::int64_t> out;
    for (std::int64_t row = begin; row < end; ++row) out.push_back(rows_.unique_of(row));
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  // Rows of one side, which search the other.
  Output output(int side, const RectangleSide& to) const {
    const std::vector<std::int64_t>& other = numbers_[1 - side];
    return Output(rows_, std::min(options_.n_neighbors, static_cast<std::int64_t>(other.size())),
                  &numbers_[side], {other.front(), other.back() + 1}, count(1 - side),
                  {to.indices, nullptr, to.squared});
  }

  std::int64_t wanted(int side) const {
    return std::max<std::int64_t>(1, std::min(options_.n_neighbors, count(1 - side)));
  }

  // Blocks, lists, and what is left for packed rows.
  void plan() {
    const std::int64_t width = kernels_.panel;
    const std::int64_t chosen = options_.block_rows > 0 ? options_.block_rows : 256 / width * width;
    block_ = ceil_div(chosen, width) * width;
    while (options_.block_rows == 0 && block_ > width &&
           ceil_div(count(0), block_) * ceil_div(count(1), block_) < 8 * team_.size())
      block_ = ceil_div(block_ / 2, width) * width;
    const std::int64_t rows = count(0) + count(1), hit = sizeof(Hit);
    const std::int64_t most_wanted = std::max(wanted(0), wanted(1));
    const std::int64_t first = Candidates::first_capacity(most_wanted);
    most_candidates_ =
        std::clamp<std::int64_t>(options_.max_memory / 8 / hit / rows, first, 512 + 2 * first);
    if (options_.max_candidates > 0) most_candidates_ = std::max(options_.max_candidates, first);
    const std::int64_t taken =
        rows * Candidates::bytes_per_row(most_wanted, most_candidates_) + rows_.n() * 72 +
        rows * 48 +
        team_.size() * (block_ * (block_ + 16) * 4 + rows_.d() * (16 + 4 * width) + kMeasureBytes);
    for_rows_ = std::max<std::int64_t>(0, options_.max_memory - taken);
  }

  // Each side may have half of the memory.
  std::unique_ptr<PackedRows> pack(const Kernels& kernels, const std::vector<std::int64_t>& ids,
                                   std::int64_t block) {
    const auto n = static_cast<std::int64_t>(ids.size());
    return std::make_unique<PackedRows>(
        rows_, rows_.frame(), kernels, team_, ids, block,
        PackedRows::superblock(kernels, block, n, rows_.d(), for_rows_ / 2, 1));
  }

  void filter(const std::unique_ptr<PackedRows> (&packed)[2], const Certificate (&certificate)[2],
              std::vector<Uncertified> (&uncertified)[2]) {
    std::vector<Worker> workers = make_workers(team_.size(), block_, rows_.d());
    std::unique_ptr<Candidates> candidates[2];
    for (int side = 0; side < 2; ++side)
      candidates[side] = std::make_unique<Candidates>(
          count(side), packed[side]->padded(count(side)), wanted(side), most_candidates_,
          certificate[1 - side], packed[side]->bounds().data());
    Filter(*packed[0], *packed[1], false, kernels_, team_, workers, *candidates[0], 0,
           candidates[1].get())
        .run();
    std::int64_t distances = 0;
    for (int side = 0; side < 2; ++side) {
      Decided decided =
          rerank(*packed[side], *packed[1 - side], rows_, certificate[1 - side], team_, workers,
                 *candidates[side], output_[side], options_.force_fallback);
      info_.certified_rows += decided.rows;
      distances += decided.distances;
      uncertified[side] = std::move(decided.uncertified);
    }
    info_.candidates_per_row = static_cast<double>(distances) / (count(0) + count(1));
  }

  // The uncertified rows of a side meet the other side, `base`, again.
  void fall_back_on(PackedRows& base, const Certificate& certificate, const Kernels& kernels,
                    std::int64_t block, int side, const std::vector<Uncertified>& uncertified) {
    if (uncertified.empty()) return;
    std::vector<Worker> workers = make_workers(team_.size(), block, rows_.d());
    const std::int64_t batch = PackedRows::superblock(
        kernels, block, static_cast<std::int64_t>(uncertified.size()), rows_.d(), for_rows_ / 4, 1);
    fall_back_in_batches(base, uncertified, batch, block, rows_, kernels, certificate, team_,
                         workers, output_[side]);
  }

  GraphOptions options_;
  const Kernels& kernels_;
  Team& team_;
  Rows rows_;
  std::vector<std::int64_t> ids_[2], numbers_[2];  // unique rows, and rows, of each side
  Output output_[2];
  RectangleInfo info_;
  std::int64_t block_ = 0, most_candidates_ = 0, for_rows_ = 0;
};

}  // namespace

RectangleInfo knn_rectangle(const MatrixView& x, std::int64_t n_first, const GraphOptions& options,
                            const Kernels& kernels, Team& team, const RectangleSide& first,
                            const RectangleSide& second) {
  const StandardFloatingPoint standard;
  try {
    return Rectangle(x, n_first, options, kernels, team, first, second).run();
  } catch (const RowsChanged&) {
    throw InvalidArgument(text("rows of X ", kRowChanged));
  }
}

double expected_rectangle_work(std::int64_t n_first, std::int64_t n_second) {
  const auto rows = static_cast<double>(n_first), columns = static_cast<double>(n_second);
  return rows * columns + (rows + columns) * kRerankWork;
}

}  // namespace ilo
