// Counts of random subsets, 64 at a time: bit s of a word stands for subset s.
//
// For a point and one of its neighbours, a word says in which subsets both are; numbers that differ
// from subset to subset are kept in planes, plane b holding bit b of all 64. So one pass over the
// list of a point finds its first k neighbours in 64 subsets with a few operations per neighbour.
#include <algorithm>
#include <array>

#include "core/errors.h"
#include "overlap/deletions.h"

namespace ilo {

namespace {

using Word = std::uint64_t;
constexpr std::int64_t kLanes = 64, kRowsOfTask = 1024;

// 64 numbers below 2^32.
class Numbers {
 public:
  // Adds 2^plane to those of `lanes`.
  void add(Word lanes, int plane = 0) {
    for (; lanes; ++plane) {
      const Word carry = planes_[plane] & lanes;
      planes_[plane] ^= lanes;
      lanes = carry;
    }
  }
  std::int32_t at(std::int64_t lane) const {
    std::uint32_t value = 0;
    for (int plane = 0; plane < kPlanes; ++plane)
      value |= static_cast<std::uint32_t>(planes_[plane] >> lane & 1) << plane;
    return static_cast<std::int32_t>(value);
  }

 private:
  static constexpr int kPlanes = 32;
  std::array<Word, kPlanes> planes_{};
};

// Numbers up to a limit, in as few planes as it needs.
class SmallNumbers {
 public:
  explicit SmallNumbers(std::int64_t limit) {
    while (limit >> n_planes_) ++n_planes_;
  }
  void clear() { std::fill_n(planes_.begin(), n_planes_, 0); }
  // Adds 1 to those of `lanes`, none of which is at the limit.
  void add(Word lanes) {
    for (int plane = 0; lanes; ++plane) {
      const Word carry = planes_[plane] & lanes;
      planes_[plane] ^= lanes;
      lanes = carry;
    }
  }
  // Where the number is `value`, at most the limit, or more.
  Word at_least(std::int64_t value) const {
    Word more = 0, same = ~Word{0};
    for (int plane = n_planes_ - 1; plane >= 0; --plane) {
      if (value >> plane & 1) {
        same &= planes_[plane];
      } else {
        more |= same & planes_[plane];
        same &= ~planes_[plane];
      }
    }
    return more | same;
  }
  template <class Add>
  void each_plane(Add add) const {
    for (int plane = 0; plane < n_planes_; ++plane)
      if (planes_[plane]) add(planes_[plane], plane);
  }

 private:
  int n_planes_ = 0;
  std::array<Word, 64> planes_{};
};

// Up to 64 subsets, from `first` on: the lanes of each unit.
std::vector<Word> lanes_of_units(const DeletionInput& in, const Subsets& subsets,
                                 std::int64_t first) {
  std::vector<Word> lanes(in.n_units, 0);
  for (std::int64_t s = first; s < std::min(first + kLanes, subsets.count); ++s)
    for (std::int64_t u = 0; u < in.n_units; ++u)
      lanes[u] |= Word{subsets.kept[s * in.n_units + u] != 0} << (s - first);
  return lanes;
}

// Calls visit(neighbour, lanes in which it is one of the first k of point i), nearest first;
// returns the lanes that hold i and fewer than k of its list.
template <class Visit>
Word each_neighbour(const DeletionInput& in, const std::vector<Word>& lanes, std::int64_t i,
                    SmallNumbers& found, Visit visit) {
  found.clear();
  Word open = lanes[in.units[i]];
  for (std::int64_t p = in.offsets[i]; open && p < in.offsets[i + 1]; ++p) {
    const std::int64_t j = in.entries[p];
    const Word both = open & lanes[in.units[j]];
    if (!both) continue;
    visit(j, both);
    found.add(both);
    open &= ~found.at_least(in.k);
  }
  return open;
}

// What is counted of the points of one language.
struct LanguageCounts {
  explicit LanguageCounts(std::int32_t n_languages) : reached(n_languages, 0) {}
  Numbers points, bridging, translations;
  std::vector<Word> reached;  // by the other language
};

void count_lanes(const DeletionInput& in, const std::vector<Word>& lanes,
                 std::vector<LanguageCounts>& counts) {
  SmallNumbers found(in.k), others(in.k), translations(in.k);
  std::vector<Word> near(in.n_languages, 0);
  std::vector<std::int32_t> touched;  // where `near` is not 0
  for (std::int64_t i = 0; i < in.n; ++i) {
    const std::int32_t own = in.languages[i];
    others.clear(), translations.clear(), touched.clear();
    const Word open = each_neighbour(in, lanes, i, found, [&](std::int64_t j, Word both) {
      const std::int32_t language = in.languages[j];
      if (language == own) return;
      if (!near[language]) touched.push_back(language);
      others.add(both & ~near[language]);
      near[language] |= both;
      if (in.sentences && in.sentences[j] == in.sentences[i]) translations.add(both);
    });
    if (open)
      throw InvalidArgument(text("the list of point ", i, " keeps fewer than ", in.k,
                                 " neighbours, wanted longer lists for overlap_rows_too_short"));
    LanguageCounts& of_own = counts[own];
    of_own.points.add(lanes[in.units[i]]);
    if (in.threshold <= in.k)
      of_own.bridging.add(others.at_least(in.threshold) & lanes[in.units[i]]);
    translations.each_plane([&](Word word, int plane) { of_own.translations.add(word, plane); });
    for (const std::int32_t language : touched) {
      of_own.reached[language] |= near[language];
      near[language] = 0;
    }
  }
}

}  // namespace

std::vector<std::int64_t> rows_too_short(const DeletionInput& in, const Subsets& subsets,
                                         Team& team) {
  std::vector<std::vector<Word>> lanes;
  for (std::int64_t first = 0; first < subsets.count; first += kLanes)
    lanes.push_back(lanes_of_units(in, subsets, first));
  std::vector<std::uint8_t> too_short(in.n, 0);
  team.run((in.n + kRowsOfTask - 1) / kRowsOfTask, [&](std::int64_t task, int) {
    SmallNumbers found(in.k);
    const std::int64_t end = std::min(in.n, (task + 1) * kRowsOfTask);
    for (std::int64_t i = task * kRowsOfTask; i < end; ++i)
      for (const std::vector<Word>& some : lanes)
        if (each_neighbour(in, some, i, found, [](std::int64_t, Word) {})) too_short[i] = 1;
  });
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < in.n; ++i)
    if (too_short[i]) rows.push_back(i);
  return rows;
}

void count_subsets(const DeletionInput& in, const Subsets& subsets, const DeletionOutput& out,
                   Team& team) {
  team.run((subsets.count + kLanes - 1) / kLanes, [&](std::int64_t task, int) {
    const std::int64_t first = task * kLanes, end = std::min(first + kLanes, subsets.count);
    std::vector<LanguageCounts> counts(in.n_languages, LanguageCounts(in.n_languages));
    count_lanes(in, lanes_of_units(in, subsets, first), counts);
    for (std::int64_t s = first; s < end; ++s)
      for (std::int32_t own = 0; own < in.n_languages; ++own) {
        const std::int64_t at = s * in.n_languages + own;
        out.points[at] = counts[own].points.at(s - first);
        out.bridging[at] = counts[own].bridging.at(s - first);
        if (out.translations) out.translations[at] = counts[own].translations.at(s - first);
        for (const Word reached : counts[own].reached)
          out.reached[at] += static_cast<std::int32_t>(reached >> (s - first) & 1);
      }
  });
}

}  // namespace ilo
