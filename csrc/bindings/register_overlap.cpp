// The scores of a graph of neighbours, as Python calls them.
#include <pybind11/stl.h>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "overlap/overlap.h"

namespace py = pybind11;

namespace ilo {

namespace {

using Indices = py::array_t<std::int64_t, py::array::c_style>;

py::tuple overlap_binding(const Indices& indices, const Languages& languages,
                          const std::optional<Sentences>& sentences, std::int32_t n_languages,
                          std::int64_t threshold, int n_threads) {
  if (indices.ndim() != 3)
    throw InvalidArgument(text("indices has ", indices.ndim(),
                               " dimensions, wanted 3: (layers, n, k); put indices[None] for a "
                               "single layer"));
  if (n_threads < 1) throw InvalidArgument(text("n_threads=", n_threads, " must be at least 1"));
  OverlapInput in = overlap_input(languages, sentences, indices.shape(0), indices.shape(1),
                                  indices.shape(2), n_languages, threshold);
  in.indices = indices.data();
  for (std::int64_t i = 0; i < in.n_layers * in.n * in.k; ++i)
    if (in.indices[i] < 0 || in.indices[i] >= in.n)
      throw InvalidArgument(
          text("indices holds ", in.indices[i], ", wanted numbers of points in [0, ", in.n, ")"));

  OverlapArrays arrays(in);
  const OverlapOutput out = arrays.out();
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    overlap(in, out, team);
  }
  return py::make_tuple(arrays.bridge(), arrays.reach(), arrays.ilo(), arrays.share());
}

}  // namespace

void register_overlap(py::module_& m) {
  m.def("overlap", &overlap_binding, py::arg("indices"), py::arg("languages"), py::arg("sentences"),
        py::kw_only(), py::arg("n_languages"), py::arg("threshold"), py::arg("n_threads"),
        "Bridge, reach, ILO and translation share; see ilo_fast.overlap.");
}

}  // namespace ilo
