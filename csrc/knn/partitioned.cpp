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
#include "knn/nearest.h"
#include "knn/output.h"
#include "knn/partition.h"
#include "knn/rounded_rows.h"

namespace ilo {

namespace {

// Rows in float64 that several rows of a group are compared with: each is converted once.
class Converted {
 public:
  explicit Converted(const Rows& rows) : rows_(rows), d_(static_cast<std::size_t>(rows.d())) {}
  void clear() { slot_.clear(), used_ = 0; }
  const double* of(std::int64_t row) {
    const auto [at, is_new] = slot_.try_emplace(row, used_);
    if (is_new) {
      if (used_ == values_.size()) values_.emplace_back(d_);
      rows_.load(row, values_[used_++].data());
    }
    return values_[at->second].data();
  }

 private:
  const Rows& rows_;
  std::size_t d_, used_ = 0;
  std::unordered_map<std::int64_t, std::size_t> slot_;
  std::vector<std::vector<double>> values_;
};

class PartitionedGraph {
 public:
  PartitionedGraph(const MatrixView& x, const PartitionedOptions& options, const Kernels& kernels,
                   Team& team, double work, std::int64_t* indices, float* distances)
      : options_(options),
        kernels_(kernels),
        team_(team),
        work_(work),
        source_(x, x.n(), options.metric, kernels, team),
        rows_(source_, kernels, team),
        sketch_(sketch(rows_, options, team)),
        output_(source_, options.n_neighbors, nullptr, {0, source_.n_base()}, source_.n_columns(),
                {indices, distances, nullptr}),
        indices_(indices),
        best_(rows_.count(), std::min(rows_.count(), options.n_neighbors + options.spare)) {
    if (rows_.count() > INT32_MAX)
      throw InvalidArgument(text("X has ", rows_.count(), " rows, wanted at most ", INT32_MAX));
    info_.rows = source_.n();
    info_.unique_rows = rows_.count();
    for (int w = 0; w < team_.size(); ++w)
      joiners_.push_back(
          std::make_unique<Joiner>(rows_, best_, std::max(options.leaf_rows, options.group)));
    info_.seconds_prepare = watch_.lap();
    team_.advance(kPrepare * work_);
  }

  PartitionedInfo run(const std::vector<std::int64_t>& pilot, const std::int64_t* exact) {
    const Leaves groups =
        full_groups(looked_at(), options_.group, options_.seed + 0x51ed2701u, team_);
    info_.seconds_partition += watch_.lap();
    bool is_reached = false;
    const std::int64_t rounds = pilot.empty() ? 1 : options_.rounds;
    for (std::int64_t round = 0; round < rounds && !is_reached; ++round) {
      if (round > 0) team_.expect_more((kLeaves + kDescent) * work_);
      join_leaves(round);
      is_reached = has_recall(pilot, exact);
      for (std::int64_t t = 0; t < options_.descents && !is_reached; ++t) {
        const double before = pairs();
        descend(rows_, best_, groups, {options_.n_neighbors, options_.n_neighbors}, team_, joiners_,
                t == 0 ? kDescent * work_ : 0);
        info_.descent_pairs += pairs() - before;
        ++info_.descents;
        info_.seconds_descent += watch_.lap();
        is_reached = has_recall(pilot, exact);
      }
    }
    team_.run(groups.count(), [&](std::int64_t g, int worker) {
      rank(groups.leaf(g), groups.size(g), worker);
      team_.advance(kRank * work_ / static_cast<double>(groups.count()));
    });
    source_.check_unchanged(team_);
    info_.seconds_rerank += watch_.lap();
    return info_;
  }

 private:
  // Shares of the work.
  static constexpr double kPrepare = 0.15, kLeaves = 0.4, kDescent = 0.3, kRank = 0.15;

  static std::unique_ptr<RoundedRows> sketch(const RoundedRows& rows,
                                             const PartitionedOptions& options, Team& team) {
    const std::int64_t directions = rows.padded(options.directions);
    if (options.directions == 0 || rows.d() < 2 * directions) return nullptr;
    return std::make_unique<RoundedRows>(rows, directions, options.seed + 0x2545f491u, team);
  }
  const RoundedRows& looked_at() const { return sketch_ ? *sketch_ : rows_; }

  double pairs() const {
    double sum = 0;
    for (const auto& joiner : joiners_) sum += joiner->pairs();
    return sum;
  }

  void join_leaves(std::int64_t round) {
    PartitionOptions options;
    options.leaf_rows = options_.leaf_rows;
    options.leaders = options_.leaders;
    options.overlap = options_.overlap;
    options.least_rows = std::max(options_.n_neighbors + 1, options_.leaf_rows / 8);
    options.seed = options_.seed + static_cast<std::uint64_t>(round) * 0x9e3779b9u;
    const double before = pairs();
    const double all = static_cast<double>(rows_.count()) *
                       static_cast<double>(options.overlap.empty() ? 1 : options.overlap[0]);
    partition(looked_at(), options, team_, [&](const Leaves& leaves) {
      info_.seconds_partition += watch_.lap();
      team_.run(leaves.count(), [&](std::int64_t l, int worker) {
        joiners_[worker]->leaf(leaves.leaf(l), leaves.size(l));
        team_.advance(kLeaves * work_ * static_cast<double>(leaves.size(l)) / all);
      });
      info_.leaves += leaves.count();
      info_.seconds_leaves += watch_.lap();
    });
    info_.leaf_pairs += pairs() - before;
    ++info_.rounds;
    info_.seconds_partition += watch_.lap();
  }

  // Writes the neighbours of these unique rows.
  void rank(const std::int32_t* ids, std::int64_t count, int worker) {
    Converted& converted = converted_[worker];
    converted.clear();
    Nearest nearest;
    for (std::int64_t r = 0; r < count; ++r) {
      if (team_.cancelled()) return;
      const std::int64_t row = ids[r];
      const double* u = converted.of(row);
      nearest.clear(output_.wanted(row));
      for (std::int64_t p = 0; p < best_.size(row); ++p) {
        const std::int64_t column = best_.best(row)[p].column;
        nearest.add(kernels_.squared_distance(u, converted.of(column), source_.d()),
                    output_.place(column));
      }
      output_.write(row, nearest.sorted());
    }
  }

  bool has_recall(const std::vector<std::int64_t>& pilot, const std::int64_t* exact) {
    if (pilot.empty()) return false;
    const std::int64_t k = options_.n_neighbors;
    std::vector<std::int32_t> unique;
    for (const std::int64_t row : pilot)
      unique.push_back(static_cast<std::int32_t>(source_.unique_of(row)));
    std::sort(unique.begin(), unique.end());
    unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
    team_.run(static_cast<std::int64_t>(unique.size()),
              [&](std::int64_t r, int worker) { rank(&unique[r], 1, worker); });
    double sum = 0, squares = 0;
    std::vector<std::int64_t> own(k), wanted(k);
    for (std::size_t p = 0; p < pilot.size(); ++p) {
      std::copy_n(indices_ + pilot[p] * k, k, own.begin());
      std::copy_n(exact + static_cast<std::int64_t>(p) * k, k, wanted.begin());
      std::sort(own.begin(), own.end());
      std::sort(wanted.begin(), wanted.end());
      std::int64_t found = 0;
      for (const std::int64_t w : wanted) found += std::binary_search(own.begin(), own.end(), w);
      const double share = static_cast<double>(found) / static_cast<double>(k);
      sum += share;
      squares += share * share;
    }
    const auto n = static_cast<double>(pilot.size());
    const double mean = sum / n;
    info_.pilot_recall.push_back(mean);
    info_.seconds_rerank += watch_.lap();
    // Less what a sample of this size is uncertain by; nothing if it is all rows.
    const double rest = 1 - n / static_cast<double>(source_.n());
    return mean - std::sqrt(std::max(0.0, (squares / n - mean * mean) / n * rest)) >=
           options_.recall;
  }

  const PartitionedOptions& options_;
  const Kernels& kernels_;
  Team& team_;
  double work_;
  Stopwatch watch_;
  Rows source_;
  RoundedRows rows_;
  std::unique_ptr<RoundedRows> sketch_;  // what partitions look at
  Output output_;
  std::int64_t* indices_;
  BestColumns best_;
  std::vector<std::unique_ptr<Joiner>> joiners_;
  std::vector<Converted> converted_ = std::vector<Converted>(team_.size(), Converted(source_));
  PartitionedInfo info_;
};

}  // namespace

PartitionedInfo partitioned_graph(const MatrixView& x, const PartitionedOptions& options,
                                  const Kernels& kernels, Team& team,
                                  const std::vector<std::int64_t>& pilot,
                                  const std::int64_t* pilot_exact, double work,
                                  std::int64_t* indices, float* distances) {
  const StandardFloatingPoint standard;
  try {
    return PartitionedGraph(x, options, kernels, team, work, indices, distances)
        .run(pilot, pilot_exact);
  } catch (const RowsChanged&) {
    throw InvalidArgument(text("rows of X ", kRowChanged));
  }
}

}  // namespace ilo
