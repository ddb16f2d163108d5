// Decoder rows of the active features: gathered by token, and by feature for the gradients.
#include "sparse/decode.h"

#include <algorithm>

#include "core/arithmetic.h"

namespace ilo {

template <class T>
void decode(const ActiveRows& rows, const T* values, const std::vector<const T*>& weights,
            const T* bias, const DecoderShape& shape, const SparseKernelsOf<T>& kernels, T* out,
            Team& team) {
  constexpr std::int64_t kTokens = 16;
  const std::int64_t width = shape.outputs * shape.d;
  std::vector<std::vector<const T*>> lists(team.size());
  team.run(ceil_div(rows.n, kTokens), [&](std::int64_t task, int worker) {
    std::vector<const T*>& list = lists[worker];
    const std::int64_t end = std::min(rows.n, (task + 1) * kTokens);
    for (std::int64_t t = task * kTokens; t < end; ++t) {
      T* const own = out + t * width;
      if (bias)
        std::copy_n(bias, width, own);
      else
        std::fill_n(own, width, T{0});
      for (std::int64_t e = rows.indptr[t]; e < rows.indptr[t + 1];) {
        const std::int64_t layer = rows.indices[e] / rows.n_features, begin = e;
        const std::int64_t after = (layer + 1) * rows.n_features;
        const std::int64_t row = shape.spans[layer] * shape.d;
        list.clear();
        for (; e < rows.indptr[t + 1] && rows.indices[e] < after &&
               rows.indices[e] >= after - rows.n_features;
             ++e)
          list.push_back(weights[layer] + (rows.indices[e] - after + rows.n_features) * row);
        kernels.accumulate(list.data(), values + begin, e - begin, row,
                           own + shape.first[layer] * shape.d);
      }
    }
  });
}

template <class T>
void decode_gradients(const ActiveRows& rows, const T* values, const std::vector<const T*>& weights,
                      const T* grad_out, const DecoderShape& shape,
                      const SparseKernelsOf<T>& kernels, const DecodeGradients<T>& out,
                      Team& team) {
  constexpr std::int64_t kFeatures = 32, kEntries = 64;
  const ByFeature by(rows, team);
  const std::int64_t width = shape.outputs * shape.d, features = rows.n_features;
  const std::int64_t blocks = ceil_div(features, kFeatures);
  team.run(rows.n_layers * blocks, [&](std::int64_t task, int) {
    const std::int64_t layer = task / blocks, row = shape.spans[layer] * shape.d;
    const std::int64_t first = task % blocks * kFeatures;
    const std::int64_t last = std::min(features, first + kFeatures);
    const T* const gradients = grad_out + shape.first[layer] * shape.d;
    const T* list[kEntries];
    T factors[kEntries], dots[kEntries];
    for (std::int64_t f = first; f < last; ++f) {
      const T* const weight = out.values ? weights[layer] + f * row : nullptr;
      T* const sum = out.weights.empty() ? nullptr : out.weights[layer] + f * row;
      if (sum) std::fill_n(sum, row, T{0});
      const std::int64_t column = layer * features + f;
      for (std::int64_t at = by.offsets[column]; at < by.offsets[column + 1]; at += kEntries) {
        const std::int64_t count = std::min(kEntries, by.offsets[column + 1] - at);
        for (std::int64_t i = 0; i < count; ++i) {
          list[i] = gradients + by.token[at + i] * width;
          factors[i] = values[by.entry[at + i]];
        }
        kernels.gradients(list, factors, count, row, weight, dots, sum);
        if (weight)
          for (std::int64_t i = 0; i < count; ++i) out.values[by.entry[at + i]] = dots[i];
      }
    }
  });
}

template <class T>
void sum_by_feature(const ActiveRows& rows, const T* values, T* sums) {
  std::fill_n(sums, rows.columns(), T{0});
  for (std::int64_t e = 0; e < rows.entries(); ++e) sums[rows.indices[e]] += values[e];
}

template <class T>
void sum_of_rows(const T* rows, std::int64_t n, std::int64_t width,
                 const SparseKernelsOf<T>& kernels, T* sums, Team& team) {
  constexpr std::int64_t kColumns = 256, kRows = 64;
  team.run(ceil_div(width, kColumns), [&](std::int64_t task, int) {
    const std::int64_t first = task * kColumns, columns = std::min(kColumns, width - first);
    std::fill_n(sums + first, columns, T{0});
    const T* list[kRows];
    T ones[kRows];
    std::fill_n(ones, kRows, T{1});
    for (std::int64_t at = 0; at < n; at += kRows) {
      const std::int64_t count = std::min(kRows, n - at);
      for (std::int64_t i = 0; i < count; ++i) list[i] = rows + (at + i) * width + first;
      kernels.accumulate(list, ones, count, columns, sums + first);
    }
  });
}

#define ILO_FOR(T)                                                                               \
  template void decode(const ActiveRows&, const T*, const std::vector<const T*>&, const T*,      \
                       const DecoderShape&, const SparseKernelsOf<T>&, T*, Team&);               \
  template void decode_gradients(const ActiveRows&, const T*, const std::vector<const T*>&,      \
                                 const T*, const DecoderShape&, const SparseKernelsOf<T>&,       \
                                 const DecodeGradients<T>&, Team&);                              \
  template void sum_by_feature(const ActiveRows&, const T*, T*);                                 \
  template void sum_of_rows(const T*, std::int64_t, std::int64_t, const SparseKernelsOf<T>&, T*, \
                            Team&);
ILO_FOR(float)
ILO_FOR(double)
#undef ILO_FOR

}  // namespace ilo
