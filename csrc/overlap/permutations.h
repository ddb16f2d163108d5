// Overlap of neighbour graphs under shuffled labels: what scores are where labels do not matter.
//
// The graphs stay as they are, and a shuffle is the same at all layers. Two kinds are counted:
//   languages shuffled among the points of each sentence (without sentences: among all points), for
//     bridge and reach;
//   sentences shuffled among the points of each language, for translations.
// A shuffle depends on the seed and its number alone, and not on threads: Fisher and Yates, group
// after group (ascending, as are the points in it; each from its last point down), with the random
// numbers of SplitMix64 (Steele, Lea and Flood 2014), which starts for each shuffle where a hash of
// seed, number and kind says.
#pragma once

#include <cstdint>

#include "core/parallel.h"

namespace ilo {

struct PermutationInput {
  const std::int32_t* indices;    // (n_layers, n, k)
  const std::int32_t* languages;  // (n), in [0, n_languages)
  const std::int64_t* sentences;  // (n) or null: equal numbers are translations of each other
  std::int64_t n_layers, n, k;    // n k fits into 31 bits
  std::int32_t n_languages;       // fits into 16 bits
  std::int64_t threshold;
  std::int64_t n_permutations;
  std::uint64_t seed;
};

// Each (1 + n_permutations, n_layers, n_languages), with the labels as they are first.
struct PermutationOutput {
  std::int32_t* bridging;      // points with `threshold` other languages near them, or more
  std::int32_t* reached;       // other languages that are near any point
  std::int32_t* translations;  // null if sentences is
};

void count_permutations(const PermutationInput& in, const PermutationOutput& out, Team& team);

}  // namespace ilo
