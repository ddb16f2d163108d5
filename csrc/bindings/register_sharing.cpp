// Features that lines share with their translations, as Python calls it.
#include <limits>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "sparse/feature_sharing.h"

namespace py = pybind11;

namespace ilo {

namespace {

template <class T>
using Numbers = py::array_t<T, py::array::c_style>;

void check_shape(const char* name, const py::array& array, bool right, const char* wanted) {
  if (!right) throw InvalidArgument(text(name, " has shape ", shape_text(array), ", ", wanted));
}

py::tuple sum_sharing_binding(const Numbers<std::int64_t>& indptr,
                              const Numbers<std::int32_t>& indices, const Numbers<float>& values,
                              const Numbers<std::int64_t>& row_of,
                              const Numbers<std::int32_t>& documents,
                              const Numbers<std::int32_t>& partners, std::int64_t n_layers,
                              std::int64_t n_features, std::int64_t n_documents, int n_threads,
                              const py::object& progress) {
  check_shape("indptr", indptr, indptr.ndim() == 1 && indptr.shape(0) >= 1, "wanted (rows + 1,)");
  check_shape("indices", indices, indices.ndim() == 1, "wanted (entries,)");
  check_shape("values", values, values.ndim() == 1 && values.shape(0) == indices.shape(0),
              "wanted one for each of the indices");
  check_shape("row_of", row_of, row_of.ndim() == 2 && row_of.shape(0) >= 2,
              "wanted (languages, lines) of 2 languages or more");
  const std::int64_t n_lines = row_of.shape(1);
  check_shape("documents", documents, documents.ndim() == 1 && documents.shape(0) == n_lines,
              "wanted one number for each line of row_of");
  check_shape("partners", partners, partners.ndim() == 2 && partners.shape(1) == n_lines,
              "wanted (shuffles, lines)");
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (n_layers < 1 || n_features < 1 || n_layers > most / n_features)
    throw InvalidArgument(text("n_layers=", n_layers, " of n_features=", n_features,
                               ", wanted at least 1 each and 2^31 - 1 together"));
  check_count("n_documents", n_documents);
  check_threads(n_threads);
  const std::int64_t n_languages = row_of.shape(0);
  const ParallelLines in{{indptr.data(), indices.data(), indptr.shape(0) - 1, n_layers, n_features},
                         values.data(),
                         row_of.data(),
                         n_languages,
                         n_lines,
                         documents.data(),
                         n_documents};
  const Partners others{partners.data(), partners.shape(0)};
  const std::vector<py::ssize_t> shape{n_languages * (n_languages - 1) / 2, n_layers, n_documents,
                                       kSharingMeasures};
  Numbers<double> matched(shape), with_others(shape);
  const SharingSums out{matched.mutable_data(), with_others.mutable_data()};
  PythonMonitor monitor{progress};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_entries(in.rows, indices.shape(0));
    sum_sharing(in, others, out, team);
  }
  return py::make_tuple(matched, with_others);
}

}  // namespace

void register_sharing(py::module_& m) {
  m.def("sum_sharing", &sum_sharing_binding, py::arg("indptr"), py::arg("indices"),
        py::arg("values"), py::kw_only(), py::arg("row_of"), py::arg("documents"),
        py::arg("partners"), py::arg("n_layers"), py::arg("n_features"), py::arg("n_documents"),
        py::arg("n_threads"), py::arg("progress") = py::none(),
        "Jaccard, weighted Jaccard and cosine of the features of parallel lines, by document.");
}

}  // namespace ilo
