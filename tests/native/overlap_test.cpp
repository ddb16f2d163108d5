// The overlap scores of random graphs, against sets of languages that are counted one by one; and
// permutations: the same at any number of threads, first with the labels as they are.
//
//     overlap_test [rounds] [seed]
#include "overlap/overlap.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "checks.h"
#include "core/parallel.h"
#include "overlap/permutations.h"

namespace native {
namespace {

void one_overlap(Random& random) {
  ilo::OverlapInput in{};
  in.n_layers = random.whole(1, 4);
  in.n = random.whole(10, 300);
  in.k = random.whole(1, 9);
  in.n_languages = static_cast<std::int32_t>(random.of<Index>({2, 5, 64, 65, 130}));
  in.n = std::max<Index>(in.n, in.n_languages);
  in.threshold = random.whole(1, 4);
  std::vector<Index> indices(in.n_layers * in.n * in.k), sentences(in.n);
  std::vector<std::int32_t> languages(in.n);
  for (Index& j : indices) j = random.whole(0, in.n - 1);
  for (Index i = 0; i < in.n; ++i) {
    languages[i] = static_cast<std::int32_t>(i % in.n_languages);
    sentences[i] = i / in.n_languages;
  }
  in.indices = indices.data(), in.languages = languages.data(), in.sentences = sentences.data();
  const Index size = in.n_layers * in.n_languages;
  std::vector<double> bridge(size), reach(size), ilo(size), share(size), cross(size);
  ilo::Team team(static_cast<int>(random.whole(1, 4)), nullptr);
  ilo::overlap(in, {bridge.data(), reach.data(), ilo.data(), share.data(), cross.data()}, team);

  doing = "overlap";
  const auto near = [](double a, double b) { return std::fabs(a - b) <= 1e-12; };
  for (Index layer = 0; layer < in.n_layers; ++layer)
    for (std::int32_t own = 0; own < in.n_languages; ++own) {
      std::vector<bool> reached(in.n_languages, false);
      double points = 0, bridging = 0, translations = 0, links = 0;
      for (Index i = 0; i < in.n; ++i) {
        if (languages[i] != own) continue;
        std::vector<bool> others(in.n_languages, false);
        for (Index p = 0; p < in.k; ++p) {
          const Index j = indices[(layer * in.n + i) * in.k + p];
          if (languages[j] == own) continue;
          others[languages[j]] = reached[languages[j]] = true;
          translations += sentences[i] == sentences[j];
          ++links;
        }
        bridging += std::count(others.begin(), others.end(), true) >= in.threshold;
        ++points;
      }
      const double b = bridging / points;
      const double r = static_cast<double>(std::count(reached.begin(), reached.end(), true)) /
                       (in.n_languages - 1);
      const Index at = layer * in.n_languages + own;
      check(near(bridge[at], b) && near(reach[at], r), "wrong bridge or reach");
      check(near(ilo[at], b + r > 0 ? 2 * b * r / (b + r) : 0), "wrong overlap");
      check(near(share[at], translations / (points * static_cast<double>(in.k))),
            "wrong share of translations");
      check(near(cross[at], links / (points * static_cast<double>(in.k))),
            "wrong share of other languages");
    }
}

struct Permuted {
  explicit Permuted(const ilo::PermutationInput& in)
      : bridging((1 + in.n_permutations) * in.n_layers * in.n_languages),
        reached(bridging.size()),
        translations(bridging.size()) {}
  bool operator==(const Permuted& other) const {
    return bridging == other.bridging && reached == other.reached &&
           translations == other.translations;
  }
  std::vector<std::int32_t> bridging, reached, translations;
};

Permuted permuted(const ilo::PermutationInput& in, int n_threads) {
  Permuted out(in);
  ilo::Team team(n_threads, nullptr);
  ilo::count_permutations(
      in,
      {out.bridging.data(), out.reached.data(), in.sentences ? out.translations.data() : nullptr},
      team);
  return out;
}

void one_permutation(Random& random) {
  ilo::PermutationInput in{};
  in.n_layers = random.whole(1, 3);
  in.k = random.whole(1, 9);
  in.n_languages = static_cast<std::int32_t>(random.of<Index>({2, 5, 64, 65, 130}));
  in.n = in.n_languages * random.whole(2, 5);
  in.threshold = random.whole(1, 4);
  in.n_permutations = random.whole(0, 40);
  in.seed = static_cast<std::uint64_t>(random.whole(0, 1000));
  std::vector<std::int32_t> indices(in.n_layers * in.n * in.k), languages(in.n);
  std::vector<Index> sentences(in.n), wide(indices.size());
  for (Index i = 0; i < in.n; ++i) {
    languages[i] = static_cast<std::int32_t>(i % in.n_languages);
    sentences[i] = 1000 - i / in.n_languages;
  }
  for (std::size_t i = 0; i < indices.size(); ++i)
    wide[i] = indices[i] = static_cast<std::int32_t>(random.whole(0, in.n - 1));
  in.indices = indices.data(), in.languages = languages.data();
  if (random.whole(0, 2) > 0) in.sentences = sentences.data();

  doing = "permutations";
  const Permuted one = permuted(in, 1);
  check(one == permuted(in, static_cast<int>(random.whole(2, 4))), "threads change the result");

  const Index size = in.n_layers * in.n_languages;
  std::vector<double> bridge(size), reach(size), ilo(size), share(size), cross(size);
  ilo::OverlapInput plain{wide.data(), in.languages, in.sentences,   in.n_layers,
                          in.n,        in.k,         in.n_languages, in.threshold};
  ilo::Team team(1, nullptr);
  ilo::overlap(plain, {bridge.data(), reach.data(), ilo.data(), share.data(), cross.data()}, team);
  const double points = static_cast<double>(in.n) / in.n_languages;
  const auto same = [](double counted, double wanted) {
    return std::fabs(counted - wanted) < 1e-6;
  };
  for (Index at = 0; at < size; ++at) {
    check(same(one.bridging[at], bridge[at] * points), "wrong bridging points");
    check(same(one.reached[at], reach[at] * (in.n_languages - 1)), "wrong reached languages");
    if (in.sentences)
      check(same(one.translations[at], share[at] * points * static_cast<double>(in.k)),
            "wrong translations");
  }
}

void run(Random& random, Index rounds) {
  for (Index round = 0; round < 5 * rounds; ++round) {
    one_overlap(random);
    one_permutation(random);
  }
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
