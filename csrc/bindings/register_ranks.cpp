// Ranks within blocks of similarities and distances, as Python calls them.
#include "bindings/bindings.h"
#include "core/errors.h"
#include "overlap/ranks.h"

namespace py = pybind11;

namespace ilo {

namespace {

using Block = py::array_t<float, py::array::c_style>;
using Columns = py::array_t<std::int64_t, py::array::c_style>;

TranslationRanks translation_ranks(const Block& own, double shift, double tolerance,
                                   std::int64_t csls_neighbors, std::int64_t margin_neighbors) {
  if (own.ndim() != 1 || own.shape(0) == 0)
    throw InvalidArgument("own is no list: wanted the cosine of each source to its translation");
  for (const std::int64_t k : {csls_neighbors, margin_neighbors})
    if (k < 1 || k > own.shape(0))
      throw InvalidArgument(
          text("n_neighbors=", k, ", wanted 1 to the ", own.shape(0), " sentences"));
  return {own.data(), own.shape(0), {shift, tolerance, csls_neighbors, margin_neighbors}};
}

using Pass = void (TranslationRanks::*)(const float*, std::int64_t, std::int64_t);

template <Pass pass>
void take(TranslationRanks& ranks, const Block& cosines, std::int64_t start) {
  if (cosines.ndim() != 2 || cosines.shape(1) != ranks.n() || start < 0 ||
      start > ranks.n() - cosines.shape(0))
    throw InvalidArgument(text("cosines do not fit: wanted some rows of ", ranks.n(), " x ",
                               ranks.n(), " from row ", start, " on"));
  py::gil_scoped_release release;
  (ranks.*pass)(cosines.data(), start, cosines.shape(0));
}

py::array_t<std::int32_t> counted(const TranslationRanks& ranks) {
  py::array_t<std::int32_t> out(
      {std::int64_t{TranslationRanks::kRankings}, std::int64_t{2}, ranks.n()});
  std::copy(ranks.ranks().begin(), ranks.ranks().end(), out.mutable_data());
  return out;
}

py::array_t<double> chosen_binding(const Block& distances, const Columns& own,
                                   const Columns& chosen, const Block& tolerances) {
  if (distances.ndim() != 2 || own.ndim() != 1 || chosen.ndim() != 2 || tolerances.ndim() != 2 ||
      own.shape(0) != distances.shape(0) || chosen.shape(0) != distances.shape(0) ||
      tolerances.shape(0) != distances.shape(0) || tolerances.shape(1) != chosen.shape(1))
    throw InvalidArgument("distances, own, chosen and tolerances do not fit each other");
  const std::int64_t n_rows = distances.shape(0), n = distances.shape(1);
  for (const Columns* columns : {&own, &chosen})
    for (std::int64_t at = 0; at < columns->size(); ++at)
      if (columns->data()[at] < 0 || columns->data()[at] >= n)
        throw InvalidArgument(text("column ", columns->data()[at], " is not in [0, ", n, ")"));
  py::array_t<double> ranks({n_rows, static_cast<std::int64_t>(chosen.shape(1))});
  double* const out = ranks.mutable_data();
  {
    py::gil_scoped_release release;
    ranks_of_chosen(distances.data(), n_rows, n, own.data(), chosen.data(), tolerances.data(),
                    chosen.shape(1), out);
  }
  return ranks;
}

}  // namespace

void register_ranks(py::module_& m) {
  py::class_<TranslationRanks>(m, "TranslationRanks",
                               // A plain class, as the stub says.
                               py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)),
                               "Ranks of translations by cosine, CSLS and margin; see "
                               "ilo_fast.scores.similarity.translations.")
      .def(py::init(&translation_ranks), py::arg("own"), py::kw_only(), py::arg("shift"),
           py::arg("tolerance"), py::arg("csls_neighbors"), py::arg("margin_neighbors"))
      .def("first", &take<&TranslationRanks::first>, py::arg("cosines"), py::arg("start"))
      .def("second", &take<&TranslationRanks::second>, py::arg("cosines"), py::arg("start"))
      .def("ranks", &counted);
  m.def("ranks_of_chosen", &chosen_binding, py::arg("distances"), py::arg("own"), py::arg("chosen"),
        py::arg("tolerances"),
        "Mean ranks of chosen columns within their rows, without the column `own`; see "
        "ilo_fast.scores.similarity.information_imbalance.");
}

}  // namespace ilo
