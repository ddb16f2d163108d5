// The engine for GPUs, on a GPU or on the CUDA emulator, with switches that force every path.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/cuda_call.h"
#include "testing/cuda_emulator/controls.h"
#include "testing/cuda_engines.h"

namespace py = pybind11;

namespace ilo {

void register_testing_cuda(py::module_& m);

namespace {

bool is_emulated(const std::string& machine) {
  if (machine != "gpu" && machine != "emulated")
    throw InvalidArgument("machine='" + machine + "' is not known: use 'gpu' or 'emulated'");
  return machine == "emulated";
}

// Everything that both functions below take beside their input.
DeviceCall call_of(const std::string& machine, std::int64_t n_neighbors, bool cosine,
                   const py::kwargs& given) {
  DeviceCall call{is_emulated(machine) ? emulated_run : gpu_run, {}, 1, py::none()};
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
    else if (name == "interval")
      call.interval = std::chrono::milliseconds(value.cast<int>());
    else if (name == "tile_rows")
      options.tile_rows = value.cast<std::int64_t>();
    else if (name == "panel_rows")
      options.panel_rows = value.cast<std::int64_t>();
    else if (name == "capacity")
      options.capacity = value.cast<std::int64_t>();
    else if (name == "force_fallback")
      options.force_fallback = value.cast<bool>();
    else
      throw py::type_error("unexpected keyword argument '" + name + "'");
  }
  return call;
}

py::tuple graph_binding(const py::sequence& segments, const std::string& dtype,
                        std::int64_t n_neighbors, bool cosine, std::int64_t n_base,
                        const std::string& machine, const py::kwargs& given) {
  return call_cuda_knn_graph(call_of(machine, n_neighbors, cosine, given), segments, dtype, n_base);
}

py::tuple overlap_binding(const py::sequence& segments, const std::string& dtype,
                          std::int64_t n_neighbors, const Languages& languages,
                          const std::optional<Sentences>& sentences, bool cosine,
                          std::int32_t n_languages, std::int64_t threshold,
                          const std::string& machine, const py::kwargs& given) {
  return call_cuda_overlap(call_of(machine, n_neighbors, cosine, given), segments, dtype, languages,
                           sentences, n_languages, threshold);
}

py::tuple bounds_binding(const py::array& X, const std::string& dtype, bool cosine,
                         const std::string& machine) {
  DeviceOptions options;
  options.n_neighbors = 1;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  const auto bounds_of = is_emulated(machine) ? emulated_bounds : gpu_bounds;
  const DeviceInput input = device_input(py::make_tuple(X), dtype, 0);
  py::array_t<double> bounds({input.n(), input.n()});
  double* const out = bounds.mutable_data();
  double scale = 0;
  {
    py::gil_scoped_release release;
    scale = bounds_of(input, options, out);
  }
  return py::make_tuple(bounds, scale);
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

void register_testing_cuda(py::module_& m) {
  m.def("cuda_knn_graph", &graph_binding, py::arg("segments"), py::arg("dtype"),
        py::arg("n_neighbors"), py::kw_only(), py::arg("cosine"), py::arg("n_base") = 0,
        py::arg("machine"),
        "_core.cuda_knn_graph on machine 'gpu' or 'emulated'. More options: interval, tile_rows, "
        "panel_rows, "
        "capacity (of a list of candidates), force_fallback (certify no row in the first pass).");
  m.def("cuda_overlap", &overlap_binding, py::arg("segments"), py::arg("dtype"),
        py::arg("n_neighbors"), py::arg("languages"), py::arg("sentences"), py::kw_only(),
        py::arg("cosine"), py::arg("n_languages"), py::arg("threshold"), py::arg("machine"),
        "_core.cuda_overlap, with the options of cuda_knn_graph.");
  m.def("cuda_certified_bounds", &bounds_binding, py::arg("X"), py::arg("dtype"), py::kw_only(),
        py::arg("cosine"), py::arg("machine"),
        "The certificate's lower bound of every distance of X (1, n, d), and its scale.");
  m.def("emulated_device", &emulated_device_binding, py::kw_only(), py::arg("memory") = py::none(),
        py::arg("fail_allocation") = py::none(), py::arg("order") = py::none(),
        "What the CUDA emulator counted since the last call; then bytes that it has (0: the "
        "default), which allocation from now on fails (0: none), and a seed for the order of what "
        "has none.");
}

}  // namespace ilo
