// Communities of an undirected graph by modularity: the Leiden algorithm.
//
// Traag, Waltman and van Eck, Scientific Reports 9, 5233 (2019). A pass moves single nodes to the
// group where modularity gains most (a queue holds the nodes whose neighbours moved), refines: each
// group is split into parts that hang together, and goes on with the parts as nodes, until no node
// moves. Passes are repeated, each from the groups of the last, until one changes nothing: then no
// point gains by a move. Where the paper draws a part at random in the refinement, the best is
// taken, so that only the order in which nodes are visited depends on the seed.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"

namespace ilo {

// Each link is there from both of its ends; a point has none to itself.
struct CommunityGraph {
  const std::int64_t* offsets;  // (n + 1): the links of point i are those from offsets[i] on
  const std::int32_t* ends;
  const double* weights;  // above 0; whole numbers add up without rounding
  std::int32_t n;
};

// The community of each point, numbered from 0 in the order of their first points. Communities are
// connected; a point without links is one of its own. `resolution` above 1 makes them smaller. The
// monitor is asked before each search over all nodes; no share is known, and it is told 0.
std::vector<std::int32_t> communities(const CommunityGraph& graph, double resolution,
                                      std::uint64_t seed, Monitor& monitor);

}  // namespace ilo
