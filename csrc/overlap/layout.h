// A map of a neighbour graph in the plane: links pull, random other points push.
//
// The forces of LargeVis (Tang et al. 2016) and UMAP (McInnes et al. 2018) with the kernel
// 1 / (1 + d^2), by stochastic gradient ascent: in each epoch every link pulls its ends together,
// and pushes its source away from a few points drawn at random. Steps shrink to 0. One thread, one
// order of links: the same input gives the same map.
#pragma once

#include <cstdint>

#include "core/parallel.h"

namespace ilo {

struct LayoutInput {
  const std::int32_t* indices;  // (n, k): the neighbours of each point
  std::int64_t n, k;
  std::int64_t n_epochs;
  std::int64_t n_pushes;  // points drawn for each link
  std::uint64_t seed;
};

// Moves `positions` (n, 2), which hold where points start. The monitor is asked once per epoch.
void lay_out(const LayoutInput& in, float* positions, Monitor& monitor);

}  // namespace ilo
