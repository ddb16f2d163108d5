#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "core/errors.h"
#include "overlap/overlap.h"

namespace py = pybind11;

namespace ilo {

namespace {

using Indices = py::array_t<std::int64_t, py::array::c_style>;
using Languages = py::array_t<std::int32_t, py::array::c_style>;

py::tuple overlap_binding(const Indices& indices, const Languages& languages,
                          const std::optional<Indices>& sentences, std::int32_t n_languages,
                          std::int64_t threshold, int n_threads) {
  if (indices.ndim() != 3) throw InvalidArgument("indices must have shape (layers, n, k)");
  OverlapInput in{};
  in.n_layers = indices.shape(0), in.n = indices.shape(1), in.k = indices.shape(2);
  in.n_languages = n_languages, in.threshold = threshold;
  if (languages.ndim() != 1 || languages.shape(0) != in.n)
    throw InvalidArgument(text("languages must have shape (", in.n, ",), one a point"));
  if (sentences && (sentences->ndim() != 1 || sentences->shape(0) != in.n))
    throw InvalidArgument(text("sentences must have shape (", in.n, ",), one a point"));
  if (n_threads < 1) throw InvalidArgument(text("n_threads=", n_threads, " must be at least 1"));
  if (n_languages < 2)
    throw InvalidArgument(
        text("n_languages=", n_languages, ": overlap between languages needs at least 2"));
  in.indices = indices.data(), in.languages = languages.data();
  in.sentences = sentences ? sentences->data() : nullptr;
  for (std::int64_t i = 0; i < in.n; ++i)
    if (in.languages[i] < 0 || in.languages[i] >= n_languages)
      throw InvalidArgument(
          text("languages[", i, "]=", in.languages[i], " is not in [0, ", n_languages, ")"));
  for (std::int64_t i = 0; i < in.n_layers * in.n * in.k; ++i)
    if (in.indices[i] < 0 || in.indices[i] >= in.n)
      throw InvalidArgument(
          text("indices hold ", in.indices[i], ", which is not a point of ", in.n));

  py::array_t<double> bridge({in.n_layers, std::int64_t{n_languages}}),
      reach({in.n_layers, std::int64_t{n_languages}}),
      ilo({in.n_layers, std::int64_t{n_languages}});
  py::object share = py::none();
  OverlapOutput out{bridge.mutable_data(), reach.mutable_data(), ilo.mutable_data(), nullptr};
  if (sentences) {
    py::array_t<double> values({in.n_layers, std::int64_t{n_languages}});
    out.translation_share = values.mutable_data();
    share = std::move(values);
  }
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    overlap(in, out, team);
  }
  return py::make_tuple(bridge, reach, ilo, share);
}

}  // namespace

void register_overlap(py::module_& m) {
  m.def("overlap", &overlap_binding, py::arg("indices"), py::arg("languages"), py::arg("sentences"),
        py::kw_only(), py::arg("n_languages"), py::arg("threshold"), py::arg("n_threads"),
        "Bridge, reach, ILO and translation share; see ilo_fast.overlap.");
}

}  // namespace ilo
