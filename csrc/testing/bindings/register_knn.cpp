// knn_graph with switches that force every path, and what its certificate claims.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/knn_call.h"
#include "bindings/tile_call.h"
#include "testing/amx_bf16_emulated.h"
#include "testing/knn_bounds.h"

namespace py = pybind11;

namespace ilo {

void register_testing_knn(py::module_& m);

namespace {

py::tuple knn_graph_binding(const std::vector<py::array>& segments, const std::string& dtype,
                            std::int64_t n_neighbors, bool cosine, int n_threads,
                            const std::string& simd, std::int64_t n_base, const Queries& queries,
                            py::object progress, std::int64_t max_memory,
                            const std::string& checkpoint, double checkpoint_seconds,
                            std::int64_t block_rows, std::int64_t max_candidates,
                            bool force_fallback, std::size_t checkpoint_piece, int interval) {
  GraphOptions options;
  options.n_neighbors = n_neighbors;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  options.n_base = n_base;
  options.checkpoint_seconds = checkpoint_seconds;
  if (max_memory > 0) options.max_memory = max_memory;
  options.block_rows = block_rows;
  options.max_candidates = max_candidates;
  options.force_fallback = force_fallback;
  if (checkpoint_piece > 0) options.checkpoint_piece = checkpoint_piece;
  return call_knn_graph(segments, dtype, options, choose_testing_kernels(simd), n_threads, queries,
                        std::move(progress), checkpoint, std::chrono::milliseconds(interval));
}

py::tuple knn_tile_binding(const std::vector<py::array>& first,
                           const std::vector<py::array>& second, const std::string& dtype,
                           std::int64_t n_neighbors, bool cosine, int n_threads,
                           const std::string& simd, py::object progress, std::int64_t max_memory,
                           std::int64_t block_rows, std::int64_t max_candidates,
                           bool force_fallback) {
  GraphOptions options;
  options.n_neighbors = n_neighbors;
  options.metric = cosine ? Metric::cosine : Metric::euclidean;
  if (max_memory > 0) options.max_memory = max_memory;
  options.block_rows = block_rows;
  options.max_candidates = max_candidates;
  options.force_fallback = force_fallback;
  return call_knn_tile(first, second, dtype, options, choose_testing_kernels(simd), n_threads,
                       std::move(progress));
}

py::tuple certified_bounds_binding(const py::array& X, const std::string& dtype, bool cosine,
                                   const std::string& simd) {
  const MatrixView view = layer_view({X}, dtype, 0);
  py::array_t<double> bounds({view.n(), view.n()});
  Team team(1, nullptr);
  const double scale = certified_bounds(view, cosine ? Metric::cosine : Metric::euclidean,
                                        choose_testing_kernels(simd), team, bounds.mutable_data());
  return py::make_tuple(bounds, scale);
}

}  // namespace

void register_testing_knn(py::module_& m) {
  m.def(
      "knn_graph", &knn_graph_binding, py::arg("segments"), py::arg("dtype"),
      py::arg("n_neighbors"), py::kw_only(), py::arg("cosine"), py::arg("n_threads"),
      py::arg("simd") = "", py::arg("n_base") = 0, py::arg("queries") = py::none(),
      py::arg("progress") = py::none(), py::arg("max_memory") = 0, py::arg("checkpoint") = "",
      py::arg("checkpoint_seconds") = 30.0, py::arg("block_rows") = 0,
      py::arg("max_candidates") = 0, py::arg("force_fallback") = false,
      py::arg("checkpoint_piece") = 0, py::arg("interval") = 50,
      "_core.knn_graph; simd may be 'amx_bf16_emulated', too. block_rows: rows of a block (0: the "
      "engine chooses); max_candidates: hits that a row may keep; force_fallback: certify no row "
      "in the first pass; checkpoint_piece: bytes of a finished graph that are written at a time; "
      "interval: milliseconds between two calls of progress, 0: as many as there can be.");
  m.def("knn_tile", &knn_tile_binding, py::arg("first"), py::arg("second"), py::arg("dtype"),
        py::arg("n_neighbors"), py::kw_only(), py::arg("cosine"), py::arg("n_threads"),
        py::arg("simd") = "", py::arg("progress") = py::none(), py::arg("max_memory") = 0,
        py::arg("block_rows") = 0, py::arg("max_candidates") = 0, py::arg("force_fallback") = false,
        "_core.knn_tile, with the switches of knn_graph.");
  m.def("certified_bounds", &certified_bounds_binding, py::arg("X"), py::arg("dtype"),
        py::kw_only(), py::arg("cosine"), py::arg("simd") = "",
        "The certificate's lower bound of every distance of X (1, n, d), and its scale.");
}

}  // namespace ilo
