// What is active of a tile of pre-activations: by threshold, of each token, or of all.
#include "sparse/encode.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "sparse/packed_encoder.h"

namespace ilo {

namespace {

// Values and columns of one row, in the order of columns.
template <class T>
struct Row {
  void make_room(std::int64_t more) {
    if (size + more <= static_cast<std::int64_t>(values.size())) return;
    values.resize((size + more) * 2);
    columns.resize(values.size());
  }
  std::vector<T> values;
  std::vector<std::int32_t> columns;
  std::int64_t size = 0;
};

// Leaves the entries from `first` on that are at least `least`, k of them at most: the last ones of
// those that equal it give way.
template <class T>
void keep(Row<T>& row, std::int64_t first, T least, std::int64_t k) {
  std::int64_t above = 0;
  for (std::int64_t i = first; i < row.size; ++i) above += row.values[i] > least;
  std::int64_t ties = k - above, to = first;
  for (std::int64_t i = first; i < row.size; ++i) {
    const T value = row.values[i];
    // Without branches: which ones stay cannot be foreseen.
    const std::int64_t tie = static_cast<std::int64_t>(value == least) & (ties > 0);
    row.values[to] = value;
    row.columns[to] = row.columns[i];
    ties -= tie;
    to += static_cast<std::int64_t>(value > least) | tie;
  }
  row.size = to;
}

template <class T>
constexpr T kSmallest = std::numeric_limits<T>::denorm_min();

template <class T>
struct TopK {
  // Keeps k of the entries from `first` on. Returns the least that a further one needs.
  T operator()(Row<T>& row, std::int64_t first, T guess) const {
    const T* values = row.values.data() + first;
    const T least = kernels.kth_largest(values, row.size - first, k, 0, guess);
    if (least > 0) keep(row, first, least, k);
    return std::max(least, kSmallest<T>);
  }
  const SparseKernelsOf<T>& kernels;
  std::int64_t k;
};

// The tokens of one tile, layer by layer: `scan` adds what is active of one chunk of one token.
template <class T>
class Tiles {
 public:
  using Encoder = PackedEncoder<T>;

  Tiles(const EncodeInput<T>& in, const Encoder& encoder, Team& team)
      : in_(in), encoder_(encoder), team_(team), tiles_(ceil_div(in.n, Encoder::kTileTokens)) {
    for (int w = 0; w < team.size(); ++w) scratch_.emplace_back(encoder);
    for (int w = 0; w < team.size(); ++w) rows_.emplace_back(Encoder::kTileTokens);
  }

  // per_tile(layer, first token, tokens, rows, scratch) adds the entries of a layer to the rows.
  template <class PerTile>
  Encoded<T> run(const PerTile& per_tile) {
    struct Part {
      std::vector<std::int32_t> indices;
      std::vector<T> values;
    };
    std::vector<Part> parts(tiles_);
    Encoded<T> out;
    out.indptr.assign(in_.n + 1, 0);
    team_.run(tiles_, [&](std::int64_t tile, int worker) {
      const std::int64_t first = tile * Encoder::kTileTokens;
      const std::int64_t count = std::min(Encoder::kTileTokens, in_.n - first);
      std::vector<Row<T>>& rows = rows_[worker];
      for (std::int64_t t = 0; t < count; ++t) rows[t].size = 0;
      for (std::int64_t layer = 0; layer < in_.n_layers && !team_.cancelled(); ++layer)
        per_tile(layer, first, count, rows, scratch_[worker]);
      Part& part = parts[tile];
      for (std::int64_t t = 0; t < count; ++t) {
        const Row<T>& row = rows[t];
        out.indptr[first + t + 1] = row.size;
        part.indices.insert(part.indices.end(), row.columns.begin(),
                            row.columns.begin() + row.size);
        part.values.insert(part.values.end(), row.values.begin(), row.values.begin() + row.size);
      }
    });
    for (std::int64_t t = 0; t < in_.n; ++t) out.indptr[t + 1] += out.indptr[t];
    out.indices.reserve(out.indptr[in_.n]);
    out.values.reserve(out.indptr[in_.n]);
    for (const Part& part : parts) {
      out.indices.insert(out.indices.end(), part.indices.begin(), part.indices.end());
      out.values.insert(out.values.end(), part.values.begin(), part.values.end());
    }
    return out;
  }

 private:
  const EncodeInput<T>& in_;
  const Encoder& encoder_;
  Team& team_;
  std::int64_t tiles_;
  std::vector<typename Encoder::Scratch> scratch_;
  std::vector<std::vector<Row<T>>> rows_;
};

}  // namespace

template <class T>
Encoded<T> encode_above(const EncodeInput<T>& in, const T* thresholds,
                        const SparseKernelsOf<T>& kernels, Team& team) {
  const PackedEncoder<T> encoder(in, kernels, team);
  const std::int64_t padded = encoder.padded_features();
  std::vector<T> limits(in.n_layers * padded, std::numeric_limits<T>::infinity());
  for (std::int64_t layer = 0; layer < in.n_layers; ++layer)
    std::copy_n(thresholds + layer * in.n_features, in.n_features, &limits[layer * padded]);
  return Tiles<T>(in, encoder, team)
      .run([&](std::int64_t layer, std::int64_t first_token, std::int64_t count,
               std::vector<Row<T>>& rows, typename PackedEncoder<T>::Scratch& scratch) {
        encoder.run(first_token, count, 1, layer, scratch,
                    [&](std::int64_t t, const T* values, std::int64_t n, std::int64_t first) {
                      Row<T>& row = rows[t];
                      row.make_room(n);
                      row.size += kernels.above(
                          values, n, &limits[layer * padded + first],
                          static_cast<std::int32_t>(layer * in.n_features + first),
                          row.values.data() + row.size, row.columns.data() + row.size);
                    });
      });
}

template <class T>
Encoded<T> encode_top_k(const EncodeInput<T>& in, std::int64_t k, const SparseKernelsOf<T>& kernels,
                        Team& team) {
  const PackedEncoder<T> encoder(in, kernels, team);
  k = std::min(k, in.n_features);
  const TopK<T> choose{kernels, k};
  const std::int64_t many = std::max<std::int64_t>(3 * k, k + 32), slack = k / 2;
  return Tiles<T>(in, encoder, team)
      .run([&](std::int64_t layer, std::int64_t first_token, std::int64_t count,
               std::vector<Row<T>>& rows, typename PackedEncoder<T>::Scratch& scratch) {
        T guess = 0;  // of a token from the one before
        T least[PackedEncoder<T>::kTileTokens];
        std::int64_t begin[PackedEncoder<T>::kTileTokens];
        for (std::int64_t t = 0; t < count; ++t) least[t] = kSmallest<T>, begin[t] = rows[t].size;
        encoder.run(first_token, count, 1, layer, scratch,
                    [&](std::int64_t t, const T* values, std::int64_t n, std::int64_t first) {
                      Row<T>& row = rows[t];
                      row.make_room(n);
                      if (first == 0) {
                        guess = kernels.kth_largest(values, n, k, slack, guess);
                        least[t] = std::max(kSmallest<T>, guess);
                      }
                      row.size += kernels.at_least(
                          values, n, least[t],
                          static_cast<std::int32_t>(layer * in.n_features + first),
                          row.values.data() + row.size, row.columns.data() + row.size);
                      if (row.size - begin[t] > many) least[t] = choose(row, begin[t], least[t]);
                    });
        for (std::int64_t t = 0; t < count; ++t)
          if (rows[t].size - begin[t] > k) choose(rows[t], begin[t], least[t]);
      });
}

namespace {

// A threshold that should let a few more than k * n values of a layer pass, from a sample.
template <class T>
class Guess {
 public:
  Guess(const EncodeInput<T>& in, const PackedEncoder<T>& encoder, std::int64_t k,
        const SparseKernelsOf<T>& kernels, Team& team)
      : k_(k), tokens_(std::min<std::int64_t>(in.n, 64)), values_(in.n_layers) {
    if (in.n == 0) return;
    const std::int64_t step = in.n / tokens_;
    std::vector<typename PackedEncoder<T>::Scratch> scratch;
    for (int w = 0; w < team.size(); ++w) scratch.emplace_back(encoder);
    team.run(in.n_layers, [&](std::int64_t layer, int worker) {
      Row<T> row;
      encoder.run(0, tokens_, step, layer, scratch[worker],
                  [&](std::int64_t, const T* values, std::int64_t n, std::int64_t) {
                    row.make_room(n);
                    row.size +=
                        kernels.at_least(values, n, kSmallest<T>, 0, row.values.data() + row.size,
                                         row.columns.data() + row.size);
                  });
      row.values.resize(row.size);
      std::sort(row.values.begin(), row.values.end(), std::greater<T>());
      values_[layer] = std::move(row.values);
    });
  }

  // Each further attempt lets twice as many pass, at last all.
  T threshold(std::int64_t layer, int attempt) const {
    const std::int64_t some = k_ * tokens_;
    std::int64_t rank = some + some / 4 + 64;
    for (int i = 0; i < attempt; ++i) rank *= 2;
    const bool all = rank >= static_cast<std::int64_t>(values_[layer].size()) || attempt > 3;
    return all ? kSmallest<T> : values_[layer][rank];
  }

 private:
  std::int64_t k_, tokens_;
  std::vector<std::vector<T>> values_;  // of each layer, falling
};

// Of each layer, the `wanted` largest of all rows together, of equal ones the first.
template <class T>
void keep_largest(Encoded<T>& found, std::int64_t layers, std::int64_t features,
                  std::int64_t wanted) {
  const auto entries = static_cast<std::int64_t>(found.values.size());
  std::vector<T> least(layers, 0);
  std::vector<std::int64_t> ties(layers, 0), sizes(layers, 0);
  std::vector<std::vector<T>> values(layers);
  for (std::int64_t e = 0; e < entries; ++e)
    values[found.indices[e] / features].push_back(found.values[e]);
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    std::vector<T>& own = values[layer];
    if (static_cast<std::int64_t>(own.size()) <= wanted) continue;
    std::nth_element(own.begin(), own.begin() + (wanted - 1), own.end(), std::greater<T>());
    least[layer] = own[wanted - 1];
    ties[layer] = wanted - std::count_if(own.begin(), own.begin() + wanted,
                                         [&](T value) { return value > least[layer]; });
  }
  std::int64_t to = 0, e = 0;
  for (std::size_t t = 0; t + 1 < found.indptr.size(); ++t) {
    const std::int64_t end = found.indptr[t + 1];
    for (; e < end; ++e) {
      const T value = found.values[e];
      const std::int32_t index = found.indices[e];
      const std::int64_t layer = index / features;
      const bool tie = value == least[layer] && ties[layer] > 0;
      if (tie) --ties[layer];
      if (!tie && !(value > least[layer])) continue;
      found.values[to] = value;
      found.indices[to++] = index;
    }
    found.indptr[t + 1] = to;
  }
  found.values.resize(to);
  found.indices.resize(to);
}

}  // namespace

template <class T>
Encoded<T> encode_batch_top_k(const EncodeInput<T>& in, std::int64_t k,
                              const SparseKernelsOf<T>& kernels, Team& team) {
  const PackedEncoder<T> encoder(in, kernels, team);
  k = std::min(k, in.n_features);
  const Guess<T> guess(in, encoder, k, kernels, team);
  const std::int64_t wanted = k * in.n;
  std::vector<T> thresholds(in.n_layers);
  for (std::int64_t layer = 0; layer < in.n_layers && in.n > 0; ++layer)
    thresholds[layer] = guess.threshold(layer, 0);
  Tiles<T> tiles(in, encoder, team);
  for (int attempt = 1;; ++attempt) {
    Encoded<T> found =
        tiles.run([&](std::int64_t layer, std::int64_t first_token, std::int64_t count,
                      std::vector<Row<T>>& rows, typename PackedEncoder<T>::Scratch& scratch) {
          encoder.run(first_token, count, 1, layer, scratch,
                      [&](std::int64_t t, const T* values, std::int64_t n, std::int64_t first) {
                        Row<T>& row = rows[t];
                        row.make_room(n);
                        row.size += kernels.at_least(
                            values, n, thresholds[layer],
                            static_cast<std::int32_t>(layer * in.n_features + first),
                            row.values.data() + row.size, row.columns.data() + row.size);
                      });
        });
    std::vector<std::int64_t> counts(in.n_layers, 0);
    for (const std::int32_t index : found.indices) ++counts[index / in.n_features];
    bool enough = true;
    for (std::int64_t layer = 0; layer < in.n_layers && in.n > 0; ++layer)
      if (counts[layer] < wanted && thresholds[layer] > kSmallest<T>) {
        thresholds[layer] = guess.threshold(layer, attempt);
        enough = false;
      }
    if (!enough) continue;
    keep_largest(found, in.n_layers, in.n_features, wanted);
    return found;
  }
}

template Encoded<float> encode_above(const EncodeInput<float>&, const float*,
                                     const SparseKernelsOf<float>&, Team&);
template Encoded<double> encode_above(const EncodeInput<double>&, const double*,
                                      const SparseKernelsOf<double>&, Team&);
template Encoded<float> encode_top_k(const EncodeInput<float>&, std::int64_t,
                                     const SparseKernelsOf<float>&, Team&);
template Encoded<double> encode_top_k(const EncodeInput<double>&, std::int64_t,
                                      const SparseKernelsOf<double>&, Team&);
template Encoded<float> encode_batch_top_k(const EncodeInput<float>&, std::int64_t,
                                           const SparseKernelsOf<float>&, Team&);
template Encoded<double> encode_batch_top_k(const EncodeInput<double>&, std::int64_t,
                                            const SparseKernelsOf<double>&, Team&);

}  // namespace ilo
