// Products of transcoders: encode, decode, and their gradients.
#include <pybind11/stl.h>

#include <limits>
#include <optional>
#include <vector>

#include "bindings/arguments.h"
#include "bindings/bindings.h"
#include "simd/dispatch.h"
#include "sparse/decode.h"
#include "sparse/encode.h"

namespace py = pybind11;

namespace ilo {

namespace {

using Indptr = py::array_t<std::int64_t, py::array::c_style>;
using Indices = py::array_t<std::int32_t, py::array::c_style>;

template <class T>
const char* type_name() {
  return sizeof(T) == 4 ? "float32" : "float64";
}

// An array of this type and shape (-1: any), whose numbers lie one after the other.
template <class T>
const T* checked(const py::array& array, const char* name, const std::vector<std::int64_t>& shape) {
  bool fits = array.ndim() == static_cast<py::ssize_t>(shape.size());
  std::string wanted;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    fits = fits && (shape[axis] < 0 || array.shape(axis) == shape[axis]);
    wanted += (axis ? ", " : "") + (shape[axis] < 0 ? "any" : std::to_string(shape[axis]));
  }
  if (!fits)
    throw InvalidArgument(text(name, " has shape ", shape_text(array), ", wanted (", wanted, ")"));
  if (!py::isinstance<py::array_t<T>>(array))
    throw InvalidArgument(text(name, " is ", std::string(py::str(array.dtype())), ", wanted ",
                               type_name<T>(), " as the others: convert it first"));
  if (!py::isinstance<py::array_t<T, py::array::c_style>>(array))
    throw InvalidArgument(
        text(name, " is not contiguous: pass numpy.ascontiguousarray(", name, ")"));
  return static_cast<const T*>(array.data());
}

// The numbers of a vector as an array, without a copy.
template <class T>
py::array_t<T> array_of(std::vector<T>&& values) {
  auto* const owned = new std::vector<T>(std::move(values));
  const py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(static_cast<py::ssize_t>(owned->size()), owned->data(), owner);
}

void check_columns(std::int64_t n_layers, std::int64_t n_features) {
  if (n_features < 1 || n_layers < 1)
    throw InvalidArgument(text("weight has ", n_layers, " layers of ", n_features,
                               " features, wanted at least one of each"));
  if (n_layers > std::numeric_limits<std::int32_t>::max() / n_features)
    throw InvalidArgument(text("weight has ", n_layers, " layers of ", n_features,
                               " features, together more than 2^31 - 1"));
}

template <class T>
EncodeInput<T> encode_input(const py::array& x, const py::array& weight, const py::array& bias) {
  EncodeInput<T> in{};
  in.x = checked<T>(x, "x", {-1, -1, -1});
  in.n = x.shape(0), in.n_layers = x.shape(1), in.d = x.shape(2);
  in.weight = checked<T>(weight, "weight", {in.n_layers, -1, in.d});
  in.n_features = weight.shape(1);
  check_columns(in.n_layers, in.n_features);
  in.bias = checked<T>(bias, "bias", {in.n_layers, in.n_features});
  return in;
}

bool is_double(const py::array& array, const char* name) {
  if (py::isinstance<py::array_t<float>>(array)) return false;
  if (py::isinstance<py::array_t<double>>(array)) return true;
  throw InvalidArgument(
      text(name, " is ", std::string(py::str(array.dtype())), ", wanted float32 or float64"));
}

template <class T>
const SparseKernelsOf<T>& kernels_for(const SparseKernels& kernels) {
  if constexpr (sizeof(T) == 4)
    return kernels.f32;
  else
    return kernels.f64;
}

// body(input, kernels, team) encodes.
template <class T, class Body>
py::tuple encoded(const py::array& x, const py::array& weight, const py::array& bias, int n_threads,
                  const std::string& simd, const Body& body) {
  const EncodeInput<T> in = encode_input<T>(x, weight, bias);
  check_threads(n_threads);
  const SparseKernels& kernels = choose_sparse_kernels(simd);
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  Encoded<T> found;
  {
    py::gil_scoped_release release;
    found = body(in, kernels_for<T>(kernels), team);
  }
  return py::make_tuple(array_of(std::move(found.indptr)), array_of(std::move(found.indices)),
                        array_of(std::move(found.values)), kernels.name);
}

template <class T>
py::tuple above(const py::array& x, const py::array& weight, const py::array& bias,
                const py::array& threshold, int n_threads, const std::string& simd) {
  const EncodeInput<T> fits = encode_input<T>(x, weight, bias);
  const T* const limits = checked<T>(threshold, "threshold", {fits.n_layers, fits.n_features});
  return encoded<T>(x, weight, bias, n_threads, simd,
                    [&](const EncodeInput<T>& in, const auto& kernels, Team& team) {
                      return encode_above(in, limits, kernels, team);
                    });
}

py::tuple encode_threshold_binding(const py::array& x, const py::array& weight,
                                   const py::array& bias, const py::array& threshold, int n_threads,
                                   const std::string& simd) {
  return is_double(x, "x") ? above<double>(x, weight, bias, threshold, n_threads, simd)
                           : above<float>(x, weight, bias, threshold, n_threads, simd);
}

template <class T>
py::tuple largest(const py::array& x, const py::array& weight, const py::array& bias,
                  std::int64_t k, bool of_batch, int n_threads, const std::string& simd) {
  return encoded<T>(x, weight, bias, n_threads, simd,
                    [&](const EncodeInput<T>& in, const auto& kernels, Team& team) {
                      return of_batch ? encode_batch_top_k(in, k, kernels, team)
                                      : encode_top_k(in, k, kernels, team);
                    });
}

py::tuple encode_top_k_binding(const py::array& x, const py::array& weight, const py::array& bias,
                               std::int64_t k, bool of_batch, int n_threads,
                               const std::string& simd) {
  if (k < 1) throw InvalidArgument(text("k=", k, " must be at least 1"));
  return is_double(x, "x") ? largest<double>(x, weight, bias, k, of_batch, n_threads, simd)
                           : largest<float>(x, weight, bias, k, of_batch, n_threads, simd);
}

ActiveRows active_rows(const Indptr& indptr, const Indices& indices, std::int64_t n_layers,
                       std::int64_t n_features) {
  if (indptr.ndim() != 1 || indptr.shape(0) < 1)
    throw InvalidArgument(text("indptr has shape ", shape_text(indptr), ", wanted (tokens + 1,)"));
  if (indices.ndim() != 1)
    throw InvalidArgument(text("indices has shape ", shape_text(indices), ", wanted (entries,)"));
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (indices.shape(0) > most || indptr.shape(0) > most)
    throw InvalidArgument(text("indices has ", indices.shape(0), " entries of ",
                               indptr.shape(0) - 1, " tokens, wanted less than 2^31 of each"));
  check_columns(n_layers, n_features);
  return {indptr.data(), indices.data(), indptr.shape(0) - 1, n_layers, n_features};
}

// Of weights (features, span, d) of each layer, where the outputs end with the last one's.
template <class T>
std::vector<const T*> decoder(const std::vector<py::array>& weights, DecoderShape& shape,
                              std::int64_t& n_features) {
  if (weights.empty()) throw InvalidArgument("weights is empty, wanted one array for each layer");
  if (weights[0].ndim() == 3) n_features = weights[0].shape(0);
  std::vector<const T*> out;
  for (std::size_t layer = 0; layer < weights.size(); ++layer) {
    const std::string name = text("weights[", layer, "]");
    out.push_back(checked<T>(weights[layer], name.c_str(), {n_features, -1, shape.d}));
    const std::int64_t span = weights[layer].shape(1), first = static_cast<std::int64_t>(layer);
    if (span < 1 || first + span > shape.outputs)
      throw InvalidArgument(text(name, " has span ", span, " (shape ", shape_text(weights[layer]),
                                 "), wanted 1 to ", shape.outputs - first, " of the ",
                                 shape.outputs, " outputs behind layer ", layer));
    shape.first.push_back(first);
    shape.spans.push_back(span);
  }
  return out;
}

template <class T>
py::tuple decoded(const Indptr& indptr, const Indices& indices, const py::array& values,
                  const std::vector<py::array>& weights, const py::array& bias, int n_threads,
                  const std::string& simd) {
  DecoderShape shape;
  const T* const bias_values = checked<T>(bias, "bias", {-1, -1});
  shape.outputs = bias.shape(0), shape.d = bias.shape(1);
  std::int64_t n_features = -1;
  const auto rows_of = decoder<T>(weights, shape, n_features);
  const ActiveRows rows =
      active_rows(indptr, indices, static_cast<std::int64_t>(weights.size()), n_features);
  const T* const factors = checked<T>(values, "values", {indices.shape(0)});
  check_threads(n_threads);
  const SparseKernels& kernels = choose_sparse_kernels(simd);
  py::array_t<T> out({rows.n, shape.outputs, shape.d});
  T* const sums = out.mutable_data();
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_entries(rows, indices.shape(0));
    decode(rows, factors, rows_of, bias_values, shape, kernels_for<T>(kernels), sums, team);
  }
  return py::make_tuple(out, kernels.name);
}

py::tuple decode_binding(const Indptr& indptr, const Indices& indices, const py::array& values,
                         const std::vector<py::array>& weights, const py::array& bias,
                         int n_threads, const std::string& simd) {
  return is_double(bias, "bias")
             ? decoded<double>(indptr, indices, values, weights, bias, n_threads, simd)
             : decoded<float>(indptr, indices, values, weights, bias, n_threads, simd);
}

template <class T>
py::tuple decode_backward(const py::array& grad, const Indptr& indptr, const Indices& indices,
                          const py::array& values, const std::vector<py::array>& weights,
                          bool want_values, bool want_weights, bool want_bias, int n_threads,
                          const std::string& simd) {
  const T* const grad_out = checked<T>(grad, "grad", {indptr.size() - 1, -1, -1});
  DecoderShape shape;
  shape.outputs = grad.shape(1), shape.d = grad.shape(2);
  std::int64_t n_features = -1;
  const auto rows_of = decoder<T>(weights, shape, n_features);
  const ActiveRows rows =
      active_rows(indptr, indices, static_cast<std::int64_t>(weights.size()), n_features);
  const T* const factors = checked<T>(values, "values", {indices.shape(0)});
  check_threads(n_threads);
  const SparseKernels& kernels = choose_sparse_kernels(simd);
  py::object of_values = py::none(), of_bias = py::none(), of_weights = py::none();
  DecodeGradients<T> out{nullptr, {}};
  if (want_values) {
    py::array_t<T> array(indices.shape(0));
    out.values = array.mutable_data();
    of_values = array;
  }
  if (want_weights) {
    py::list list;
    for (const py::array& weight : weights) {
      py::array_t<T> array({weight.shape(0), weight.shape(1), weight.shape(2)});
      out.weights.push_back(array.mutable_data());
      list.append(array);
    }
    of_weights = list;
  }
  T* bias_sums = nullptr;
  if (want_bias) {
    py::array_t<T> array({shape.outputs, shape.d});
    bias_sums = array.mutable_data();
    of_bias = array;
  }
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_entries(rows, indices.shape(0));
    const SparseKernelsOf<T>& own = kernels_for<T>(kernels);
    if (want_values || want_weights)
      decode_gradients(rows, factors, rows_of, grad_out, shape, own, out, team);
    if (want_bias) sum_of_rows(grad_out, rows.n, shape.outputs * shape.d, own, bias_sums, team);
  }
  return py::make_tuple(of_values, of_weights, of_bias, kernels.name);
}

py::tuple decode_backward_binding(const py::array& grad, const Indptr& indptr,
                                  const Indices& indices, const py::array& values,
                                  const std::vector<py::array>& weights, bool want_values,
                                  bool want_weights, bool want_bias, int n_threads,
                                  const std::string& simd) {
  return is_double(grad, "grad")
             ? decode_backward<double>(grad, indptr, indices, values, weights, want_values,
                                       want_weights, want_bias, n_threads, simd)
             : decode_backward<float>(grad, indptr, indices, values, weights, want_values,
                                      want_weights, want_bias, n_threads, simd);
}

// A layer's features have a row of their own layer only: span 1.
DecoderShape own_layers(std::int64_t n_layers, std::int64_t d) {
  DecoderShape shape;
  shape.outputs = n_layers, shape.d = d;
  for (std::int64_t layer = 0; layer < n_layers; ++layer) shape.first.push_back(layer);
  shape.spans.assign(n_layers, 1);
  return shape;
}

template <class T>
py::tuple encode_backward(const py::array& grad, const Indptr& indptr, const Indices& indices,
                          const py::array& x, const py::array& weight, bool want_x,
                          bool want_weight, int n_threads, const std::string& simd) {
  const std::int64_t n = indptr.size() - 1;
  const T* const inputs = checked<T>(x, "x", {n, -1, -1});
  const std::int64_t n_layers = x.shape(1), d = x.shape(2);
  const T* const own = checked<T>(weight, "weight", {n_layers, -1, d});
  const std::int64_t n_features = weight.shape(1);
  const ActiveRows rows = active_rows(indptr, indices, n_layers, n_features);
  const T* const factors = checked<T>(grad, "grad", {indices.shape(0)});
  check_threads(n_threads);
  const SparseKernels& kernels = choose_sparse_kernels(simd);
  py::object of_x = py::none(), of_weight = py::none();
  T* x_sums = nullptr;
  std::vector<const T*> layers;
  for (std::int64_t layer = 0; layer < n_layers; ++layer)
    layers.push_back(own + layer * n_features * d);
  DecodeGradients<T> out{nullptr, {}};
  if (want_x) {
    py::array_t<T> array({n, n_layers, d});
    x_sums = array.mutable_data();
    of_x = array;
  }
  if (want_weight) {
    py::array_t<T> array({n_layers, n_features, d});
    for (std::int64_t layer = 0; layer < n_layers; ++layer)
      out.weights.push_back(array.mutable_data() + layer * n_features * d);
    of_weight = array;
  }
  py::array_t<T> of_bias({n_layers, n_features});
  T* const bias_sums = of_bias.mutable_data();
  PythonMonitor monitor{py::none()};
  Team team(n_threads, &monitor);
  {
    py::gil_scoped_release release;
    check_entries(rows, indices.shape(0));
    const DecoderShape shape = own_layers(n_layers, d);
    const SparseKernelsOf<T>& table = kernels_for<T>(kernels);
    if (want_x) decode<T>(rows, factors, layers, nullptr, shape, table, x_sums, team);
    if (want_weight) decode_gradients(rows, factors, layers, inputs, shape, table, out, team);
    sum_by_feature(rows, factors, bias_sums);
  }
  return py::make_tuple(of_x, of_weight, of_bias, kernels.name);
}

py::tuple encode_backward_binding(const py::array& grad, const Indptr& indptr,
                                  const Indices& indices, const py::array& x,
                                  const py::array& weight, bool want_x, bool want_weight,
                                  int n_threads, const std::string& simd) {
  return is_double(x, "x") ? encode_backward<double>(grad, indptr, indices, x, weight, want_x,
                                                     want_weight, n_threads, simd)
                           : encode_backward<float>(grad, indptr, indices, x, weight, want_x,
                                                    want_weight, n_threads, simd);
}

template <class T>
py::array summed(const Indptr& indptr, const Indices& indices, const py::array& values,
                 std::int64_t n_layers, std::int64_t n_features) {
  const ActiveRows rows = active_rows(indptr, indices, n_layers, n_features);
  const T* const terms = checked<T>(values, "values", {indices.shape(0)});
  py::array_t<T> out({n_layers, n_features});
  T* const sums = out.mutable_data();
  py::gil_scoped_release release;
  check_entries(rows, indices.shape(0));
  sum_by_feature(rows, terms, sums);
  return out;
}

py::array sum_by_feature_binding(const Indptr& indptr, const Indices& indices,
                                 const py::array& values, std::int64_t n_layers,
                                 std::int64_t n_features) {
  return is_double(values, "values") ? summed<double>(indptr, indices, values, n_layers, n_features)
                                     : summed<float>(indptr, indices, values, n_layers, n_features);
}

}  // namespace

void register_sparse(py::module_& m) {
  const char* const see = "See ilo_fast.transcoders.sparse; the last value is the instruction set.";
  m.def("encode_threshold", &encode_threshold_binding, py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("threshold"), py::kw_only(), py::arg("n_threads"),
        py::arg("simd") = "", see);
  m.def("encode_top_k", &encode_top_k_binding, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::kw_only(), py::arg("k"), py::arg("of_batch"), py::arg("n_threads"),
        py::arg("simd") = "", see);
  m.def("encode_backward", &encode_backward_binding, py::arg("grad"), py::arg("indptr"),
        py::arg("indices"), py::arg("x"), py::arg("weight"), py::kw_only(), py::arg("want_x"),
        py::arg("want_weight"), py::arg("n_threads"), py::arg("simd") = "", see);
  m.def("decode", &decode_binding, py::arg("indptr"), py::arg("indices"), py::arg("values"),
        py::arg("weights"), py::arg("bias"), py::kw_only(), py::arg("n_threads"),
        py::arg("simd") = "", see);
  m.def("decode_backward", &decode_backward_binding, py::arg("grad"), py::arg("indptr"),
        py::arg("indices"), py::arg("values"), py::arg("weights"), py::kw_only(),
        py::arg("want_values"), py::arg("want_weights"), py::arg("want_bias"), py::arg("n_threads"),
        py::arg("simd") = "", see);
  m.def("sum_by_feature", &sum_by_feature_binding, py::arg("indptr"), py::arg("indices"),
        py::arg("values"), py::kw_only(), py::arg("n_layers"), py::arg("n_features"),
        "The values of the entries, added up for each feature.");
}

}  // namespace ilo
