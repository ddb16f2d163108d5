// Decoder rows of the active features: gathered by token, and by feature for the gradients.
#include "sparse/decode.h"

#include <algorithm>

#include "core/arithmetic.h"
#include "knn/buffer.h"

namespace ilo {

namespace {

// For few tokens: each gathers its rows, and its outputs stay in the first-level cache.
template <class T>
void decode_by_token(const ActiveRows& rows, const T* values, const std::vector<const T*>& weights,
                     const T* bias, const DecoderShape& shape, const SparseKernelsOf<T>& kernels,
                     T* out, Team& team) {
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
        const std::int64_t first = layer * rows.n_features;
        const std::int64_t row = shape.spans[layer] * shape.d;
        list.clear();
        for (; e < rows.indptr[t + 1] && rows.indices[e] < first + rows.n_features; ++e)
          list.push_back(weights[layer] + (rows.indices[e] - first) * row);
        kernels.accumulate(list.data(), values + begin, e - begin, row,
                           own + shape.first[layer] * shape.d);
      }
    }
  });
}

// For many: a block of tokens, its entries sorted by feature, and for one output a piece of its
// columns, which stays in the second-level cache while the rows of all features pass by, each once.
template <class T>
class DecodeByFeature {
 public:
  static constexpr std::int64_t kSliceBytes = 256 << 10;

  DecodeByFeature(const ActiveRows& rows, const T* values, const SparseKernelsOf<T>& kernels,
                  Team& team)
      : rows_(rows), kernels_(kernels), team_(team) {
    const std::int64_t most = kSliceBytes / (kernels.piece * static_cast<std::int64_t>(sizeof(T)));
    const std::int64_t share = ceil_div(rows.n, team.size());
    tokens_ = std::clamp<std::int64_t>(ceil_div(share, ceil_div(share, most)), 64, most);
    blocks_.resize(ceil_div(rows.n, tokens_));
    team.run(count(), [&](std::int64_t b, int) {
      Block& block = blocks_[b];
      const std::int64_t last = std::min(rows.n, (b + 1) * tokens_);
      block.by = ByFeature(rows, b * tokens_, last);
      for (const std::int32_t e : block.by.entry) block.factors.push_back(values[e]);
    });
  }

  void run(const std::vector<const T*>& weights, const T* bias, const DecoderShape& shape, T* out) {
    std::vector<Buffer<T>> slices;
    for (int w = 0; w < team_.size(); ++w) slices.emplace_back(tokens_ * kernels_.piece);
    const std::int64_t pieces = ceil_div(shape.d, kernels_.piece);
    // The last outputs have the most to add: they come first.
    team_.run(shape.outputs * count() * pieces, [&](std::int64_t task, int worker) {
      const std::int64_t output = shape.outputs - 1 - task / (count() * pieces);
      const std::int64_t first = task % pieces * kernels_.piece;
      add(task / pieces % count(), output, first, weights, bias, shape, slices[worker].data(), out);
    });
  }

 private:
  struct Block {
    ByFeature by;
    std::vector<T> factors;
  };

  std::int64_t count() const { return static_cast<std::int64_t>(blocks_.size()); }

  void add(std::int64_t b, std::int64_t output, std::int64_t first,
           const std::vector<const T*>& weights, const T* bias, const DecoderShape& shape, T* slice,
           T* out) const {
    const Block& block = blocks_[b];
    const std::int64_t width = std::min<std::int64_t>(kernels_.piece, shape.d - first);
    const std::int64_t n = std::min(tokens_, rows_.n - b * tokens_);
    const std::int64_t column = output * shape.d + first;
    for (std::int64_t t = 0; t < n; ++t) {
      T* const own = slice + t * kernels_.piece;
      if (bias)
        std::copy_n(bias + column, width, own);
      else
        std::fill_n(own, width, T{0});
    }
    for (std::int64_t layer = 0; layer < rows_.n_layers; ++layer) {
      const std::int64_t place = output - shape.first[layer];
      if (place < 0 || place >= shape.spans[layer]) continue;
      kernels_.scatter(weights[layer] + place * shape.d + first, shape.spans[layer] * shape.d,
                       rows_.n_features, &block.by.offsets[layer * rows_.n_features],
                       block.by.token.data(), block.factors.data(), width, slice);
    }
    for (std::int64_t t = 0; t < n; ++t)
      std::copy_n(slice + t * kernels_.piece, width,
                  out + (b * tokens_ + t) * shape.outputs * shape.d + column);
  }

  const ActiveRows& rows_;
  const SparseKernelsOf<T>& kernels_;
  Team& team_;
  std::int64_t tokens_ = 0;
  std::vector<Block> blocks_;
};

}  // namespace

template <class T>
void decode(const ActiveRows& rows, const T* values, const std::vector<const T*>& weights,
            const T* bias, const DecoderShape& shape, const SparseKernelsOf<T>& kernels, T* out,
            Team& team) {
  if (rows.entries() < rows.columns())
    decode_by_token(rows, values, weights, bias, shape, kernels, out, team);
  else
    DecodeByFeature<T>(rows, values, kernels, team).run(weights, bias, shape, out);
}

template <class T>
void decode_gradients(const ActiveRows& rows, const T* values, const std::vector<const T*>& weights,
                      const T* grad_out, const DecoderShape& shape,
                      const SparseKernelsOf<T>& kernels, const DecodeGradients<T>& out,
                      Team& team) {
  constexpr std::int64_t kFeatures = 32;
  const ByFeature by(rows, 0, rows.n);
  const std::int64_t width = shape.outputs * shape.d, features = rows.n_features;
  const std::int64_t blocks = ceil_div(features, kFeatures);
  struct Lists {
    std::vector<const T*> rows;
    std::vector<T> factors, dots;
  };
  std::vector<Lists> lists(team.size());
  team.run(rows.n_layers * blocks, [&](std::int64_t task, int worker) {
    const std::int64_t layer = task / blocks, row = shape.spans[layer] * shape.d;
    const std::int64_t first = task % blocks * kFeatures;
    const std::int64_t last = std::min(features, first + kFeatures);
    const T* const gradients = grad_out + shape.first[layer] * shape.d;
    const std::int64_t* const offsets = &by.offsets[layer * features];
    Lists& list = lists[worker];
    list.rows.clear(), list.factors.clear();
    for (std::int64_t at = offsets[first]; at < offsets[last]; ++at) {
      list.rows.push_back(gradients + by.token[at] * width);
      list.factors.push_back(values[by.entry[at]]);
    }
    list.dots.resize(list.rows.size());
    for (std::int64_t f = first; f < last; ++f) {
      const std::int64_t at = offsets[f] - offsets[first];
      kernels.gradients(list.rows.data() + at, list.factors.data() + at,
                        offsets[f + 1] - offsets[f], offsets[last] - offsets[f], row,
                        out.values ? weights[layer] + f * row : nullptr, list.dots.data() + at,
                        out.weights.empty() ? nullptr : out.weights[layer] + f * row);
    }
    if (out.values)
      for (std::int64_t at = offsets[first]; at < offsets[last]; ++at)
        out.values[by.entry[at]] = list.dots[at - offsets[first]];
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
