// Overlapping leaves of near rows, by ball carving: of a set that is too large for a leaf some rows
// are drawn as leaders, every row goes to its nearest few, and the sets that arise are treated in
// the same way. A pair of near rows meets in some leaf more often than not.
//
// (Ball carving with overlap at the first levels is that of PiPNN, arXiv 2602.21247.)
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/parallel.h"
#include "knn/rounded_rows.h"

namespace ilo {

struct PartitionOptions {
  std::int64_t leaf_rows = 512;  // at most
  std::int64_t least_rows = 1;   // at least, if there are as many; at most a quarter of leaf_rows
  std::int64_t leaders = 1024;   // of a set, at most
  std::vector<std::int64_t> overlap;  // leaders that a row goes to, at each level; 1 at the others
  std::uint64_t seed = 0;
  // Rows of sets that are split together, and of leaves that are handed on together: changes
  // memory, not leaves.
  std::int64_t batch_rows = std::int64_t{1} << 21;
};

// Leaf l holds rows[begin[l] .. begin[l + 1]), distinct.
struct Leaves {
  std::vector<std::int32_t> rows;
  std::vector<std::int64_t> begin{0};

  std::int64_t count() const { return static_cast<std::int64_t>(begin.size()) - 1; }
  const std::int32_t* leaf(std::int64_t l) const { return &rows[begin[l]]; }
  std::int64_t size(std::int64_t l) const { return begin[l + 1] - begin[l]; }
};

// Of all rows; every row is in at least one leaf. They come in batches, of bounded size, and are
// the same for any number of threads.
void partition(const RoundedRows& rows, const PartitionOptions& options, Team& team,
               const std::function<void(const Leaves&)>& take);

// Every row once, in groups of exactly `size` rows, but the last: neighbours in a tree of leaves.
Leaves full_groups(const RoundedRows& rows, std::int64_t size, std::uint64_t seed, Team& team);

}  // namespace ilo
