// Runs the stages of a graph in order, and plans the memory and the blocks of each.
#include "knn/graph.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "core/stopwatch.h"
#include "knn/candidates.h"
#include "knn/certificate.h"
#include "knn/checkpoint.h"
#include "knn/decide.h"
#include "knn/filter.h"
#include "knn/near_duplicates.h"
#include "knn/output.h"
#include "knn/packed.h"
#include "knn/workers.h"

namespace ilo {

namespace {

std::uint64_t combine(std::initializer_list<std::uint64_t> values) {
  std::uint64_t h = 0x9e3779b97f4a7c15u;
  for (const std::uint64_t v : values) h = mix(h, v);
  return h;
}

std::vector<std::int64_t> first_numbers(std::int64_t count) {
  std::vector<std::int64_t> out(count);
  std::iota(out.begin(), out.end(), std::int64_t{0});
  return out;
}

class Graph {
 public:
  Graph(const MatrixView& x, const GraphOptions& options, const Kernels& kernels, Team& team,
        const std::vector<std::int64_t>* queries, std::int64_t* indices, float* distances,
        double* squared)
      : options_(options),
        kernels_(kernels),
        team_(team),
        rows_(x, options.n_base > 0 ? options.n_base : x.n(), options.metric, kernels, team),
        output_(rows_, options.n_neighbors, queries, {0, rows_.n_base()}, rows_.n_columns(),
                {indices, distances, squared}),
        indices_(indices),
        distances_(distances),
        n_out_(queries ? static_cast<std::int64_t>(queries->size()) : rows_.n()) {
    info_.rows = rows_.n_base();
    info_.queries = n_out_;
    info_.unique_rows = rows_.n_columns();
    info_.fingerprint = rows_.fingerprint();
    if (squared) rows_.check_unscaled();
    if (queries) {
      for (const std::int64_t row : *queries) query_ids_.push_back(rows_.unique_of(row));
      std::sort(query_ids_.begin(), query_ids_.end());
      query_ids_.erase(std::unique(query_ids_.begin(), query_ids_.end()), query_ids_.end());
    }
    all_pairs_ = !queries;
    data_ =
        combine({rows_.fingerprint(), static_cast<std::uint64_t>(rows_.n()),
                 static_cast<std::uint64_t>(rows_.n_base()), static_cast<std::uint64_t>(rows_.d()),
                 static_cast<std::uint64_t>(options.n_neighbors),
                 static_cast<std::uint64_t>(options.metric), queries ? 1u : 0u});
    if (queries)
      for (const std::int64_t row : *queries)
        data_ = combine({data_, static_cast<std::uint64_t>(row)});
  }

  GraphInfo run() {
    info_.seconds_prepare = watch_.lap();
    std::unique_ptr<Checkpoint> saved;
    const Plan plan = make_plan();
    info_.superblocks = ceil_div(rows_.n_columns(), plan.superblock);
    if (!options_.checkpoint.empty()) {
      saved = std::make_unique<Checkpoint>(options_.checkpoint, data_, plan_number(plan),
                                           options_.checkpoint_seconds, options_.checkpoint_piece);
      if (saved->load_graph(
              indices_, distances_, n_out_ * options_.n_neighbors, [&] { return is_possible(); },
              info_)) {
        info_.resumed_share = 1;
        return info_;
      }
    }
    try {
      find(plan, saved.get());
    } catch (const RowsChanged&) {
      rows_.check_unchanged(team_);  // says which
      if (info_.resumed_share > 0)
        throw InvalidArgument(text("the checkpoint ", options_.checkpoint,
                                   " does not hold the work that it says: delete it"));
      throw;
    }
    rows_.check_unchanged(team_);
    if (saved) {
      saved->save_graph(indices_, distances_, n_out_ * options_.n_neighbors, info_, team_);
      info_.problem = saved->problem();
    }
    return info_;
  }

 private:
  // Who gets how much of the memory.
  struct Plan {
    std::int64_t block = 0;  // rows
    std::int64_t superblock = 0, query_superblock = 0;
    std::int64_t candidates = 0;  // a row may keep
    double step_work = 0;         // multiply-adds between two looks at the clock, for checkpoints
    std::int64_t for_rows = 0;    // bytes of packed rows
  };

  // Whether what was read could be the graph of these rows: other rows of the base, each once, in
  // the order of their distances.
  bool is_possible() const {
    const std::int64_t k = options_.n_neighbors;
    std::vector<std::int64_t> sorted(k);
    for (std::int64_t out = 0; out < n_out_; ++out) {
      const std::int64_t* ids = indices_ + out * k;
      const float* distances = distances_ + out * k;
      const std::int64_t own = output_.row(out);
      for (std::int64_t p = 0; p < k; ++p) {
        if (ids[p] < 0 || ids[p] >= rows_.n_base() || ids[p] == own) return false;
        if (!(distances[p] >= (p > 0 ? distances[p - 1] : 0.0f))) return false;
      }
      if (distances[k - 1] > rows_.largest_distance()) return false;
      std::partial_sort_copy(ids, ids + k, sorted.begin(), sorted.end());
      if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) return false;
    }
    return true;
  }

  std::int64_t n_queries() const {
    return all_pairs_ ? rows_.n_columns() : static_cast<std::int64_t>(query_ids_.size());
  }

  Plan make_plan() const {
    const std::int64_t width = kernels_.panel, n = rows_.n_columns(), queries = n_queries();
    Plan plan;
    // Work that was saved may go on with any number of threads: the plan must not depend on it.
    const std::int64_t threads = options_.checkpoint.empty() ? team_.size() : 4;
    // Two blocks and the tile share the second-level cache a chunk of columns at a time.
    const std::int64_t wanted = options_.block_rows > 0 ? options_.block_rows : 256 / width * width;
    plan.block = ceil_div(wanted, width) * width;
    // A few tasks a thread, so that none waits long for the last.
    const auto tasks = [&] {
      const std::int64_t across = ceil_div(n, plan.block), down = ceil_div(queries, plan.block);
      return all_pairs_ ? across * (across + 1) / 2 : across * down;
    };
    while (options_.block_rows == 0 && plan.block > width && tasks() < 8 * threads)
      plan.block = ceil_div(plan.block / 2, width) * width;

    const std::int64_t k = std::min(options_.n_neighbors, n);
    const std::int64_t first = Candidates::first_capacity(k);
    const std::int64_t hit = sizeof(Hit);
    // Lists may grow until all of them together take an eighth of the memory.
    plan.candidates = std::clamp<std::int64_t>(
        options_.max_memory / 8 / hit / std::max<std::int64_t>(1, queries), first, 512 + 2 * first);
    plan.step_work = std::clamp(3e10 * options_.checkpoint_seconds, 1e8, 1e12);
    if (options_.max_candidates > 0) plan.candidates = std::max(options_.max_candidates, first);
    // Rows: duplicates' bookkeeping, norms, bounds. Workers: the tile, hits, two rows.
    const std::int64_t taken = queries * Candidates::bytes_per_row(k, plan.candidates) +
                               rows_.n() * 56 + (n + (all_pairs_ ? 0 : queries)) * 48 +
                               threads * (plan.block * (plan.block + 16) * 4 +
                                          rows_.d() * (16 + 4 * width) + kMeasureBytes);
    plan.for_rows = std::max<std::int64_t>(0, options_.max_memory - taken);
    if (all_pairs_) {
      plan.superblock = plan.query_superblock = superblock(kernels_, plan, n, plan.for_rows, 2);
    } else {
      // The base is packed anew for every superblock of the queries: these get up to a half.
      plan.query_superblock = superblock(kernels_, plan, queries, plan.for_rows / 2, 1);
      plan.superblock = superblock(
          kernels_, plan, n,
          plan.for_rows - PackedRows::bytes(kernels_, plan.query_superblock, rows_.d()), 1);
    }
    return plan;
  }

  std::int64_t superblock(const Kernels& kernels, const Plan& plan, std::int64_t count,
                          std::int64_t bytes, std::int64_t slots) const {
    return PackedRows::superblock(kernels, plan.block, count, rows_.d(), bytes, slots);
  }

  std::uint64_t plan_number(const Plan& plan) const {
    std::uint64_t name = 0;
    for (const char* c = kernels_.name; *c; ++c) name = name * 131 + static_cast<unsigned char>(*c);
    // Scores err by what the filter that made them rounds, which may differ between versions.
    const auto roundings = static_cast<std::uint64_t>(kernels_.roundings(rows_.d()));
    return combine({name, roundings, static_cast<std::uint64_t>(plan.block),
                    static_cast<std::uint64_t>(plan.superblock),
                    static_cast<std::uint64_t>(plan.query_superblock),
                    static_cast<std::uint64_t>(plan.candidates),
                    static_cast<std::uint64_t>(plan.step_work)});
  }

  // Filter, re-rank, fall back.
  void find(const Plan& plan, Checkpoint* saved) {
    auto base =
        std::make_unique<PackedRows>(rows_, rows_.frame(), kernels_, team_,
                                     first_numbers(rows_.n_columns()), plan.block, plan.superblock);
    std::unique_ptr<PackedRows> packed_queries;
    if (!all_pairs_)
      packed_queries = std::make_unique<PackedRows>(rows_, rows_.frame(), kernels_, team_,
                                                    query_ids_, plan.block, plan.query_superblock);
    PackedRows& queries = all_pairs_ ? *base : *packed_queries;
    const Certificate certificate = base->certificate();
    const std::int64_t k = std::max<std::int64_t>(1, std::min(options_.n_neighbors, base->count()));
    auto candidates =
        std::make_unique<Candidates>(queries.count(), queries.padded(queries.count()), k,
                                     plan.candidates, certificate, queries.bounds().data());
    std::vector<Worker> workers = make_workers(team_.size(), plan.block, rows_.d());
    info_.seconds_prepare += watch_.lap();

    Filter filter(queries, *base, all_pairs_, kernels_, team_, workers, *candidates,
                  plan.step_work);
    if (saved) {
      const std::int64_t total = filter.count_steps();
      const std::int64_t done = saved->load_steps(
          *candidates, total, base->count(), [&](std::int64_t row) { return queries.id(row); },
          team_);
      info_.resumed_share = total > 0 ? static_cast<double>(done) / total : 0;
      filter.run(done, [&](std::int64_t finished) {
        if (finished < total && !saved->is_due()) return;
        rows_.check_unchanged(team_);  // else rows that changed and changed back would go on
        saved->save_steps(finished, *candidates, team_);
      });
    } else {
      filter.run();
    }
    info_.seconds_filter = watch_.lap();

    Decided decided = rerank(queries, *base, rows_, certificate, team_, workers, *candidates,
                             output_, options_.force_fallback);
    info_.certified_rows = decided.rows;
    info_.candidates_per_row =
        static_cast<double>(decided.distances) / std::max<std::int64_t>(1, queries.count());
    info_.seconds_rerank = watch_.lap();

    for (const Uncertified& o : decided.uncertified)
      info_.fallback_rows += output_.answers(o.group);
    candidates.reset();
    packed_queries.reset();
    if (decided.uncertified.empty()) return;
    team_.expect_more(static_cast<double>(decided.uncertified.size()) * base->count());
    std::vector<Uncertified> uncertified = std::move(decided.uncertified);
    if (are_many(uncertified) || options_.force_fallback)
      uncertified =
          solve_near_duplicates(std::move(uncertified), *base, rows_, kernels_, certificate, team_,
                                output_, options_.n_neighbors, plan.for_rows);
    // A few rows measure the hundreds of columns that this filter leaves them; for more it pays to
    // pack everything anew for a filter that leaves them fewer.
    if (!kernels_.fallback || (!are_many(uncertified) && base->n_superblocks() == 1)) {
      fall_back_with(kernels_, uncertified, plan, *base, certificate);
    } else if (!uncertified.empty()) {
      base.reset();
      fall_back_with(*kernels_.fallback(), uncertified, plan);
    }
    info_.seconds_fallback = watch_.lap();
  }

  bool are_many(const std::vector<Uncertified>& uncertified) const {
    return static_cast<std::int64_t>(uncertified.size()) * 128 > rows_.n_columns();
  }

  void fall_back_with(const Kernels& fallback, const std::vector<Uncertified>& uncertified,
                      Plan plan) {
    plan.block = ceil_div(plan.block, fallback.panel) * fallback.panel;
    const std::int64_t for_columns =
        plan.for_rows -
        PackedRows::bytes(fallback, fallback_batch(fallback, uncertified, plan), rows_.d());
    PackedRows base(rows_, rows_.frame(), fallback, team_, first_numbers(rows_.n_columns()),
                    plan.block, superblock(fallback, plan, rows_.n_columns(), for_columns, 1));
    fall_back_with(fallback, uncertified, plan, base, base.certificate());
  }

  void fall_back_with(const Kernels& fallback, const std::vector<Uncertified>& uncertified,
                      const Plan& plan, PackedRows& base, const Certificate& certificate) {
    std::vector<Worker> workers = make_workers(team_.size(), plan.block, rows_.d());
    fall_back_in_batches(base, uncertified, fallback_batch(fallback, uncertified, plan), plan.block,
                         rows_, fallback, certificate, team_, workers, output_);
  }

  // Uncertified rows at a time: they get up to a quarter of the memory, the columns what is left.
  std::int64_t fallback_batch(const Kernels& fallback, const std::vector<Uncertified>& uncertified,
                              const Plan& plan) const {
    return superblock(fallback, plan, static_cast<std::int64_t>(uncertified.size()),
                      plan.for_rows / 4, 1);
  }

  GraphOptions options_;
  const Kernels& kernels_;
  Team& team_;
  Stopwatch watch_;
  Rows rows_;
  Output output_;
  std::int64_t* indices_;
  float* distances_;
  std::int64_t n_out_;
  bool all_pairs_ = true;
  std::vector<std::int64_t> query_ids_;
  std::uint64_t data_ = 0;
  GraphInfo info_;
};

}  // namespace

GraphInfo knn_graph(const MatrixView& x, const GraphOptions& options, const Kernels& kernels,
                    Team& team, const std::vector<std::int64_t>* queries, std::int64_t* indices,
                    float* distances) {
  const StandardFloatingPoint standard;
  try {
    return Graph(x, options, kernels, team, queries, indices, distances, nullptr).run();
  } catch (const RowsChanged&) {  // and changed back, or which cannot be told
    throw InvalidArgument(text("rows of X ", kRowChanged));
  }
}

GraphInfo knn_triangle(const MatrixView& x, const GraphOptions& options, const Kernels& kernels,
                       Team& team, std::int64_t* indices, double* squared) {
  const StandardFloatingPoint standard;
  try {
    return Graph(x, options, kernels, team, nullptr, indices, nullptr, squared).run();
  } catch (const RowsChanged&) {
    throw InvalidArgument(text("rows of X ", kRowChanged));
  }
}

double expected_work(std::int64_t n_base, std::int64_t n_queries) {
  const auto n = static_cast<double>(n_base);
  const auto queries = static_cast<double>(n_queries);
  return n_queries > 0 ? n * queries + queries * kRerankWork : 0.5 * n * n + n * kRerankWork;
}

}  // namespace ilo
