// How much of their active features lines have in common with their translations, and with other
// lines: all pairs of languages, layer by layer.
//
// Of the values a and b (not negative) that the features of one layer have in two lines:
//   Jaccard           features active in both / features active in either
//   weighted Jaccard  sum of min(a, b) / sum of max(a, b)
//   cosine            sum of a b / sqrt(sum of a^2 * sum of b^2)
// A line without an active feature shares nothing: 0.
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "sparse/active.h"

namespace ilo {

constexpr int kSharingMeasures = 3;

struct ParallelLines {
  ActiveRows rows;             // checked
  const float* values;         // of each entry, positive, at most 1e18
  const std::int64_t* row_of;  // (n_languages, n_lines): in [0, rows.n)
  std::int64_t n_languages, n_lines;
  const std::int32_t* document;  // (n_lines): in [0, n_documents)
  std::int64_t n_documents;
};

struct Partners {
  const std::int32_t* lines;  // (count, n_lines): with which line of the other language each goes
  std::int64_t count;
};

// Each (pairs, n_layers, n_documents, measures), pairs (0, 1), (0, 2), ..., (1, 2), ...
struct SharingSums {
  double* matched;  // sums over the lines of a document, with their translations
  double* others;   // the same with partners, mean over their `count`: of lines in the first
                    // language and of lines in the second, added up
};

// Throws InvalidArgument for a row, a line, a document or a value out of range. The sums are the
// same for every number of threads.
void sum_sharing(const ParallelLines& in, const Partners& partners, const SharingSums& out,
                 Team& team);

}  // namespace ilo
