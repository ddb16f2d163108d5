// Finds clusters of near-duplicates around leaders and solves each among its own columns.
#include "knn/near_duplicates.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "knn/filter.h"

namespace ilo {

namespace {

constexpr double kReach = 4;  // R, in distances of the leader's k-th neighbour

class NearDuplicates {
 public:
  NearDuplicates(PackedRows& base, const Rows& rows, const Kernels& kernels,
                 const Certificate& certificate, Team& team, Output& output,
                 std::int64_t n_neighbors, std::int64_t max_bytes)
      : base_(base),
        rows_(rows),
        kernels_(kernels),
        fallback_(kernels.fallback ? *kernels.fallback() : kernels),
        certificate_(certificate),
        team_(team),
        output_(output),
        n_neighbors_(n_neighbors),
        // More columns in reach than that are no cluster but the neighbourhood of all.
        largest_(std::min(
            std::max<std::int64_t>(1024, base.count() / 16),
            max_bytes / (2 * PackedRows::bytes(fallback_, 1, rows.d()) / fallback_.panel))) {}

  std::vector<Uncertified> solve(std::vector<Uncertified> uncertified) {
    place_.assign(rows_.n_unique(), -1);
    // Rows that are only queries are no columns.
    const auto searched = [&](const Uncertified& o) { return o.group < rows_.n_columns(); };
    while (std::any_of(uncertified.begin(), uncertified.end(), searched)) {
      // Take leaders at even spacing: adjacent uncertified rows often share a cluster.
      const auto n = static_cast<std::int64_t>(uncertified.size());
      // Where columns are packed anew for each round, it asks for more leaders.
      const std::int64_t n_leaders =
          std::min(n, base_.n_superblocks() > 1 ? base_.block_rows() : kernels_.panel);
      std::vector<Uncertified> leaders;
      for (std::int64_t l = 0; l < n_leaders; ++l)
        leaders.push_back(uncertified[l * n / n_leaders]);
      for (std::int64_t o = 0; o < n; ++o) place_[uncertified[o].group] = o;
      std::vector<std::vector<std::int64_t>> reach = columns_in_reach(leaders);
      for (std::int64_t l = 0; l < n_leaders; ++l)
        if (!reach[l].empty()) solve_about(leaders[l], std::move(reach[l]), uncertified);
      // What is solved has lost its place.
      std::vector<Uncertified> left;
      for (const Uncertified& o : uncertified)
        if (place_[o.group] >= 0) left.push_back(o);
      uncertified = std::move(left);
      // Where leaders stand nearly alone, so will the others.
      if (n - static_cast<std::int64_t>(uncertified.size()) < 4 * n_leaders) break;
    }
    return uncertified;
  }

 private:
  double radius(const Uncertified& leader) const {
    return kReach * certificate_.beyond(leader.worst);
  }

  // For each leader the columns that are not certified to be out of its reach; none if they are
  // many.
  std::vector<std::vector<std::int64_t>> columns_in_reach(const std::vector<Uncertified>& leaders) {
    const auto n = static_cast<std::int64_t>(leaders.size());
    std::vector<std::int64_t> ids;
    for (const Uncertified& leader : leaders) ids.push_back(leader.group);
    const PackedRows packed(rows_, rows_.frame(), kernels_, team_, std::move(ids),
                            base_.block_rows(), base_.block_rows());
    std::vector<float> threshold;
    for (std::int64_t l = 0; l < n; ++l)
      threshold.push_back(certificate_.threshold(packed.bound(l), radius(leaders[l])));
    std::vector<std::vector<std::int64_t>> reach(n);
    std::vector<bool> is_cluster;
    for (const Uncertified& leader : leaders) is_cluster.push_back(std::isfinite(radius(leader)));
    std::mutex mutex;
    const std::int64_t block = base_.block_rows();
    std::vector<Worker> workers = make_workers(team_.size(), block, rows_.d());
    for (std::int64_t s = 0; s < base_.n_superblocks(); ++s) {
      base_.load(s, 0);
      team_.run(base_.blocks_in(s), [&](std::int64_t j, int worker) {
        Worker& w = workers[worker];
        const std::int64_t col0 = base_.first_row(s) + j * block;
        const std::int64_t n_cols = base_.padded(std::min(block, base_.count() - col0));
        kernels_.product(packed.panel(0, 0), ceil_div(n, kernels_.panel), base_.panel(0, j * block),
                         n_cols / kernels_.panel, rows_.d(), w.tile.data(), w.stride);
        std::vector<std::vector<std::int64_t>> found(n);
        for (std::int64_t l = 0; l < n; ++l) {
          const std::int64_t hits =
              kernels_.scan_row(w.tile.data() + l * w.stride, base_.half() + col0, threshold[l],
                                n_cols, w.row_hits.data());
          for (std::int64_t h = 0; h < hits; ++h) found[l].push_back(col0 + w.row_hits[h].column);
        }
        std::lock_guard lock(mutex);
        for (std::int64_t l = 0; l < n; ++l) {
          is_cluster[l] = is_cluster[l] &&
                          static_cast<std::int64_t>(reach[l].size() + found[l].size()) <= largest_;
          if (is_cluster[l]) reach[l].insert(reach[l].end(), found[l].begin(), found[l].end());
        }
      });
    }
    for (std::int64_t l = 0; l < n; ++l)
      if (!is_cluster[l]) reach[l].clear();
    return reach;
  }

  // Solves the uncertified rows of the leader's cluster, if there is one.
  void solve_about(const Uncertified& leader, std::vector<std::int64_t> columns,
                   const std::vector<Uncertified>& uncertified) {
    team_.poll();
    const double r = radius(leader);
    std::sort(columns.begin(), columns.end());
    std::vector<double> centre(rows_.d()), u(rows_.d());
    rows_.load(leader.group, centre.data());
    std::vector<Uncertified> members;
    for (const std::int64_t column : columns) {
      if (place_[column] < 0) continue;  // certified, or solved about another leader
      const Uncertified& o = uncertified[place_[column]];
      rows_.load(column, u.data());
      const double squared = kernels_.squared_distance(u.data(), centre.data(), rows_.d());
      if (certificate_.beyond(squared) + certificate_.beyond(o.worst) <= r) members.push_back(o);
    }
    if (members.size() < 2) return;
    for (const Uncertified& member : members) place_[member.group] = -1;

    const Frame frame = rows_.frame_about(leader.group, r / rows_.frame().scale);
    const std::int64_t block = ceil_div(base_.block_rows(), fallback_.panel) * fallback_.panel;
    const auto n_columns = static_cast<std::int64_t>(columns.size());
    std::vector<std::int64_t> ids;
    for (const Uncertified& m : members) ids.push_back(m.group);
    const auto n_members = static_cast<std::int64_t>(ids.size());
    PackedRows queries(rows_, frame, fallback_, team_, std::move(ids), block, n_members + block);
    PackedRows among(rows_, frame, fallback_, team_, std::move(columns), block, n_columns + block);
    const Certificate local = among.certificate();
    std::vector<Worker> workers = make_workers(team_.size(), block, rows_.d());
    Candidates candidates(n_members, queries.padded(n_members), std::min(n_neighbors_, n_columns),
                          512, local, queries.bounds().data());
    Filter(queries, among, false, fallback_, team_, workers, candidates, 0).run();
    const Decided decided =
        rerank(queries, among, rows_, local, team_, workers, candidates, output_, false);
    if (!decided.uncertified.empty()) {
      std::vector<std::int64_t> left;
      for (const Uncertified& o : decided.uncertified) left.push_back(o.group);
      PackedRows still(rows_, frame, fallback_, team_, std::move(left), block,
                       static_cast<std::int64_t>(decided.uncertified.size()) + block);
      fall_back(still, among, decided.uncertified.data(), rows_, fallback_, local, team_, workers,
                output_);
    }
    team_.advance(static_cast<double>(n_members) * base_.count());
  }

  PackedRows& base_;
  const Rows& rows_;
  const Kernels &kernels_, &fallback_;
  const Certificate& certificate_;
  Team& team_;
  Output& output_;
  std::int64_t n_neighbors_, largest_;
  std::vector<std::int64_t>
      place_;  // of a unique row among the uncertified ones; -1: not uncertified
};

}  // namespace

std::vector<Uncertified> solve_near_duplicates(std::vector<Uncertified> uncertified,
                                               PackedRows& base, const Rows& rows,
                                               const Kernels& kernels,
                                               const Certificate& certificate, Team& team,
                                               Output& output, std::int64_t n_neighbors,
                                               std::int64_t max_bytes) {
  return NearDuplicates(base, rows, kernels, certificate, team, output, n_neighbors, max_bytes)
      .solve(std::move(uncertified));
}

}  // namespace ilo
