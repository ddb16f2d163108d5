// Interlingual Local Overlap of a neighbour graph, and the shares of translations and of other
// languages among neighbours.
//
// N(i): the neighbours of point i; L(i): the languages of N(i) without i's own.
//   bridge(l) = share of the points of l with |L(i)| >= threshold
//   reach(l)  = |union of L(i) over the points of l| / (n_languages - 1)
//   ILO(l)    = harmonic mean of both, 0 where both are 0
// Source: Wilie, Cahyawijaya, He and Fung, arXiv 2503.11280.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"

namespace ilo {

struct OverlapInput {
  const std::int64_t* indices;    // (n_layers, n, k)
  const std::int32_t* languages;  // (n), in [0, n_languages)
  const std::int64_t* sentences;  // (n) or null: equal numbers are translations of each other
  std::int64_t n_layers, n, k;
  std::int32_t n_languages;
  std::int64_t threshold;
};

struct OverlapOutput {  // each (n_layers, n_languages)
  double* bridge;
  double* reach;
  double* ilo;
  double* translation_share;  // null if sentences is
  double* cross_share;        // of the neighbours that are in another language
};

void overlap(const OverlapInput& in, const OverlapOutput& out, Team& team);

// What is counted of a layer, here or on a GPU: whole numbers, so that scores are the same
// everywhere.
struct OverlapCounts {
  explicit OverlapCounts(std::int32_t n_languages)
      : points(n_languages, 0),
        bridging(n_languages, 0),
        reached(n_languages, 0),
        translations(n_languages, 0),
        cross(n_languages, 0) {}
  // Of each language; `cross` counts the neighbours in other languages.
  std::vector<std::int64_t> points, bridging, reached, translations, cross;
};

void scores_of_layer(const OverlapInput& in, const OverlapCounts& counts, std::int64_t layer,
                     const OverlapOutput& out);

}  // namespace ilo
