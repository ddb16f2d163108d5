// Merging lists of neighbours, as Python calls it.
#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "knn/merge.h"

namespace py = pybind11;

namespace ilo {

namespace {

using NeighborIndices = py::array_t<std::int64_t, py::array::c_style>;
using SquaredDistances = py::array_t<double, py::array::c_style>;

void check_neighbor_lists(const char* name, const NeighborIndices& indices,
                          const SquaredDistances& squared) {
  if (indices.ndim() != 2 || squared.ndim() != 2 || indices.shape(0) != squared.shape(0) ||
      indices.shape(1) != squared.shape(1) || indices.shape(1) < 1)
    throw InvalidArgument(text(name, " have shapes ", shape_text(indices), " and ",
                               shape_text(squared),
                               ", wanted indices and squared distances of one shape (rows, k)"));
}

void merge_neighbors_binding(NeighborIndices indices, SquaredDistances squared,
                             const NeighborIndices& rows, const NeighborIndices& part_indices,
                             const SquaredDistances& part_squared, std::int64_t n_columns) {
  check_neighbor_lists("the lists", indices, squared);
  check_neighbor_lists("the lists of the part", part_indices, part_squared);
  if (rows.ndim() != 1 || rows.shape(0) != part_indices.shape(0))
    throw InvalidArgument(text("rows has shape ", shape_text(rows), ", wanted (",
                               part_indices.shape(0), ",): the row of each list"));
  const NeighborLists into{indices.mutable_data(), squared.mutable_data(), indices.shape(0),
                           indices.shape(1)};
  const NeighborPart part{rows.data(), part_indices.data(), part_squared.data(),
                          part_indices.shape(0), part_indices.shape(1)};
  py::gil_scoped_release release;
  merge_neighbors(into, part, n_columns);
}

}  // namespace

void register_merge(py::module_& m) {
  // No conversion of what is written to: a copy would be merged into, and lost.
  m.def("merge_neighbors", &merge_neighbors_binding, py::arg("indices").noconvert(),
        py::arg("squared").noconvert(), py::arg("rows"), py::arg("part_indices"),
        py::arg("part_squared"), py::kw_only(), py::arg("n_columns"),
        "Merges lists (squared distance, index) of some rows into those of all rows, in place; see "
        "csrc/knn/merge.h.");
}

}  // namespace ilo
