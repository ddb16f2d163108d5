// A task shuffles a few times and counts layer after layer: the links of a layer stay in the cache
// for all shuffles of the task, and the labels of a shuffle, a byte per point, for all its links.
#include "overlap/permutations.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace ilo {

namespace {

constexpr std::int64_t kBlock = 16;  // shuffles per task

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

enum class Shuffled : std::uint64_t { languages = 0, sentences = 1 };

class RandomNumbers {
 public:
  RandomNumbers(std::uint64_t seed, std::int64_t number, Shuffled what)
      : state_(mix(mix(seed) + 2 * static_cast<std::uint64_t>(number) +
                   static_cast<std::uint64_t>(what))) {}

  // In [0, end), where end < 2^32; even up to one part in 2^32.
  std::int64_t below(std::int64_t end) {
    state_ += 0x9e3779b97f4a7c15u;
    const std::uint64_t x = mix(state_), e = static_cast<std::uint64_t>(end);
    return static_cast<std::int64_t>(((x >> 32) * e + ((x & 0xffffffffu) * e >> 32)) >> 32);
  }

 private:
  std::uint64_t state_;
};

// Points with equal numbers.
class Groups {
 public:
  // Without numbers all points are one group.
  template <class Number>
  Groups(const Number* numbers, std::int64_t n) : points_(n) {
    std::iota(points_.begin(), points_.end(), 0);
    if (numbers)
      std::stable_sort(points_.begin(), points_.end(),
                       [&](std::int32_t a, std::int32_t b) { return numbers[a] < numbers[b]; });
    for (std::int64_t i = 1; i < n; ++i)
      if (numbers && numbers[points_[i]] != numbers[points_[i - 1]]) ends_.push_back(i);
    ends_.push_back(n);
  }

  template <class Value>
  void shuffle(Value* values, RandomNumbers random) const {
    std::int64_t begin = 0;
    for (const std::int64_t end : ends_) {
      const std::int32_t* const points = points_.data() + begin;
      for (std::int64_t last = end - begin - 1; last > 0; --last)
        std::swap(values[points[last]], values[points[random.below(last + 1)]]);
      begin = end;
    }
  }

  // The number of each point's group, from 0.
  std::vector<std::int32_t> numbers() const {
    std::vector<std::int32_t> out(points_.size());
    std::int64_t at = 0;
    for (std::size_t g = 0; g < ends_.size(); ++g)
      for (; at < ends_[g]; ++at) out[points_[at]] = static_cast<std::int32_t>(g);
    return out;
  }

 private:
  std::vector<std::int32_t> points_;  // group after group
  std::vector<std::int64_t> ends_;    // of the groups
};

// Bridging points and reached languages, of up to 64 languages: a set of them is a word.
class FewLanguages {
 public:
  using Label = std::uint8_t;
  explicit FewLanguages(std::int32_t) {}

  void count(const PermutationInput& in, const std::int32_t* neighbours, const Label* labels,
             std::int32_t* bridging_out, std::int32_t* reached) {
    std::uint64_t met[64] = {};
    std::int32_t bridging[64] = {};
    const std::int64_t threshold = std::min<std::int64_t>(in.threshold, 65);
    for (std::int64_t i = 0; i < in.n; ++i, neighbours += in.k) {
      std::uint64_t others = 0;
      for (std::int64_t p = 0; p < in.k; ++p) others |= std::uint64_t{1} << labels[neighbours[p]];
      const Label own = labels[i];
      others &= ~(std::uint64_t{1} << own);
      met[own] |= others;
      for (std::int64_t t = 1; t < threshold; ++t) others &= others - 1;  // one language less
      bridging[own] += others != 0;
    }
    for (std::int32_t l = 0; l < in.n_languages; ++l) reached[l] = __builtin_popcountll(met[l]);
    std::copy_n(bridging, in.n_languages, bridging_out);
  }
};

// The same of any number: who met a language last is written beside it.
class ManyLanguages {
 public:
  using Label = std::uint16_t;
  explicit ManyLanguages(std::int32_t n_languages)
      : last_(n_languages), met_(std::int64_t{n_languages} * n_languages) {}

  void count(const PermutationInput& in, const std::int32_t* neighbours, const Label* labels,
             std::int32_t* bridging, std::int32_t* reached) {
    const std::int64_t n_languages = in.n_languages;
    std::fill(last_.begin(), last_.end(), -1);
    std::fill(met_.begin(), met_.end(), 0);
    std::fill_n(bridging, n_languages, 0);
    for (std::int32_t i = 0; i < in.n; ++i, neighbours += in.k) {
      const Label own = labels[i];
      std::uint8_t* const met = met_.data() + own * n_languages;
      last_[own] = i;
      std::int64_t others = 0;
      for (std::int64_t p = 0; p < in.k; ++p) {
        const Label label = labels[neighbours[p]];
        others += last_[label] != i;
        last_[label] = i;
        met[label] = 1;
      }
      bridging[own] += others >= in.threshold;
    }
    for (std::int64_t l = 0; l < n_languages; ++l) {
      std::uint8_t* const met = met_.data() + l * n_languages;
      met[l] = 0;
      reached[l] = std::accumulate(met, met + n_languages, 0);
    }
  }

 private:
  std::vector<std::int32_t> last_;
  std::vector<std::uint8_t> met_;  // [languages][languages]
};

// A number for each shuffle of a task, a cache line in all. Written out in fours, which are a
// register of any processor: compilers make single numbers of plain loops here.
using Four = std::int32_t __attribute__((vector_size(16)));
struct alignas(64) Lanes {
  Four four[kBlock / 4];
};

void count_translations(const PermutationInput& in, const std::int32_t* neighbours,
                        const std::vector<Lanes>& sentences, std::vector<Lanes>& translations) {
  std::fill(translations.begin(), translations.end(), Lanes{});
  for (std::int64_t i = 0; i < in.n; ++i, neighbours += in.k) {
    const Lanes own = sentences[i];
    Lanes found = translations[in.languages[i]];
    for (std::int64_t p = 0; p < in.k; ++p) {
      const std::int64_t j = neighbours[p];
      const std::int32_t counts = -(in.languages[j] != in.languages[i]);  // all bits, or none
      for (std::int64_t f = 0; f < kBlock / 4; ++f)  // lanes are -1 where they are equal, else 0
        found.four[f] -= (sentences[j].four[f] == own.four[f]) & counts;
    }
    translations[in.languages[i]] = found;
  }
}

// Shuffles of one task, numbered as rows of the output: number 0 leaves everything as it is.
struct Block {
  std::int64_t first, count;
};

template <class Languages>
void shuffle_languages(const PermutationInput& in, const PermutationOutput& out, Block block,
                       const Groups& of_one_sentence, Team& team) {
  using Label = typename Languages::Label;
  const std::vector<Label> labels(in.languages, in.languages + in.n);
  std::vector<std::vector<Label>> shuffled(block.count, labels);
  for (std::int64_t b = block.first == 0; b < block.count; ++b)
    of_one_sentence.shuffle(shuffled[b].data(),
                            RandomNumbers(in.seed, block.first + b, Shuffled::languages));
  Languages languages(in.n_languages);
  for (std::int64_t layer = 0; layer < in.n_layers; ++layer)
    for (std::int64_t b = 0; b < block.count && !team.cancelled(); ++b) {
      const std::int64_t at = ((block.first + b) * in.n_layers + layer) * in.n_languages;
      languages.count(in, in.indices + layer * in.n * in.k, shuffled[b].data(), out.bridging + at,
                      out.reached + at);
    }
}

void shuffle_sentences(const PermutationInput& in, const PermutationOutput& out, Block block,
                       const std::vector<std::int32_t>& sentences, const Groups& of_one_language,
                       Team& team) {
  std::vector<Lanes> lanes(in.n), translations(in.n_languages);
  std::vector<std::int32_t> shuffled;
  for (std::int64_t b = 0; b < block.count; ++b) {
    shuffled = sentences;
    if (block.first + b > 0)
      of_one_language.shuffle(shuffled.data(),
                              RandomNumbers(in.seed, block.first + b, Shuffled::sentences));
    for (std::int64_t i = 0; i < in.n; ++i) lanes[i].four[b / 4][b % 4] = shuffled[i];
  }
  for (std::int64_t layer = 0; layer < in.n_layers && !team.cancelled(); ++layer) {
    count_translations(in, in.indices + layer * in.n * in.k, lanes, translations);
    for (std::int64_t b = 0; b < block.count; ++b)
      for (std::int64_t l = 0; l < in.n_languages; ++l)
        out.translations[((block.first + b) * in.n_layers + layer) * in.n_languages + l] =
            translations[l].four[b / 4][b % 4];
  }
}

}  // namespace

void count_permutations(const PermutationInput& in, const PermutationOutput& out, Team& team) {
  const Groups of_one_sentence(in.sentences, in.n), of_one_language(in.languages, in.n);
  std::vector<std::int32_t> sentences;
  if (in.sentences) sentences = of_one_sentence.numbers();
  const auto languages =
      in.n_languages <= 64 ? shuffle_languages<FewLanguages> : shuffle_languages<ManyLanguages>;
  const std::int64_t total = 1 + in.n_permutations, n_blocks = (total + kBlock - 1) / kBlock;
  team.expect(static_cast<double>(n_blocks));
  team.run(n_blocks, [&](std::int64_t number, int) {
    const Block block{number * kBlock, std::min(kBlock, total - number * kBlock)};
    languages(in, out, block, of_one_sentence, team);
    if (in.sentences) shuffle_sentences(in, out, block, sentences, of_one_language, team);
    team.advance(1);
  });
}

}  // namespace ilo
