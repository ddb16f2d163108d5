// Firings of features by label of the row, as the labels are and as they are shuffled: do features
// fire as often under every label?
//
// Rows are documents of one language, columns features. Of each shuffle s and column j, with C_l
// the firings and T_l the tokens of the rows of label l:
//   statistic[s, j] = sum over l of C_l^2 / T_l, which grows with Pearson's chi-squared of firings
//     against tokens, (T/C) statistic - C, since C and T are the same in every shuffle;
//   dominated[s, j]: whether of the rates C_l / T_l one is at least `dominant` of their sum, and
//     each other less than `others` of it.
// Sums are of whole numbers, so that all is the same to the bit at any number of threads.
#pragma once

#include <cstdint>

#include "core/parallel.h"

namespace ilo {

struct LabelPermutationInput {
  const std::int64_t* offsets;  // (n_columns + 1), of the entries, which go column by column
  const std::int32_t* rows;     // (entries), in [0, n_rows)
  const std::int32_t* counts;   // (entries), at least 1
  const std::int64_t* tokens;   // (n_rows), at least 1
  const std::uint16_t* labels;  // (n_shuffles, n_rows), in [0, n_labels), each label somewhere
  std::int64_t n_columns, n_rows, n_shuffles;
  std::int32_t n_labels;  // at most 4096
  double dominant, others;
};

struct LabelPermutationOutput {
  double* statistic;  // (n_shuffles, n_columns)
  bool* dominated;    // (n_shuffles, n_columns)
};

// Throws InvalidArgument for a row, count, label or number of tokens that is out of range.
void permute_labels(const LabelPermutationInput& in, const LabelPermutationOutput& out, Team& team);

}  // namespace ilo
