// Features counted in groups of tokens, and under shuffled labels of the groups.
#include <limits>
#include <utility>
#include <vector>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "sparse/label_permutations.h"
#include "sparse/merge_rows.h"

namespace py = pybind11;

namespace ilo {

namespace {

template <class T>
using FeatureArray = py::array_t<T, py::array::c_style>;

template <class T>
const T* of_entries(const FeatureArray<T>& array, const char* name, std::int64_t entries) {
  if (array.ndim() != 1 || array.shape(0) != entries)
    throw InvalidArgument(
        text(name, " has shape ", shape_text(array), ", wanted (", entries, ",), as indices"));
  return array.data();
}

template <class T>
FeatureArray<T> owned(std::vector<T>&& values) {
  auto* const kept = new std::vector<T>(std::move(values));
  const py::capsule owner(kept, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return FeatureArray<T>(static_cast<py::ssize_t>(kept->size()), kept->data(), owner);
}

py::tuple merge_rows_binding(const FeatureArray<std::int64_t>& indptr,
                             const FeatureArray<std::int32_t>& indices, const py::object& counts,
                             const FeatureArray<float>& sums, const py::object& maxima,
                             const FeatureArray<std::int64_t>& rows,
                             const FeatureArray<std::int64_t>& starts, std::int64_t n_columns,
                             int n_threads) {
  if (indptr.ndim() != 1 || indptr.shape(0) < 1)
    throw InvalidArgument(text("indptr has shape ", shape_text(indptr), ", wanted (rows + 1,)"));
  if (indices.ndim() != 1)
    throw InvalidArgument(text("indices has shape ", shape_text(indices), ", wanted (entries,)"));
  if (rows.ndim() != 1)
    throw InvalidArgument(text("rows has shape ", shape_text(rows), ", wanted one dimension"));
  if (starts.ndim() != 1 || starts.shape(0) < 1)
    throw InvalidArgument(text("starts has shape ", shape_text(starts), ", wanted (groups + 1,)"));
  if (n_columns < 1 || n_columns > std::numeric_limits<std::int32_t>::max())
    throw InvalidArgument(text("n_columns=", n_columns, ", wanted 1 to 2^31 - 1"));
  const std::int64_t entries = indices.shape(0);
  const FeatureArray<std::int32_t> own_counts =
      counts.is_none() ? FeatureArray<std::int32_t>() : FeatureArray<std::int32_t>(counts);
  const FeatureArray<float> own_maxima =
      maxima.is_none() ? FeatureArray<float>() : FeatureArray<float>(maxima);
  const EntryTotals totals{counts.is_none() ? nullptr : of_entries(own_counts, "counts", entries),
                           of_entries(sums, "sums", entries),
                           maxima.is_none() ? nullptr : of_entries(own_maxima, "maxima", entries)};
  const ActiveRows all{indptr.data(), indices.data(), indptr.shape(0) - 1, 1, n_columns};
  const RowGroups groups{rows.data(), starts.data(), starts.shape(0) - 1, rows.shape(0)};
  check_threads(n_threads);
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  MergedRows found;
  {
    py::gil_scoped_release release;
    check_entries(all, entries);
    found = merge_rows(all, totals, groups, team);
  }
  return py::make_tuple(owned(std::move(found.indptr)), owned(std::move(found.indices)),
                        owned(std::move(found.counts)), owned(std::move(found.sums)),
                        owned(std::move(found.maxima)));
}

py::tuple label_permutations_binding(const FeatureArray<std::int64_t>& offsets,
                                     const FeatureArray<std::int32_t>& rows,
                                     const FeatureArray<std::int32_t>& counts,
                                     const FeatureArray<std::int64_t>& tokens,
                                     const FeatureArray<std::uint16_t>& labels,
                                     std::int64_t n_labels, double dominant, double others,
                                     int n_threads) {
  if (offsets.ndim() != 1 || offsets.shape(0) < 1)
    throw InvalidArgument(
        text("offsets has shape ", shape_text(offsets), ", wanted (columns + 1,)"));
  if (rows.ndim() != 1)
    throw InvalidArgument(text("rows has shape ", shape_text(rows), ", wanted (entries,)"));
  if (tokens.ndim() != 1)
    throw InvalidArgument(text("tokens has shape ", shape_text(tokens), ", wanted (rows,)"));
  if (labels.ndim() != 2 || labels.shape(1) != tokens.shape(0))
    throw InvalidArgument(text("labels has shape ", shape_text(labels), ", wanted (shuffles, ",
                               tokens.shape(0), "), as tokens"));
  if (n_labels < 1 || n_labels > 4096)
    throw InvalidArgument(text("n_labels=", n_labels, ", wanted 1 to 4096"));
  check_threads(n_threads);
  check_offsets("offsets", offsets.data(), offsets.shape(0) - 1, rows.shape(0), "entries");
  const LabelPermutationInput in{
      offsets.data(),  rows.data(),     of_entries(counts, "counts", rows.shape(0)),
      tokens.data(),   labels.data(),   offsets.shape(0) - 1,
      tokens.shape(0), labels.shape(0), static_cast<std::int32_t>(n_labels),
      dominant,        others};
  py::array_t<double> statistic({in.n_shuffles, in.n_columns});
  py::array_t<bool> dominated({in.n_shuffles, in.n_columns});
  const LabelPermutationOutput out{statistic.mutable_data(), dominated.mutable_data()};
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    permute_labels(in, out, team);
  }
  return py::make_tuple(statistic, dominated);
}

}  // namespace

void register_features(py::module_& m) {
  m.def("merge_rows", &merge_rows_binding, py::arg("indptr"), py::arg("indices"), py::arg("counts"),
        py::arg("sums"), py::arg("maxima"), py::kw_only(), py::arg("rows"), py::arg("starts"),
        py::arg("n_columns"), py::arg("n_threads"),
        "Rows merged into groups, column by column: indptr, indices, counts, sums, maxima.");
  m.def("label_permutations", &label_permutations_binding, py::arg("offsets"), py::arg("rows"),
        py::arg("counts"), py::kw_only(), py::arg("tokens"), py::arg("labels"), py::arg("n_labels"),
        py::arg("dominant"), py::arg("others"), py::arg("n_threads"),
        "(shuffles, columns): sum of firings^2 / tokens over labels, and whether one dominates.");
}

}  // namespace ilo
