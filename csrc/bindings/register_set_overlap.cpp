// Overlaps of neighbour lists and of sparse sets, as Python calls them.
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "overlap/masked_hsic.h"
#include "overlap/set_overlap.h"
#include "overlap/sparse_sets.h"

namespace py = pybind11;

namespace ilo {

namespace {

using ListArray = py::array_t<std::int32_t, py::array::c_style>;
using OffsetArray = py::array_t<std::int64_t, py::array::c_style>;
using ValueArray = py::array_t<double, py::array::c_style>;

RowLists row_lists(const ListArray& lists, const char* name) {
  if (lists.ndim() != 3)
    throw InvalidArgument(text(name, " has ", lists.ndim(),
                               " dimensions, wanted 3: (layers, n, k); put ", name,
                               "[None] for a single layer"));
  return {lists.data(), nullptr, lists.shape(0), lists.shape(1), lists.shape(2)};
}

RowMeasure measure_named(const std::string& name) {
  if (name == "common") return RowMeasure::common;
  if (name == "lcs") return RowMeasure::lcs;
  if (name == "edit_distance") return RowMeasure::edit_distance;
  if (name == "cycle") return RowMeasure::cycle;
  throw InvalidArgument("measure='" + name +
                        "' is not known: use common, lcs, edit_distance or cycle");
}

void check_rows(const RowLists& a, const RowLists& b) {
  if (a.n != b.n)
    throw InvalidArgument(text("A has ", a.n, " rows and B ", b.n,
                               ", wanted the same rows in both: row i of A goes with row i of B"));
}

ListComparison comparison(const ListArray& a, const ListArray& b, std::int64_t n_points,
                          const std::string& measure, bool of_rows) {
  const ListComparison in{row_lists(a, "A"), row_lists(b, "B"), n_points, measure_named(measure)};
  check_rows(in.a, in.b);
  check_count("n_points", n_points);
  if ((of_rows || in.measure == RowMeasure::cycle) && n_points != in.a.n)
    throw InvalidArgument(text("n_points=", n_points, ", wanted the ", in.a.n,
                               " rows: each row is one of the points"));
  return in;
}

Permutations permutations_of(const ListArray& orders, std::int64_t n) {
  if (orders.ndim() != 2 || orders.shape(1) != n)
    throw InvalidArgument(text("permutations have ", orders.ndim(), " dimensions and ",
                               orders.size(), " numbers, wanted (permutations, ", n, ")"));
  std::vector<std::int64_t> last(n, -1);
  for (std::int64_t p = 0; p < orders.shape(0); ++p)
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int32_t number = orders.data()[p * n + i];
      if (number < 0 || number >= n || last[number] == p)
        throw InvalidArgument(text("permutation ", p, " holds ", number, " twice or outside [0, ",
                                   n, "), wanted each number once"));
      last[number] = p;
    }
  return {orders.data(), orders.shape(0)};
}

ListArray compare_rows_binding(const ListArray& a, const ListArray& b, std::int64_t n_points,
                               const std::string& measure, int n_threads) {
  const ListComparison in = comparison(a, b, n_points, measure, false);
  check_threads(n_threads);
  ListArray out({in.a.n_layers, in.b.n_layers, in.a.n});
  std::int32_t* const values = out.mutable_data();
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_lists(in.a, n_points, "A");
    check_lists(in.b, n_points, "B");
    compare_rows(in, values, team);
  }
  return out;
}

ValueArray sum_rows_binding(const ListArray& a, const ListArray& b, const std::string& measure,
                            const ValueArray& weights, const ListArray& permutations,
                            int n_threads) {
  if (a.ndim() != 3) row_lists(a, "A");
  const std::int64_t n = a.shape(1);
  const ListComparison in = comparison(a, b, n, measure, true);
  check_threads(n_threads);
  if (weights.ndim() != 1 || weights.shape(0) != largest_value(in) + 1)
    throw InvalidArgument(text("weights have ", weights.size(),
                               " values, wanted one for each of 0 to ", largest_value(in)));
  const Permutations orders = permutations_of(permutations, n);
  ValueArray out({1 + orders.count, in.a.n_layers, in.b.n_layers});
  double* const sums = out.mutable_data();
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_lists(in.a, n, "A");
    check_lists(in.b, n, "B");
    sum_rows(in, weights.data(), orders, sums, team);
  }
  return out;
}

ValueArray masked_hsic_binding(const ListArray& a, const ValueArray& a_values, const ListArray& b,
                               const ValueArray& b_values, const ListArray& permutations,
                               int n_threads) {
  const KernelGraph first{row_lists(a, "A"), a_values.data()};
  const KernelGraph second{row_lists(b, "B"), b_values.data()};
  check_rows(first.neighbors, second.neighbors);
  check_threads(n_threads);
  const std::int64_t n = first.neighbors.n;
  if (n < 4)
    throw InvalidArgument(text("A has ", n, " rows, wanted at least 4 for the unbiased estimate"));
  if (a_values.size() != a.size() || b_values.size() != b.size())
    throw InvalidArgument(text("A and B have ", a.size(), " and ", b.size(), " neighbours and ",
                               a_values.size(), " and ", b_values.size(),
                               " values, wanted one value for each neighbour"));
  const Permutations orders = permutations_of(permutations, n);
  ValueArray out({1 + orders.count, first.neighbors.n_layers, second.neighbors.n_layers});
  double* const values = out.mutable_data();
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_lists(first.neighbors, n, "A");
    check_lists(second.neighbors, n, "B");
    masked_hsic(first, second, orders, values, team);
  }
  return out;
}

SparseSets sparse_sets(const OffsetArray& offsets, const ListArray& elements, const char* name) {
  if (offsets.ndim() != 1 || elements.ndim() != 1 || offsets.shape(0) < 1)
    throw InvalidArgument(text(name, " has offsets and elements of ", offsets.ndim(), " and ",
                               elements.ndim(),
                               " dimensions, wanted flat arrays, and at least one "
                               "offset"));
  const SparseSets sets{offsets.data(), elements.data(), offsets.shape(0) - 1};
  if (sets.n > std::numeric_limits<std::int32_t>::max())
    throw InvalidArgument(text(name, " has ", sets.n, " sets, wanted less than 2^31"));
  check_offsets(("offsets of " + std::string(name)).c_str(), sets.offsets, sets.n,
                elements.shape(0), "elements");
  return sets;
}

ListArray count_overlaps_binding(const OffsetArray& a_offsets, const ListArray& a_elements,
                                 const OffsetArray& b_offsets, const ListArray& b_elements,
                                 std::int64_t n_elements, int n_threads, py::object progress) {
  const SparseSets a = sparse_sets(a_offsets, a_elements, "A");
  const SparseSets b = sparse_sets(b_offsets, b_elements, "B");
  check_count("n_elements", n_elements);
  check_threads(n_threads);
  ListArray out({a.n, b.n});
  std::int32_t* const counts = out.mutable_data();
  PythonMonitor monitor(std::move(progress));
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_sets(a, n_elements, "A");
    check_sets(b, n_elements, "B");
    count_overlaps(a, b, n_elements, counts, team);
  }
  return out;
}

py::tuple top_overlaps_binding(const OffsetArray& a_offsets, const ListArray& a_elements,
                               const OffsetArray& b_offsets, const ListArray& b_elements,
                               std::int64_t n_elements, std::int64_t top, bool by_jaccard,
                               bool only_others, int n_threads, py::object progress) {
  const SparseSets a = sparse_sets(a_offsets, a_elements, "A");
  const SparseSets b = sparse_sets(b_offsets, b_elements, "B");
  check_count("n_elements", n_elements);
  check_threads(n_threads);
  if (top < 1) throw InvalidArgument(text("top=", top, " must be at least 1"));
  ListArray sets({a.n, top}), counts({a.n, top});
  const TopOverlaps out{sets.mutable_data(), counts.mutable_data()};
  PythonMonitor monitor(std::move(progress));
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_sets(a, n_elements, "A");
    check_sets(b, n_elements, "B");
    top_overlaps(a, b, n_elements, by_jaccard ? OverlapOrder::jaccard : OverlapOrder::count,
                 only_others, top, out, team);
  }
  return py::make_tuple(sets, counts);
}

}  // namespace

void register_set_overlap(py::module_& m) {
  m.def("compare_rows", &compare_rows_binding, py::arg("A"), py::arg("B"), py::kw_only(),
        py::arg("n_points"), py::arg("measure"), py::arg("n_threads"),
        "What the lists of each row have in common, (layers of A, layers of B, n); see "
        "ilo_fast.scores.similarity.");
  m.def("sum_rows", &sum_rows_binding, py::arg("A"), py::arg("B"), py::kw_only(),
        py::arg("measure"), py::arg("weights"), py::arg("permutations"), py::arg("n_threads"),
        "The sums over rows of weights[value], as it is and with the points of B renumbered; see "
        "ilo_fast.scores.similarity.");
  m.def("masked_hsic", &masked_hsic_binding, py::arg("A"), py::arg("A_values"), py::arg("B"),
        py::arg("B_values"), py::kw_only(), py::arg("permutations"), py::arg("n_threads"),
        "The numerators of CKNNA, as they are and with the points of B renumbered; see "
        "ilo_fast.scores.similarity.cknna.");
  m.def("count_overlaps", &count_overlaps_binding, py::arg("A_offsets"), py::arg("A_elements"),
        py::arg("B_offsets"), py::arg("B_elements"), py::kw_only(), py::arg("n_elements"),
        py::arg("n_threads"), py::arg("progress") = py::none(),
        "How many elements each set of A has in common with each of B.");
  m.def("top_overlaps", &top_overlaps_binding, py::arg("A_offsets"), py::arg("A_elements"),
        py::arg("B_offsets"), py::arg("B_elements"), py::kw_only(), py::arg("n_elements"),
        py::arg("top"), py::arg("by_jaccard"), py::arg("only_others"), py::arg("n_threads"),
        py::arg("progress") = py::none(),
        "The sets of B with the largest overlaps with each set of A, and their counts.");
}

}  // namespace ilo
