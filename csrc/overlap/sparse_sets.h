// How many elements two sets have in common: all sets of one collection with all of another, where
// sets are sparse (the features that are active in a sentence, the sentences of a feature).
#pragma once

#include <cstdint>
#include <string>

#include "core/parallel.h"

namespace ilo {

struct SparseSets {
  const std::int64_t* offsets;   // (n + 1): the elements of set i are [offsets[i], offsets[i + 1])
  const std::int32_t* elements;  // in [0, n_elements), no two equal in a set
  std::int64_t n;

  std::int64_t size(std::int64_t i) const { return offsets[i + 1] - offsets[i]; }
};

// Throws InvalidArgument for an element outside [0, n_elements), or twice in a set. `name`: of the
// argument.
void check_sets(const SparseSets& sets, std::int64_t n_elements, const std::string& name);

// All counts: out is (a.n, b.n).
void count_overlaps(const SparseSets& a, const SparseSets& b, std::int64_t n_elements,
                    std::int32_t* out, Team& team);

// What makes an overlap large: the count of common elements, or its share of the union.
enum class OverlapOrder { count, jaccard };

struct TopOverlaps {   // each (a.n, top); where a set meets fewer, -1 and 0
  std::int32_t* sets;  // numbers in b, the largest overlap first, equal ones by number
  std::int32_t* counts;
};

// Of each set of a the sets of b with the largest overlaps, those that have none left out; with
// `only_others`, where both are one collection, also the set itself.
void top_overlaps(const SparseSets& a, const SparseSets& b, std::int64_t n_elements,
                  OverlapOrder order, bool only_others, std::int64_t top, const TopOverlaps& out,
                  Team& team);

}  // namespace ilo
