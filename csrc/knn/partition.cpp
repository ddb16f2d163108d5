// Draws leaders, sends rows to the nearest of them, level by level.
#include "knn/partition.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "knn/best_columns.h"
#include "knn/random.h"

namespace ilo {

namespace {

constexpr std::int64_t kChunk = 192;    // rows in a task
constexpr std::int64_t kColumns = 192;  // leaders in a product
constexpr int kMaxDepth = 40, kMaxFailures = 4;

struct Set {
  std::vector<std::int32_t> ids;
  std::uint64_t seed = 0;  // depends on the way to it alone
  int depth = 0;
  int failures = 0;  // to split it, in a row

  std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }
};

std::vector<std::int32_t> draw(const std::vector<std::int32_t>& ids, std::int64_t count,
                               Random random) {
  std::vector<std::int32_t> pool = ids;
  for (std::int64_t p = 0; p < count; ++p)
    std::swap(pool[p], pool[p + random.below(static_cast<std::int64_t>(pool.size()) - p)]);
  pool.resize(count);
  std::sort(pool.begin(), pool.end());
  return pool;
}

// A set, its leaders, and where each of its rows goes.
struct Split {
  const std::vector<std::int32_t>* ids = nullptr;
  std::vector<std::int32_t> leaders;
  Buffer<std::byte> panels;
  Buffer<float> half;
  std::int64_t overlap = 1;
  std::vector<std::int32_t> nearest;  // [row][overlap]
};

struct Scratch {
  Scratch(const RoundedRows& rows)
      : panels(rows.packed_bytes(kChunk)),
        half(rows.padded(kChunk)),
        stride(rows.padded(kColumns) + 16),
        tile(rows.padded(kChunk) * stride),
        hits(rows.padded(kColumns)) {}
  Buffer<std::byte> panels;
  Buffer<float> half;
  std::int64_t stride;
  Buffer<float> tile;
  std::vector<Hit> hits, best;
  std::vector<std::int32_t> sizes;
};

// Inserts a hit into the best `most` of a row, in order.
void insert(Hit* best, std::int32_t& size, std::int64_t most, const Hit& hit) {
  if (size == most && !BestColumns::better(hit, best[size - 1])) return;
  std::int64_t at = size < most ? size++ : most - 1;
  for (; at > 0 && BestColumns::better(hit, best[at - 1]); --at) best[at] = best[at - 1];
  best[at] = hit;
}

// The nearest leaders of rows ids[begin .. end) of a set.
void assign(const RoundedRows& rows, Split& split, std::int64_t begin, std::int64_t end,
            Scratch& s) {
  const Kernels& kernels = rows.kernels();
  const std::int64_t count = end - begin, most = split.overlap;
  const auto n_leaders = static_cast<std::int64_t>(split.leaders.size());
  rows.gather(split.ids->data() + begin, count, s.panels.data(), s.half.data());
  s.best.resize(count * most);
  s.sizes.assign(count, 0);
  const std::int64_t step = rows.padded(kColumns);
  for (std::int64_t j = 0; j < n_leaders; j += step) {
    const std::int64_t padded = rows.padded(std::min(step, n_leaders - j));
    kernels.product(s.panels.data(), ceil_div(count, kernels.panel),
                    split.panels.data() + j / kernels.panel * kernels.panel_bytes(rows.d()),
                    padded / kernels.panel, rows.d(), s.tile.data(), s.stride);
    for (std::int64_t r = 0; r < count; ++r) {
      Hit* best = &s.best[r * most];
      const float threshold =
          s.sizes[r] < most ? -std::numeric_limits<float>::infinity() : best[most - 1].score;
      const std::int64_t found = kernels.scan_row(
          s.tile.data() + r * s.stride, split.half.data() + j, threshold, padded, s.hits.data());
      for (std::int64_t h = 0; h < found; ++h)
        insert(best, s.sizes[r], most,
               {s.hits[h].score, static_cast<std::int32_t>(j + s.hits[h].column)});
    }
  }
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t p = 0; p < most; ++p)
      split.nearest[(begin + r) * most + p] = s.best[r * most + p].column;
}

class Partition {
 public:
  Partition(const RoundedRows& rows, const PartitionOptions& options, Team& team,
            const std::function<void(const Leaves&)>& take)
      : rows_(rows), options_(options), team_(team), take_(take) {
    for (int w = 0; w < team_.size(); ++w) scratch_.push_back(std::make_unique<Scratch>(rows_));
  }

  void run() {
    // Depth first, and the sets of a batch in their order: so neighbouring leaves are near, and few
    // sets are open at a time.
    std::vector<Set> open(1);
    open[0].ids.resize(rows_.count());
    open[0].seed = Random(options_.seed).next();
    std::iota(open[0].ids.begin(), open[0].ids.end(), 0);
    while (!open.empty()) {
      while (!open.empty() && add_if_leaf(open.back())) open.pop_back();
      std::vector<Set> batch;
      std::int64_t rows = 0;
      while (!open.empty() && (batch.empty() || rows + open.back().size() <= options_.batch_rows)) {
        rows += open.back().size();
        batch.push_back(std::move(open.back()));
        open.pop_back();
      }
      std::vector<Set> now = split(batch);
      for (auto set = now.rbegin(); set != now.rend(); ++set) open.push_back(std::move(*set));
    }
    hand_on();
  }

 private:
  // Or several leaves: rows that rounding made equal.
  bool is_leaf(const Set& set) const {
    return set.size() <= options_.leaf_rows || set.failures >= kMaxFailures ||
           set.depth >= kMaxDepth;
  }

  bool add_if_leaf(const Set& set) {
    if (!is_leaf(set)) return false;
    const std::int64_t size = set.size(), parts = ceil_div(size, options_.leaf_rows);
    for (std::int64_t p = 0; p < parts; ++p)
      add(set.ids.data() + size * p / parts, size * (p + 1) / parts - size * p / parts);
    return true;
  }

  void add(const std::int32_t* ids, std::int64_t size) {
    if (static_cast<std::int64_t>(leaves_.rows.size()) + size > options_.batch_rows) hand_on();
    leaves_.rows.insert(leaves_.rows.end(), ids, ids + size);
    leaves_.begin.push_back(static_cast<std::int64_t>(leaves_.rows.size()));
  }

  void hand_on() {
    if (leaves_.count() > 0) take_(leaves_);
    leaves_ = {};
  }

  // Leaves stay as they are, other sets give way to their children.
  std::vector<Set> split(std::vector<Set>& sets) {
    std::vector<Split> splits(sets.size());
    std::vector<std::pair<std::int64_t, std::int64_t>> tasks;  // set, first row
    team_.run(static_cast<std::int64_t>(sets.size()), [&](std::int64_t s, int) {
      const Set& set = sets[s];
      if (is_leaf(set)) return;
      Split& split = splits[s];
      split.ids = &set.ids;
      const auto depth = static_cast<std::size_t>(set.depth);
      const std::int64_t overlap = depth < options_.overlap.size() ? options_.overlap[depth] : 1;
      // Leaves of half the size that they may have, on average: sizes vary.
      const std::int64_t wanted = ceil_div(2 * set.size() * overlap, options_.leaf_rows);
      const std::int64_t count =
          std::clamp<std::int64_t>(wanted, 2, std::min(options_.leaders, set.size()));
      split.overlap = std::min(overlap, count);
      split.leaders = draw(set.ids, count, Random(set.seed));
      pack_leaders(split);
    });
    for (std::size_t s = 0; s < sets.size(); ++s)
      for (std::int64_t b = 0; splits[s].ids && b < sets[s].size(); b += kChunk)
        tasks.emplace_back(s, b);
    team_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t t, int worker) {
      const auto [s, b] = tasks[t];
      assign(rows_, splits[s], b, std::min(sets[s].size(), b + kChunk), *scratch_[worker]);
    });
    std::vector<Set> out;
    for (std::size_t s = 0; s < sets.size(); ++s) {
      team_.poll();
      if (!splits[s].ids) {
        out.push_back(std::move(sets[s]));
        continue;
      }
      std::vector<Set> children(splits[s].leaders.size());
      send(splits[s], children);
      dissolve_small(splits[s], children);
      for (std::size_t c = 0; c < children.size(); ++c) {
        Set& child = children[c];
        if (child.ids.empty()) continue;
        child.failures = child.size() == sets[s].size() ? sets[s].failures + 1 : 0;
        child.depth = sets[s].depth + 1;
        child.seed = mix(sets[s].seed, c + 1);
        out.push_back(std::move(child));
      }
      splits[s] = {};
      sets[s] = {};
    }
    return out;
  }

  static void send(const Split& split, std::vector<Set>& children) {
    for (std::size_t r = 0; r < split.ids->size(); ++r)
      for (std::int64_t p = 0; p < split.overlap; ++p)
        children[split.nearest[r * split.overlap + p]].ids.push_back((*split.ids)[r]);
  }

  // Children with too few rows go; a row that is in no other one joins its nearest of those that
  // stay. (One stays: they have half of leaf_rows on average.)
  void dissolve_small(const Split& split, std::vector<Set>& children) {
    const auto is_small = [&](std::int64_t child) {
      return static_cast<std::int64_t>(children[child].ids.size()) < options_.least_rows;
    };
    Split again;
    std::vector<std::int64_t> stays;
    for (std::size_t c = 0; c < children.size(); ++c) {
      if (is_small(c)) continue;
      stays.push_back(c);
      again.leaders.push_back(split.leaders[c]);
    }
    if (stays.size() == children.size() || stays.empty()) return;
    std::vector<std::int32_t> orphans;
    for (std::size_t r = 0; r < split.ids->size(); ++r) {
      bool is_orphan = true;
      for (std::int64_t p = 0; p < split.overlap; ++p)
        is_orphan = is_orphan && is_small(split.nearest[r * split.overlap + p]);
      if (is_orphan) orphans.push_back((*split.ids)[r]);
    }
    for (std::size_t c = 0; c < children.size(); ++c)
      if (is_small(c)) children[c].ids.clear();
    if (orphans.empty()) return;
    again.ids = &orphans;
    pack_leaders(again);
    const auto size = static_cast<std::int64_t>(orphans.size());
    team_.run(ceil_div(size, kChunk), [&](std::int64_t t, int worker) {
      assign(rows_, again, t * kChunk, std::min(size, (t + 1) * kChunk), *scratch_[worker]);
    });
    for (std::int64_t r = 0; r < size; ++r)
      children[stays[again.nearest[r]]].ids.push_back(orphans[r]);
  }

  void pack_leaders(Split& split) const {
    const auto count = static_cast<std::int64_t>(split.leaders.size());
    split.panels = Buffer<std::byte>(rows_.packed_bytes(count));
    split.half = Buffer<float>(rows_.padded(count));
    rows_.gather(split.leaders.data(), count, split.panels.data(), split.half.data());
    split.nearest.resize(split.ids->size() * split.overlap);
  }

  const RoundedRows& rows_;
  const PartitionOptions& options_;
  Team& team_;
  const std::function<void(const Leaves&)>& take_;
  std::vector<std::unique_ptr<Scratch>> scratch_;
  Leaves leaves_;
};

}  // namespace

void partition(const RoundedRows& rows, const PartitionOptions& options, Team& team,
               const std::function<void(const Leaves&)>& take) {
  Partition(rows, options, team, take).run();
}

Leaves full_groups(const RoundedRows& rows, std::int64_t size, std::uint64_t seed, Team& team) {
  PartitionOptions options;
  options.leaf_rows = size;
  options.leaders = rows.padded(1);  // a panel of them costs as much as one
  options.seed = seed;
  Leaves out;
  partition(rows, options, team, [&](const Leaves& leaves) {
    out.rows.insert(out.rows.end(), leaves.rows.begin(), leaves.rows.end());
  });
  const auto n = static_cast<std::int64_t>(out.rows.size());
  for (std::int64_t end = size; end < n + size; end += size) out.begin.push_back(std::min(end, n));
  return out;
}

}  // namespace ilo
