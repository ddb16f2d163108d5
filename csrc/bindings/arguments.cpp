// Checks of arguments; a message says what came, what was wanted and how to mend it.
#include "bindings/arguments.h"

#include <pybind11/stl.h>

#include <string>

namespace py = pybind11;

namespace ilo {

DType dtype_named(const std::string& name) {
  if (name == "float16") return DType::f16;
  if (name == "bfloat16") return DType::bf16;
  if (name == "float32") return DType::f32;
  if (name == "float64") return DType::f64;
  throw InvalidArgument("dtype='" + name +
                        "' is not known: use float16, bfloat16, float32 or float64");
}

namespace {

template <class Shape>
std::string shape_text(const Shape& shape, std::size_t count) {
  std::string out = "(";
  for (std::size_t axis = 0; axis < count; ++axis)
    out += (axis ? ", " : "") + std::to_string(shape[axis]);
  return out + (count == 1 ? ",)" : ")");
}

}  // namespace

std::string shape_text(const py::array& array) {
  return shape_text(array.shape(), static_cast<std::size_t>(array.ndim()));
}

Segment segment_of(const py::handle& source, DType dtype) {
  Segment segment{};
  if (py::isinstance<py::tuple>(source)) {
    const auto [address, shape, strides] = source.cast<
        std::tuple<std::uintptr_t, std::array<std::int64_t, 3>, std::array<std::int64_t, 3>>>();
    segment.data = reinterpret_cast<const std::byte*>(address);
    segment.shape = shape, segment.strides = strides;
    segment.on_device = true;
    return segment;
  }
  if (!py::isinstance<py::array>(source))
    throw InvalidArgument(text("a segment is a ", Py_TYPE(source.ptr())->tp_name,
                               ", wanted an array (layers, n, d), or (address, shape, strides) of "
                               "a GPU's memory"));
  const auto array = py::reinterpret_borrow<py::array>(source);
  if (array.ndim() != 3)
    throw InvalidArgument(text("a segment has shape ", shape_text(array),
                               ", wanted (layers, n, d): put X[None] for a single layer"));
  if (static_cast<std::size_t>(array.itemsize()) != size_of(dtype))
    throw InvalidArgument(text("a segment has ", array.itemsize(), " bytes per value, wanted the ",
                               size_of(dtype), " of its dtype: convert it first"));
  segment.data = static_cast<const std::byte*>(array.data());
  for (int axis = 0; axis < 3; ++axis) {
    segment.shape[axis] = array.shape(axis);
    segment.strides[axis] = array.strides(axis);
  }
  return segment;
}

void check_segments(const std::vector<Segment>& segments) {
  if (segments.empty())
    throw InvalidArgument("X holds no rows: segments is empty, wanted at least one array");
  const Segment& first = segments.front();
  for (const Segment& s : segments)
    if (s.shape[0] != first.shape[0] || s.shape[2] != first.shape[2] ||
        (s.shape[2] > 1 && s.strides[2] != first.strides[2]))
      throw InvalidArgument(text("segments have shapes ", shape_text(first.shape, 3), " and ",
                                 shape_text(s.shape, 3), " and column strides of ",
                                 first.strides[2], " and ", s.strides[2],
                                 " bytes, wanted the same layers, columns and column stride: copy "
                                 "one to the layout of the other"));
}

std::int64_t count_rows(const std::vector<Segment>& segments) {
  std::int64_t n = 0;
  for (const Segment& s : segments) n += s.shape[1];
  if (n > (std::int64_t{1} << 31) - 4096)
    throw InvalidArgument(text("X has ", n, " rows; at most 2^31 - 4096 are supported"));
  return n;
}

std::int64_t base_of(std::int64_t n_base, std::int64_t n) {
  if (n_base > n)
    throw InvalidArgument(
        text("n_base=", n_base, " is more than all ", n, " rows, wanted at most that many"));
  return n_base > 0 ? n_base : n;
}

void check_neighbors(std::int64_t n_neighbors, std::int64_t base, bool only_others) {
  const std::int64_t most = only_others ? base : base - 1;
  if (n_neighbors < 1)
    throw InvalidArgument(text("n_neighbors=", n_neighbors, " must be at least 1"));
  if (n_neighbors > most)
    throw InvalidArgument(text("n_neighbors=", n_neighbors, " needs at least ",
                               n_neighbors + (base - most), " rows, got ", base, " (rows of X)"));
}

void check_threads(int n_threads) {
  if (n_threads < 1) throw InvalidArgument(text("n_threads=", n_threads, " must be at least 1"));
}

void check_count(const char* name, std::int64_t count) {
  constexpr std::int64_t most = std::int64_t{1} << 31;
  if (count < 0 || count > most)
    throw InvalidArgument(text(name, "=", count, " must be from 0 to ", most));
}

void check_offsets(const char* name, const std::int64_t* offsets, std::int64_t n,
                   std::int64_t total, const char* entries) {
  if (offsets[0] != 0 || offsets[n] != total)
    throw InvalidArgument(text(name, " go from ", offsets[0], " to ", offsets[n],
                               ", wanted from 0 to the ", total, " ", entries));
  for (std::int64_t i = 0; i < n; ++i)
    if (offsets[i + 1] < offsets[i])
      throw InvalidArgument(text(name, " fall from ", offsets[i], " to ", offsets[i + 1], " at ",
                                 i + 1, ", wanted them to rise"));
}

OverlapInput overlap_input(const Languages& languages, const std::optional<Sentences>& sentences,
                           std::int64_t n_layers, std::int64_t n, std::int64_t k,
                           std::int32_t n_languages, std::int64_t threshold) {
  const auto check_labels = [n](const char* name, const py::array& labels) {
    if (labels.ndim() != 1 || labels.shape(0) != n)
      throw InvalidArgument(text(name, " has shape ", shape_text(labels), ", wanted (", n,
                                 ",): one number for each point"));
  };
  check_labels("languages", languages);
  if (sentences) check_labels("sentences", *sentences);
  if (n_languages < 2)
    throw InvalidArgument(
        text("n_languages=", n_languages, ": overlap between languages needs at least 2"));
  OverlapInput in{};
  in.n_layers = n_layers, in.n = n, in.k = k;
  in.n_languages = n_languages, in.threshold = threshold;
  in.languages = languages.data();
  in.sentences = sentences ? sentences->data() : nullptr;
  for (std::int64_t i = 0; i < n; ++i)
    if (in.languages[i] < 0 || in.languages[i] >= n_languages)
      throw InvalidArgument(text("languages[", i, "]=", in.languages[i], " is not in [0, ",
                                 n_languages, "): number languages from 0, and give n_languages=",
                                 in.languages[i] + 1, " or more if they are that many"));
  return in;
}

OverlapArrays::OverlapArrays(const OverlapInput& in)
    : bridge_({in.n_layers, std::int64_t{in.n_languages}}),
      reach_({in.n_layers, std::int64_t{in.n_languages}}),
      ilo_({in.n_layers, std::int64_t{in.n_languages}}),
      cross_({in.n_layers, std::int64_t{in.n_languages}}) {
  if (in.sentences) share_.emplace({in.n_layers, std::int64_t{in.n_languages}});
}

OverlapOutput OverlapArrays::out() {
  return {bridge_.mutable_data(), reach_.mutable_data(), ilo_.mutable_data(),
          share_ ? share_->mutable_data() : nullptr, cross_.mutable_data()};
}

py::object OverlapArrays::share() const {
  if (share_) return *share_;
  return py::none();
}

}  // namespace ilo
