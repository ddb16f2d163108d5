// Lists of neighbours in both directions, and what groups of rows reach over two of them.
#include "knn/descent.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/arithmetic.h"
#include "knn/met.h"

namespace ilo {

namespace {

// Of each row its nearest neighbours and the rows that have it for one, as they are at one time.
class Links {
 public:
  Links(const RoundedRows& rows, const BestColumns& best, const DescentOptions& options, Team& team)
      : begin_(rows.count() + 1, 0) {
    const std::int64_t n = rows.count();
    const auto forward = [&](std::int64_t row) {
      return std::min(best.size(row), options.neighbors);
    };
    // By nearness, with the row.
    using Entry = std::pair<float, std::int32_t>;
    std::vector<std::int64_t> reverse_begin(n + 1, 0);
    for (std::int64_t row = 0; row < n; ++row) {
      if (row % 65536 == 0) team.poll();
      for (std::int64_t p = 0; p < forward(row); ++p) ++reverse_begin[best.best(row)[p].column + 1];
    }
    for (std::int64_t row = 0; row < n; ++row)
      begin_[row + 1] =
          begin_[row] + forward(row) + std::min(reverse_begin[row + 1], options.reverse);
    std::partial_sum(reverse_begin.begin(), reverse_begin.end(), reverse_begin.begin());
    std::vector<Entry> reverse(reverse_begin[n]);
    {
      std::vector<std::int64_t> at(reverse_begin.begin(), reverse_begin.end() - 1);
      for (std::int64_t row = 0; row < n; ++row) {
        if (row % 65536 == 0) team.poll();
        for (std::int64_t p = 0; p < forward(row); ++p) {
          const Hit& hit = best.best(row)[p];
          // Half of the squared distance.
          reverse[at[hit.column]++] = {rows.half(row) - hit.score, static_cast<std::int32_t>(row)};
        }
      }
    }
    links_.resize(begin_[n]);
    constexpr std::int64_t kChunk = 1024;
    team.run(ceil_div(n, kChunk), [&](std::int64_t chunk, int) {
      for (std::int64_t row = chunk * kChunk; row < std::min(n, (chunk + 1) * kChunk); ++row) {
        std::int32_t* out = links_.data() + begin_[row];
        for (std::int64_t p = 0; p < forward(row); ++p) *out++ = best.best(row)[p].column;
        const auto from = reverse.begin() + reverse_begin[row];
        const auto to = reverse.begin() + reverse_begin[row + 1];
        const auto kept = from + std::min<std::int64_t>(to - from, options.reverse);
        if (kept != to) std::nth_element(from, kept, to);
        for (auto e = from; e != kept; ++e) *out++ = e->second;
      }
    });
  }

  const std::int32_t* begin(std::int64_t row) const { return links_.data() + begin_[row]; }
  const std::int32_t* end(std::int64_t row) const { return links_.data() + begin_[row + 1]; }

 private:
  std::vector<std::int64_t> begin_;
  std::vector<std::int32_t> links_;
};

}  // namespace

void descend(const RoundedRows& rows, const BestColumns& best, const Leaves& groups,
             const DescentOptions& options, Team& team,
             std::vector<std::unique_ptr<Joiner>>& joiners, double work) {
  const Links links(rows, best, options, team);
  std::vector<std::unique_ptr<Met>> met(team.size());
  team.run(groups.count(), [&](std::int64_t g, int worker) {
    if (!met[worker]) met[worker] = std::make_unique<Met>(rows.count());
    Met& m = *met[worker];
    m.clear();
    const std::int32_t* ids = groups.leaf(g);
    const std::int64_t size = groups.size(g);
    const auto add_links = [&](std::int64_t row) {
      for (const std::int32_t* l = links.begin(row); l != links.end(row); ++l) m.add(*l);
    };
    for (std::int64_t r = 0; r < size; ++r) add_links(ids[r]);
    const auto first_ring = static_cast<std::int64_t>(m.rows.size());
    for (std::int64_t p = 0; p < first_ring; ++p) add_links(m.rows[p]);
    joiners[worker]->rectangle(ids, size, m.rows.data(), static_cast<std::int64_t>(m.rows.size()));
    team.advance(work / static_cast<double>(groups.count()));
  });
}

}  // namespace ilo
