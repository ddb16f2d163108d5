// Draws leaders, sends rows to the nearest of them, level by level.
#include "knn/partition.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>

#include "core/arithmetic.h"
#include "core/errors.h"
#include "knn/best_columns.h"

namespace ilo {

namespace {

constexpr std::int64_t kChunk = 192;    // rows in a task
constexpr std::int64_t kColumns = 192;  // leaders in a product
constexpr int kMaxDepth = 40;

struct Set {
  std::vector<std::int32_t> ids;
  bool cannot_be_split = false;
};

// splitmix64: the same numbers with every compiler.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n));
  }

 private:
  std::uint64_t state_;
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
        values(rows.unpack_values()),
        hits(rows.padded(kColumns)) {}
  Buffer<std::byte> panels;
  Buffer<float> half;
  std::int64_t stride;
  Buffer<float> tile;
  std::vector<float> values;
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
  rows.gather(split.ids->data() + begin, count, s.panels.data(), s.half.data(), s.values.data());
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
  Partition(const RoundedRows& rows, const PartitionOptions& options, Team& team)
      : rows_(rows), options_(options), team_(team) {}

  Leaves run() {
    std::vector<Set> open(1);
    open[0].ids.resize(rows_.count());
    std::iota(open[0].ids.begin(), open[0].ids.end(), 0);
    Leaves out;
    for (std::size_t depth = 0; !open.empty(); ++depth) {
      std::vector<Set> next;
      std::vector<Set> large;
      for (Set& set : open) {
        const auto size = static_cast<std::int64_t>(set.ids.size());
        if (size <= options_.leaf_rows) {
          add(out, set.ids.data(), size);
        } else if (set.cannot_be_split || depth >= kMaxDepth) {
          // Rows that rounding made equal: any leaf is as good as another.
          const std::int64_t parts = ceil_div(size, options_.leaf_rows);
          for (std::int64_t p = 0; p < parts; ++p)
            add(out, set.ids.data() + size * p / parts, size * (p + 1) / parts - size * p / parts);
        } else {
          large.push_back(std::move(set));
        }
      }
      open.clear();
      if (!large.empty()) next = split(large, depth);
      open = std::move(next);
    }
    return out;
  }

 private:
  static void add(Leaves& out, const std::int32_t* ids, std::int64_t size) {
    out.rows.insert(out.rows.end(), ids, ids + size);
    out.begin.push_back(static_cast<std::int64_t>(out.rows.size()));
  }

  std::vector<Set> split(const std::vector<Set>& sets, std::size_t depth) {
    const std::int64_t overlap = depth < options_.overlap.size() ? options_.overlap[depth] : 1;
    std::vector<Split> splits(sets.size());
    std::vector<std::pair<std::int64_t, std::int64_t>> tasks;  // set, first row
    std::vector<std::unique_ptr<Scratch>> scratch(team_.size());
    for (auto& s : scratch) s = std::make_unique<Scratch>(rows_);
    team_.run(static_cast<std::int64_t>(sets.size()), [&](std::int64_t s, int worker) {
      Split& split = splits[s];
      split.ids = &sets[s].ids;
      const auto size = static_cast<std::int64_t>(sets[s].ids.size());
      // Leaves of half the size that they may have, on average: sizes vary.
      const std::int64_t wanted = ceil_div(2 * size * overlap, options_.leaf_rows);
      const std::int64_t count =
          std::clamp<std::int64_t>(wanted, 2, std::min(options_.leaders, size));
      split.overlap = std::min(overlap, count);
      Random random(options_.seed);
      const std::uint64_t first = random.next();
      split.leaders = draw(sets[s].ids, count,
                           Random(mix(mix(first, depth + 1), static_cast<std::uint64_t>(s) + 1)));
      pack_leaders(split, *scratch[worker]);
    });
    for (std::size_t s = 0; s < sets.size(); ++s)
      for (std::size_t b = 0; b < sets[s].ids.size(); b += kChunk)
        tasks.emplace_back(s, static_cast<std::int64_t>(b));
    team_.run(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t t, int worker) {
      const auto [s, b] = tasks[t];
      const auto size = static_cast<std::int64_t>(sets[s].ids.size());
      assign(rows_, splits[s], b, std::min(size, b + kChunk), *scratch[worker]);
    });
    std::vector<Set> out;
    for (std::size_t s = 0; s < sets.size(); ++s) {
      team_.poll();
      std::vector<Set> children(splits[s].leaders.size());
      send(splits[s], children);
      dissolve_small(splits[s], children, scratch);
      for (Set& child : children) {
        if (child.ids.empty()) continue;
        child.cannot_be_split = child.ids.size() == sets[s].ids.size();
        out.push_back(std::move(child));
      }
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
  void dissolve_small(const Split& split, std::vector<Set>& children,
                      std::vector<std::unique_ptr<Scratch>>& scratch) {
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
    pack_leaders(again, *scratch[0]);
    const auto size = static_cast<std::int64_t>(orphans.size());
    team_.run(ceil_div(size, kChunk), [&](std::int64_t t, int worker) {
      assign(rows_, again, t * kChunk, std::min(size, (t + 1) * kChunk), *scratch[worker]);
    });
    for (std::int64_t r = 0; r < size; ++r)
      children[stays[again.nearest[r]]].ids.push_back(orphans[r]);
  }

  void pack_leaders(Split& split, Scratch& s) const {
    const auto count = static_cast<std::int64_t>(split.leaders.size());
    split.panels = Buffer<std::byte>(rows_.packed_bytes(count));
    split.half = Buffer<float>(rows_.padded(count));
    rows_.gather(split.leaders.data(), count, split.panels.data(), split.half.data(),
                 s.values.data());
    split.nearest.resize(split.ids->size() * split.overlap);
  }

  const RoundedRows& rows_;
  const PartitionOptions& options_;
  Team& team_;
};

}  // namespace

Leaves partition(const RoundedRows& rows, const PartitionOptions& options, Team& team) {
  return Partition(rows, options, team).run();
}

}  // namespace ilo
