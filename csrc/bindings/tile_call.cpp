// Checks the arguments of a tile, runs it without the interpreter lock, reports on it.
#include "bindings/tile_call.h"

#include <algorithm>
#include <utility>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "bindings/knn_call.h"
#include "knn/rectangle.h"

namespace py = pybind11;

namespace ilo {

namespace {

struct Lists {
  Lists(std::int64_t n, std::int64_t k) : indices({n, k}), squared({n, k}) {}
  py::array_t<std::int64_t> indices;
  py::array_t<double> squared;
};

std::int64_t rows_of(const std::vector<py::array>& arrays, const char* name) {
  std::int64_t n = 0;
  for (const py::array& array : arrays) {
    if (array.ndim() != 3 || array.shape(0) != 1)
      throw InvalidArgument(
          text("an array of ", name, " has shape ", ilo::shape_text(array), ", wanted (1, n, d)"));
    n += array.shape(1);
  }
  if (n == 0) throw InvalidArgument(text(name, " holds no rows, wanted at least one"));
  return n;
}

template <class Info>
py::dict info_of_tile(const Info& info, std::uint64_t first, std::uint64_t second) {
  py::dict out;
  out["certified_rows"] = info.certified_rows;
  out["widened_rows"] = info.fallback_rows;
  out["candidates_per_row"] = info.candidates_per_row;
  out["fingerprints"] = py::make_tuple(first, second);
  return out;
}

}  // namespace

py::tuple call_knn_tile(const std::vector<py::array>& first, const std::vector<py::array>& second,
                        const std::string& dtype, GraphOptions options, const Kernels& kernels,
                        int n_threads, py::object progress) {
  check_threads(n_threads);
  const std::int64_t n_first = rows_of(first, "first");
  const std::int64_t n_second = second.empty() ? 0 : rows_of(second, "second");
  std::vector<py::array> arrays = first;
  arrays.insert(arrays.end(), second.begin(), second.end());
  const MatrixView view = layer_view(arrays, dtype, 0);
  const std::int64_t k = options.n_neighbors;
  if (k < 1) throw InvalidArgument(text("n_neighbors=", k, " must be at least 1"));
  options.checkpoint.clear();
  options.n_base = 0;

  PythonMonitor monitor(std::move(progress));
  Team team(n_threads, &monitor);
  if (n_second == 0) {
    options.n_neighbors = std::min(k, n_first - 1);
    if (options.n_neighbors < 1)
      throw InvalidArgument("first holds one row, which has no other: wanted at least two");
    Lists lists(n_first, options.n_neighbors);
    std::int64_t* indices = lists.indices.mutable_data();
    double* squared = lists.squared.mutable_data();
    team.expect(expected_work(n_first, 0));
    GraphInfo info;
    {
      py::gil_scoped_release release;
      info = knn_triangle(view, options, kernels, team, indices, squared);
    }
    return py::make_tuple(lists.indices, lists.squared, py::none(), py::none(),
                          info_of_tile(info, info.fingerprint, info.fingerprint),
                          std::string(kernels.name));
  }
  Lists of_first(n_first, std::min(k, n_second)), of_second(n_second, std::min(k, n_first));
  const RectangleSide sides[2] = {
      {of_first.indices.mutable_data(), of_first.squared.mutable_data()},
      {of_second.indices.mutable_data(), of_second.squared.mutable_data()}};
  team.expect(expected_rectangle_work(n_first, n_second));
  RectangleInfo info;
  {
    py::gil_scoped_release release;
    info = knn_rectangle(view, n_first, options, kernels, team, sides[0], sides[1]);
    // Rows of the second part are numbered after those of the first there.
    const std::int64_t listed = n_first * std::min(k, n_second);
    for (std::int64_t i = 0; i < listed; ++i) sides[0].indices[i] -= n_first;
  }
  return py::make_tuple(of_first.indices, of_first.squared, of_second.indices, of_second.squared,
                        info_of_tile(info, info.fingerprint[0], info.fingerprint[1]),
                        std::string(kernels.name));
}

}  // namespace ilo
