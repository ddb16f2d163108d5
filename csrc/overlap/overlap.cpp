// Counts languages among neighbours, a layer per task.
#include "overlap/overlap.h"

#include <vector>

namespace ilo {

namespace {

// A set of languages of any number: one bit each.
class LanguageSet {
 public:
  explicit LanguageSet(std::int32_t n_languages) : words_((n_languages + 63) / 64, 0) {}

  void clear() { words_.assign(words_.size(), 0); }
  void add(std::int32_t l) { words_[l >> 6] |= std::uint64_t{1} << (l & 63); }
  void add_all(const LanguageSet& other) {
    for (std::size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
  }
  std::int64_t size() const {
    std::int64_t count = 0;
    for (const std::uint64_t word : words_) count += __builtin_popcountll(word);
    return count;
  }

 private:
  std::vector<std::uint64_t> words_;
};

OverlapCounts count_layer(const OverlapInput& in, std::int64_t layer) {
  const std::int32_t n_languages = in.n_languages;
  OverlapCounts counts(n_languages);
  std::vector<LanguageSet> reached(n_languages, LanguageSet(n_languages));
  LanguageSet others(n_languages);
  const std::int64_t* neighbours = in.indices + layer * in.n * in.k;
  for (std::int64_t i = 0; i < in.n; ++i, neighbours += in.k) {
    const std::int32_t own = in.languages[i];
    others.clear();
    for (std::int64_t p = 0; p < in.k; ++p) {
      const std::int64_t j = neighbours[p];
      if (in.languages[j] == own) continue;
      others.add(in.languages[j]);
      ++counts.cross[own];
      if (in.sentences && in.sentences[j] == in.sentences[i]) ++counts.translations[own];
    }
    ++counts.points[own];
    if (others.size() >= in.threshold) ++counts.bridging[own];
    reached[own].add_all(others);
  }
  for (std::int32_t l = 0; l < n_languages; ++l) counts.reached[l] = reached[l].size();
  return counts;
}

}  // namespace

void scores_of_layer(const OverlapInput& in, const OverlapCounts& counts, std::int64_t layer,
                     const OverlapOutput& out) {
  for (std::int32_t l = 0; l < in.n_languages; ++l) {
    const std::int64_t at = layer * in.n_languages + l;
    const double n_points = static_cast<double>(counts.points[l]);
    const double bridge = static_cast<double>(counts.bridging[l]) / n_points;
    const double reach = static_cast<double>(counts.reached[l]) / (in.n_languages - 1);
    out.bridge[at] = bridge;
    out.reach[at] = reach;
    out.ilo[at] = bridge + reach > 0 ? 2 * bridge * reach / (bridge + reach) : 0;
    const double n_neighbours = n_points * static_cast<double>(in.k);
    out.cross_share[at] = static_cast<double>(counts.cross[l]) / n_neighbours;
    if (in.sentences)
      out.translation_share[at] = static_cast<double>(counts.translations[l]) / n_neighbours;
  }
}

void overlap(const OverlapInput& in, const OverlapOutput& out, Team& team) {
  team.run(in.n_layers, [&](std::int64_t layer, int) {
    scores_of_layer(in, count_layer(in, layer), layer, out);
  });
}

}  // namespace ilo
