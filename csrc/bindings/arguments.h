// Arguments that several functions take, their checks and what these tell the user.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/errors.h"
#include "core/matrix_view.h"
#include "overlap/overlap.h"

namespace ilo {

DType dtype_named(const std::string& name);

// "(2, 3)"
std::string shape_text(const pybind11::array& array);

// An array (layers, n, d) with any strides, here or in a GPU's memory.
struct Segment {
  const std::byte* data;
  std::array<std::int64_t, 3> shape, strides;  // strides in bytes
  bool on_device;
};

// Of an array, or of a tuple (address, shape, strides in bytes): memory of a device.
Segment segment_of(const pybind11::handle& source, DType dtype);

// Of one shape but for n, and one distance between columns. At least one.
void check_segments(const std::vector<Segment>& segments);

// The rows of all segments together.
std::int64_t count_rows(const std::vector<Segment>& segments);

// How many of n rows are searched: n_base, or all of them if it is 0.
std::int64_t base_of(std::int64_t n_base, std::int64_t n);

// A row of the base is not its own neighbour; a row that is only a query may have all of the base.
void check_neighbors(std::int64_t n_neighbors, std::int64_t base, bool only_others);

// What both engines report of a layer. scores.json on disk has these keys: they stay as they are.
template <class Info>
pybind11::dict info_of(const Info& info) {
  pybind11::dict out;
  out["rows"] = info.rows;
  out["queries"] = info.queries;
  out["unique_rows"] = info.unique_rows;
  out["certified_rows"] = info.certified_rows;
  out["widened_rows"] = info.fallback_rows;
  out["candidates_per_row"] = info.candidates_per_row;
  out["seconds_prepare"] = info.seconds_prepare;
  out["seconds_filter"] = info.seconds_filter;
  out["seconds_rerank"] = info.seconds_rerank;
  out["seconds_widen"] = info.seconds_fallback;
  return out;
}

// At least one.
void check_threads(int n_threads);

// From 0 to 2^31: what is counted here is numbered in 32 bits.
void check_count(const char* name, std::int64_t count);

// (n + 1) offsets of n lists in `total` entries: from 0, rising, to `total`. Only then may a list
// be looked into. `name` as the message calls them, `entries` what they count.
void check_offsets(const char* name, const std::int64_t* offsets, std::int64_t n,
                   std::int64_t total, const char* entries);

using Languages = pybind11::array_t<std::int32_t, pybind11::array::c_style>;
using Sentences = pybind11::array_t<std::int64_t, pybind11::array::c_style>;

// All but `indices` of the input of an overlap.
OverlapInput overlap_input(const Languages& languages, const std::optional<Sentences>& sentences,
                           std::int64_t n_layers, std::int64_t n, std::int64_t k,
                           std::int32_t n_languages, std::int64_t threshold);

// The arrays that scores go to.
class OverlapArrays {
 public:
  explicit OverlapArrays(const OverlapInput& in);
  OverlapOutput out();
  const pybind11::array_t<double>& bridge() const { return bridge_; }
  const pybind11::array_t<double>& reach() const { return reach_; }
  const pybind11::array_t<double>& ilo() const { return ilo_; }
  pybind11::object share() const;  // None without sentences
  const pybind11::array_t<double>& cross() const { return cross_; }

 private:
  pybind11::array_t<double> bridge_, reach_, ilo_, cross_;
  std::optional<pybind11::array_t<double>> share_;
};

}  // namespace ilo
