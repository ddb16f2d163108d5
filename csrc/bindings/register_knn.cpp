// The exact graph on the CPU, as Python calls it.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/knn_call.h"
#include "simd/dispatch.h"

namespace py = pybind11;

namespace ilo {

namespace {

py::tuple knn_graph_binding(const std::vector<py::array>& segments, const std::string& dtype,
                            std::int64_t n_neighbors, bool cosine, int n_threads,
                            const std::string& simd, std::int64_t n_base, const Queries& queries,
                            py::object progress, std::int64_t max_memory,
                            const std::string& checkpoint, double checkpoint_seconds) {
  GraphOptions options;
  options.n_neighbors = n_neighbors;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  options.n_base = n_base;
  options.checkpoint_seconds = checkpoint_seconds;
  if (max_memory > 0) options.max_memory = max_memory;
  return call_knn_graph(segments, dtype, options, choose_kernels(simd), n_threads, queries,
                        std::move(progress), checkpoint);
}

}  // namespace

void register_knn(py::module_& m) {
  m.def("knn_graph", &knn_graph_binding, py::arg("segments"), py::arg("dtype"),
        py::arg("n_neighbors"), py::kw_only(), py::arg("cosine"), py::arg("n_threads"),
        py::arg("simd") = "", py::arg("n_base") = 0, py::arg("queries") = py::none(),
        py::arg("progress") = py::none(), py::arg("max_memory") = 0, py::arg("checkpoint") = "",
        py::arg("checkpoint_seconds") = 30.0,
        "Exact k-NN graph of stacked layers; see ilo_fast.knn_graph.");
}

}  // namespace ilo
