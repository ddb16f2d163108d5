// Communities of random graphs: connected, numbered in the order of their points, the same again,
// and no point gains by a move. Maps of random graphs: finite, and the same again.
//
//     communities_test [rounds] [seed]
#include "overlap/communities.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "checks.h"
#include "overlap/layout.h"

namespace native {
namespace {

struct Unheard : ilo::Monitor {
  void poll(double) override {}
};

Unheard monitor;

using Labels = std::vector<std::int32_t>;

struct Graph {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> ends;
  std::vector<double> weights;

  std::int32_t n() const { return static_cast<std::int32_t>(offsets.size()) - 1; }
  ilo::CommunityGraph view() const { return {offsets.data(), ends.data(), weights.data(), n()}; }
};

Graph random_graph(Random& random, std::int32_t n, float density) {
  std::vector<std::vector<double>> weight(n, std::vector<double>(n, 0.0));
  for (std::int32_t i = 0; i < n; ++i)
    for (std::int32_t j = 0; j < i; ++j)
      if (random.real(0, 1) < density)
        weight[i][j] = weight[j][i] = static_cast<double>(random.whole(1, 2));
  Graph graph;
  for (std::int32_t i = 0; i < n; ++i) {
    for (std::int32_t j = 0; j < n; ++j)
      if (weight[i][j] > 0) graph.ends.push_back(j), graph.weights.push_back(weight[i][j]);
    graph.offsets.push_back(static_cast<std::int64_t>(graph.ends.size()));
  }
  return graph;
}

// Points that links within the community lead to, from its first point on.
Index reached(const Graph& graph, const Labels& found, std::int32_t from) {
  std::set<std::int32_t> seen{from};
  std::vector<std::int32_t> open{from};
  while (!open.empty()) {
    const std::int32_t i = open.back();
    open.pop_back();
    for (std::int64_t at = graph.offsets[i]; at < graph.offsets[i + 1]; ++at)
      if (found[graph.ends[at]] == found[from] && seen.insert(graph.ends[at]).second)
        open.push_back(graph.ends[at]);
  }
  return static_cast<Index>(seen.size());
}

void check_moves(const Graph& graph, const Labels& found, double resolution) {
  std::vector<double> strength(graph.n(), 0.0);
  std::map<std::int32_t, double> inside;
  double total = 0;
  for (std::int32_t i = 0; i < graph.n(); ++i)
    for (std::int64_t at = graph.offsets[i]; at < graph.offsets[i + 1]; ++at) {
      strength[i] += graph.weights[at];
      inside[found[i]] += graph.weights[at];
      total += graph.weights[at];
    }
  for (std::int32_t i = 0; i < graph.n() && total > 0; ++i) {
    std::map<std::int32_t, double> shared;
    for (std::int64_t at = graph.offsets[i]; at < graph.offsets[i + 1]; ++at)
      shared[found[graph.ends[at]]] += graph.weights[at];
    const auto gain = [&](std::int32_t group) {
      const double others = inside[group] - (group == found[i] ? strength[i] : 0);
      return shared[group] - resolution * strength[i] * others / total;
    };
    const double own = gain(found[i]);
    check(own > -1e-6, "a point is better alone");
    for (const auto& [group, weight] : std::map<std::int32_t, double>(shared))
      check(gain(group) < own + 1e-6, "a point gains by a move");
  }
}

void one_graph(Random& random) {
  const auto n = static_cast<std::int32_t>(random.whole(1, 60));
  const Graph graph = random_graph(random, n, random.of({0.0f, 0.03f, 0.1f, 0.5f}));
  const double resolution = random.of({0.3, 1.0, 2.5});
  doing = "communities of " + std::to_string(n) + " points";
  const Labels found = ilo::communities(graph.view(), resolution, seed, monitor);
  check(found == ilo::communities(graph.view(), resolution, seed, monitor), "not the same again");
  std::map<std::int32_t, Index> size;
  std::map<std::int32_t, std::int32_t> first;
  for (std::int32_t i = 0; i < n; ++i) {
    ++size[found[i]];
    const bool is_new = first.emplace(found[i], i).second;
    check(!is_new || found[i] + 1 == static_cast<std::int32_t>(first.size()), "other numbers");
  }
  for (const auto& [group, point] : first)
    check(reached(graph, found, point) == size[group], "a community is not connected");
  check_moves(graph, found, resolution);
}

void one_map(Random& random) {
  const Index n = random.whole(2, 40), k = random.whole(1, std::min<Index>(4, n - 1));
  doing = "a map of " + std::to_string(n) + " points";
  std::vector<std::int32_t> indices;
  for (Index i = 0; i < n; ++i)
    for (Index link = 1; link <= k; ++link)
      indices.push_back(static_cast<std::int32_t>((i + link) % n));
  std::vector<float> start(2 * n, 0.0f);  // all in one place, or anywhere
  if (random.whole(0, 1))
    for (float& at : start) at = random.real(-9, 9);
  const ilo::LayoutInput in{indices.data(), n, k, random.whole(0, 30), random.whole(0, 5), seed};
  std::vector<float> moved = start, again = start;
  ilo::lay_out(in, moved.data(), monitor);
  ilo::lay_out(in, again.data(), monitor);
  check(moved == again, "not the same again");
  for (const float at : moved) check(std::isfinite(at), "a place is not finite");
}

void run(Random& random, Index rounds) {
  for (Index round = 0; round < 5 * rounds; ++round) {
    one_graph(random);
    one_map(random);
  }
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
