// Neighbours that were found in parts, put together: a semigroup.
//
// The state of a row is the list of its k nearest columns so far, as (squared distance in float64,
// index), in that order, the form in which the definition compares them; places not yet taken hold
// (infinity, -1) and stand last. Merging takes the union of two lists as sets and keeps the first
// k. That is associative, commutative and idempotent, and the empty list changes nothing. So parts
// may arrive in any order, in any grouping, and more than once, and the bytes are the same.
//
// No bound is kept of what parts left out. A part is the exact answer among its own columns: what
// it left out is behind k columns that it lists, so also behind the k that stay.
#pragma once

#include <cstdint>

namespace ilo {

struct NeighborLists {
  std::int64_t* indices;  // [n][k]
  double* squared;
  std::int64_t n, k;
};

// Lists of m columns for rows[count]: the same row may come again.
struct NeighborPart {
  const std::int64_t* rows;
  const std::int64_t* indices;  // [count][m]
  const double* squared;
  std::int64_t count, m;
};

// Throws InvalidArgument for a row or an index outside [0, n) or [0, n_columns), a list out of
// order, or an index that comes at two distances: then the parts saw different rows. What was
// thrown for changes nothing: a part is merged whole or not at all.
void merge_neighbors(const NeighborLists& into, const NeighborPart& part, std::int64_t n_columns);

}  // namespace ilo
