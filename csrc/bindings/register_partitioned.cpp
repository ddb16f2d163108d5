// The approximate graph of one layer, as Python calls it.
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "bindings/knn_call.h"
#include "knn/partitioned.h"
#include "simd/dispatch.h"

namespace py = pybind11;

namespace ilo {

namespace {

py::dict to_dict(const PartitionedInfo& info) {
  py::dict out;
  out["rows"] = info.rows;
  out["unique_rows"] = info.unique_rows;
  out["rounds"] = info.rounds;
  out["descents"] = info.descents;
  out["leaves"] = info.leaves;
  out["leaf_pairs"] = info.leaf_pairs;
  out["descent_pairs"] = info.descent_pairs;
  out["refine_pairs"] = info.refine_pairs;
  out["is_float32"] = info.is_float32;
  out["is_sketched"] = info.is_sketched;
  out["exact_is_cheaper"] = info.exact_is_cheaper;
  out["is_stalled"] = info.is_stalled;
  out["pilot_recall"] = info.pilot_recall;
  out["seconds_prepare"] = info.seconds_prepare;
  out["seconds_partition"] = info.seconds_partition;
  out["seconds_leaves"] = info.seconds_leaves;
  out["seconds_descent"] = info.seconds_descent;
  out["seconds_refine"] = info.seconds_refine;
  out["seconds_rerank"] = info.seconds_rerank;
  return out;
}

void check_at_least(const char* name, std::int64_t value, std::int64_t least) {
  if (value < least) throw InvalidArgument(text(name, "=", value, ", wanted at least ", least));
}

py::tuple call(const std::vector<py::array>& arrays, const std::string& dtype,
               std::int64_t n_neighbors, bool cosine, int n_threads, std::uint64_t seed,
               std::int64_t leaf_rows, const std::vector<std::int64_t>& overlap,
               std::int64_t leaders, std::int64_t batch_rows, std::int64_t directions,
               std::int64_t spare, std::int64_t group, std::int64_t links, std::int64_t descents,
               std::int64_t rounds, double recall, bool exact_may_be_cheaper,
               const std::vector<std::int64_t>& pilot,
               const py::array_t<std::int64_t, py::array::c_style>& pilot_exact,
               py::object progress) {
  const MatrixView view = layer_view(arrays, dtype, 0);
  check_threads(n_threads);
  check_neighbors(n_neighbors, view.n(), false);
  check_at_least("leaf_rows", leaf_rows, 4 * (n_neighbors + 1));
  check_at_least("leaders", leaders, 2);
  check_at_least("batch_rows", batch_rows, 1);
  check_at_least("directions", directions, 0);
  check_at_least("spare", spare, 0);
  check_at_least("group", group, 1);
  check_at_least("links", links, 1);
  check_at_least("rounds", rounds, 1);
  check_at_least("descents", descents, 0);
  for (const std::int64_t o : overlap) {
    check_at_least("overlap", o, 1);
    if (o > leaders)
      throw InvalidArgument(text("overlap=", o, ", wanted at most leaders=", leaders));
  }
  if (pilot_exact.ndim() != 2 || pilot_exact.shape(1) != n_neighbors ||
      pilot_exact.shape(0) != static_cast<py::ssize_t>(pilot.size()))
    throw InvalidArgument(text("pilot_exact has shape ", shape_text(pilot_exact), ", wanted (",
                               pilot.size(), ", ", n_neighbors, ")"));
  for (const std::int64_t row : pilot)
    if (row < 0 || row >= view.n())
      throw InvalidArgument(text("pilot holds row ", row, ", wanted [0, ", view.n(), ")"));
  for (std::int64_t p = 0; p < pilot_exact.size(); ++p)
    if (const std::int64_t row = pilot_exact.data()[p]; row < 0 || row >= view.n())
      throw InvalidArgument(text("pilot_exact holds row ", row, ", wanted [0, ", view.n(), ")"));
  PartitionedOptions options;
  options.n_neighbors = n_neighbors;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  options.seed = seed;
  options.leaf_rows = leaf_rows;
  options.overlap = overlap;
  options.leaders = leaders;
  options.batch_rows = batch_rows;
  options.directions = directions;
  options.spare = spare;
  options.group = group;
  options.links = links;
  options.descents = descents;
  options.rounds = rounds;
  options.recall = recall;
  options.exact_may_be_cheaper = exact_may_be_cheaper;
  const Kernels& kernels = choose_kernels("");
  py::array_t<std::int64_t> indices({view.n(), n_neighbors});
  py::array_t<float> distances({view.n(), n_neighbors});
  std::int64_t* out_indices = indices.mutable_data();
  float* out_distances = distances.mutable_data();
  const std::int64_t* exact = pilot_exact.data();
  PythonMonitor monitor(std::move(progress));
  Team team(n_threads, &monitor);
  team.expect(1);
  PartitionedInfo info;
  {
    py::gil_scoped_release release;
    info = partitioned_graph(view, options, kernels, team, {pilot, exact}, 1, out_indices,
                             out_distances);
  }
  return py::make_tuple(indices, distances, to_dict(info), std::string(kernels.name));
}

}  // namespace

void register_partitioned(py::module_& m) {
  m.def("partitioned_graph", &call, py::arg("segments"), py::arg("dtype"), py::arg("n_neighbors"),
        py::kw_only(), py::arg("cosine"), py::arg("n_threads"), py::arg("seed"),
        py::arg("leaf_rows"), py::arg("overlap"), py::arg("leaders"),
        py::arg("batch_rows") = std::int64_t{1} << 21, py::arg("directions") = 192,
        py::arg("spare"), py::arg("group"), py::arg("links") = 12, py::arg("descents"),
        py::arg("rounds"), py::arg("recall"), py::arg("exact_may_be_cheaper") = false,
        py::arg("pilot"), py::arg("pilot_exact"), py::arg("progress") = py::none(),
        "Approximate k-NN graph of one layer (the first); see ilo_fast.graph.partitioned.");
}

}  // namespace ilo
