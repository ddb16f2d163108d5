// A part of a graph on the CPU, and what tells its rows from others, as Python calls them.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/knn_call.h"
#include "bindings/tile_call.h"
#include "knn/rows.h"
#include "simd/dispatch.h"

namespace py = pybind11;

namespace ilo {

namespace {

py::tuple knn_tile_binding(const std::vector<py::array>& first,
                           const std::vector<py::array>& second, const std::string& dtype,
                           std::int64_t n_neighbors, bool cosine, int n_threads,
                           const std::string& simd, py::object progress, std::int64_t max_memory) {
  GraphOptions options;
  options.n_neighbors = n_neighbors;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  if (max_memory > 0) options.max_memory = max_memory;
  return call_knn_tile(first, second, dtype, options, choose_kernels(simd), n_threads,
                       std::move(progress));
}

std::uint64_t fingerprint_binding(const std::vector<py::array>& rows, const std::string& dtype,
                                  bool cosine, int n_threads) {
  check_threads(n_threads);
  const MatrixView view = layer_view(rows, dtype, 0);
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  py::gil_scoped_release release;
  const StandardFloatingPoint standard;
  try {
    const Rows seen(view, view.n(), cosine ? Metric::cosine : Metric::euclidean, choose_kernels(""),
                    team);
    seen.check_unscaled();
    return seen.fingerprint();
  } catch (const RowsChanged&) {
    throw InvalidArgument(text("rows of X ", kRowChanged));
  }
}

}  // namespace

void register_tile(py::module_& m) {
  m.def("knn_tile", &knn_tile_binding, py::arg("first"), py::arg("second"), py::arg("dtype"),
        py::arg("n_neighbors"), py::kw_only(), py::arg("cosine"), py::arg("n_threads"),
        py::arg("simd") = "", py::arg("progress") = py::none(), py::arg("max_memory") = 0,
        "Exact neighbours of two sets of rows in each other, or of one in itself, with squared "
        "distances in float64; see csrc/knn/rectangle.h.");
  m.def("rows_fingerprint", &fingerprint_binding, py::arg("rows"), py::arg("dtype"), py::kw_only(),
        py::arg("cosine"), py::arg("n_threads"),
        "What knn_tile reports as the fingerprint of these rows; raises for rows that it refuses.");
}

}  // namespace ilo
