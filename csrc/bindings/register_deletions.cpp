// Counts of a corpus without some of its units, as Python calls them.
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "overlap/deletions.h"

namespace py = pybind11;

namespace ilo {

namespace {

using Numbers = py::array_t<std::int64_t, py::array::c_style>;
using Units = py::array_t<std::int32_t, py::array::c_style>;
using Kept = py::array_t<bool, py::array::c_style>;
using Counts = py::array_t<std::int32_t>;

static_assert(sizeof(bool) == 1, "arrays of bool are read as bytes");

// The lists and units; all that is read of them is in range.
DeletionInput deletion_input(const Numbers& entries, const Numbers& offsets, const Units& units,
                             std::int64_t n_neighbors, std::int32_t n_units) {
  if (entries.ndim() != 1 || offsets.ndim() != 1 || units.ndim() != 1 ||
      offsets.shape(0) != units.shape(0) + 1)
    throw InvalidArgument(text("entries, offsets and units have ", entries.size(), ", ",
                               offsets.size(), " and ", units.size(),
                               " numbers, wanted flat arrays and one offset more than units"));
  DeletionInput in{};
  in.entries = entries.data(), in.offsets = offsets.data(), in.units = units.data();
  in.n = units.shape(0), in.k = n_neighbors, in.n_units = n_units;
  if (n_neighbors < 1)
    throw InvalidArgument(text("n_neighbors=", n_neighbors, " must be at least 1"));
  if (n_units < 0) throw InvalidArgument(text("n_units=", n_units, " must be at least 0"));
  check_offsets("offsets", in.offsets, in.n, entries.shape(0), "entries");
  for (std::int64_t i = 0; i < in.n; ++i) {
    if (in.offsets[i + 1] - in.offsets[i] < n_neighbors)
      throw InvalidArgument(text("the list of point ", i, " has ",
                                 in.offsets[i + 1] - in.offsets[i],
                                 " neighbours, wanted n_neighbors=", n_neighbors, " or more"));
    if (in.units[i] < 0 || in.units[i] >= n_units)
      throw InvalidArgument(
          text("units[", i, "]=", in.units[i], ", wanted numbers in [0, ", n_units, ")"));
  }
  for (std::int64_t p = 0; p < entries.shape(0); ++p)
    if (in.entries[p] < 0 || in.entries[p] >= in.n)
      throw InvalidArgument(
          text("entries holds ", in.entries[p], ", wanted numbers of points in [0, ", in.n, ")"));
  return in;
}

Subsets subsets_of(const Kept& kept, const DeletionInput& in) {
  if (kept.ndim() != 2 || kept.shape(1) != in.n_units)
    throw InvalidArgument(text("kept has ", kept.ndim(), " dimensions and ", kept.size(),
                               " values, wanted (subsets, ", in.n_units, ")"));
  return {reinterpret_cast<const std::uint8_t*>(kept.data()), kept.shape(0)};
}

Numbers rows_too_short_binding(const Numbers& entries, const Numbers& offsets, const Units& units,
                               const std::optional<Kept>& kept, std::int64_t n_neighbors,
                               std::int32_t n_units, int n_threads) {
  const DeletionInput in = deletion_input(entries, offsets, units, n_neighbors, n_units);
  check_threads(n_threads);
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  const std::optional<Subsets> subsets =
      kept ? std::optional<Subsets>(subsets_of(*kept, in)) : std::nullopt;
  std::vector<std::int64_t> rows;
  {
    py::gil_scoped_release release;
    rows = subsets ? rows_too_short(in, *subsets, team) : rows_too_short(in);
  }
  return Numbers(static_cast<py::ssize_t>(rows.size()), rows.data());
}

py::tuple deletions_binding(const Numbers& entries, const Numbers& offsets, const Units& units,
                            const Languages& languages, const std::optional<Sentences>& sentences,
                            const std::optional<Kept>& kept, std::int64_t n_neighbors,
                            std::int32_t n_units, std::int32_t n_languages, std::int64_t threshold,
                            int n_threads) {
  DeletionInput in = deletion_input(entries, offsets, units, n_neighbors, n_units);
  const OverlapInput checked =
      overlap_input(languages, sentences, 1, in.n, n_neighbors, n_languages, threshold);
  if (in.n > std::numeric_limits<std::int32_t>::max() / n_neighbors)
    throw InvalidArgument(
        text(in.n, " points with ", n_neighbors, " neighbours each are more than 2^31 - 1 in all"));
  in.languages = checked.languages, in.sentences = checked.sentences;
  in.n_languages = n_languages, in.threshold = threshold;
  check_threads(n_threads);
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  const std::optional<Subsets> subsets =
      kept ? std::optional<Subsets>(subsets_of(*kept, in)) : std::nullopt;

  const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(subsets ? subsets->count : n_units),
                                       n_languages};
  const auto zeros = [&] {
    Counts counts(shape);
    std::fill_n(counts.mutable_data(), counts.size(), 0);
    return counts;
  };
  Counts points = zeros(), bridging = zeros(), reached = zeros();
  std::optional<Counts> translations;
  if (sentences) translations = zeros();
  const DeletionOutput out{points.mutable_data(), bridging.mutable_data(), reached.mutable_data(),
                           translations ? translations->mutable_data() : nullptr};
  {
    py::gil_scoped_release release;
    if (subsets)
      count_subsets(in, *subsets, out, team);
    else
      count_without_each(in, out, team);
  }
  return py::make_tuple(points, bridging, reached, py::cast(translations));
}

}  // namespace

void register_deletions(py::module_& m) {
  m.def("overlap_rows_too_short", &rows_too_short_binding, py::arg("entries"), py::arg("offsets"),
        py::arg("units"), py::arg("kept"), py::kw_only(), py::arg("n_neighbors"),
        py::arg("n_units"), py::arg("n_threads"),
        "Points whose list does not keep n_neighbors: in a subset of kept that keeps them, or, if "
        "it is None, where any other unit goes.");
  m.def("overlap_deletions", &deletions_binding, py::arg("entries"), py::arg("offsets"),
        py::arg("units"), py::arg("languages"), py::arg("sentences"), py::arg("kept"),
        py::kw_only(), py::arg("n_neighbors"), py::arg("n_units"), py::arg("n_languages"),
        py::arg("threshold"), py::arg("n_threads"),
        "Points, bridging, reached and translations of each subset of kept, or, if it is None, "
        "without each unit; see ilo_fast.scores.certainty.resampling.");
}

}  // namespace ilo
