// Transcoders' products of random sizes, by their formulas, on every instruction set of this
// processor: the same bits for each of them and for every number of threads.
// Rows merged into groups, and firings under shuffled labels, by their definitions.
//
//     sparse_test [rounds] [seed]
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "checks.h"
#include "core/errors.h"
#include "core/parallel.h"
#include "simd/dispatch.h"
#include "sparse/decode.h"
#include "sparse/encode.h"
#include "sparse/label_permutations.h"
#include "sparse/merge_rows.h"

namespace native {
namespace {

template <class T>
using Values = std::vector<T>;

// Small whole numbers: sums are exact in both types, and many are equal.
template <class T>
Values<T> numbers(Random& random, Index count) {
  Values<T> out(count);
  for (T& value : out) value = static_cast<T>(random.whole(-3, 3));
  return out;
}

template <class T>
const ilo::SparseKernelsOf<T>& of_type(const ilo::SparseKernels& kernels) {
  if constexpr (sizeof(T) == 4)
    return kernels.f32;
  else
    return kernels.f64;
}

template <class T>
struct Case {
  Index n, n_layers, n_features, d, k;
  Values<T> x, weight, bias, thresholds, decoder_bias;
  std::vector<Values<T>> decoder;
  ilo::DecoderShape shape;

  explicit Case(Random& random)
      : n(random.of<Index>({0, 1, 5, 64, 70})),
        n_layers(random.whole(1, 3)),
        n_features(random.of<Index>({1, 7, 47, 250, 300})),
        d(random.of<Index>({1, 5, 17, 70})),
        k(random.of<Index>({1, 2, 9, 400})) {
    x = numbers<T>(random, n * n_layers * d);
    weight = numbers<T>(random, n_layers * n_features * d);
    bias = numbers<T>(random, n_layers * n_features);
    thresholds = numbers<T>(random, n_layers * n_features);
    decoder_bias = numbers<T>(random, n_layers * d);
    shape.outputs = n_layers, shape.d = d;
    for (Index s = 0; s < n_layers; ++s) {
      shape.first.push_back(s), shape.spans.push_back(random.whole(1, n_layers - s));
      decoder.push_back(numbers<T>(random, n_features * shape.spans.back() * d));
    }
  }
  ilo::EncodeInput<T> input() const {
    return {x.data(), weight.data(), bias.data(), n, n_layers, n_features, d};
  }
  std::vector<const T*> weights() const {
    std::vector<const T*> out;
    for (const Values<T>& one : decoder) out.push_back(one.data());
    return out;
  }
  T pre(Index t, Index layer, Index f) const {
    T sum = bias[layer * n_features + f];
    for (Index c = 0; c < d; ++c)
      sum += x[(t * n_layers + layer) * d + c] * weight[(layer * n_features + f) * d + c];
    return sum;
  }
};

// Of (value, place), the k largest positive ones, of equal ones the first; places in order.
template <class T>
std::vector<Index> largest(const Values<T>& values, Index k) {
  std::vector<Index> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return values[a] > values[b]; });
  std::vector<Index> out;
  for (const Index place : order)
    if (static_cast<Index>(out.size()) < k && values[place] > 0) out.push_back(place);
  std::sort(out.begin(), out.end());
  return out;
}

enum class Way { above, top_k, batch };

// kept[(t * layers + layer) * features + f]
template <class T>
std::vector<bool> by_definition(const Case<T>& c, Way way) {
  std::vector<bool> kept(c.n * c.n_layers * c.n_features);
  for (Index layer = 0; layer < c.n_layers; ++layer) {
    Values<T> all;
    for (Index t = 0; t < c.n; ++t) {
      Values<T> row;
      for (Index f = 0; f < c.n_features; ++f) row.push_back(c.pre(t, layer, f));
      all.insert(all.end(), row.begin(), row.end());
      const auto at = kept.begin() + (t * c.n_layers + layer) * c.n_features;
      if (way == Way::above)
        for (Index f = 0; f < c.n_features; ++f)
          at[f] = row[f] > c.thresholds[layer * c.n_features + f];
      if (way == Way::top_k)
        for (const Index f : largest(row, c.k)) at[f] = true;
    }
    if (way == Way::batch)
      for (const Index place : largest(all, std::min(c.k, c.n_features) * c.n))
        kept[(place / c.n_features * c.n_layers + layer) * c.n_features + place % c.n_features] =
            true;
  }
  return kept;
}

template <class T>
ilo::Encoded<T> encode(const Case<T>& c, Way way, const ilo::SparseKernelsOf<T>& kernels,
                       ilo::Team& team) {
  if (way == Way::above) return ilo::encode_above(c.input(), c.thresholds.data(), kernels, team);
  if (way == Way::top_k) return ilo::encode_top_k(c.input(), c.k, kernels, team);
  return ilo::encode_batch_top_k(c.input(), c.k, kernels, team);
}

template <class T>
void check_encoded(const Case<T>& c, Way way, const ilo::Encoded<T>& found) {
  const std::vector<bool> kept = by_definition(c, way);
  const Index columns = c.n_layers * c.n_features;
  Index e = 0;
  for (Index t = 0; t < c.n; ++t) {
    check(found.indptr[t] == e, "a row begins elsewhere");
    for (Index column = 0; column < columns; ++column) {
      if (!kept[t * columns + column]) continue;
      check(e < static_cast<Index>(found.indices.size()), "entries are missing");
      check(found.indices[e] == column, "another feature is active");
      check(found.values[e] == c.pre(t, column / c.n_features, column % c.n_features),
            "another value");
      ++e;
    }
  }
  check(found.indptr[c.n] == e && static_cast<Index>(found.values.size()) == e, "another size");
}

// Everything of one round: outputs and gradients, one after the other.
template <class T>
Values<T> products(const Case<T>& c, const ilo::ActiveRows& rows, const Values<T>& values,
                   const ilo::SparseKernelsOf<T>& kernels, ilo::Team& team) {
  const Index width = c.n_layers * c.d;
  Values<T> out(c.n * width), of_values(values.size()), sums(width), of_bias(rows.columns());
  ilo::decode(rows, values.data(), c.weights(), c.decoder_bias.data(), c.shape, kernels, out.data(),
              team);
  std::vector<Values<T>> of_weights;
  ilo::DecodeGradients<T> gradients{of_values.data(), {}};
  for (const Values<T>& one : c.decoder) of_weights.emplace_back(one.size(), T{7});
  for (Values<T>& one : of_weights) gradients.weights.push_back(one.data());
  ilo::decode_gradients(rows, values.data(), c.weights(), c.x.data(), c.shape, kernels, gradients,
                        team);
  ilo::sum_of_rows(c.x.data(), c.n, width, kernels, sums.data(), team);
  ilo::sum_by_feature(rows, values.data(), of_bias.data());
  of_weights.push_back(of_values), of_weights.push_back(sums), of_weights.push_back(of_bias);
  for (const Values<T>& one : of_weights) out.insert(out.end(), one.begin(), one.end());
  return out;
}

// The same by the formulas; all sums are of whole numbers.
template <class T>
Values<T> products_by_definition(const Case<T>& c, const ilo::ActiveRows& rows,
                                 const Values<T>& values) {
  const Index width = c.n_layers * c.d;
  Values<T> out, of_values(values.size()), sums(width), of_bias(rows.columns());
  std::vector<Values<T>> of_weights;
  for (const Values<T>& one : c.decoder) of_weights.emplace_back(one.size(), T{0});
  for (Index t = 0; t < c.n; ++t) {
    Values<T> row = c.decoder_bias;
    for (Index i = 0; i < width; ++i) sums[i] += c.x[t * width + i];
    for (Index e = rows.indptr[t]; e < rows.indptr[t + 1]; ++e) {
      const Index layer = rows.indices[e] / c.n_features, f = rows.indices[e] % c.n_features;
      const Index length = c.shape.spans[layer] * c.d;
      of_bias[rows.indices[e]] += values[e];
      for (Index i = 0; i < length; ++i) {
        const Index at = layer * c.d + i;
        row[at] += values[e] * c.decoder[layer][f * length + i];
        of_values[e] += c.x[t * width + at] * c.decoder[layer][f * length + i];
        of_weights[layer][f * length + i] += values[e] * c.x[t * width + at];
      }
    }
    out.insert(out.end(), row.begin(), row.end());
  }
  of_weights.push_back(of_values), of_weights.push_back(sums), of_weights.push_back(of_bias);
  for (const Values<T>& one : of_weights) out.insert(out.end(), one.begin(), one.end());
  return out;
}

template <class T>
void one_case(Random& random) {
  doing = std::string("products in ") + (sizeof(T) == 4 ? "float32" : "float64");
  const Case<T> c(random);
  const Way way = random.of({Way::above, Way::top_k, Way::batch});
  for (const std::string& level : ilo::available_levels()) {
    const ilo::SparseKernelsOf<T>& kernels = of_type<T>(ilo::choose_sparse_kernels(level));
    ilo::Team team(static_cast<int>(random.whole(1, 4)), nullptr);
    const ilo::Encoded<T> found = encode(c, way, kernels, team);
    check_encoded(c, way, found);
    const ilo::ActiveRows rows{found.indptr.data(), found.indices.data(), c.n, c.n_layers,
                               c.n_features};
    check(products(c, rows, found.values, kernels, team) ==
              products_by_definition(c, rows, found.values),
          "another product on " + level);
  }
}

// Numbers that are not whole: here only the bits can be compared.
void same_bits(Random& random) {
  doing = "bits";
  Case<float> c(random);
  for (float& value : c.x) value = random.real(-1, 1);
  for (float& value : c.weight) value = random.real(-1, 1);
  const Way way = random.of({Way::above, Way::top_k, Way::batch});
  Values<float> first_values, first_products;
  for (const std::string& level : ilo::available_levels())
    for (const int threads : {1, 3}) {
      const ilo::SparseKernelsOf<float>& kernels = ilo::choose_sparse_kernels(level).f32;
      ilo::Team team(threads, nullptr);
      const ilo::Encoded<float> found = encode(c, way, kernels, team);
      const ilo::ActiveRows rows{found.indptr.data(), found.indices.data(), c.n, c.n_layers,
                                 c.n_features};
      const Values<float> all = products(c, rows, found.values, kernels, team);
      const bool first = level == ilo::available_levels().front() && threads == 1;
      if (first) first_values = found.values, first_products = all;
      check(found.values == first_values && all == first_products, "other bits on " + level);
    }
}

// Counts of random rows and columns, most of them none, by rows.
struct Table {
  Index n, columns;
  Values<std::int32_t> dense;  // [n][columns]
  Values<std::int64_t> indptr{0};
  Values<std::int32_t> indices, counts;
  Values<float> sums, maxima;

  explicit Table(Random& random)
      : n(random.whole(1, 200)), columns(random.whole(1, 150)), dense(n * columns) {
    for (Index at = 0; at < n * columns; ++at) {
      if (random.whole(0, 3) == 0) {
        dense[at] = static_cast<std::int32_t>(random.whole(1, 5));
        indices.push_back(static_cast<std::int32_t>(at % columns));
        counts.push_back(dense[at]);
        sums.push_back(static_cast<float>(random.whole(-3, 3)));
        maxima.push_back(static_cast<float>(random.whole(-3, 3)));
      }
      if (at % columns == columns - 1) indptr.push_back(static_cast<Index>(indices.size()));
    }
  }
  ilo::ActiveRows rows() const { return {indptr.data(), indices.data(), n, 1, columns}; }
};

void merged_rows(Random& random) {
  doing = "merged rows";
  const Table table(random);
  Values<std::int64_t> rows, starts{0};
  for (Index i = 0; i < table.n; ++i) rows.push_back(random.whole(0, table.n - 1));
  while (starts.back() < table.n)
    starts.push_back(std::min(table.n, starts.back() + random.whole(0, 3)));
  const bool plain = random.whole(0, 1) == 0;
  const ilo::EntryTotals totals{plain ? nullptr : table.counts.data(), table.sums.data(),
                                plain ? nullptr : table.maxima.data()};
  const ilo::RowGroups groups{rows.data(), starts.data(), static_cast<Index>(starts.size()) - 1,
                              table.n};
  for (const int threads : {1, 3}) {
    ilo::Team team(threads, nullptr);
    const ilo::MergedRows found = ilo::merge_rows(table.rows(), totals, groups, team);
    Index e = 0;
    for (Index g = 0; g < groups.n_groups; ++g) {
      check(found.indptr[g] == e, "a group begins elsewhere");
      for (Index column = 0; column < table.columns; ++column) {
        Index count = 0;
        float sum = 0, most = -9;
        for (Index i = starts[g]; i < starts[g + 1]; ++i)
          for (Index at = table.indptr[rows[i]]; at < table.indptr[rows[i] + 1]; ++at)
            if (table.indices[at] == column) {
              count += plain ? 1 : table.counts[at];
              sum += table.sums[at];
              most = std::max(most, plain ? table.sums[at] : table.maxima[at]);
            }
        if (count == 0) continue;
        check(e < static_cast<Index>(found.indices.size()), "entries are missing");
        check(found.indices[e] == column && found.counts[e] == count, "another count");
        check(found.sums[e] == sum && found.maxima[e] == most, "another sum or maximum");
        ++e;
      }
    }
    check(found.indptr.back() == e && static_cast<Index>(found.sums.size()) == e, "another size");
  }
  ilo::Team team(2, nullptr);
  rows.front() = table.n;
  check_throws<ilo::InvalidArgument>([&] { ilo::merge_rows(table.rows(), totals, groups, team); },
                                     "rows[0]=");
}

void shuffled_labels(Random& random) {
  doing = "shuffled labels";
  const Table table(random);  // its columns are rows here
  const Index n_labels = random.whole(1, std::min<Index>(table.columns, 5));
  const Index shuffles = random.whole(1, 40);
  Values<std::int64_t> tokens;
  for (Index r = 0; r < table.columns; ++r) tokens.push_back(random.whole(1, 20));
  Values<std::uint16_t> labels;
  for (Index s = 0; s < shuffles; ++s)  // each label is there
    for (Index r = 0; r < table.columns; ++r)
      labels.push_back(static_cast<std::uint16_t>(r < n_labels ? (r + s) % n_labels
                                                               : random.whole(0, n_labels - 1)));
  const ilo::LabelPermutationInput in{table.indptr.data(),
                                      table.indices.data(),
                                      table.counts.data(),
                                      tokens.data(),
                                      labels.data(),
                                      table.n,
                                      table.columns,
                                      shuffles,
                                      static_cast<std::int32_t>(n_labels),
                                      0.5,
                                      0.25};
  for (const int threads : {1, 3}) {
    Values<double> statistic(shuffles * table.n);
    const std::unique_ptr<bool[]> dominated(new bool[shuffles * table.n]);
    ilo::Team team(threads, nullptr);
    ilo::permute_labels(in, {statistic.data(), dominated.get()}, team);
    for (Index s = 0; s < shuffles; ++s)
      for (Index column = 0; column < table.n; ++column) {
        Values<double> rates(n_labels), firings(n_labels);
        double wanted = 0, sum = 0;
        for (Index l = 0; l < n_labels; ++l) {
          double of_label = 0;
          for (Index r = 0; r < table.columns; ++r) {
            if (labels[s * table.columns + r] != l) continue;
            of_label += static_cast<double>(tokens[r]);
            firings[l] += table.dense[column * table.columns + r];
          }
          rates[l] = firings[l] / of_label;
          wanted += firings[l] * rates[l];
          sum += rates[l];
        }
        std::sort(rates.begin(), rates.end());
        const double second = n_labels > 1 ? rates[n_labels - 2] : 0;
        const bool rule = sum > 0 && rates.back() >= 0.5 * sum && second < 0.25 * sum;
        check(statistic[s * table.n + column] == wanted, "another statistic");
        check(dominated[s * table.n + column] == rule, "another rule");
      }
  }
  ilo::Team team(2, nullptr);
  labels.back() = static_cast<std::uint16_t>(n_labels);
  Values<double> statistic(shuffles * table.n);
  const std::unique_ptr<bool[]> dominated(new bool[shuffles * table.n]);
  check_throws<ilo::InvalidArgument>(
      [&] { ilo::permute_labels(in, {statistic.data(), dominated.get()}, team); }, "labels[");
}

void refusals(Random& random) {
  doing = "refusals";
  Case<float> c(random);
  while (c.n == 0) c = Case<float>(random);
  const ilo::SparseKernelsOf<float>& kernels = ilo::choose_sparse_kernels("").f32;
  ilo::Team team(2, nullptr);
  Case<float> bad = c;
  bad.x.back() = std::numeric_limits<float>::quiet_NaN();
  check_throws<ilo::BadRow>([&] { encode(bad, Way::top_k, kernels, team); },
                            "row " + std::to_string(c.n - 1) + " of layer");
  bad = c;
  bad.bias.front() = std::numeric_limits<float>::infinity();
  check_throws<ilo::InvalidArgument>([&] { encode(bad, Way::batch, kernels, team); }, "layer 0");
  check_throws<ilo::InvalidArgument>([] { ilo::choose_sparse_kernels("avx1024"); }, "avx1024");
}

void run(Random& random, Index rounds) {
  for (Index round = 0; round < rounds; ++round) {
    refusals(random);
    one_case<float>(random);
    one_case<double>(random);
    same_bits(random);
    merged_rows(random);
    shuffled_labels(random);
  }
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
