// Communities of a graph, as Python calls them.
#include <limits>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "overlap/communities.h"

namespace py = pybind11;

namespace ilo {

namespace {

template <class Value>
using Flat = py::array_t<Value, py::array::c_style>;

CommunityGraph checked_graph(const Flat<std::int64_t>& offsets, const Flat<std::int32_t>& ends,
                             const Flat<double>& weights) {
  if (offsets.ndim() != 1 || ends.ndim() != 1 || weights.ndim() != 1 || offsets.size() < 1 ||
      ends.size() != weights.size())
    throw InvalidArgument(text("offsets, ends and weights have ", offsets.size(), ", ", ends.size(),
                               " and ", weights.size(),
                               " numbers, wanted flat arrays, and as many weights as ends"));
  const std::int64_t n = offsets.size() - 1;
  if (n > std::numeric_limits<std::int32_t>::max())
    throw InvalidArgument(text("offsets are of ", n, " points, wanted less than 2^31"));
  const CommunityGraph graph{offsets.data(), ends.data(), weights.data(),
                             static_cast<std::int32_t>(n)};
  check_offsets("offsets", graph.offsets, n, ends.size(), "ends");
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t at = graph.offsets[i]; at < graph.offsets[i + 1]; ++at) {
      if (graph.ends[at] < 0 || graph.ends[at] >= n || graph.ends[at] == i)
        throw InvalidArgument(text("ends holds ", graph.ends[at], " for point ", i,
                                   ", wanted numbers of other points in [0, ", n, ")"));
      if (!(graph.weights[at] > 0) || graph.weights[at] > 1e9)
        throw InvalidArgument(
            text("weights[", at, "]=", graph.weights[at], ", wanted above 0 and at most 1e9"));
    }
  return graph;
}

Flat<std::int32_t> communities_binding(const Flat<std::int64_t>& offsets,
                                       const Flat<std::int32_t>& ends, const Flat<double>& weights,
                                       double resolution, std::uint64_t seed) {
  const CommunityGraph graph = checked_graph(offsets, ends, weights);
  if (!(resolution > 0) || resolution > 1e9)
    throw InvalidArgument(text("resolution=", resolution, ", wanted above 0 and at most 1e9"));
  std::vector<std::int32_t> found;
  PythonMonitor monitor{py::none()};
  {
    py::gil_scoped_release release;
    found = communities(graph, resolution, seed, monitor);
  }
  return Flat<std::int32_t>(static_cast<py::ssize_t>(found.size()), found.data());
}

}  // namespace

void register_communities(py::module_& m) {
  m.def("communities", &communities_binding, py::arg("offsets"), py::arg("ends"),
        py::arg("weights"), py::kw_only(), py::arg("resolution"), py::arg("seed"),
        "The community of each point of an undirected graph; see "
        "ilo_fast.scores.structure.communities.");
}

}  // namespace ilo
