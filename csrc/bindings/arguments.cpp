#include "bindings/arguments.h"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace ilo {

DType dtype_named(const std::string& name) {
  if (name == "float16") return DType::f16;
  if (name == "bfloat16") return DType::bf16;
  if (name == "float32") return DType::f32;
  if (name == "float64") return DType::f64;
  throw InvalidArgument("dtype '" + name + "' is not float16, bfloat16, float32 or float64");
}

namespace {
const char* const kSegments = "segments must be (layers, n, d) arrays of one dtype and layout";
}  // namespace

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
  if (!py::isinstance<py::array>(source)) throw InvalidArgument(kSegments);
  const auto array = py::reinterpret_borrow<py::array>(source);
  if (array.ndim() != 3 || static_cast<std::size_t>(array.itemsize()) != size_of(dtype))
    throw InvalidArgument(kSegments);
  segment.data = static_cast<const std::byte*>(array.data());
  for (int axis = 0; axis < 3; ++axis) {
    segment.shape[axis] = array.shape(axis);
    segment.strides[axis] = array.strides(axis);
  }
  return segment;
}

void check_segments(const std::vector<Segment>& segments) {
  if (segments.empty()) throw InvalidArgument("X holds no rows");
  const Segment& first = segments.front();
  for (const Segment& s : segments)
    if (s.shape[0] != first.shape[0] || s.shape[2] != first.shape[2] ||
        (s.shape[2] > 1 && s.strides[2] != first.strides[2]))
      throw InvalidArgument(kSegments);
}

std::int64_t count_rows(const std::vector<Segment>& segments) {
  std::int64_t n = 0;
  for (const Segment& s : segments) n += s.shape[1];
  if (n > (std::int64_t{1} << 31) - 4096)
    throw InvalidArgument(text("X has ", n, " rows; at most 2^31 - 4096 are supported"));
  return n;
}

std::int64_t base_of(std::int64_t n_base, std::int64_t n) {
  if (n_base > n) throw InvalidArgument(text("n_base=", n_base, " is more than all ", n, " rows"));
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

OverlapInput overlap_input(const Languages& languages, const std::optional<Sentences>& sentences,
                           std::int64_t n_layers, std::int64_t n, std::int64_t k,
                           std::int32_t n_languages, std::int64_t threshold) {
  if (languages.ndim() != 1 || languages.shape(0) != n)
    throw InvalidArgument(text("languages must have shape (", n, ",), one a point"));
  if (sentences && (sentences->ndim() != 1 || sentences->shape(0) != n))
    throw InvalidArgument(text("sentences must have shape (", n, ",), one a point"));
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
      throw InvalidArgument(
          text("languages[", i, "]=", in.languages[i], " is not in [0, ", n_languages, ")"));
  return in;
}

OverlapArrays::OverlapArrays(const OverlapInput& in)
    : bridge_({in.n_layers, std::int64_t{in.n_languages}}),
      reach_({in.n_layers, std::int64_t{in.n_languages}}),
      ilo_({in.n_layers, std::int64_t{in.n_languages}}) {
  if (in.sentences) share_.emplace({in.n_layers, std::int64_t{in.n_languages}});
}

OverlapOutput OverlapArrays::out() {
  return {bridge_.mutable_data(), reach_.mutable_data(), ilo_.mutable_data(),
          share_ ? share_->mutable_data() : nullptr};
}

py::object OverlapArrays::share() const {
  if (share_) return *share_;
  return py::none();
}

}  // namespace ilo
