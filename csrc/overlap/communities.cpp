#include "overlap/communities.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ilo {

namespace {

using Groups = std::vector<std::int32_t>;

// What is less than this is rounding: with whole weights, and a resolution of 1, a gain is a
// multiple of one over the sum of all weights.
constexpr double kLeastGain = 1e-9;

// SplitMix64 (Steele, Lea and Flood 2014).
class RandomOrder {
 public:
  explicit RandomOrder(std::uint64_t seed) : state_(seed) {}

  Groups permutation(std::int32_t n) {
    Groups order(n);
    std::iota(order.begin(), order.end(), 0);
    for (std::int32_t last = n - 1; last > 0; --last)
      std::swap(order[last], order[next() % (static_cast<std::uint64_t>(last) + 1)]);
    return order;
  }

 private:
  std::uint64_t next() {
    std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

  std::uint64_t state_;
};

struct Link {
  std::int32_t end;
  double weight;
};

// A graph without loops. The strength of a node counts its links, also those within it.
struct Level {
  std::vector<std::int64_t> offsets;
  std::vector<Link> links;
  std::vector<double> strength;

  std::int32_t n() const { return static_cast<std::int32_t>(strength.size()); }
  const Link* begin(std::int32_t v) const { return links.data() + offsets[v]; }
  const Link* end(std::int32_t v) const { return links.data() + offsets[v + 1]; }
};

// Sums of weights by group, for one node at a time; groups in the order in which they were met.
class Shared {
 public:
  explicit Shared(std::int32_t n) : weight_(n, 0.0) {}

  void add(std::int32_t group, double weight) {
    if (weight_[group] == 0.0) groups_.push_back(group);  // weights are above 0
    weight_[group] += weight;
  }
  double of(std::int32_t group) const { return weight_[group]; }
  const Groups& groups() const { return groups_; }
  void clear() {
    for (const std::int32_t group : groups_) weight_[group] = 0.0;
    groups_.clear();
  }

 private:
  std::vector<double> weight_;
  Groups groups_;
};

// Numbers groups from 0 in the order in which they first occur; returns how many there are.
std::int32_t number(Groups& groups, std::int32_t n_numbers) {
  Groups known(n_numbers, -1);
  std::int32_t count = 0;
  for (std::int32_t& group : groups) {
    if (known[group] < 0) known[group] = count++;
    group = known[group];
  }
  return count;
}

Level points(const CommunityGraph& graph) {
  Level level;
  level.offsets.assign(graph.offsets, graph.offsets + graph.n + 1);
  level.strength.assign(graph.n, 0.0);
  level.links.reserve(level.offsets[graph.n]);
  for (std::int32_t v = 0; v < graph.n; ++v)
    for (std::int64_t at = graph.offsets[v]; at < graph.offsets[v + 1]; ++at) {
      level.links.push_back({graph.ends[at], graph.weights[at]});
      level.strength[v] += graph.weights[at];
    }
  return level;
}

// The graph whose nodes are the groups.
Level merged(const Level& level, const Groups& groups, std::int32_t n_groups) {
  Level next;
  next.strength.assign(n_groups, 0.0);
  std::vector<std::int32_t> first(n_groups + 1, 0), members(level.n());
  for (std::int32_t v = 0; v < level.n(); ++v) {
    next.strength[groups[v]] += level.strength[v];
    ++first[groups[v] + 1];
  }
  std::partial_sum(first.begin(), first.end(), first.begin());
  std::vector<std::int32_t> place(first.begin(), first.end() - 1);
  for (std::int32_t v = 0; v < level.n(); ++v) members[place[groups[v]]++] = v;

  Shared shared(n_groups);
  next.offsets.push_back(0);
  for (std::int32_t group = 0; group < n_groups; ++group) {
    for (std::int32_t at = first[group]; at < first[group + 1]; ++at)
      for (const Link* link = level.begin(members[at]); link != level.end(members[at]); ++link)
        if (groups[link->end] != group) shared.add(groups[link->end], link->weight);
    for (const std::int32_t other : shared.groups())
      next.links.push_back({other, shared.of(other)});
    shared.clear();
    next.offsets.push_back(static_cast<std::int64_t>(next.links.size()));
  }
  return next;
}

// Moves single nodes to the group where modularity gains most, until none gains.
bool move(const Level& level, Groups& groups, double scale, RandomOrder& random) {
  const std::int32_t n = level.n();
  std::vector<double> inside(n, 0.0);
  Groups size(n, 0), empty;
  for (std::int32_t v = 0; v < n; ++v) {
    inside[groups[v]] += level.strength[v];
    ++size[groups[v]];
  }
  for (std::int32_t group = 0; group < n; ++group)
    if (!size[group]) empty.push_back(group);
  Groups queue = random.permutation(n);  // a ring: no node waits twice
  std::vector<char> waiting(n, 1);
  std::int64_t head = 0, held = n;
  Shared shared(n);
  bool moved = false;
  while (held > 0) {
    const std::int32_t v = queue[head % n];
    ++head, --held;
    waiting[v] = 0;
    const std::int32_t own = groups[v];
    const double pull = scale * level.strength[v];
    for (const Link* link = level.begin(v); link != level.end(v); ++link)
      shared.add(groups[link->end], link->weight);
    inside[own] -= level.strength[v];
    std::int32_t best = own;
    double most = shared.of(own) - pull * inside[own];
    for (const std::int32_t group : shared.groups()) {
      const double gain = shared.of(group) - pull * inside[group];
      if (gain > most + kLeastGain) best = group, most = gain;
    }
    shared.clear();
    if (most < -kLeastGain) {  // alone is better; v is not alone, so that a group is empty
      best = empty.back();
      empty.pop_back();
    }
    inside[best] += level.strength[v];
    if (best == own) continue;
    moved = true;
    groups[v] = best;
    ++size[best];
    if (--size[own] == 0) empty.push_back(own);
    for (const Link* link = level.begin(v); link != level.end(v); ++link)
      if (!waiting[link->end] && groups[link->end] != best) {
        waiting[link->end] = 1;
        queue[(head + held++) % n] = link->end;
      }
  }
  return moved;
}

// Splits each group into parts: nodes that are still alone join a part of their group. Both must be
// well connected to the rest of the group.
Groups refine(const Level& level, const Groups& groups, double scale, RandomOrder& random) {
  const std::int32_t n = level.n();
  std::vector<double> whole(n, 0.0), inside = level.strength, outward(n, 0.0);
  for (std::int32_t v = 0; v < n; ++v) {
    whole[groups[v]] += level.strength[v];
    for (const Link* link = level.begin(v); link != level.end(v); ++link)
      if (groups[link->end] == groups[v]) outward[v] += link->weight;
  }
  Groups part(n);
  std::iota(part.begin(), part.end(), 0);
  std::vector<char> alone(n, 1);
  Shared shared(n);
  const auto well_connected = [&](std::int32_t other, double total) {
    return outward[other] >= scale * inside[other] * (total - inside[other]) - kLeastGain;
  };
  for (const std::int32_t v : random.permutation(n)) {
    const double total = whole[groups[v]], own = level.strength[v];
    if (!alone[v] || !well_connected(v, total)) continue;
    for (const Link* link = level.begin(v); link != level.end(v); ++link)
      if (groups[link->end] == groups[v]) shared.add(part[link->end], link->weight);
    std::int32_t best = v;
    double most = 0.0;
    for (const std::int32_t other : shared.groups()) {
      const double gain = shared.of(other) - scale * own * inside[other];
      if (gain > most + kLeastGain && well_connected(other, total)) best = other, most = gain;
    }
    if (best != v) {
      part[v] = best;
      inside[best] += own;
      outward[best] += outward[v] - 2 * shared.of(best);
      alone[v] = alone[best] = 0;
    }
    shared.clear();
  }
  return part;
}

// One pass over `groups`; whether any node moved.
bool pass(const Level& all, Groups& groups, double scale, RandomOrder& random, Monitor& monitor) {
  Groups member(all.n());  // the node of the present level that each point is in
  std::iota(member.begin(), member.end(), 0);
  Groups of_nodes = groups;
  bool any = false;
  Level level = all;
  while (true) {
    monitor.poll(0.0);
    any |= move(level, of_nodes, scale, random);
    const std::int32_t n_groups = number(of_nodes, level.n());
    if (n_groups == level.n()) break;
    Groups parts = refine(level, of_nodes, scale, random);
    std::int32_t n_parts = number(parts, level.n());
    if (n_parts == level.n()) parts = of_nodes, n_parts = n_groups;  // no part: go on with groups
    Groups of_parts(n_parts);
    for (std::int32_t v = 0; v < level.n(); ++v) of_parts[parts[v]] = of_nodes[v];
    for (std::int32_t& node : member) node = parts[node];
    level = merged(level, parts, n_parts);
    of_nodes = std::move(of_parts);
  }
  for (std::int32_t i = 0; i < all.n(); ++i) groups[i] = of_nodes[member[i]];
  number(groups, all.n());
  return any;
}

}  // namespace

std::vector<std::int32_t> communities(const CommunityGraph& graph, double resolution,
                                      std::uint64_t seed, Monitor& monitor) {
  const Level all = points(graph);
  Groups groups(graph.n);
  std::iota(groups.begin(), groups.end(), 0);
  const double total = std::accumulate(all.strength.begin(), all.strength.end(), 0.0);
  if (total == 0.0) return groups;
  RandomOrder random(seed);
  while (pass(all, groups, resolution / total, random, monitor)) {
  }
  return groups;
}

}  // namespace ilo
