// The scores of a graph of neighbours, as Python calls them.
#include <pybind11/stl.h>

#include <array>
#include <limits>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "overlap/overlap.h"
#include "overlap/permutations.h"

namespace py = pybind11;

namespace ilo {

namespace {

template <class Index>
using Indices = py::array_t<Index, py::array::c_style>;

template <class Index>
OverlapInput checked_input(const Indices<Index>& indices, const Languages& languages,
                           const std::optional<Sentences>& sentences, std::int32_t n_languages,
                           std::int64_t threshold, int n_threads) {
  if (indices.ndim() != 3)
    throw InvalidArgument(text("indices has ", indices.ndim(),
                               " dimensions, wanted 3: (layers, n, k); put indices[None] for a "
                               "single layer"));
  check_threads(n_threads);
  const OverlapInput in = overlap_input(languages, sentences, indices.shape(0), indices.shape(1),
                                        indices.shape(2), n_languages, threshold);
  const Index* const numbers = indices.data();
  for (std::int64_t i = 0; i < indices.size(); ++i)
    if (numbers[i] < 0 || numbers[i] >= in.n)
      throw InvalidArgument(
          text("indices holds ", numbers[i], ", wanted numbers of points in [0, ", in.n, ")"));
  return in;
}

py::tuple overlap_binding(const Indices<std::int64_t>& indices, const Languages& languages,
                          const std::optional<Sentences>& sentences, std::int32_t n_languages,
                          std::int64_t threshold, int n_threads) {
  OverlapInput in = checked_input(indices, languages, sentences, n_languages, threshold, n_threads);
  in.indices = indices.data();

  OverlapArrays arrays(in);
  const OverlapOutput out = arrays.out();
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    overlap(in, out, team);
  }
  return py::make_tuple(arrays.bridge(), arrays.reach(), arrays.ilo(), arrays.share(),
                        arrays.cross());
}

py::tuple permutations_binding(const Indices<std::int32_t>& indices, const Languages& languages,
                               const std::optional<Sentences>& sentences, std::int32_t n_languages,
                               std::int64_t threshold, std::int64_t n_permutations,
                               std::uint64_t seed, int n_threads, py::object progress) {
  const OverlapInput given =
      checked_input(indices, languages, sentences, n_languages, threshold, n_threads);
  if (threshold < 1) throw InvalidArgument(text("threshold=", threshold, " must be at least 1"));
  check_count("n_permutations", n_permutations);
  if (n_languages > 1 << 16)
    throw InvalidArgument(text("n_languages=", n_languages, " is more than 65536"));
  if (given.n * given.k > std::numeric_limits<std::int32_t>::max())
    throw InvalidArgument(text("a layer of indices has ", given.n, " x ", given.k,
                               " neighbours, wanted less than 2^31 in all"));
  PermutationInput in{};
  in.indices = indices.data(), in.languages = given.languages, in.sentences = given.sentences;
  in.n_layers = given.n_layers, in.n = given.n, in.k = given.k;
  in.n_languages = n_languages, in.threshold = threshold;
  in.n_permutations = n_permutations, in.seed = seed;
  const std::array<std::int64_t, 3> shape{1 + n_permutations, in.n_layers, n_languages};
  py::array_t<std::int32_t> bridging(shape), reached(shape);
  std::optional<py::array_t<std::int32_t>> translations;
  if (sentences) translations.emplace(shape);
  const PermutationOutput out{bridging.mutable_data(), reached.mutable_data(),
                              translations ? translations->mutable_data() : nullptr};
  PythonMonitor monitor(std::move(progress));
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    count_permutations(in, out, team);
  }
  return py::make_tuple(bridging, reached, translations);
}

}  // namespace

void register_overlap(py::module_& m) {
  m.def("overlap", &overlap_binding, py::arg("indices"), py::arg("languages"), py::arg("sentences"),
        py::kw_only(), py::arg("n_languages"), py::arg("threshold"), py::arg("n_threads"),
        "Bridge, reach, ILO, translation share and the share of neighbours in other languages; see "
        "ilo_fast.overlap.");
  m.def("overlap_permutations", &permutations_binding, py::arg("indices"), py::arg("languages"),
        py::arg("sentences"), py::kw_only(), py::arg("n_languages"), py::arg("threshold"),
        py::arg("n_permutations"), py::arg("seed"), py::arg("n_threads"),
        py::arg("progress") = py::none(),
        "Bridging points, reached languages and translations with the labels as they are, then "
        "with each shuffle of them; see ilo_fast.scores.certainty.permutations.");
}

}  // namespace ilo
