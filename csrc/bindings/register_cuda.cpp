// The engine on a GPU: what there is of it, its graph and its overlap.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/cuda_call.h"

namespace py = pybind11;

namespace ilo {

namespace {

DeviceCall gpu_call(std::int64_t n_neighbors, bool cosine, int device, std::uintptr_t stream,
                    std::int64_t max_memory, const std::string& product, const std::string& library,
                    int n_threads, py::object progress) {
  DeviceOptions options;
  options.n_neighbors = n_neighbors;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  options.device = device;
  options.stream = stream;
  options.max_memory = max_memory;
  options.product = product;
  options.library = library;
  return {gpu_run, options, n_threads, std::move(progress)};
}

py::tuple graph_binding(const py::sequence& segments, const std::string& dtype,
                        std::int64_t n_neighbors, bool cosine, std::int64_t n_base, int device,
                        std::uintptr_t stream, std::int64_t max_memory, const std::string& product,
                        const std::string& library, int n_threads, py::object progress) {
  return call_cuda_knn_graph(gpu_call(n_neighbors, cosine, device, stream, max_memory, product,
                                      library, n_threads, std::move(progress)),
                             segments, dtype, n_base);
}

py::tuple cuda_overlap_binding(const py::sequence& segments, const std::string& dtype,
                               std::int64_t n_neighbors, const Languages& languages,
                               const std::optional<Sentences>& sentences, bool cosine,
                               std::int32_t n_languages, std::int64_t threshold, int device,
                               std::uintptr_t stream, std::int64_t max_memory,
                               const std::string& product, const std::string& library,
                               int n_threads, py::object progress) {
  return call_cuda_overlap(gpu_call(n_neighbors, cosine, device, stream, max_memory, product,
                                    library, n_threads, std::move(progress)),
                           segments, dtype, languages, sentences, n_languages, threshold);
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

}  // namespace

void register_cuda(py::module_& m) {
  m.def("cuda_status", &status_binding,
        "Whether the engine for GPUs is built, for which of them, and which there are.");
  m.def("cuda_knn_graph", &graph_binding, py::arg("segments"), py::arg("dtype"),
        py::arg("n_neighbors"), py::kw_only(), py::arg("cosine"), py::arg("n_base") = 0,
        py::arg("device") = 0, py::arg("stream") = 0, py::arg("max_memory") = 0,
        py::arg("product") = "", py::arg("library") = "", py::arg("n_threads") = 1,
        py::arg("progress") = py::none(),
        "Exact k-NN graph of stacked layers on a GPU; see ilo_fast.knn_graph.");
  m.def("cuda_overlap", &cuda_overlap_binding, py::arg("segments"), py::arg("dtype"),
        py::arg("n_neighbors"), py::arg("languages"), py::arg("sentences"), py::kw_only(),
        py::arg("cosine"), py::arg("n_languages"), py::arg("threshold"), py::arg("device") = 0,
        py::arg("stream") = 0, py::arg("max_memory") = 0, py::arg("product") = "",
        py::arg("library") = "", py::arg("n_threads") = 1, py::arg("progress") = py::none(),
        "Graphs of all layers on a GPU, and their overlap, with the options of cuda_knn_graph.");
}

}  // namespace ilo
