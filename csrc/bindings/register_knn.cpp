#include <pybind11/stl.h>

#include <algorithm>
#include <vector>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "knn/graph.h"
#include "knn/inspect.h"
#include "simd/dispatch.h"

namespace py = pybind11;

namespace ilo {

namespace {

std::vector<Segment> segments_of(const std::vector<py::array>& arrays, DType dtype) {
  std::vector<Segment> segments;
  for (const py::array& array : arrays) segments.push_back(segment_of(array, dtype));
  check_segments(segments);
  return segments;
}

// The rows of one layer over all segments, each (layers, n_s, d) with any strides.
MatrixView layer_view(const std::vector<Segment>& segments, DType dtype, std::int64_t layer) {
  MatrixView view;
  view.dtype = dtype;
  view.d = segments.front().shape[2];
  view.col_stride = segments.front().strides[2];
  for (const Segment& s : segments)
    for (std::int64_t i = 0; i < s.shape[1]; ++i)
      view.rows.push_back(s.data + layer * s.strides[0] + i * s.strides[1]);
  return view;
}

std::string file_of_layer(const std::string& folder, std::int64_t layer) {
  std::string number = std::to_string(layer);
  number.insert(0, number.size() < 3 ? 3 - number.size() : 0, '0');
  return folder + "/layer-" + number + ".ilo";
}

py::dict to_dict(const GraphInfo& info) {
  py::dict out = info_of(info);
  out["superblocks"] = info.superblocks;
  out["resumed_share"] = info.resumed_share;
  out["problem"] = info.problem;
  return out;
}

py::tuple knn_graph_binding(const std::vector<py::array>& arrays, const std::string& dtype_name,
                            std::int64_t n_neighbors, bool cosine, int n_threads,
                            const std::string& simd, std::int64_t n_base,
                            std::optional<std::vector<std::int64_t>> queries, py::object progress,
                            std::int64_t max_memory, const std::string& checkpoint,
                            double checkpoint_seconds, std::int64_t block_rows,
                            std::int64_t max_candidates, bool force_widening) {
  const DType dtype = dtype_named(dtype_name);
  const std::vector<Segment> segments = segments_of(arrays, dtype);
  const Kernels& kernels = choose_kernels(simd);
  GraphOptions options;
  options.n_neighbors = n_neighbors;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  options.checkpoint_seconds = checkpoint_seconds;
  options.block_rows = block_rows;
  options.max_candidates = max_candidates;
  options.force_widening = force_widening;
  if (max_memory > 0) options.max_memory = max_memory;

  const std::int64_t n_layers = segments.front().shape[0];
  const std::int64_t n = count_rows(segments), base = base_of(n_base, n);
  options.n_base = base;
  if (n_threads < 1) throw InvalidArgument(text("n_threads=", n_threads, " must be at least 1"));
  if (base < n && !queries) throw InvalidArgument("rows beyond n_base need queries");
  if (queries) {
    if (queries->empty()) throw InvalidArgument("there are no query rows");
    for (const std::int64_t q : *queries)
      if (q < 0 || q >= n) throw InvalidArgument(text("query row ", q, " is not a row of X"));
    std::vector<std::int64_t> sorted = *queries;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      throw InvalidArgument("query rows must be distinct");
  }
  check_neighbors(n_neighbors, base,
                  queries && *std::min_element(queries->begin(), queries->end()) >= base);
  const std::int64_t n_out = queries ? static_cast<std::int64_t>(queries->size()) : n;
  py::array_t<std::int64_t> indices({n_layers, n_out, n_neighbors});
  py::array_t<float> distances({n_layers, n_out, n_neighbors});
  std::int64_t* out_indices = indices.mutable_data();
  float* out_distances = distances.mutable_data();

  PythonMonitor monitor(std::move(progress));
  Team team(n_threads, &monitor);
  const double of_layer = expected_work(base, queries ? n_out : 0);
  team.expect(n_layers * of_layer);
  std::vector<GraphInfo> infos;
  {
    py::gil_scoped_release release;
    for (std::int64_t layer = 0; layer < n_layers; ++layer) {
      try {
        const MatrixView view = layer_view(segments, dtype, layer);
        if (!checkpoint.empty()) options.checkpoint = file_of_layer(checkpoint, layer);
        infos.push_back(ilo::knn_graph(view, options, kernels, team, queries ? &*queries : nullptr,
                                       out_indices + layer * n_out * n_neighbors,
                                       out_distances + layer * n_out * n_neighbors));
      } catch (const BadRow& bad) {
        const bool in_base = bad.row < base;
        throw BadRow(in_base ? bad.row : bad.row - base, bad.problem, n_layers == 1 ? -1 : layer,
                     in_base ? "X" : "queries");
      }
      team.arrive(static_cast<double>(layer + 1) * of_layer);
    }
  }
  py::list info;
  for (const GraphInfo& i : infos) info.append(to_dict(i));
  return py::make_tuple(indices, distances, info, std::string(kernels.name));
}

py::tuple certified_bounds_binding(const py::array& X, const std::string& dtype, bool cosine,
                                   const std::string& simd) {
  const MatrixView view = layer_view(segments_of({X}, dtype_named(dtype)), dtype_named(dtype), 0);
  py::array_t<double> bounds({view.n(), view.n()});
  Team team(1, nullptr);
  const double scale = certified_bounds(view, cosine ? Metric::cosine : Metric::euclidean,
                                        choose_kernels(simd), team, bounds.mutable_data());
  return py::make_tuple(bounds, scale);
}

}  // namespace

void register_knn(py::module_& m) {
  m.def("knn_graph", &knn_graph_binding, py::arg("segments"), py::arg("dtype"),
        py::arg("n_neighbors"), py::kw_only(), py::arg("cosine"), py::arg("n_threads"),
        py::arg("simd") = "", py::arg("n_base") = 0, py::arg("queries") = py::none(),
        py::arg("progress") = py::none(), py::arg("max_memory") = 0, py::arg("checkpoint") = "",
        py::arg("checkpoint_seconds") = 30.0, py::arg("block_rows") = 0,
        py::arg("max_candidates") = 0, py::arg("force_widening") = false,
        "Exact k-NN graph of stacked layers; see ilo_fast.knn_graph.");
  m.def(
      "certified_bounds", &certified_bounds_binding, py::arg("X"), py::arg("dtype"), py::kw_only(),
      py::arg("cosine"), py::arg("simd") = "",
      "For tests: the certificate's lower bound of every distance of X (1, n, d), and its scale.");
}

}  // namespace ilo
