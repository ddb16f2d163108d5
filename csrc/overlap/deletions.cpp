// Counts without each unit, by what its deletion changes.
#include "overlap/deletions.h"

#include <algorithm>

#include "core/errors.h"

namespace ilo {

namespace {

constexpr std::int64_t kRowsBetweenPolls = 1024;

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

using Words = std::vector<std::uint64_t>;

// Calls visit(language) for each of a set.
template <class Visit>
void each_language(const Words& set, Visit visit) {
  for (std::size_t w = 0; w < set.size(); ++w)
    for (std::uint64_t left = set[w]; left; left &= left - 1)
      visit(static_cast<std::int32_t>(64 * w) + __builtin_ctzll(left));
}

// Calls visit(language, whether it comes) for each that is in one set alone.
template <class Visit>
void each_language(const Words& before, const Words& after, Visit visit) {
  for (std::size_t w = 0; w < before.size(); ++w)
    for (std::uint64_t left = before[w] ^ after[w]; left; left &= left - 1)
      visit(static_cast<std::int32_t>(64 * w) + __builtin_ctzll(left),
            (after[w] & left & -left) != 0);
}

// Where a unit goes, a point of `own` gets `other` near it, or loses it.
struct LinkChange {
  std::int32_t unit, own, other;
  bool comes;
};

// The changes of each unit together: a counting sort.
std::vector<LinkChange> by_unit(const std::vector<LinkChange>& changes, std::int32_t n_units) {
  std::vector<std::int64_t> next(n_units + 1, 0);
  for (const LinkChange& change : changes) ++next[change.unit + 1];
  for (std::int32_t u = 0; u < n_units; ++u) next[u + 1] += next[u];
  std::vector<LinkChange> sorted(changes.size());
  for (const LinkChange& change : changes) sorted[next[change.unit]++] = change;
  return sorted;
}

// Counts of all samples: first how they differ from those of the whole.
class Rows {
 public:
  Rows(const DeletionInput& in, const DeletionOutput& out)
      : in_(in),
        out_(out),
        points_(in.n_languages, 0),
        bridging_(in.n_languages, 0),
        translations_(in.n_languages, 0) {}
  void add_to_whole(std::int32_t language, const PointCounter& point) {
    ++points_[language];
    bridging_[language] += point.bridges();
    translations_[language] += point.translations();
  }
  void add(std::int32_t unit, std::int32_t language, std::int32_t points, std::int32_t bridging,
           std::int32_t translations) const {
    const std::int64_t at = std::int64_t{unit} * in_.n_languages + language;
    out_.points[at] += points;
    out_.bridging[at] += bridging;
    if (out_.translations) out_.translations[at] += translations;
  }
  void add_whole_to_all() const {
    for (std::int32_t unit = 0; unit < in_.n_units; ++unit)
      for (std::int32_t own = 0; own < in_.n_languages; ++own)
        add(unit, own, points_[own], bridging_[own], translations_[own]);
  }

 private:
  const DeletionInput& in_;
  const DeletionOutput& out_;
  std::vector<std::int32_t> points_, bridging_, translations_;
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
  Rows rows(in, out);
  // Of (own, other): points of own that have other near them; and what changes there.
  std::vector<std::int32_t> links(std::int64_t{in.n_languages} * in.n_languages, 0);
  std::vector<LinkChange> changes;
  PointCounter before(in), after(in);
  std::vector<std::int64_t> seen_by(in.n_units, -1);
  for (std::int64_t i = 0; i < in.n; ++i) {
    if (i % kRowsBetweenPolls == 0) team.poll();
    const std::int32_t own = in.languages[i], own_unit = in.units[i];
    before.count(i, [](std::int64_t) { return true; });
    rows.add_to_whole(own, before);
    rows.add(own_unit, own, -1, -before.bridges(), -before.translations());
    each_language(before.others(), [&](std::int32_t other) {
      ++links[std::int64_t{own} * in.n_languages + other];
      changes.push_back({own_unit, own, other, false});
    });
    seen_by[own_unit] = i;
    for (std::int64_t p = in.offsets[i]; p < in.offsets[i] + in.k; ++p) {
      const std::int32_t unit = in.units[in.entries[p]];
      if (seen_by[unit] == i) continue;
      seen_by[unit] = i;
      after.count(i, [&](std::int64_t j) { return in.units[j] != unit; });
      rows.add(unit, own, 0, after.bridges() - before.bridges(),
               after.translations() - before.translations());
      each_language(before.others(), after.others(), [&](std::int32_t other, bool comes) {
        changes.push_back({unit, own, other, comes});
      });
    }
  }
  rows.add_whole_to_all();

  std::vector<std::int32_t> reached(in.n_languages, 0);
  for (std::int32_t own = 0; own < in.n_languages; ++own)
    for (std::int32_t other = 0; other < in.n_languages; ++other)
      reached[own] += links[std::int64_t{own} * in.n_languages + other] > 0;
  changes = by_unit(changes, in.n_units);
  auto change = changes.begin();
  for (std::int32_t unit = 0; unit < in.n_units; ++unit) {
    std::int32_t* const row = out.reached + std::int64_t{unit} * in.n_languages;
    std::copy(reached.begin(), reached.end(), row);
    const auto first = change;
    for (; change != changes.end() && change->unit == unit; ++change) {
      std::int32_t& points = links[std::int64_t{change->own} * in.n_languages + change->other];
      points += change->comes ? 1 : -1;
      if (points == (change->comes ? 1 : 0)) row[change->own] += change->comes ? 1 : -1;
    }
    for (auto undone = first; undone != change; ++undone)
      links[std::int64_t{undone->own} * in.n_languages + undone->other] -= undone->comes ? 1 : -1;
  }
}

}  // namespace ilo
