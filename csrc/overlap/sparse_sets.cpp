// The sets of b are turned round, a block of them at a time: of each element the sets that hold it.
// A set of a then adds one for every set that its elements lead to, in counters that stay in the
// cache. The work is that of the overlaps that there are, and not of all pairs.
#include "overlap/sparse_sets.h"

#include <algorithm>
#include <vector>

#include "core/arithmetic.h"
#include "core/errors.h"

namespace ilo {

namespace {

constexpr std::int64_t kBlock = 1 << 14;  // sets of b
constexpr std::int64_t kRowsOfTask = 16;

// Of each element the sets [first, last) of a collection that hold it, numbered from 0.
class Holders {
 public:
  Holders(const SparseSets& sets, std::int64_t first, std::int64_t last, std::int64_t n_elements)
      : offsets_(n_elements + 1, 0), sets_(sets.offsets[last] - sets.offsets[first]) {
    const std::int32_t* const elements = sets.elements;
    for (std::int64_t p = sets.offsets[first]; p < sets.offsets[last]; ++p)
      ++offsets_[elements[p] + 1];
    for (std::int64_t e = 0; e < n_elements; ++e) offsets_[e + 1] += offsets_[e];
    std::vector<std::int64_t> next(offsets_.begin(), offsets_.end() - 1);
    for (std::int64_t i = first; i < last; ++i)
      for (std::int64_t p = sets.offsets[i]; p < sets.offsets[i + 1]; ++p)
        sets_[next[elements[p]]++] = static_cast<std::int32_t>(i - first);
  }

  template <class Visit>
  void visit(std::int32_t element, const Visit& visit_set) const {
    for (std::int64_t p = offsets_[element]; p < offsets_[element + 1]; ++p) visit_set(sets_[p]);
  }

 private:
  std::vector<std::int64_t> offsets_;
  std::vector<std::int32_t> sets_;
};

// Calls task(holders, first set of the block, one past its last, row of a, worker).
template <class Task>
void for_all(const SparseSets& a, const SparseSets& b, std::int64_t n_elements, Team& team,
             const Task& task) {
  const std::int64_t n_tasks = ceil_div(a.n, kRowsOfTask);
  team.expect(static_cast<double>(n_tasks * ceil_div(b.n, kBlock)));
  for (std::int64_t first = 0; first < b.n; first += kBlock) {
    const std::int64_t last = std::min(b.n, first + kBlock);
    const Holders holders(b, first, last, n_elements);
    team.run(n_tasks, [&](std::int64_t t, int worker) {
      for (std::int64_t i = t * kRowsOfTask;
           i < std::min(a.n, (t + 1) * kRowsOfTask) && !team.cancelled(); ++i)
        task(holders, first, last, i, worker);
      team.advance(1);
    });
  }
}

struct Found {
  std::int64_t set, count, size;  // size: of the set

  bool before(const Found& other, OverlapOrder order, std::int64_t own_size) const {
    std::int64_t mine = count, others = other.count;
    if (order == OverlapOrder::jaccard) {  // shares of the unions, as fractions
      mine *= own_size + other.size - other.count;
      others *= own_size + size - count;
    }
    return mine != others ? mine > others : set < other.set;
  }
};

}  // namespace

void check_sets(const SparseSets& sets, std::int64_t n_elements, const std::string& name) {
  for (std::int64_t i = 0; i < sets.n; ++i)
    for (std::int64_t p = sets.offsets[i]; p < sets.offsets[i + 1]; ++p)
      if (sets.elements[p] < 0 || sets.elements[p] >= n_elements)
        throw InvalidArgument(text("set ", i, " of ", name, " holds ", sets.elements[p],
                                   ", wanted elements in [0, ", n_elements, ")"));
  std::vector<std::int64_t> last(n_elements, -1);  // the set that an element was met in last
  for (std::int64_t i = 0; i < sets.n; ++i)
    for (std::int64_t p = sets.offsets[i]; p < sets.offsets[i + 1]; ++p) {
      const std::int32_t element = sets.elements[p];
      if (last[element] == i)
        throw InvalidArgument(
            text("set ", i, " of ", name, " holds ", element, " twice, wanted each element once"));
      last[element] = i;
    }
}

void count_overlaps(const SparseSets& a, const SparseSets& b, std::int64_t n_elements,
                    std::int32_t* out, Team& team) {
  for_all(a, b, n_elements, team,
          [&](const Holders& holders, std::int64_t first, std::int64_t last, std::int64_t i, int) {
            std::int32_t* const counts = out + i * b.n + first;
            std::fill_n(counts, last - first, 0);
            for (std::int64_t p = a.offsets[i]; p < a.offsets[i + 1]; ++p)
              holders.visit(a.elements[p], [&](std::int32_t set) { ++counts[set]; });
          });
}

void top_overlaps(const SparseSets& a, const SparseSets& b, std::int64_t n_elements,
                  OverlapOrder order, bool only_others, std::int64_t top, const TopOverlaps& out,
                  Team& team) {
  std::fill_n(out.sets, a.n * top, -1);
  std::fill_n(out.counts, a.n * top, 0);
  struct Worker {
    std::vector<std::int32_t> counts, met;
    std::vector<Found> best;
  };
  std::vector<Worker> workers(team.size());
  for_all(
      a, b, n_elements, team,
      [&](const Holders& holders, std::int64_t first, std::int64_t, std::int64_t i, int number) {
        Worker& worker = workers[number];
        worker.counts.resize(kBlock);
        worker.met.clear();
        for (std::int64_t p = a.offsets[i]; p < a.offsets[i + 1]; ++p)
          holders.visit(a.elements[p], [&](std::int32_t set) {
            if (worker.counts[set]++ == 0) worker.met.push_back(set);
          });
        worker.best.clear();
        std::int32_t *const sets = out.sets + i * top, *const counts = out.counts + i * top;
        for (std::int64_t t = 0; t < top && sets[t] >= 0; ++t)
          worker.best.push_back({sets[t], counts[t], b.size(sets[t])});
        for (const std::int32_t set : worker.met) {
          if (!only_others || first + set != i)
            worker.best.push_back({first + set, worker.counts[set], b.size(first + set)});
          worker.counts[set] = 0;
        }
        const auto end = worker.best.begin() +
                         std::min<std::int64_t>(top, static_cast<std::int64_t>(worker.best.size()));
        std::partial_sort(
            worker.best.begin(), end, worker.best.end(),
            [&](const Found& x, const Found& y) { return x.before(y, order, a.size(i)); });
        for (auto found = worker.best.begin(); found != end; ++found) {
          sets[found - worker.best.begin()] = static_cast<std::int32_t>(found->set);
          counts[found - worker.best.begin()] = static_cast<std::int32_t>(found->count);
        }
      });
}

}  // namespace ilo
