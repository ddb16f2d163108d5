// Checks the arguments of a graph, runs its layers without the interpreter lock, reports on each.
#include "bindings/knn_call.h"

#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/arguments.h"
#include "bindings/bindings.h"

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
MatrixView view_of(const std::vector<Segment>& segments, DType dtype, std::int64_t layer) {
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

void check_queries(const std::vector<std::int64_t>& queries, std::int64_t n) {
  if (queries.empty())
    throw InvalidArgument(text("queries is empty, wanted at least one row number in [0, ", n, ")"));
  for (const std::int64_t q : queries)
    if (q < 0 || q >= n)
      throw InvalidArgument(text("queries holds row ", q, ", wanted row numbers in [0, ", n, ")"));
  std::vector<std::int64_t> sorted = queries;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end())
    throw InvalidArgument(
        text("queries holds row ", *twice, " twice, wanted each row once: drop the repetition"));
}

}  // namespace

MatrixView layer_view(const std::vector<py::array>& arrays, const std::string& dtype,
                      std::int64_t layer) {
  return view_of(segments_of(arrays, dtype_named(dtype)), dtype_named(dtype), layer);
}

py::tuple call_knn_graph(const std::vector<py::array>& arrays, const std::string& dtype_name,
                         GraphOptions options, const Kernels& kernels, int n_threads,
                         const Queries& queries, py::object progress,
                         const std::string& checkpoint_folder, std::chrono::milliseconds interval) {
  const DType dtype = dtype_named(dtype_name);
  const std::vector<Segment> segments = segments_of(arrays, dtype);
  const std::int64_t n_layers = segments.front().shape[0], k = options.n_neighbors;
  const std::int64_t n = count_rows(segments), base = base_of(options.n_base, n);
  options.n_base = base;
  check_threads(n_threads);
  if (base < n && !queries)
    throw InvalidArgument(
        text("n_base=", base, " of ", n, " rows leaves query rows: list their numbers in queries"));
  if (queries) check_queries(*queries, n);
  check_neighbors(k, base, queries && *std::min_element(queries->begin(), queries->end()) >= base);
  const std::int64_t n_out = queries ? static_cast<std::int64_t>(queries->size()) : n;
  py::array_t<std::int64_t> indices({n_layers, n_out, k});
  py::array_t<float> distances({n_layers, n_out, k});
  std::int64_t* out_indices = indices.mutable_data();
  float* out_distances = distances.mutable_data();

  PythonMonitor monitor(std::move(progress));
  Team team(n_threads, &monitor, interval);
  const double of_layer = expected_work(base, queries ? n_out : 0);
  team.expect(n_layers * of_layer);
  std::vector<GraphInfo> infos;
  {
    py::gil_scoped_release release;
    for (std::int64_t layer = 0; layer < n_layers; ++layer) {
      try {
        const MatrixView view = view_of(segments, dtype, layer);
        if (!checkpoint_folder.empty())
          options.checkpoint = file_of_layer(checkpoint_folder, layer);
        infos.push_back(knn_graph(view, options, kernels, team, queries ? &*queries : nullptr,
                                  out_indices + layer * n_out * k,
                                  out_distances + layer * n_out * k));
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

}  // namespace ilo
