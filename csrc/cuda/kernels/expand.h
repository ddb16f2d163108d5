// From unique rows to all rows, on the device (knn/output.h does the same on the CPU).
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda/platform.h"
#include "knn/rows.h"

namespace ilo::gpu {

// Which rows are equal: unique rows and their members, ascending (knn/rows.h).
struct Equals {
  const int* unique_of;  // [n]
  const int* offset;     // [unique rows + 1]
  const int* members;    // [n]
  int n_base;
};

struct Expansion {
  Equals equals;
  const int* query_of;    // [unique rows]: its number among the query rows
  int n_columns;          // unique rows that are searched
  int first_number, k;    // of the rows that the result is for
  const int* nearest_id;  // [queries rows][k]
  const double* nearest_squared;
  bool cosine;
  double multiplier;  // of all rows, under the Euclidean metric
};

// The smallest member of unique row g after `last` that is in the base and not `self`, or n_base.
__device__ inline int next_member(const Equals& e, int g, int last, int self) {
  int from = e.offset[g], to = e.offset[g + 1];
  while (from < to) {  // the first beyond `last`
    const int middle = from + (to - from) / 2;
    if (e.members[middle] > last)
      to = middle;
    else
      from = middle + 1;
  }
  if (from < e.offset[g + 1] && e.members[from] == self) ++from;
  return from < e.offset[g + 1] && e.members[from] < e.n_base ? e.members[from] : e.n_base;
}

// Neighbours of every row: its equals at distance 0, then the members of the columns found, in the
// order (distance, number). A thread takes a row.
inline __global__ void expand_to_all_rows(int count, Expansion in, std::int64_t* indices,
                                          float* distances) {
  const std::int64_t out = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (out >= count) return;
  const int self = in.first_number + static_cast<int>(out), g = in.equals.unique_of[self];
  const std::int64_t found = static_cast<std::int64_t>(in.query_of[g]) * in.k;
  const int others = in.n_columns - (g < in.n_columns ? 1 : 0);
  const int n_found = in.k < others ? in.k : others;
  int written = 0;
  for (int begin = -1, end; begin < n_found && written < in.k;
       begin = end) {  // -1: the row's equals
    const double squared = begin < 0 ? 0 : in.nearest_squared[found + begin];
    end = begin + 1;
    while (end < n_found && in.nearest_squared[found + end] == squared) ++end;
    const float distance = in.cosine ? static_cast<float>(0.5 * squared)
                                     : static_cast<float>(sqrt(squared) / in.multiplier);
    // All at one distance, whichever unique row they equal, by number.
    for (int last = -1; written < in.k;) {
      int next = in.equals.n_base;
      for (int p = begin; p < end; ++p) {
        const int member = next_member(in.equals, p < 0 ? g : in.nearest_id[found + p], last, self);
        next = member < next ? member : next;
      }
      if (next == in.equals.n_base) break;
      indices[out * in.k + written] = next;
      distances[out * in.k + written] = distance;
      ++written;
      last = next;
    }
  }
  // Rows that changed meanwhile may leave a place empty. The call will fail; until then every
  // number must be a row's.
  for (; written < in.k; ++written) indices[out * in.k + written] = 0;
}

}  // namespace ilo::gpu
