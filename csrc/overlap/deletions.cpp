// Counts without each unit, by what its deletion changes.
#include "overlap/deletions.h"

#include <algorithm>

#include "core/errors.h"

namespace ilo {

namespace {

constexpr std::int64_t kUnitsOfTask = 16;

// What points add to the counts of their languages. Sets of languages are words of 64 bits here, to
// lie one after the other.
class PointCounter {
 public:
  explicit PointCounter(const DeletionInput& in)
      : in_(in), n_words_((in.n_languages + 63) / 64), others_(n_words_) {}

  // Of point i, whose neighbours are the first k of its list that `stays` lets stay.
  template <class Stays>
  void count(std::int64_t i, Stays stays) {
    const std::int32_t own = in_.languages[i];
    std::fill(others_.begin(), others_.end(), 0);
    translations_ = 0;
    std::int64_t missing = in_.k;
    for (std::int64_t p = in_.offsets[i]; missing > 0; ++p) {
      if (p == in_.offsets[i + 1])
        throw InvalidArgument(text("the list of point ", i, " keeps fewer than ", in_.k,
                                   " neighbours, wanted longer lists for overlap_rows_too_short"));
      const std::int64_t j = in_.entries[p];
      if (!stays(j)) continue;
      --missing;
      const std::int32_t language = in_.languages[j];
      others_[language >> 6] |= std::uint64_t{1} << (language & 63);
      if (in_.sentences && in_.sentences[j] == in_.sentences[i] && language != own) ++translations_;
    }
    others_[own >> 6] &= ~(std::uint64_t{1} << (own & 63));
  }

  const std::vector<std::uint64_t>& others() const { return others_; }
  std::int32_t translations() const { return translations_; }
  bool bridges() const {
    std::int64_t n_others = 0;
    for (const std::uint64_t word : others_) n_others += __builtin_popcountll(word);
    return n_others >= in_.threshold;
  }

 private:
  const DeletionInput& in_;
  std::int64_t n_words_;
  std::vector<std::uint64_t> others_;
  std::int32_t translations_ = 0;
};

// One row of the output: the counts of one sample, by language.
struct Row {
  Row(const DeletionInput& in, const DeletionOutput& out, std::int64_t row)
      : points(out.points + row * in.n_languages),
        bridging(out.bridging + row * in.n_languages),
        reached(out.reached + row * in.n_languages),
        translations(out.translations ? out.translations + row * in.n_languages : nullptr) {}
  void add(std::int32_t language, std::int32_t points_, std::int32_t bridging_,
           std::int32_t translations_) const {
    points[language] += points_;
    bridging[language] += bridging_;
    if (translations) translations[language] += translations_;
  }
  std::int32_t *points, *bridging, *reached, *translations;
};

// What every point adds where all units stay, and what this makes together.
struct Whole {
  explicit Whole(const DeletionInput& in)
      : n_words((in.n_languages + 63) / 64),
        others(in.n * n_words),
        bridges(in.n),
        translations(in.n),
        points(in.n_languages, 0),
        bridging(in.n_languages, 0),
        reached(in.n_languages, 0),
        translated(in.n_languages, 0),
        links(std::int64_t{in.n_languages} * in.n_languages, 0) {
    PointCounter counter(in);
    for (std::int64_t i = 0; i < in.n; ++i) {
      counter.count(i, [](std::int64_t) { return true; });
      std::copy(counter.others().begin(), counter.others().end(), others.begin() + i * n_words);
      bridges[i] = counter.bridges();
      translations[i] = counter.translations();
      const std::int32_t own = in.languages[i];
      ++points[own];
      bridging[own] += bridges[i];
      translated[own] += translations[i];
      for (std::int64_t w = 0; w < n_words; ++w)
        for (std::uint64_t left = others[i * n_words + w]; left; left &= left - 1)
          ++links[std::int64_t{own} * in.n_languages + 64 * w + __builtin_ctzll(left)];
    }
    for (std::int32_t own = 0; own < in.n_languages; ++own)
      for (std::int32_t other = 0; other < in.n_languages; ++other)
        reached[own] += links[std::int64_t{own} * in.n_languages + other] > 0;
  }
  void write(const Row& row) const {
    std::copy(points.begin(), points.end(), row.points);
    std::copy(bridging.begin(), bridging.end(), row.bridging);
    std::copy(reached.begin(), reached.end(), row.reached);
    if (row.translations) std::copy(translated.begin(), translated.end(), row.translations);
  }

  std::int64_t n_words;
  // Of each point.
  std::vector<std::uint64_t> others;
  std::vector<std::uint8_t> bridges;
  std::vector<std::int32_t> translations;
  // Of each language; links (own, other): points of own that have other near them.
  std::vector<std::int32_t> points, bridging, reached, translated, links;
};

// Links that come and go; undo() brings back those of the whole.
class Links {
 public:
  explicit Links(const Whole& whole) : count_(whole.links) {}

  // The languages near a point of `own` were `before` and are `after`, each of n_words.
  void change(std::int32_t own, std::int32_t n_languages, const std::uint64_t* before,
              const std::uint64_t* after, std::int64_t n_words, std::int32_t* reached) {
    for (std::int64_t w = 0; w < n_words; ++w)
      for (std::uint64_t left = before[w] ^ after[w]; left; left &= left - 1) {
        const std::int64_t other = 64 * w + __builtin_ctzll(left);
        const bool comes = after[w] & left & -left;
        const std::int64_t at = std::int64_t{own} * n_languages + other;
        count_[at] += comes ? 1 : -1;
        if (comes && count_[at] == 1) ++reached[own];
        if (!comes && count_[at] == 0) --reached[own];
        changed_.push_back({at, comes});
      }
  }
  void undo() {
    for (const Change& change : changed_) count_[change.at] -= change.comes ? 1 : -1;
    changed_.clear();
  }

 private:
  struct Change {
    std::int64_t at;
    bool comes;
  };
  std::vector<std::int32_t> count_;
  std::vector<Change> changed_;
};

// For each unit the points that it holds, or that have it among their first k; each point once.
class Touched {
 public:
  explicit Touched(const DeletionInput& in) : begin_(in.n_units + 1, 0) {
    each(in, [&](std::int32_t unit, std::int64_t) { ++begin_[unit + 1]; });
    for (std::int32_t u = 0; u < in.n_units; ++u) begin_[u + 1] += begin_[u];
    rows_.resize(begin_.back());
    std::vector<std::int64_t> next(begin_.begin(), begin_.end() - 1);
    each(in, [&](std::int32_t unit, std::int64_t i) { rows_[next[unit]++] = i; });
  }
  const std::int64_t* begin(std::int64_t unit) const { return rows_.data() + begin_[unit]; }
  const std::int64_t* end(std::int64_t unit) const { return rows_.data() + begin_[unit + 1]; }

 private:
  template <class Visit>
  static void each(const DeletionInput& in, Visit visit) {
    std::vector<std::int64_t> seen_by(in.n_units, -1);
    for (std::int64_t i = 0; i < in.n; ++i) {
      seen_by[in.units[i]] = i;
      visit(in.units[i], i);
      const std::int64_t* list = in.entries + in.offsets[i];
      for (std::int64_t p = 0; p < in.k; ++p) {
        const std::int32_t unit = in.units[list[p]];
        if (seen_by[unit] != i) visit(unit, i);
        seen_by[unit] = i;
      }
    }
  }
  std::vector<std::int64_t> begin_, rows_;
};

}  // namespace

std::vector<std::int64_t> rows_too_short(const DeletionInput& in) {
  std::vector<std::int64_t> too_short;
  std::vector<std::int64_t> times(in.n_units, 0);  // in the list of the point at hand
  for (std::int64_t i = 0; i < in.n; ++i) {
    const std::int64_t begin = in.offsets[i], end = in.offsets[i + 1];
    std::int64_t most = 0;  // entries that the deletion of one unit takes
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int32_t unit = in.units[in.entries[p]];
      if (unit != in.units[i]) most = std::max(most, ++times[unit]);
    }
    for (std::int64_t p = begin; p < end; ++p) times[in.units[in.entries[p]]] = 0;
    if (end - begin - most < in.k) too_short.push_back(i);
  }
  return too_short;
}

void count_without_each(const DeletionInput& in, const DeletionOutput& out, Team& team) {
  const Whole whole(in);
  const Touched touched(in);
  const std::vector<std::uint64_t> nothing(whole.n_words, 0);
  std::vector<Links> links_of_workers(team.size(), Links(whole));
  team.run((in.n_units + kUnitsOfTask - 1) / kUnitsOfTask, [&](std::int64_t task, int worker) {
    Links& links = links_of_workers[worker];
    PointCounter counter(in);
    const std::int64_t end = std::min<std::int64_t>(in.n_units, (task + 1) * kUnitsOfTask);
    for (std::int64_t unit = task * kUnitsOfTask; unit < end; ++unit) {
      const Row row(in, out, unit);
      whole.write(row);
      for (const std::int64_t* at = touched.begin(unit); at != touched.end(unit); ++at) {
        const std::int64_t i = *at;
        const std::int32_t language = in.languages[i];
        const std::uint64_t* before = whole.others.data() + i * whole.n_words;
        if (in.units[i] == unit) {
          row.add(language, -1, -whole.bridges[i], -whole.translations[i]);
          links.change(language, in.n_languages, before, nothing.data(), whole.n_words,
                       row.reached);
        } else {
          counter.count(i, [&](std::int64_t j) { return in.units[j] != unit; });
          row.add(language, 0, counter.bridges() - whole.bridges[i],
                  counter.translations() - whole.translations[i]);
          links.change(language, in.n_languages, before, counter.others().data(), whole.n_words,
                       row.reached);
        }
      }
      links.undo();
    }
  });
}

}  // namespace ilo
