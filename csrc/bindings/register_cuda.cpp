#include <pybind11/stl.h>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "cuda/device.h"
#include "cuda/on_cpu/controls.h"

namespace py = pybind11;

namespace ilo {

namespace {

// How and where; the same for a graph and for an overlap.
struct Call {
  std::string machine;
  DeviceOptions options;
  py::object progress;
  int n_threads = 1;  // of the host, for rows on their way to the device
};

Call call_of(const std::string& machine, std::int64_t n_neighbors, bool cosine,
             const py::dict& given) {
  Call call{machine, {}, py::none(), 1};
  if (machine != "gpu" && machine != "emulated")
    throw InvalidArgument("machine '" + machine + "' is not gpu or emulated");
  DeviceOptions& options = call.options;
  options.n_neighbors = n_neighbors;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  for (const auto& [key, value] : given) {
    const std::string name = key.cast<std::string>();
    if (name == "device")
      options.device = value.cast<int>();
    else if (name == "stream")
      options.stream = value.cast<std::uintptr_t>();
    else if (name == "n_threads")
      call.n_threads = value.cast<int>();
    else if (name == "max_memory")
      options.max_memory = value.cast<std::int64_t>();
    else if (name == "product")
      options.product = value.cast<std::string>();
    else if (name == "library")
      options.library = value.cast<std::string>();
    else if (name == "progress")
      call.progress = py::reinterpret_borrow<py::object>(value);
    else if (name == "tile_rows")
      options.tile_rows = value.cast<std::int64_t>();
    else if (name == "panel_rows")
      options.panel_rows = value.cast<std::int64_t>();
    else if (name == "capacity")
      options.capacity = value.cast<std::int64_t>();
    else if (name == "force_widening")
      options.force_widening = value.cast<bool>();
    else
      throw py::type_error("unexpected keyword argument '" + name + "'");
  }
  if (call.n_threads < 1)
    throw InvalidArgument(text("n_threads=", call.n_threads, " must be at least 1"));
  if (!options.product.empty() && options.product != "library" && options.product != "fused")
    throw InvalidArgument("product '" + options.product + "' is not library or fused");
  return call;
}

DeviceInput input_of(const py::sequence& sources, const std::string& dtype_name,
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

py::list run(const DeviceInput& input, const Call& call, const DeviceResult& result) {
  PythonMonitor monitor(call.progress);
  Team team(call.n_threads, &monitor);
  std::vector<DeviceInfo> infos;
  {
    py::gil_scoped_release release;
    infos = (call.machine == "gpu" ? gpu_run : emulated_run)(input, call.options, result, team);
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

py::tuple graph_binding(const py::sequence& segments, const std::string& dtype,
                        std::int64_t n_neighbors, bool cosine, std::int64_t n_base,
                        const std::string& machine, const py::kwargs& given) {
  const Call call = call_of(machine, n_neighbors, cosine, given);
  const DeviceInput input = input_of(segments, dtype, n_base);
  check_neighbors(n_neighbors, input.n_base, input.n() > input.n_base);
  py::array_t<std::int64_t> indices({input.n_layers, input.n_asked(), n_neighbors});
  py::array_t<float> distances({input.n_layers, input.n_asked(), n_neighbors});
  DeviceResult result;
  result.indices = indices.mutable_data(), result.distances = distances.mutable_data();
  const py::list infos = run(input, call, result);
  return py::make_tuple(indices, distances, infos, machine);
}

py::tuple overlap_binding(const py::sequence& segments, const std::string& dtype,
                          std::int64_t n_neighbors, const Languages& languages,
                          const std::optional<Sentences>& sentences, bool cosine,
                          std::int32_t n_languages, std::int64_t threshold,
                          const std::string& machine, const py::kwargs& given) {
  const Call call = call_of(machine, n_neighbors, cosine, given);
  const DeviceInput input = input_of(segments, dtype, 0);
  check_neighbors(n_neighbors, input.n_base, false);
  const OverlapInput in = overlap_input(languages, sentences, input.n_layers, input.n(),
                                        n_neighbors, n_languages, threshold);
  OverlapArrays arrays(in);
  DeviceResult result;
  result.overlap_input = &in;
  result.overlap = arrays.out();
  const py::list infos = run(input, call, result);
  return py::make_tuple(arrays.bridge(), arrays.reach(), arrays.ilo(), arrays.share(), infos,
                        machine);
}

py::tuple bounds_binding(const py::array& X, const std::string& dtype, bool cosine,
                         const std::string& machine, const py::kwargs& given) {
  const Call call = call_of(machine, 1, cosine, given);
  const DeviceInput input = input_of(py::make_tuple(X), dtype, 0);
  py::array_t<double> bounds({input.n(), input.n()});
  double* const out = bounds.mutable_data();
  double scale = 0;
  {
    py::gil_scoped_release release;
    scale = (machine == "gpu" ? gpu_bounds : emulated_bounds)(input, call.options, out);
  }
  return py::make_tuple(bounds, scale);
}

py::dict status_binding() {
  const DeviceStatus status = gpu_status();
  py::list devices;
  for (const DeviceDescription& device : status.devices) {
    py::dict entry;
    entry["name"] = device.name;
    entry["capability"] = py::make_tuple(device.major, device.minor);
    entry["memory"] = device.memory;
    entry["l2"] = device.l2;
    devices.append(entry);
  }
  py::dict out;
  out["built"] = status.built;
  out["architectures"] = status.architectures;
  out["problem"] = status.problem;
  out["runtime"] = status.runtime;
  out["driver"] = status.driver;
  out["devices"] = devices;
  return out;
}

py::dict emulated_device_binding(std::optional<std::int64_t> memory,
                                 std::optional<int> fail_allocation,
                                 std::optional<std::uint64_t> order) {
  py::dict out;
  out["pending_failure"] = emulated::failure_pending();
  out["live_bytes"] = emulated::live_bytes();
  out["peak_bytes"] = emulated::peak_bytes();
  out["launches"] = emulated::launches();
  if (memory) emulated::set_memory_limit(*memory);
  if (fail_allocation) emulated::fail_allocation(*fail_allocation);
  if (order) emulated::set_order(*order);
  emulated::reset_peak();
  return out;
}

}  // namespace

void register_cuda(py::module_& m) {
  m.def("cuda_status", &status_binding,
        "Whether the engine for GPUs is built, for which of them, and which there are.");
  m.def("cuda_knn_graph", &graph_binding, py::arg("segments"), py::arg("dtype"),
        py::arg("n_neighbors"), py::kw_only(), py::arg("cosine"), py::arg("n_base") = 0,
        py::arg("machine") = "gpu",
        "Exact k-NN graph of stacked layers on a GPU; see ilo_fast.knn_graph. Other options: "
        "device, stream, max_memory, product, library, progress; for tests tile_rows, panel_rows, "
        "capacity, force_widening.");
  m.def("cuda_overlap", &overlap_binding, py::arg("segments"), py::arg("dtype"),
        py::arg("n_neighbors"), py::arg("languages"), py::arg("sentences"), py::kw_only(),
        py::arg("cosine"), py::arg("n_languages"), py::arg("threshold"), py::arg("machine") = "gpu",
        "Graphs of all layers on a GPU, and their overlap, with the options of cuda_knn_graph.");
  m.def(
      "cuda_certified_bounds", &bounds_binding, py::arg("X"), py::arg("dtype"), py::kw_only(),
      py::arg("cosine"), py::arg("machine") = "gpu",
      "For tests: the certificate's lower bound of every distance of X (1, n, d), and its scale.");
  m.def("emulated_device", &emulated_device_binding, py::kw_only(), py::arg("memory") = py::none(),
        py::arg("fail_allocation") = py::none(), py::arg("order") = py::none(),
        "For tests: what the stand-in for a GPU counted since the last call; then bytes that it "
        "has (0: the default), which allocation from now on fails (0: none), and a seed for the "
        "order of what has none.");
}

}  // namespace ilo
