// Measures candidates in float64, certifies rows, and finds the neighbours of the others.
#include "knn/decide.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <tuple>

namespace ilo {

namespace {

// A candidate whose turn will come.
struct Look {
  double lower_bound;
  std::int64_t place;
  Rows::Source source;
};

}  // namespace

Decided rerank(const PackedRows& queries, const PackedRows& base, const Rows& rows,
               const Certificate& certificate, Team& team, std::vector<Worker>& workers,
               Candidates& candidates, Output& output, bool none_is_certified) {
  constexpr std::int64_t kChunk = 64;
  Decided out;
  std::mutex mutex;
  team.run(ceil_div(queries.count(), kChunk), [&](std::int64_t chunk, int worker) {
    Worker& w = workers[worker];
    Nearest nearest;
    std::int64_t certified = 0, distances = 0;
    const std::int64_t begin = chunk * kChunk, end = std::min(queries.count(), begin + kChunk);
    const auto look_at = [&](std::int64_t row, const Hit& hit) -> Look {
      const std::int64_t g = base.id(hit.column);
      return {certificate.lower_bound(hit.score, queries.bound(row), base.bound(hit.column)),
              output.place(g), rows.source(g)};
    };
    // First what lies here and there in memory, for all rows of the chunk: no lookup waits for
    // another. Then the distances, each of which fetches the row of the next.
    std::vector<Look> looks;
    std::vector<std::size_t> first{0};
    for (std::int64_t row = begin; row < end; ++row) {
      const Candidates::List& hits = candidates.sorted(row);
      const float likely = candidates.estimated_threshold(row);
      for (const Hit& hit : hits) {
        if (hit.score <= likely) break;
        looks.push_back(look_at(row, hit));
      }
      first.push_back(looks.size());
    }
    for (std::int64_t row = begin; row < end; ++row) {
      if (team.cancelled()) return;
      const std::int64_t g = queries.id(row);
      nearest.clear(output.wanted(g));
      double delta = nearest.full() ? 0 : INFINITY;
      rows.load(g, w.u.data());
      const void* const next_row =
          row + 1 < end ? rows.source(queries.id(row + 1)).values : nullptr;
      // A list that lost candidates cannot certify its row. Measure k + 8: enough for the
      // fallback's radius.
      const std::int64_t enough = candidates.lost_some(row) ? output.wanted(g) + 8 : INT64_MAX;
      std::int64_t measured = 0;
      const auto measure = [&](const Look& look, const void* next) {
        ++measured;
        nearest.add(rows.squared_distance(w.u.data(), look.source, next), look.place);
        if (nearest.full()) delta = certificate.beyond(nearest.worst());
      };
      const Look* const last = looks.data() + first[row - begin + 1];
      const Look* look = looks.data() + first[row - begin];
      const Candidates::List& hits = candidates.list(row);
      const Hit* hit = hits.data() + (last - look);
      while (look < last && measured < enough) {
        const Look& now = *look++;
        if (now.lower_bound > delta) continue;
        while (look < last && look->lower_bound > delta) ++look;
        measure(now, look < last ? look->source.values : next_row);
      }
      // Rarely any of the others.
      for (; hit < hits.data() + hits.size() && measured < enough; ++hit) {
        if (hit->score <= certificate.threshold(queries.bound(row), delta)) break;
        const Look now = look_at(row, *hit);
        if (now.lower_bound <= delta) measure(now, next_row);
      }
      distances += measured;
      if (!none_is_certified && measured < enough &&
          candidates.threshold(row) <= certificate.threshold(queries.bound(row), delta)) {
        certified += output.answers(g);
        output.write(g, nearest.sorted());
      } else {
        std::lock_guard lock(mutex);
        out.uncertified.push_back({g, nearest.worst()});
      }
    }
    team.advance(static_cast<double>(end - begin) * kRerankWork);
    std::lock_guard lock(mutex);
    out.rows += certified;
    out.distances += distances;
  });
  std::sort(out.uncertified.begin(), out.uncertified.end(),
            [](const Uncertified& a, const Uncertified& b) { return a.group < b.group; });
  return out;
}

namespace {

// The hits of one block product, measured: rows and columns are each converted to float64 once.
class Measure {
 public:
  Measure(const Rows& rows, const Kernels& kernels) : rows_(rows), kernels_(kernels) {}

  struct Found {
    std::int32_t column, row;
    float score;
  };
  std::vector<Found> found;

  // visit(found, squared) for all that wanted(found) is true for; row_id and column_id give
  // unique rows.
  template <class Wanted, class RowId, class ColumnId, class Visit>
  void run(std::int64_t n_rows, const Team& team, Wanted wanted, RowId row_id, ColumnId column_id,
           Visit visit) {
    const auto d = static_cast<std::size_t>(rows_.d());
    // Rows in slices that fit; within a slice column by column.
    const auto slice = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(kMeasureBytes / 8 / rows_.d(), 1, n_rows));
    std::sort(found.begin(), found.end(), [slice](const Found& a, const Found& b) {
      return std::tuple(a.row / slice, a.column, a.row) <
             std::tuple(b.row / slice, b.column, b.row);
    });
    u_.resize(slice * d);
    v_.resize(d);
    std::int32_t first_row = -1, column = -1;
    for (const Found& f : found) {
      if (team.cancelled()) return;
      if (!wanted(f)) continue;
      if (const std::int32_t first = f.row / slice * slice; first != first_row) {
        first_row = first;
        column = -1;
        is_loaded_.assign(slice, false);
      }
      if (f.column != column) rows_.load(column_id(column = f.column), v_.data());
      const std::int32_t r = f.row - first_row;
      double* u = u_.data() + r * d;
      if (!is_loaded_[r]) rows_.load(row_id(f.row), u), is_loaded_[r] = true;
      visit(f, kernels_.squared_distance(u, v_.data(), rows_.d()));
    }
  }

 private:
  const Rows& rows_;
  const Kernels& kernels_;
  std::vector<double> u_, v_;
  std::vector<bool> is_loaded_;
};

}  // namespace

void fall_back(PackedRows& queries, PackedRows& base, const Uncertified* uncertified,
               const Rows& rows, const Kernels& kernels, const Certificate& certificate, Team& team,
               std::vector<Worker>& workers, Output& output) {
  const std::int64_t count = queries.count(), block = queries.block_rows();
  std::vector<Nearest> nearest(count);
  std::vector<double> worst(count);
  std::vector<std::atomic<float>> threshold(count);
  for (std::int64_t o = 0; o < count; ++o) {
    nearest[o].clear(output.wanted(queries.id(o)));
    worst[o] = uncertified[o].worst;
    threshold[o] = certificate.threshold(queries.bound(o), certificate.beyond(worst[o]));
  }
  std::vector<std::mutex> locks(ceil_div(count, block));
  std::vector<Measure> measures(team.size(), Measure(rows, kernels));

  for (std::int64_t s = 0; s < base.n_superblocks(); ++s) {
    base.load(s, 0);
    const std::int64_t across = base.blocks_in(s);
    team.run(ceil_div(count, block) * across, [&](std::int64_t t, int worker) {
      Worker& w = workers[worker];
      Measure& measure = measures[worker];
      const std::int64_t i = t / across, j = t % across;
      const std::int64_t row0 = i * block, col0 = base.first_row(s) + j * block;
      const std::int64_t n_rows = std::min(block, count - row0);
      const std::int64_t n_cols = base.padded(std::min(block, base.count() - col0));
      kernels.product(queries.panel(0, row0), ceil_div(n_rows, kernels.panel),
                      base.panel(0, j * block), n_cols / kernels.panel, rows.d(), w.tile.data(),
                      w.stride);
      measure.found.clear();
      for (std::int64_t r = 0; r < n_rows; ++r) {
        const std::int64_t hits = kernels.scan_row(
            w.tile.data() + r * w.stride, base.half() + col0,
            threshold[row0 + r].load(std::memory_order_relaxed), n_cols, w.row_hits.data());
        for (std::int64_t h = 0; h < hits; ++h) {
          const Hit& hit = w.row_hits[h];
          if (base.id(col0 + hit.column) != queries.id(row0 + r))
            measure.found.push_back({hit.column, static_cast<std::int32_t>(r), hit.score});
        }
      }
      measure.run(
          n_rows, team,
          [&](const Measure::Found& f) {
            return f.score > threshold[row0 + f.row].load(std::memory_order_relaxed);
          },
          [&](std::int64_t row) { return queries.id(row0 + row); },
          [&](std::int64_t column) { return base.id(col0 + column); },
          [&](const Measure::Found& f, double squared) {
            const std::int64_t o = row0 + f.row;
            std::lock_guard lock(locks[i]);
            nearest[o].add(squared, output.place(base.id(col0 + f.column)));
            if (nearest[o].worst() < worst[o]) {
              worst[o] = nearest[o].worst();
              threshold[o] = certificate.threshold(queries.bound(o), certificate.beyond(worst[o]));
            }
          });
      team.advance(static_cast<double>(n_rows) * n_cols);
    });
  }
  team.run(count, [&](std::int64_t o, int) { output.write(queries.id(o), nearest[o].sorted()); });
}

void fall_back_in_batches(PackedRows& base, const std::vector<Uncertified>& uncertified,
                          std::int64_t batch, std::int64_t block, const Rows& rows,
                          const Kernels& kernels, const Certificate& certificate, Team& team,
                          std::vector<Worker>& workers, Output& output) {
  const auto count = static_cast<std::int64_t>(uncertified.size());
  for (std::int64_t begin = 0; begin < count; begin += batch) {
    std::vector<std::int64_t> ids;
    for (std::int64_t o = begin; o < std::min(count, begin + batch); ++o)
      ids.push_back(uncertified[o].group);
    PackedRows queries(rows, rows.frame(), kernels, team, std::move(ids), block, batch);
    fall_back(queries, base, &uncertified[begin], rows, kernels, certificate, team, workers,
              output);
  }
}

}  // namespace ilo
