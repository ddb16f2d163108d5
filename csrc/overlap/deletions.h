// What overlap scores are counted from, in a corpus without some of its units, from one graph.
//
// A unit is a set of points that come and go together: a sentence in all its languages, a document,
// or a single point. The nearest neighbours of a point among those that are left are the first k of
// its list that are left, so lists longer than k replace a new graph, as long as k are left in
// each: `rows_too_short` finds those where they are not, and nothing is counted from these.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"

namespace ilo {

struct DeletionInput {
  const std::int64_t* entries;    // the neighbours of all points, nearest first
  const std::int64_t* offsets;    // (n + 1): those of point i are [offsets[i], offsets[i + 1])
  const std::int32_t* languages;  // (n), in [0, n_languages)
  const std::int32_t* units;      // (n), in [0, n_units)
  const std::int64_t* sentences;  // (n) or null: equal numbers are translations of each other
  std::int64_t n, k, threshold;
  std::int32_t n_languages, n_units;
};

// Which units a subset keeps: kept[s * n_units + u].
struct Subsets {
  const std::uint8_t* kept;
  std::int64_t count;
};

struct DeletionOutput {  // each (n_units or subsets, n_languages), zeros before
  std::int32_t* points;
  std::int32_t* bridging;
  std::int32_t* reached;
  std::int32_t* translations;  // null if sentences is
};

// Points whose list does not keep k where any unit but their own goes, ascending.
std::vector<std::int64_t> rows_too_short(const DeletionInput& in);
// Points whose list does not keep k in a subset that keeps them, ascending.
std::vector<std::int64_t> rows_too_short(const DeletionInput& in, const Subsets& subsets,
                                         Team& team);

// The counts without each unit, a point counted again only where it loses one of its first k.
void count_without_each(const DeletionInput& in, const DeletionOutput& out, Team& team);
// The counts of each subset.
void count_subsets(const DeletionInput& in, const Subsets& subsets, const DeletionOutput& out,
                   Team& team);

}  // namespace ilo
