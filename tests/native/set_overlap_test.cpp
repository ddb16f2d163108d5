// Overlaps of random lists and sets, kernels masked by neighbours, and features of parallel lines,
// by their definitions.
//
//     set_overlap_test [rounds] [seed]
#include "overlap/set_overlap.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "checks.h"
#include "core/errors.h"
#include "core/parallel.h"
#include "overlap/masked_hsic.h"
#include "overlap/sparse_sets.h"
#include "sparse/feature_sharing.h"

namespace native {
namespace {

using Numbers = std::vector<std::int32_t>;

Numbers shuffled(Random& random, Index n) {
  Numbers numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0);
  for (Index i = n - 1; i > 0; --i) std::swap(numbers[i], numbers[random.whole(0, i)]);
  return numbers;
}

// Lists of k other rows.
Numbers random_lists(Random& random, Index n_layers, Index n, Index k) {
  Numbers entries;
  for (Index list = 0; list < n_layers * n; ++list) {
    Numbers others = shuffled(random, n);
    others.erase(std::find(others.begin(), others.end(), list % n));
    entries.insert(entries.end(), others.begin(), others.begin() + k);
  }
  return entries;
}

ilo::RowLists lists_of(const Numbers& entries, Index n_layers, Index n, Index k) {
  return {entries.data(), nullptr, n_layers, n, k};
}

Numbers copy(ilo::List list) { return Numbers(list.begin, list.begin + list.size); }

bool holds(const Numbers& list, Index number) {
  return std::find(list.begin(), list.end(), number) != list.end();
}

// The whole table of the longest common subsequences, or of Levenshtein's distances.
Index by_table(const Numbers& a, const Numbers& b, bool distance) {
  const Index rows = static_cast<Index>(a.size()) + 1, columns = static_cast<Index>(b.size()) + 1;
  std::vector<std::vector<Index>> table(rows, std::vector<Index>(columns, 0));
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) {
      Index& cell = table[i][j];
      if (i == 0 || j == 0) {
        cell = distance ? i + j : 0;
        continue;
      }
      const bool same = a[i - 1] == b[j - 1];
      const Index up = table[i - 1][j], left = table[i][j - 1], both = table[i - 1][j - 1];
      cell =
          distance ? std::min({up + 1, left + 1, both + !same}) : std::max({up, left, both + same});
    }
  return table[rows - 1][columns - 1];
}

Index by_definition(const ilo::ListComparison& in, Index a_layer, Index b_layer, Index row) {
  const Numbers a = copy(in.a.at(a_layer, row)), b = copy(in.b.at(b_layer, row));
  switch (in.measure) {
    case ilo::RowMeasure::common:
      return std::count_if(b.begin(), b.end(), [&](std::int32_t x) { return holds(a, x); });
    case ilo::RowMeasure::cycle:
      return std::any_of(b.begin(), b.end(),
                         [&](std::int32_t x) { return holds(copy(in.a.at(a_layer, x)), row); });
    default:
      return by_table(a, b, in.measure == ilo::RowMeasure::edit_distance);
  }
}

// The lists of all rows where point i has become order[i].
Numbers renumbered(const Numbers& entries, Index n, Index k, const Numbers& order) {
  Numbers out(entries.size());
  for (Index list = 0; list < static_cast<Index>(entries.size()) / k; ++list)
    for (Index p = 0; p < k; ++p)
      out[(list / n * n + order[list % n]) * k + p] = order[entries[list * k + p]];
  return out;
}

void one_comparison(Random& random) {
  doing = "rows of lists";
  ilo::ListComparison in{};
  const Index n = random.whole(2, random.of<Index>({6, 30, 90}));
  const Index k = random.whole(1, n - 1), other_k = random.whole(1, n - 1);
  const Index a_layers = random.of<Index>({1, 2, 66}), b_layers = random.whole(1, 3);
  const Numbers a = random_lists(random, a_layers, n, k);
  const Numbers b = random_lists(random, b_layers, n, other_k);
  in.a = lists_of(a, a_layers, n, k), in.b = lists_of(b, b_layers, n, other_k);
  in.n_points = n;
  in.measure = random.of({ilo::RowMeasure::common, ilo::RowMeasure::lcs,
                          ilo::RowMeasure::edit_distance, ilo::RowMeasure::cycle});
  ilo::Team team(static_cast<int>(random.whole(1, 4)), nullptr);
  Numbers found(a_layers * b_layers * n);
  ilo::compare_rows(in, found.data(), team);
  const Index a_step = a_layers > 2 ? 13 : 1;
  for (Index x = 0; x < a_layers; x += a_step)
    for (Index y = 0; y < b_layers; ++y)
      for (Index row = 0; row < n; ++row)
        check(found[(x * b_layers + y) * n + row] == by_definition(in, x, y, row),
              "a row has another value");

  std::vector<double> weights(ilo::largest_value(in) + 1);
  for (double& weight : weights) weight = static_cast<double>(random.whole(-9, 9));
  const Numbers order = shuffled(random, n);
  std::vector<double> sums(2 * a_layers * b_layers);
  ilo::sum_rows(in, weights.data(), {order.data(), 1}, sums.data(), team);
  const Numbers moved = renumbered(b, n, other_k, order);
  for (const bool permuted : {false, true}) {
    if (permuted) {
      in.b = lists_of(moved, b_layers, n, other_k);
      ilo::compare_rows(in, found.data(), team);
    }
    for (Index pair = 0; pair < a_layers * b_layers; ++pair) {
      double sum = 0;
      for (Index row = 0; row < n; ++row) sum += weights[found[pair * n + row]];
      check(sums[permuted * a_layers * b_layers + pair] == sum, "another sum over rows");
    }
  }
}

double dense_hsic(const std::vector<std::vector<double>>& K,
                  const std::vector<std::vector<double>>& L) {
  const auto n = static_cast<Index>(K.size());
  double trace = 0, sum_k = 0, sum_l = 0, product = 0;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      trace += K[i][j] * L[j][i], sum_k += K[i][j], sum_l += L[i][j];
      for (Index h = 0; h < n; ++h) product += K[i][h] * L[h][j];
    }
  const auto m = static_cast<double>(n);
  return (trace + sum_k * sum_l / ((m - 1) * (m - 2)) - 2 * product / (m - 2)) / (m * (m - 3));
}

void one_kernel(Random& random) {
  doing = "masked kernels";
  const Index n = random.whole(4, 20), k = random.whole(1, n - 1), b_k = random.whole(1, n - 1);
  const Numbers a = random_lists(random, 2, n, k), b = random_lists(random, 1, n, b_k);
  std::vector<double> a_values(a.size()), b_values(b.size());
  const auto symmetric = [n](const Numbers& entries, Index each, std::vector<double>& values,
                             double turn) {
    for (Index at = 0; at < static_cast<Index>(entries.size()); ++at) {
      const Index row = at / each % n, column = entries[at];
      values[at] = std::cos(turn * static_cast<double>(row + column)) + 0.1 * row * column;
    }
  };
  symmetric(a, k, a_values, random.normal());
  symmetric(b, b_k, b_values, random.normal());
  const Numbers order = shuffled(random, n);
  ilo::Team team(static_cast<int>(random.whole(1, 4)), nullptr);
  std::vector<double> found(4);
  ilo::masked_hsic({lists_of(a, 2, n, k), a_values.data()},
                   {lists_of(b, 1, n, b_k), b_values.data()}, {order.data(), 1}, found.data(),
                   team);
  for (Index permuted = 0; permuted < 2; ++permuted)
    for (Index layer = 0; layer < 2; ++layer) {
      std::vector<std::vector<double>> K(n, std::vector<double>(n, 0)), L = K, in_a = K, in_b = K;
      for (Index i = 0; i < n; ++i) {
        for (Index p = 0; p < k; ++p) {
          const Index at = (layer * n + i) * k + p;
          K[i][a[at]] = a_values[at], in_a[i][a[at]] = 1;
        }
        for (Index p = 0; p < b_k; ++p) {
          const Index row = permuted ? order[i] : i, entry = b[i * b_k + p];
          const Index column = permuted ? order[entry] : entry;
          L[row][column] = b_values[i * b_k + p], in_b[row][column] = 1;
        }
      }
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < n; ++j) K[i][j] *= in_b[i][j], L[i][j] *= in_a[i][j];
      const double wanted = dense_hsic(K, L);
      check(std::fabs(found[permuted * 2 + layer] - wanted) <= 1e-9 * (1 + std::fabs(wanted)),
            "another masked HSIC");
    }
}

struct Sets {
  std::vector<Index> offsets{0};
  Numbers elements;
  ilo::SparseSets view() const {
    return {offsets.data(), elements.data(), static_cast<Index>(offsets.size()) - 1};
  }
};

Sets random_sets(Random& random, Index n, Index n_elements) {
  Sets sets;
  for (Index i = 0; i < n; ++i) {
    const Numbers numbers = shuffled(random, n_elements);
    sets.elements.insert(sets.elements.end(), numbers.begin(),
                         numbers.begin() + random.whole(0, n_elements));
    sets.offsets.push_back(static_cast<Index>(sets.elements.size()));
  }
  return sets;
}

void one_collection(Random& random) {
  doing = "sparse sets";
  const Index n_elements = random.whole(1, 12), n = random.whole(0, 40), m = random.whole(0, 40);
  const Sets a = random_sets(random, n, n_elements);
  const bool same = random.whole(0, 1);
  const Sets b = same ? a : random_sets(random, m, n_elements);
  const Index columns = b.view().n, top = random.whole(1, 6);
  ilo::Team team(static_cast<int>(random.whole(1, 4)), nullptr);
  Numbers counts(n * columns), sets(n * top), best(n * top);
  ilo::count_overlaps(a.view(), b.view(), n_elements, counts.data(), team);
  const auto order = random.of({ilo::OverlapOrder::count, ilo::OverlapOrder::jaccard});
  ilo::top_overlaps(a.view(), b.view(), n_elements, order, same, top, {sets.data(), best.data()},
                    team);
  for (Index i = 0; i < n; ++i) {
    const auto elements = [](const Sets& all, Index at) {
      return std::set<std::int32_t>(all.elements.begin() + all.offsets[at],
                                    all.elements.begin() + all.offsets[at + 1]);
    };
    const std::set<std::int32_t> own = elements(a, i);
    std::vector<std::pair<double, Index>> ranked;
    for (Index j = 0; j < columns; ++j) {
      std::set<std::int32_t> all = elements(b, j);
      const auto common =
          std::count_if(own.begin(), own.end(), [&](std::int32_t e) { return all.count(e) > 0; });
      check(counts[i * columns + j] == common, "another count");
      all.insert(own.begin(), own.end());
      const auto size = static_cast<double>(all.size());
      if (common && !(same && i == j))
        ranked.push_back({order == ilo::OverlapOrder::count ? -static_cast<double>(common)
                                                            : -static_cast<double>(common) / size,
                          j});
    }
    std::sort(ranked.begin(), ranked.end());
    for (Index t = 0; t < top; ++t) {
      const bool there = t < static_cast<Index>(ranked.size());
      check(sets[i * top + t] == (there ? ranked[t].second : -1), "another set is on top");
      check(best[i * top + t] == (there ? counts[i * columns + ranked[t].second] : 0),
            "another count on top");
    }
  }
}

// Features of parallel lines, by the definitions, on several threads.
void one_sharing(Random& random) {
  doing = "features of parallel lines";
  const Index languages = random.whole(2, 4), n = random.whole(1, 9), layers = random.whole(1, 3);
  const Index features = random.whole(1, 700), documents = random.whole(1, 3);
  std::vector<float> dense(languages * n * layers * features), values;
  std::vector<Index> indptr{0}, row_of(languages * n);
  Numbers indices, document(n), partners(2 * n);
  const float on = random.real(0, 1);
  for (Index row = 0; row < languages * n; ++row) {
    for (Index c = 0; c < layers * features; ++c)
      if (random.real(0, 1) < on) {
        dense[row * layers * features + c] = random.real(0.1F, 3);
        indices.push_back(static_cast<std::int32_t>(c));
        values.push_back(dense[row * layers * features + c]);
      }
    indptr.push_back(static_cast<Index>(indices.size()));
    row_of[row] = row;
  }
  for (std::int32_t& d : document) d = static_cast<std::int32_t>(random.whole(0, documents - 1));
  for (std::int32_t& p : partners) p = static_cast<std::int32_t>(random.whole(0, n - 1));
  const ilo::ParallelLines in{{indptr.data(), indices.data(), languages * n, layers, features},
                              values.data(),
                              row_of.data(),
                              languages,
                              n,
                              document.data(),
                              documents};
  const Index size = languages * (languages - 1) / 2 * layers * documents * 3;
  std::vector<double> matched(size), others(size), slow(2 * size, 0.0);
  ilo::Team team(static_cast<int>(random.whole(1, 4)), nullptr);
  ilo::sum_sharing(in, {partners.data(), 2}, {matched.data(), others.data()}, team);
  Index place = 0;
  for (Index a = 0; a < languages; ++a)
    for (Index b = a + 1; b < languages; ++b)
      for (Index layer = 0; layer < layers; ++layer, place += documents * 3)
        for (Index i = 0; i < n; ++i)
          for (Index s = -1; s < 2; ++s) {
            const Index j = s < 0 ? i : partners[s * n + i];
            const float* const x = &dense[((a * n + i) * layers + layer) * features];
            const float* const y = &dense[((b * n + j) * layers + layer) * features];
            double both = 0, either = 0, low = 0, high = 0, product = 0, xx = 0, yy = 0;
            for (Index f = 0; f < features; ++f) {
              const double p = x[f], q = y[f];
              both += p > 0 && q > 0, either += p > 0 || q > 0;
              low += std::min(p, q), high += std::max(p, q);
              product += p * q, xx += p * p, yy += q * q;
            }
            if (xx == 0 || yy == 0) continue;
            const double found[] = {both / either, low / high, product / std::sqrt(xx * yy)};
            for (Index m = 0; m < 3; ++m) {
              if (s < 0) {
                slow[place + document[i] * 3 + m] += found[m];
              } else {
                slow[size + place + document[i] * 3 + m] += found[m] / 2;
                slow[size + place + document[j] * 3 + m] += found[m] / 2;
              }
            }
          }
  for (Index at = 0; at < size; ++at) {
    check(std::abs(matched[at] - slow[at]) < 1e-5, "another sum of translations");
    check(std::abs(others[at] - slow[size + at]) < 1e-5, "another sum of shuffled pairs");
  }
}

void refusals() {
  doing = "refusals";
  const Numbers twice{0, 1, 1, 0, 2, 2}, outside{0, 3};
  check_throws<ilo::InvalidArgument>([&] { ilo::check_lists(lists_of(twice, 1, 3, 2), 3, "A"); },
                                     "names point 2 twice in row 2");
  check_throws<ilo::InvalidArgument>([&] { ilo::check_lists(lists_of(outside, 1, 1, 2), 3, "A"); },
                                     "holds 3 in row 0");
}

void run(Random& random, Index rounds) {
  refusals();
  for (Index round = 0; round < rounds; ++round) {
    for (int i = 0; i < 3; ++i) one_comparison(random);
    for (int i = 0; i < 5; ++i) one_kernel(random);
    for (int i = 0; i < 5; ++i) one_collection(random);
    for (int i = 0; i < 5; ++i) one_sharing(random);
  }
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
