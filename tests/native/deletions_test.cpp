// The counts of parts of random graphs, against sets of languages that are counted one by one.
//
//     deletions_test [rounds] [seed]
#include "overlap/deletions.h"

#include <algorithm>
#include <set>
#include <vector>

#include "checks.h"
#include "core/errors.h"
#include "core/parallel.h"

namespace native {
namespace {

// Counts of one sample by the definition; the first k of each list that the sample keeps.
void check_sample(const ilo::DeletionInput& in, const ilo::DeletionOutput& out, Index sample,
                  const std::vector<std::uint8_t>& kept) {
  for (std::int32_t own = 0; own < in.n_languages; ++own) {
    std::set<std::int32_t> reached;
    std::int32_t points = 0, bridging = 0, translations = 0;
    for (Index i = 0; i < in.n; ++i) {
      if (in.languages[i] != own || !kept[in.units[i]]) continue;
      std::set<std::int32_t> others;
      Index taken = 0;
      for (Index p = in.offsets[i]; taken < in.k; ++p) {
        const Index j = in.entries[p];
        if (!kept[in.units[j]]) continue;
        ++taken;
        if (in.languages[j] == own) continue;
        others.insert(in.languages[j]);
        translations += in.sentences && in.sentences[i] == in.sentences[j];
      }
      reached.insert(others.begin(), others.end());
      bridging += static_cast<Index>(others.size()) >= in.threshold;
      ++points;
    }
    const Index at = sample * in.n_languages + own;
    check(out.points[at] == points && out.bridging[at] == bridging, "wrong points or bridging");
    check(out.reached[at] == static_cast<std::int32_t>(reached.size()), "wrong reached");
    check(!in.sentences || out.translations[at] == translations, "wrong translations");
  }
}

// Rows of which a sample leaves fewer than k, one by one.
bool too_short(const ilo::DeletionInput& in, Index i, const std::vector<std::uint8_t>& kept) {
  Index left = 0;
  for (Index p = in.offsets[i]; p < in.offsets[i + 1]; ++p) left += kept[in.units[in.entries[p]]];
  return kept[in.units[i]] && left < in.k;
}

void one_deletion(Random& random) {
  doing = "deletions and subsets";
  ilo::DeletionInput in{};
  in.n = random.whole(20, 200);
  in.k = random.whole(1, 9);
  in.threshold = random.whole(1, 10);
  in.n_languages = static_cast<std::int32_t>(random.of<Index>({2, 5, 64, 65, 130}));
  in.n_units = static_cast<std::int32_t>(random.whole(2, in.n));
  std::vector<Index> entries, offsets{0}, sentences(in.n);
  std::vector<std::int32_t> languages(in.n), units(in.n);
  for (Index i = 0; i < in.n; ++i) {
    languages[i] = static_cast<std::int32_t>(random.whole(0, in.n_languages - 1));
    units[i] = static_cast<std::int32_t>(random.whole(0, in.n_units - 1));
    sentences[i] = random.whole(0, 5);
    const Index length = in.k + random.whole(0, 20);
    for (Index p = 0; p < length; ++p) entries.push_back(random.whole(0, in.n - 1));
    offsets.push_back(static_cast<Index>(entries.size()));
  }
  in.entries = entries.data(), in.offsets = offsets.data(), in.languages = languages.data();
  in.units = units.data(), in.sentences = random.whole(0, 1) ? sentences.data() : nullptr;
  const Index n_subsets = random.whole(1, 150);
  std::vector<std::uint8_t> all_kept(n_subsets * in.n_units);
  for (std::uint8_t& kept : all_kept) kept = random.whole(0, 9) > 0;
  const ilo::Subsets subsets{all_kept.data(), n_subsets};
  ilo::Team team(static_cast<int>(random.whole(1, 4)), nullptr);

  const auto sample = [&](Index s, bool of_subsets) {
    std::vector<std::uint8_t> kept(in.n_units, 1);
    if (of_subsets)
      std::copy_n(all_kept.begin() + s * in.n_units, in.n_units, kept.begin());
    else
      kept[s] = 0;
    return kept;
  };
  for (const bool of_subsets : {false, true}) {
    const Index n_samples = of_subsets ? n_subsets : in.n_units;
    const std::vector<Index> found =
        of_subsets ? ilo::rows_too_short(in, subsets, team) : ilo::rows_too_short(in);
    std::vector<Index> wanted;
    for (Index i = 0; i < in.n; ++i) {
      bool is_short = false;
      for (Index s = 0; s < n_samples; ++s)
        is_short = is_short || too_short(in, i, sample(s, of_subsets));
      if (is_short) wanted.push_back(i);
    }
    check(found == wanted, "other rows are too short");
    const Index size = n_samples * in.n_languages;
    std::vector<std::int32_t> points(size, 0), bridging(size, 0), reached(size, 0),
        translations(size, 0);
    const ilo::DeletionOutput out{points.data(), bridging.data(), reached.data(),
                                  in.sentences ? translations.data() : nullptr};
    bool refused = false;
    try {
      if (of_subsets)
        ilo::count_subsets(in, subsets, out, team);
      else
        ilo::count_without_each(in, out, team);
    } catch (const ilo::InvalidArgument&) {
      refused = true;
    }
    check(refused == !wanted.empty(), "lists that are too short are refused, others are not");
    for (Index s = 0; s < n_samples && !refused; ++s)
      check_sample(in, out, s, sample(s, of_subsets));
  }
}

void run(Random& random, Index rounds) {
  for (Index round = 0; round < 2 * rounds; ++round) one_deletion(random);
}

}  // namespace
}  // namespace native

int main(int argc, char** argv) { return native::run_test(argc, argv, native::run); }
