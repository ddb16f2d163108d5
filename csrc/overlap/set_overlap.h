// What the lists of the same row in two stacks have in common: all layers of one with all of the
// other.
//
// Of the lists a and b of a row:
//   common         |a & b| as sets
//   lcs            the longest common subsequence, which need not be contiguous
//   edit_distance  Levenshtein's: insertions, deletions and substitutions of one entry
//   cycle          1 if the row is in the list, in stack a, of any entry of b, else 0
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "overlap/row_lists.h"

namespace ilo {

enum class RowMeasure { common, lcs, edit_distance, cycle };

struct ListComparison {
  RowLists a, b;          // checked, of the same number of rows
  std::int64_t n_points;  // the rows, if the measure is cycle or anything is renumbered
  RowMeasure measure;
};

// The largest value that there can be.
std::int64_t largest_value(const ListComparison& in);

// The value of every row: out is (a.n_layers, b.n_layers, n).
void compare_rows(const ListComparison& in, std::int32_t* out, Team& team);

// The sum over all rows of weights[value]: out is (1 + permutations, a.n_layers, b.n_layers), first
// as it is, then with the points of b renumbered by each permutation. Weights are for the values
// from 0 to largest_value. Values are counted first, so that sums do not depend on threads.
void sum_rows(const ListComparison& in, const double* weights, const Permutations& permutations,
              double* out, Team& team);

}  // namespace ilo
