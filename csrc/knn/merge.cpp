// Merges lists of neighbours, row by row.
#include "knn/merge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/errors.h"

namespace ilo {

namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

using Entry = std::pair<double, std::int64_t>;  // compared in this order

void check_list(const NeighborPart& part, std::int64_t list, std::int64_t n, std::int64_t columns) {
  const std::int64_t row = part.rows[list];
  if (row < 0 || row >= n)
    throw InvalidArgument(text("rows[", list, "]=", row, " is not in [0, ", n, ")"));
  const std::int64_t* indices = part.indices + list * part.m;
  const double* squared = part.squared + list * part.m;
  for (std::int64_t p = 0; p < part.m; ++p) {
    const bool is_none = indices[p] == -1 && squared[p] == kNone;
    if (!is_none &&
        !(indices[p] >= 0 && indices[p] < columns && squared[p] >= 0 && squared[p] < kNone))
      throw InvalidArgument(text("the part lists for row ", row, " the neighbour ", indices[p],
                                 " at the squared distance ", squared[p],
                                 ", wanted a number in [0, ", columns,
                                 ") and a finite one, or -1 and infinity for no neighbour"));
    if (p == 0 || (is_none && squared[p - 1] == kNone)) continue;
    if (!(Entry(squared[p - 1], indices[p - 1]) < Entry(squared[p], indices[p])))
      throw InvalidArgument(text("the part lists the neighbours ", indices[p - 1], " and ",
                                 indices[p], " of row ", row,
                                 " out of order, wanted (squared distance, index) to rise"));
  }
}

// Two sorted lists; `merged` gets the first k of their union, and is as long as that.
void merge_lists(const Entry* a, std::int64_t n_a, const Entry* b, std::int64_t n_b, std::int64_t k,
                 std::vector<Entry>& merged) {
  merged.clear();
  while (static_cast<std::int64_t>(merged.size()) < k && (n_a > 0 || n_b > 0)) {
    if (n_b == 0 || (n_a > 0 && *a <= *b)) {
      if (n_b > 0 && *a == *b) ++b, --n_b;
      merged.push_back(*a++), --n_a;
    } else {
      merged.push_back(*b++), --n_b;
    }
  }
}

void read_list(const std::int64_t* indices, const double* squared, std::int64_t count,
               std::vector<Entry>& out) {
  out.clear();
  for (std::int64_t p = 0; p < count && indices[p] >= 0; ++p)
    out.emplace_back(squared[p], indices[p]);
}

void check_distinct(const std::vector<Entry>& list, std::int64_t row) {
  for (std::size_t p = 1; p < list.size(); ++p)
    for (std::size_t q = 0; q < p; ++q)
      if (list[p].second == list[q].second)
        throw InvalidArgument(text("parts find neighbour ", list[p].second, " of row ", row,
                                   " at the squared distances ", list[q].first, " and ",
                                   list[p].first,
                                   ": they saw different rows; X changed between them, or is not "
                                   "the same file everywhere"));
}

// Puts changed rows back where a later one cannot be merged: all of a part counts, or nothing.
class Undo {
 public:
  explicit Undo(const NeighborLists& into) : into_(into) {}
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;

  ~Undo() {
    if (kept_) return;
    // The last first: a row may have been changed twice.
    for (std::size_t change = rows_.size(); change-- > 0;) {
      const auto from = static_cast<std::int64_t>(change) * into_.k;
      std::copy_n(indices_.data() + from, into_.k, into_.indices + rows_[change] * into_.k);
      std::copy_n(squared_.data() + from, into_.k, into_.squared + rows_[change] * into_.k);
    }
  }

  void remember(std::int64_t row) {
    const std::int64_t* indices = into_.indices + row * into_.k;
    const double* squared = into_.squared + row * into_.k;
    indices_.insert(indices_.end(), indices, indices + into_.k);
    squared_.insert(squared_.end(), squared, squared + into_.k);
    rows_.push_back(row);  // last: without it, what was copied does not count
  }

  void keep() { kept_ = true; }

 private:
  NeighborLists into_;
  bool kept_ = false;
  std::vector<std::int64_t> rows_, indices_;
  std::vector<double> squared_;
};

}  // namespace

void merge_neighbors(const NeighborLists& into, const NeighborPart& part, std::int64_t n_columns) {
  for (std::int64_t list = 0; list < part.count; ++list) check_list(part, list, into.n, n_columns);
  std::vector<Entry> before, added, merged;
  Undo undo(into);
  for (std::int64_t list = 0; list < part.count; ++list) {
    const std::int64_t row = part.rows[list];
    std::int64_t* indices = into.indices + row * into.k;
    double* squared = into.squared + row * into.k;
    read_list(part.indices + list * part.m, part.squared + list * part.m, part.m, added);
    if (added.empty()) continue;
    const Entry last(squared[into.k - 1], indices[into.k - 1]);
    if (last.second >= 0 && last < added.front()) continue;  // most that come late change nothing
    read_list(indices, squared, into.k, before);
    merge_lists(before.data(), static_cast<std::int64_t>(before.size()), added.data(),
                static_cast<std::int64_t>(added.size()), into.k, merged);
    check_distinct(merged, row);
    undo.remember(row);
    for (std::size_t p = 0; p < merged.size(); ++p) {
      indices[p] = merged[p].second;
      squared[p] = merged[p].first;
    }
  }
  undo.keep();
}

}  // namespace ilo
