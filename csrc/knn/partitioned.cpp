// Runs partitions and descents until the pilot rows' recall is reached, and ranks in float64.
#include "knn/partitioned.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_map>
#include <utility>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "core/stopwatch.h"
#include "knn/best_columns.h"
#include "knn/descent.h"
#include "knn/join.h"
#include "knn/met.h"
#include "knn/nearest.h"
#include "knn/output.h"
#include "knn/partition.h"
#include "knn/pilot.h"
#include "knn/robust_frame.h"
#include "knn/rounded_rows.h"
#include "knn/search.h"

namespace ilo {

namespace {

// Rows in float64 that several rows of a group are compared with: each is converted once.
class Converted {
 public:
  explicit Converted(const Rows& rows) : rows_(rows), d_(static_cast<std::size_t>(rows.d())) {}
  void clear() { slot_.clear(), used_ = 0; }
  // What is kept does not grow with the number of neighbours.
  void clear_if_large() {
    if (used_ * d_ * sizeof(double) > kMostBytes) clear();
  }
  const double* of(std::int64_t row) {
    const auto [at, is_new] = slot_.try_emplace(row, used_);
    if (is_new) {
      if (used_ == values_.size()) values_.emplace_back(d_);
      rows_.load(row, values_[used_++].data());
    }
    return values_[at->second].data();
  }

 private:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 25;
  const Rows& rows_;
  std::size_t d_, used_ = 0;
  std::unordered_map<std::int64_t, std::size_t> slot_;
  std::vector<std::vector<double>> values_;
};

class PartitionedGraph {
 public:
  PartitionedGraph(const MatrixView& x, const PartitionedOptions& options, const Kernels& kernels,
                   Team& team, const Pilot& pilot, double work, std::int64_t* indices,
                   float* distances)
      : options_(options),
        kernels_(kernels),
        team_(team),
        pilot_(pilot),
        work_(work),
        source_(x, x.n(), options.metric, kernels, team),
        frame_(robust_frame(source_, options.seed, team)),
        is_fine_(are_too_near()),
        rows_(source_, frame_, is_fine_ && kernels.fallback ? *kernels.fallback() : kernels, team),
        sketch_(sketch()),
        output_(source_, options.n_neighbors, nullptr, {0, source_.n_base()}, source_.n_columns(),
                {indices, distances, nullptr}),
        indices_(indices) {
    if (rows_.count() > INT32_MAX)
      throw InvalidArgument(text("X has ", rows_.count(), " rows, wanted at most ", INT32_MAX));
    info_.rows = source_.n();
    info_.unique_rows = rows_.count();
    const std::int64_t k = options.n_neighbors;
    search_ = sketch_ && !is_fine_ ? search(*sketch_, k + std::max(k, kSketchSpare))
                                   : search_all_values();
    info_.is_float32 = rows_.kernels().fallback == nullptr;
    info_.is_sketched = is_sketched();
    info_.seconds_prepare = watch_.lap();
    team_.advance(kPrepare * work_);
  }

  PartitionedInfo run() {
    groups_ = full_groups(looked_at(), options_.group, options_.seed + 0x51ed2701u, team_);
    info_.seconds_partition += watch_.lap();
    bool is_reached = false;
    const std::int64_t rounds = pilot_.empty() ? 1 : options_.rounds;
    for (std::int64_t round = 0; round < rounds && !is_reached; ++round) {
      if (round > 0) team_.expect_more(kLeaves * work_);
      const double pairs = info_.leaf_pairs, missed = missing();
      join_leaves(round);
      is_reached = has_recall();
      const double left = missing() / missed;
      if (!is_reached && is_lossy()) {
        leave_sketch();
        is_reached = has_recall();
      }
      if (!is_reached && round < options_.descents) {
        descend_once();
        is_reached = has_recall();
      }
      if (options_.exact_may_be_cheaper && !is_reached &&
          exact_is_cheaper(info_.leaf_pairs - pairs, left, rounds - round - 1)) {
        info_.exact_is_cheaper = true;
        return info_;
      }
      info_.is_stalled = !is_reached && round >= options_.descents && missing() / missed > kStalled;
      if (info_.is_stalled) break;
    }
    if (is_sketched()) leave_sketch();
    const std::int64_t chunk = kRankGroups * options_.group;
    team_.run(ceil_div(rows_.count(), chunk), [&](std::int64_t c, int worker) {
      const std::int64_t size = std::min(chunk, rows_.count() - c * chunk);
      rank(&groups_.rows[c * chunk], size, worker);
      team_.advance(kRank * work_ * static_cast<double>(size) / static_cast<double>(rows_.count()));
    });
    source_.check_unchanged(team_);
    info_.seconds_rerank += watch_.lap();
    return info_;
  }

 private:
  // Shares of the work.
  static constexpr double kPrepare = 0.15, kLeaves = 0.4, kDescent = 0.3, kRank = 0.15;
  // Entries of a list beyond k where bfloat16 is too coarse: float32 may be, too, and then float64
  // chooses from them.
  static constexpr std::int64_t kFineSpare = 128;
  // What a pair costs beside the product of its values, in units of one: measured on one processor
  // with AVX-512 BF16, at 144 and 768 values.
  static constexpr double kExactOverhead = 60, kPairOverhead = 600;
  // Where a partition leaves this share of what was missing, others will not find it either.
  static constexpr double kStalled = 0.99;
  // Groups that are ranked together: the more, the fewer rows are converted anew.
  static constexpr std::int64_t kRankGroups = 8;
  // Entries of a list beyond k, at least, where the filter sees the sketch alone.
  static constexpr std::int64_t kSketchSpare = 20;

  std::unique_ptr<RoundedRows> sketch() const {
    const std::int64_t directions = rows_.padded(options_.directions);
    if (options_.directions == 0 || rows_.d() < 2 * directions) return nullptr;
    return std::make_unique<RoundedRows>(rows_, directions, options_.seed + 0x2545f491u, team_);
  }
  const RoundedRows& looked_at() const { return sketch_ ? *sketch_ : rows_; }
  bool is_sketched() const { return &search_->rows != &rows_; }

  std::unique_ptr<Search> search(const RoundedRows& rows, std::int64_t capacity) const {
    return std::make_unique<Search>(rows, capacity, std::max(options_.leaf_rows, options_.group),
                                    team_);
  }

  std::unique_ptr<Search> search_all_values() const {
    return search(rows_, options_.n_neighbors + (is_fine_ ? kFineSpare : options_.spare));
  }

  void join_leaves(std::int64_t round) {
    PartitionOptions options;
    options.leaf_rows = options_.leaf_rows;
    options.leaders = options_.leaders;
    options.overlap = options_.overlap;
    options.batch_rows = options_.batch_rows;
    options.least_rows = std::max(options_.n_neighbors + 1, options_.leaf_rows / 8);
    options.seed = options_.seed + static_cast<std::uint64_t>(round) * 0x9e3779b9u;
    const double before = search_->pairs();
    const double all = static_cast<double>(rows_.count()) *
                       static_cast<double>(options.overlap.empty() ? 1 : options.overlap[0]);
    partition(looked_at(), options, team_, [&](const Leaves& leaves) {
      info_.seconds_partition += watch_.lap();
      team_.run(leaves.count(), [&](std::int64_t l, int worker) {
        search_->joiners[worker]->leaf(leaves.leaf(l), leaves.size(l));
        team_.advance(kLeaves * work_ * static_cast<double>(leaves.size(l)) / all);
      });
      info_.leaves += leaves.count();
      info_.seconds_leaves += watch_.lap();
    });
    info_.leaf_pairs += search_->pairs() - before;
    ++info_.rounds;
    info_.seconds_partition += watch_.lap();
  }

  void descend_once() {
    const double before = search_->pairs();
    descend(search_->rows, search_->best, groups_, {options_.links, options_.links}, team_,
            search_->joiners, info_.descents == 0 ? kDescent * work_ : 0);
    info_.descent_pairs += search_->pairs() - before;
    ++info_.descents;
    info_.seconds_descent += watch_.lap();
  }

  // Share of the pilot's neighbours that is not found.
  double missing() const { return info_.pilot_recall.empty() ? 1 : 1 - info_.pilot_recall.back(); }

  // Whether the exact graph costs less than the partitions that it still takes, or may. A partition
  // scored `pairs` and left a share `left` of what was missing before; others will do as well.
  bool exact_is_cheaper(double pairs, double left, std::int64_t rounds) const {
    const double wanted = std::max(1 - options_.recall, 1e-4);
    const double needed = left < 1 ? std::log(wanted / missing()) / std::log(left) : HUGE_VAL;
    const auto n = static_cast<double>(source_.n_columns());
    const double exact = 0.5 * n * n * (static_cast<double>(source_.d()) + kExactOverhead);
    const double more = std::min(needed, static_cast<double>(rounds)) * pairs *
                        (static_cast<double>(search_->rows.d()) + kPairOverhead);
    return exact < more;
  }

  // From now on all values count. Every row meets what the rows of its group found.
  void leave_sketch() {
    auto full = search_all_values();
    const BestColumns& found = search_->best;
    std::vector<Met> met(team_.size(), Met(rows_.count()));
    team_.run(groups_.count(), [&](std::int64_t g, int worker) {
      Met& m = met[worker];
      m.clear();
      for (std::int64_t r = 0; r < groups_.size(g); ++r) {
        const std::int32_t row = groups_.leaf(g)[r];
        for (std::int64_t p = 0; p < found.size(row); ++p) m.add(found.best(row)[p].column);
      }
      full->joiners[worker]->rectangle(groups_.leaf(g), groups_.size(g), m.rows.data(),
                                       static_cast<std::int64_t>(m.rows.size()));
    });
    search_ = std::move(full);
    info_.refine_pairs = search_->pairs();
    info_.seconds_refine += watch_.lap();
  }

  // What may be lost of the neighbours for another reason than that they were not met.
  double tolerated() const { return 0.5 * (1 - options_.recall); }
  bool are_too_near() const {
    return share_too_near(pilot_, options_.n_neighbors, source_, frame_, kernels_,
                          rounding_of(kernels_)) > tolerated();
  }
  bool is_lossy() const {
    return is_sketched() &&
           share_lost(pilot_, options_.n_neighbors, source_, *sketch_, search_->best) > tolerated();
  }

  // How many of a row's entries may be among its k nearest: of those beyond k only such as rounding
  // may have put there.
  std::int64_t worth_ranking(std::int64_t row) const {
    const std::int64_t k = options_.n_neighbors, size = search_->best.size(row);
    if (is_sketched() || size <= k) return size;
    const Hit* best = search_->best.best(row);
    const double half = rows_.half(row);
    const double s = std::sqrt(std::max(0.0, 2 * (half - best[k - 1].score)));
    const double least = best[k - 1].score - doubt(half, s, rounding_of(rows_.kernels()));
    std::int64_t count = k;
    while (count < size && best[count].score >= least) ++count;
    return count;
  }

  // Writes the neighbours of these unique rows.
  void rank(const std::int32_t* ids, std::int64_t count, int worker) {
    Converted& converted = converted_[worker];
    converted.clear();
    Nearest nearest;
    for (std::int64_t r = 0; r < count; ++r) {
      if (team_.cancelled()) return;
      const std::int64_t row = ids[r];
      converted.clear_if_large();
      const double* u = converted.of(row);
      nearest.clear(output_.wanted(row));
      const std::int64_t entries = worth_ranking(row);
      for (std::int64_t p = 0; p < entries; ++p) {
        const std::int64_t column = search_->best.best(row)[p].column;
        nearest.add(kernels_.squared_distance(u, converted.of(column), source_.d()),
                    output_.place(column));
      }
      output_.write(row, nearest.sorted());
    }
  }

  bool has_recall() {
    if (pilot_.empty()) return false;
    std::vector<std::int32_t> unique;
    for (const std::int64_t row : pilot_.rows)
      unique.push_back(static_cast<std::int32_t>(source_.unique_of(row)));
    std::sort(unique.begin(), unique.end());
    unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
    team_.run(static_cast<std::int64_t>(unique.size()),
              [&](std::int64_t r, int worker) { rank(&unique[r], 1, worker); });
    const Found found = share_found(pilot_, options_.n_neighbors, source_.n(), indices_);
    info_.pilot_recall.push_back(found.share);
    info_.seconds_rerank += watch_.lap();
    return found.share - found.error >= options_.recall;
  }

  const PartitionedOptions& options_;
  const Kernels& kernels_;
  Team& team_;
  const Pilot& pilot_;
  double work_;
  Stopwatch watch_;
  Rows source_;
  Frame frame_;
  bool is_fine_;
  RoundedRows rows_;
  std::unique_ptr<RoundedRows> sketch_;  // what partitions look at, and the search at first
  Output output_;
  std::int64_t* indices_;
  std::unique_ptr<Search> search_;
  Leaves groups_;  // rows that lie together
  std::vector<Converted> converted_ = std::vector<Converted>(team_.size(), Converted(source_));
  PartitionedInfo info_;
};

}  // namespace

PartitionedInfo partitioned_graph(const MatrixView& x, const PartitionedOptions& options,
                                  const Kernels& kernels, Team& team, const Pilot& pilot,
                                  double work, std::int64_t* indices, float* distances) {
  const StandardFloatingPoint standard;
  try {
    return PartitionedGraph(x, options, kernels, team, pilot, work, indices, distances).run();
  } catch (const RowsChanged&) {
    throw InvalidArgument(text("rows of X ", kRowChanged));
  }
}

}  // namespace ilo
