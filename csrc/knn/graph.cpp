#include "knn/graph.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>

#include "knn/buffer.h"
#include "knn/candidates.h"
#include "knn/certificate.h"
#include "knn/nearest.h"

namespace ilo {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// What a worker needs for one block product.
struct Scratch {
  FloatBuffer tile;
  std::vector<Hit> hits;
  std::vector<double> u, v;
};

class Graph {
 public:
  Graph(const MatrixView& x, const GraphOptions& options, const Kernels& kernels, Team& team,
        const std::vector<std::int64_t>* queries, std::int64_t* indices, float* distances)
      : options_(options),
        kernels_(kernels),
        team_(team),
        rows_(x, options.metric, kernels, team),
        out_indices_(indices),
        out_distances_(distances),
        n_(rows_.n_unique()),
        d_(rows_.d()),
        k_groups_(std::min(options.n_neighbors, n_ - 1)) {
    info_.rows = rows_.n();
    info_.unique_rows = n_;
    info_.seconds_prepare = watch_.lap();
    choose_blocks();
    map_outputs(queries);
    for (Scratch& s : scratch_ = std::vector<Scratch>(team_.size())) {
      s.tile = FloatBuffer(block_ * block_);
      s.hits.resize(block_);
      s.u.resize(d_);
      s.v.resize(d_);
    }
  }

  GraphInfo run(const std::vector<std::int64_t>* queries) {
    if (k_groups_ == 0) {  // all rows are equal
      deal_out(0, {});
      info_.certified_rows = info_.rows;
      return info_;
    }
    std::vector<Open> open;
    if (queries) {
      std::vector<std::int64_t> groups;
      for (const std::int64_t row : *queries) groups.push_back(rows_.unique_of(row));
      std::sort(groups.begin(), groups.end());
      groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
      for (const std::int64_t g : groups) open.push_back({g, kInfinity});
      pack_all_norms();
    } else {
      candidates_ = std::make_unique<Candidates>(n_, padded(n_), keep());
      filter();
      info_.seconds_filter = watch_.lap();
      open = certify();
      candidates_.reset();
      info_.seconds_rerank = watch_.lap();
    }
    widen(open);
    info_.seconds_widen = watch_.lap();
    return info_;
  }

 private:
  // A unique row whose neighbours are not yet proved, and a squared distance within which k lie.
  struct Open {
    std::int64_t group;
    double worst;
  };

  std::int64_t keep() const { return std::min(n_, k_groups_ + 8 + k_groups_ / 8); }
  std::int64_t padded(std::int64_t rows) const {
    return ceil_div(rows, kernels_.panel) * kernels_.panel;
  }
  std::int64_t blocks(std::int64_t rows) const { return ceil_div(rows, block_); }

  void choose_blocks() {
    // Two panels of blocks and the tile share the second-level cache a chunk of columns at a time.
    const std::int64_t width = kernels_.panel;
    block_ = padded(options_.block_rows > 0 ? options_.block_rows : 256 / width * width);
    // A few tasks a thread, so that none waits long for the last.
    while (options_.block_rows == 0 && block_ > width &&
           blocks(n_) * (blocks(n_) + 1) / 2 < 8 * team_.size())
      block_ = padded(block_ / 2);
    const std::int64_t row_bytes = d_ * static_cast<std::int64_t>(sizeof(float));
    // What else grows with the rows: candidates, the result, norms, duplicates' bookkeeping.
    const std::int64_t lists = n_ * (Candidates::bytes_per_row(keep()) + 12 * k_groups_ + 128);
    const std::int64_t for_rows =
        options_.max_memory - lists - team_.size() * (block_ * block_ * 4 + d_ * 32);
    superblock_ = blocks(n_) * block_;
    if (superblock_ * row_bytes > for_rows)
      superblock_ = std::max<std::int64_t>(1, for_rows / 2 / row_bytes / block_) * block_;
    info_.superblocks = ceil_div(n_, superblock_);
  }

  void map_outputs(const std::vector<std::int64_t>* queries) {
    if (!queries) return;
    slot_.assign(rows_.n(), -1);
    for (std::size_t s = 0; s < queries->size(); ++s)
      slot_[(*queries)[s]] = static_cast<std::int64_t>(s);
  }

  // ---- packing ------------------------------------------------------------------------------

  std::int64_t superblock_rows(std::int64_t s) const {
    return std::min(superblock_, n_ - s * superblock_);
  }

  // Packs superblock s; norms and residuals go to the arrays of all unique rows.
  void pack(std::int64_t s, FloatBuffer& panels) {
    if (!panels.data()) {
      panels = FloatBuffer(padded(std::min(superblock_, n_)) * d_);
      if (half_.empty()) {
        half_.resize(padded(n_) + block_);
        norm_.resize(half_.size());
        residual_.resize(half_.size());
      }
    }
    const std::int64_t begin = s * superblock_;
    std::vector<std::int64_t> ids(superblock_rows(s));
    std::iota(ids.begin(), ids.end(), begin);
    rows_.pack(ids.data(), static_cast<std::int64_t>(ids.size()), panels.data(), &half_[begin],
               &norm_[begin], &residual_[begin], team_);
  }

  void pack_all_norms() {
    for (std::int64_t s = 0; s < info_.superblocks; ++s) pack(s, panels_[0]);
    make_certificate();
  }

  void make_certificate() {
    certificate_ = std::make_unique<Certificate>(
        kernels_, d_, rows_.scale(), *std::max_element(norm_.begin(), norm_.begin() + n_),
        *std::max_element(residual_.begin(), residual_.begin() + n_));
  }

  // ---- filter: every pair of blocks once, for its rows and its columns
  // ---------------------------

  void filter() {
    locks_ = std::vector<std::mutex>(blocks(n_));
    for (std::int64_t a = 0; a < info_.superblocks; ++a) {
      pack(a, panels_[0]);
      filter_diagonal(a);
      for (std::int64_t b = a + 1; b < info_.superblocks; ++b) {
        pack(b, panels_[1]);
        const std::int64_t across = blocks(superblock_rows(b));
        team_.run(blocks(superblock_rows(a)) * across, [&](std::int64_t t, int worker) {
          filter_pair(panels_[0], a, t / across, panels_[1], b, t % across, scratch_[worker]);
        });
      }
    }
    make_certificate();
  }

  // Blocks on the diagonal first: they give every row a threshold, so that little passes later.
  void filter_diagonal(std::int64_t a) {
    const std::int64_t n_blocks = blocks(superblock_rows(a));
    team_.run(n_blocks, [&](std::int64_t i, int worker) {
      filter_pair(panels_[0], a, i, panels_[0], a, i, scratch_[worker]);
    });
    // Then squares of 8 x 8 blocks, whose panels stay in the last-level cache: square (p, q), p <=
    // q, has the number q (q + 1) / 2 + p.
    constexpr std::int64_t kSide = 8;
    const std::int64_t sides = ceil_div(n_blocks, kSide);
    team_.run(sides * (sides + 1) / 2 * kSide * kSide, [&](std::int64_t t, int worker) {
      const std::int64_t square = t / (kSide * kSide), place = t % (kSide * kSide);
      auto q =
          static_cast<std::int64_t>((std::sqrt(8.0 * static_cast<double>(square) + 1) - 1) / 2);
      while (q * (q + 1) / 2 > square) --q;  // the root may have rounded
      while ((q + 1) * (q + 2) / 2 <= square) ++q;
      const std::int64_t p = square - q * (q + 1) / 2;
      const std::int64_t i = p * kSide + place / kSide, j = q * kSide + place % kSide;
      if (i < j && j < n_blocks) filter_pair(panels_[0], a, i, panels_[0], a, j, scratch_[worker]);
    });
  }

  void filter_pair(const FloatBuffer& a, std::int64_t super_a, std::int64_t i, const FloatBuffer& b,
                   std::int64_t super_b, std::int64_t j, Scratch& s) {
    const std::int64_t row0 = super_a * superblock_ + i * block_;
    const std::int64_t col0 = super_b * superblock_ + j * block_;
    const std::int64_t n_rows = std::min(block_, n_ - row0);
    const std::int64_t n_cols = padded(std::min(block_, n_ - col0));
    kernels_.product(a.data() + i * block_ * d_, ceil_div(n_rows, kernels_.panel),
                     b.data() + j * block_ * d_, n_cols / kernels_.panel, d_, s.tile.data(),
                     block_);
    team_.advance(static_cast<double>(n_rows) * n_cols);

    const bool diagonal = row0 == col0;
    std::unique_lock lock_rows(locks_[row0 / block_], std::defer_lock);
    std::unique_lock lock_cols(locks_[col0 / block_], std::defer_lock);
    if (diagonal) {
      lock_rows.lock();
    } else {
      std::lock(lock_rows, lock_cols);
    }
    for (std::int64_t r = 0; r < n_rows; ++r) {
      const float* c = s.tile.data() + r * block_;
      std::int64_t count = kernels_.scan_row(c, &half_[col0], candidates_->threshold(row0 + r),
                                             n_cols, s.hits.data());
      for (std::int64_t h = 0; h < count; ++h)
        if (!diagonal || s.hits[h].column != r)
          candidates_->add(row0 + r,
                           {s.hits[h].score, static_cast<std::int32_t>(col0 + s.hits[h].column)});
      if (diagonal) continue;
      count = kernels_.scan_columns(c, half_[row0 + r], candidates_->thresholds() + col0, n_cols,
                                    s.hits.data());
      for (std::int64_t h = 0; h < count; ++h)
        candidates_->add(col0 + s.hits[h].column,
                         {s.hits[h].score, static_cast<std::int32_t>(row0 + r)});
    }
  }

  // ---- re-rank in float64, and certify
  // -----------------------------------------------------------

  std::vector<Open> certify() {
    constexpr std::int64_t kChunk = 64;
    std::vector<Open> open;
    std::mutex mutex;
    std::atomic<std::int64_t> certified{0};
    team_.run(ceil_div(n_, kChunk), [&](std::int64_t chunk, int worker) {
      Nearest nearest(k_groups_);
      for (std::int64_t g = chunk * kChunk; g < std::min(n_, (chunk + 1) * kChunk); ++g) {
        if (team_.cancelled()) return;
        const bool proved = rerank(g, nearest, scratch_[worker]) && !options_.force_widening;
        if (proved) {
          certified += rows_.members_end(g) - rows_.members_begin(g);
          deal_out(g, nearest.sorted());
        } else {
          std::lock_guard lock(mutex);
          open.push_back({g, nearest.worst()});
        }
      }
    });
    info_.certified_rows = certified;
    std::sort(open.begin(), open.end(),
              [](const Open& a, const Open& b) { return a.group < b.group; });
    return open;
  }

  // The k best candidates by their float64 distances; true if nothing else can be among them.
  bool rerank(std::int64_t g, Nearest& nearest, Scratch& s) {
    std::int64_t count;
    const Hit* hits = candidates_->sorted(g, &count);
    nearest.clear();
    rows_.load(g, s.u.data());
    double delta = kInfinity;
    for (std::int64_t h = 0; h < count; ++h) {
      const std::int64_t j = hits[h].column;
      if (nearest.full() && certificate_->lower_bound(hits[h].score, norm_[g], residual_[g],
                                                      norm_[j], residual_[j]) > delta)
        continue;
      rows_.load(j, s.v.data());
      nearest.add(kernels_.squared_distance(s.u.data(), s.v.data(), d_), j);
      if (nearest.full()) delta = certificate_->beyond(nearest.worst());
    }
    return certificate_->excludes(candidates_->threshold(g), norm_[g], residual_[g], delta);
  }

  // ---- widen: rows without proof meet every column that the bound does not exclude
  // -----------------

  void widen(const std::vector<Open>& open) {
    if (open.empty()) return;
    for (const Open& o : open)
      info_.widened_rows += rows_.members_end(o.group) - rows_.members_begin(o.group);
    // If everything is packed already, only the open rows need room.
    const std::int64_t batch =
        info_.superblocks > 1
            ? superblock_
            : std::max<std::int64_t>(1, (std::int64_t{16} << 20) / (4 * d_) / block_) * block_;
    const std::int64_t n_open = static_cast<std::int64_t>(open.size());
    for (std::int64_t begin = 0; begin < n_open; begin += batch)
      widen_batch(&open[begin], std::min(batch, n_open - begin));
  }

  void widen_batch(const Open* open, std::int64_t count) {
    std::vector<std::int64_t> ids(count);
    for (std::int64_t o = 0; o < count; ++o) ids[o] = open[o].group;
    FloatBuffer own;
    FloatBuffer& a = info_.superblocks > 1 ? panels_[1] : own;
    if (!a.data() || &a == &own) a = FloatBuffer(padded(std::min(superblock_, count)) * d_);
    std::vector<float> half(padded(count));
    std::vector<double> norm(half.size()), residual(half.size());
    rows_.pack(ids.data(), count, a.data(), half.data(), norm.data(), residual.data(), team_);

    std::vector<Nearest> nearest(count, Nearest(k_groups_));
    std::vector<std::atomic<float>> threshold(count);
    std::vector<double> worst(count);
    for (std::int64_t o = 0; o < count; ++o) {
      worst[o] = open[o].worst;
      threshold[o] = certificate_->threshold(norm[o], residual[o], certificate_->beyond(worst[o]));
    }
    std::vector<std::mutex> locks(blocks(count));

    for (std::int64_t s = 0; s < info_.superblocks; ++s) {
      if (info_.superblocks > 1) pack(s, panels_[0]);
      const std::int64_t across = blocks(superblock_rows(s));
      team_.run(blocks(count) * across, [&](std::int64_t t, int worker) {
        const std::int64_t i = t / across, j = t % across;
        const std::int64_t row0 = i * block_, col0 = s * superblock_ + j * block_;
        const std::int64_t n_rows = std::min(block_, count - row0);
        const std::int64_t n_cols = padded(std::min(block_, n_ - col0));
        Scratch& scratch = scratch_[worker];
        kernels_.product(a.data() + row0 * d_, ceil_div(n_rows, kernels_.panel),
                         panels_[0].data() + j * block_ * d_, n_cols / kernels_.panel, d_,
                         scratch.tile.data(), block_);
        if (!slot_.empty()) team_.advance(static_cast<double>(n_rows) * n_cols);
        for (std::int64_t r = 0; r < n_rows; ++r) {
          if (team_.cancelled()) return;
          const std::int64_t o = row0 + r;
          const std::int64_t n_hits = kernels_.scan_row(
              scratch.tile.data() + r * block_, &half_[col0],
              threshold[o].load(std::memory_order_relaxed), n_cols, scratch.hits.data());
          if (n_hits == 0) continue;
          rows_.load(ids[o], scratch.u.data());
          for (std::int64_t h = 0; h < n_hits; ++h) {
            const Hit hit = scratch.hits[h];
            const std::int64_t column = col0 + hit.column;
            if (column == ids[o] || hit.score <= threshold[o].load(std::memory_order_relaxed))
              continue;
            rows_.load(column, scratch.v.data());
            const double squared =
                kernels_.squared_distance(scratch.u.data(), scratch.v.data(), d_);
            std::lock_guard lock(locks[i]);
            nearest[o].add(squared, column);
            if (nearest[o].worst() < worst[o]) {
              worst[o] = nearest[o].worst();
              threshold[o] =
                  certificate_->threshold(norm[o], residual[o], certificate_->beyond(worst[o]));
            }
          }
        }
      });
    }
    team_.run(count, [&](std::int64_t o, int) { deal_out(ids[o], nearest[o].sorted()); });
  }

  // ---- from unique rows to all rows
  // ----------------------------------------------------------------

  // Writes the neighbours of every row that equals unique row g: its equals at distance 0, and the
  // members of the groups found, in the order (distance, index).
  void deal_out(std::int64_t g, const std::vector<Nearest::Entry>& groups) {
    const std::int64_t k = options_.n_neighbors;
    std::vector<Nearest::Entry> all;
    for (const std::int64_t* row = rows_.members_begin(g); row != rows_.members_end(g); ++row) {
      const std::int64_t slot = slot_.empty() ? *row : slot_[*row];
      if (slot < 0) continue;
      all.clear();
      for (const std::int64_t* m = rows_.members_begin(g);
           m != rows_.members_end(g) && static_cast<std::int64_t>(all.size()) < k; ++m)
        if (m != row) all.emplace_back(0.0, *m);
      for (const auto& [squared, group] : groups) {
        if (static_cast<std::int64_t>(all.size()) >= k && squared > all.back().first) break;
        std::int64_t taken = 0;
        for (const std::int64_t* m = rows_.members_begin(group);
             m != rows_.members_end(group) && taken < k; ++m, ++taken)
          all.emplace_back(squared, *m);
      }
      std::sort(all.begin(), all.end());
      for (std::int64_t p = 0; p < k; ++p) {
        out_indices_[slot * k + p] = all[p].second;
        out_distances_[slot * k + p] = rows_.distance(all[p].first);
      }
    }
  }

  GraphOptions options_;
  const Kernels& kernels_;
  Team& team_;
  Stopwatch watch_;
  Rows rows_;
  std::int64_t* out_indices_;
  float* out_distances_;
  std::int64_t n_, d_, k_groups_;
  std::int64_t block_ = 0, superblock_ = 0;
  GraphInfo info_;
  std::vector<std::int64_t> slot_;
  std::vector<Scratch> scratch_;
  FloatBuffer panels_[2];
  std::vector<float> half_;
  std::vector<double> norm_, residual_;
  std::vector<std::mutex> locks_;
  std::unique_ptr<Candidates> candidates_;
  std::unique_ptr<Certificate> certificate_;
};

}  // namespace

GraphInfo knn_graph(const MatrixView& x, const GraphOptions& options, const Kernels& kernels,
                    Team& team, const std::vector<std::int64_t>* queries, std::int64_t* indices,
                    float* distances) {
  const StandardFloatingPoint standard;
  return Graph(x, options, kernels, team, queries, indices, distances).run(queries);
}

double expected_work(std::int64_t n, std::int64_t n_queries) {
  return n_queries > 0 ? static_cast<double>(n) * n_queries : 0.5 * static_cast<double>(n) * n;
}

}  // namespace ilo
