// A map of a neighbour graph, as Python calls it.
#include <cmath>
#include <limits>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "overlap/layout.h"

namespace py = pybind11;

namespace ilo {

namespace {

using Positions = py::array_t<float, py::array::c_style>;

Positions layout_binding(const py::array_t<std::int32_t, py::array::c_style>& indices,
                         const Positions& start, std::int64_t n_epochs, std::int64_t n_pushes,
                         std::uint64_t seed) {
  if (indices.ndim() != 2 || indices.shape(0) < 1 ||
      indices.shape(0) > std::numeric_limits<std::int32_t>::max())
    throw InvalidArgument(text("indices has ", indices.ndim(), " dimensions and ", indices.size(),
                               " numbers, wanted (n, k)"));
  const LayoutInput in{indices.data(), indices.shape(0), indices.shape(1),
                       n_epochs,       n_pushes,         seed};
  if (start.ndim() != 2 || start.shape(0) != in.n || start.shape(1) != 2)
    throw InvalidArgument(text("start has ", start.size(), " numbers, wanted (", in.n, ", 2)"));
  if (n_epochs < 0 || n_pushes < 0)
    throw InvalidArgument(
        text("n_epochs=", n_epochs, " and n_pushes=", n_pushes, " must be at least 0"));
  for (std::int64_t i = 0; i < indices.size(); ++i)
    if (in.indices[i] < 0 || in.indices[i] >= in.n)
      throw InvalidArgument(
          text("indices holds ", in.indices[i], ", wanted numbers of points in [0, ", in.n, ")"));
  Positions positions({in.n, std::int64_t{2}});
  for (std::int64_t i = 0; i < start.size(); ++i) {
    if (!std::isfinite(start.data()[i]))
      throw InvalidArgument(text("start of point ", i / 2, " is not finite"));
    positions.mutable_data()[i] = start.data()[i];
  }
  {
    float* const moved = positions.mutable_data();
    PythonMonitor monitor{py::none()};
    py::gil_scoped_release release;
    lay_out(in, moved, monitor);
  }
  return positions;
}

}  // namespace

void register_layout(py::module_& m) {
  m.def("layout", &layout_binding, py::arg("indices"), py::arg("start"), py::kw_only(),
        py::arg("n_epochs"), py::arg("n_pushes"), py::arg("seed"),
        "Positions (n, 2) in the plane of the points of a neighbour graph; see "
        "ilo_fast.scores.structure.layout.");
}

}  // namespace ilo
