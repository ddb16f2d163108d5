// Checks the arguments of a call, runs the engine without the interpreter lock, reports on each
// layer.
#include "bindings/cuda_call.h"

#include <pybind11/stl.h>

#include "bindings/bindings.h"

namespace py = pybind11;

namespace ilo {

DeviceInput device_input(const py::sequence& sources, const std::string& dtype_name,
                         std::int64_t n_base) {
  DeviceInput input;
  input.dtype = dtype_named(dtype_name);
  std::vector<Segment> segments;
  for (const py::handle source : sources) segments.push_back(segment_of(source, input.dtype));
  check_segments(segments);
  const std::int64_t n = count_rows(segments);
  input.n_base = base_of(n_base, n);
  input.n_layers = segments.front().shape[0], input.d = segments.front().shape[2];
  input.col_stride = segments.front().strides[2];
  for (const Segment& s : segments)
    input.segments.push_back({s.data, s.shape[1], s.strides[0], s.strides[1], s.on_device});
  return input;
}

namespace {

py::list run(const DeviceInput& input, const DeviceCall& call, const DeviceResult& result) {
  const std::string& product = call.options.product;
  check_threads(call.n_threads);
  if (!product.empty() && product != "library" && product != "fused")
    throw InvalidArgument("product='" + product +
                          "' is not known: use 'library' (cuBLASLt), 'fused', or '' to let the "
                          "engine choose");
  PythonMonitor monitor(call.progress);
  Team team(call.n_threads, &monitor, call.interval);
  std::vector<DeviceInfo> infos;
  {
    const py::gil_scoped_release release;
    const StandardFloatingPoint standard;
    infos = call.engine(input, call.options, result, team);
  }
  py::list out;
  for (const DeviceInfo& info : infos) {
    py::dict entry = info_of(info);
    entry["measured_rows"] = info.measured_rows;
    entry["panels"] = info.panels;
    entry["tile_rows"] = info.tile_rows;
    entry["list_capacity"] = info.list_capacity;
    entry["late_rows"] = info.late_rows;
    entry["retries"] = info.retries;
    entry["product"] = info.product;
    out.append(entry);
  }
  return out;
}

}  // namespace

py::tuple call_cuda_knn_graph(const DeviceCall& call, const py::sequence& segments,
                              const std::string& dtype, std::int64_t n_base) {
  const DeviceInput input = device_input(segments, dtype, n_base);
  const std::int64_t k = call.options.n_neighbors;
  check_neighbors(k, input.n_base, input.n() > input.n_base);
  py::array_t<std::int64_t> indices({input.n_layers, input.n_queries(), k});
  py::array_t<float> distances({input.n_layers, input.n_queries(), k});
  DeviceResult result;
  result.indices = indices.mutable_data(), result.distances = distances.mutable_data();
  const py::list infos = run(input, call, result);
  return py::make_tuple(indices, distances, infos);
}

py::tuple call_cuda_overlap(const DeviceCall& call, const py::sequence& segments,
                            const std::string& dtype, const Languages& languages,
                            const std::optional<Sentences>& sentences, std::int32_t n_languages,
                            std::int64_t threshold) {
  const DeviceInput input = device_input(segments, dtype, 0);
  check_neighbors(call.options.n_neighbors, input.n_base, false);
  const OverlapInput in = overlap_input(languages, sentences, input.n_layers, input.n(),
                                        call.options.n_neighbors, n_languages, threshold);
  OverlapArrays arrays(in);
  DeviceResult result;
  result.overlap_input = &in;
  result.overlap = arrays.out();
  const py::list infos = run(input, call, result);
  return py::make_tuple(arrays.bridge(), arrays.reach(), arrays.ilo(), arrays.share(),
                        arrays.cross(), infos);
}

}  // namespace ilo
