#include "overlap/ranks.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ilo {

namespace {

constexpr std::int64_t kChunk = 16;  // values that are looked at together before any is kept
constexpr float kLowest = -std::numeric_limits<float>::infinity();

// How many of row i reach its own mark; those that reach the mark of their column count there. The
// translation always does: its mark was made of a cosine that was rounded differently.
std::int32_t count_row(const float* row, std::int64_t i, const float* marks, std::int64_t n,
                       std::int32_t* of_column) {
  const float at_least = marks[i];
  const std::int32_t missed = !(row[i] >= at_least);
  std::int32_t count = missed;
  of_column[i] += missed;
  for (std::int64_t j = 0; j < n; ++j) {
    count += row[j] >= at_least;
    of_column[j] += row[j] >= marks[j];
  }
  return count;
}

void keep_largest(const float* row, std::int64_t n, Largest& of_row, Largest& of_column) {
  const float* const least = of_column.least();
  of_row.clear(0);
  for (std::int64_t from = 0; from < n; from += kChunk) {
    const std::int64_t end = std::min(n, from + kChunk);
    const float row_least = *of_row.least();
    int any = 0;
    for (std::int64_t j = from; j < end; ++j) any |= (row[j] > row_least) | (row[j] > least[j]);
    if (!any) continue;
    for (std::int64_t j = from; j < end; ++j) {
      if (row[j] > *of_row.least()) of_row.add(0, row[j]);
      if (row[j] > least[j]) of_column.add(j, row[j]);
    }
  }
}

float difference(float value, float source, float target) { return value - (source + target); }

// The ratio of the margin less 1: the same order, and the shift cancels in what is divided.
float ratio(float value, float source, float target, float shift) {
  return (value - (source + target)) / (source + target + shift);
}

}  // namespace

Largest::Largest(std::int64_t lists, std::int64_t k)
    : k_(k), kept_(lists * k, kLowest), least_(lists, kLowest) {}

void Largest::add(std::int64_t list, float value) {
  float* const kept = kept_.data() + list * k_;
  std::int64_t at = k_ - 1;
  for (; at > 0 && kept[at - 1] < value; --at) kept[at] = kept[at - 1];
  kept[at] = value;
  least_[list] = kept[k_ - 1];
}

void Largest::clear(std::int64_t list) {
  std::fill_n(kept_.begin() + list * k_, k_, kLowest);
  least_[list] = kLowest;
}

double Largest::mean(std::int64_t list, std::int64_t first) const {
  double total = 0;
  for (std::int64_t at = 0; at < first; ++at) total += kept_[list * k_ + at];
  return total / static_cast<double>(first);
}

TranslationRanks::TranslationRanks(const float* own, std::int64_t n, const RankOptions& options)
    : n_(n),
      options_(options),
      own_(own, own + n),
      at_least_(n),
      scored_(n),
      ranks_(kRankings * 2 * n, 0),
      of_row_(1, std::max(options.csls_neighbors, options.margin_neighbors)),
      of_column_(n, std::max(options.csls_neighbors, options.margin_neighbors)),
      csls_(n),
      margin_(n) {
  for (std::int64_t i = 0; i < n; ++i)
    at_least_[i] = own[i] - static_cast<float>(options.tolerance);
}

void TranslationRanks::first(const float* cosines, std::int64_t start, std::int64_t n_rows) {
  for (std::int64_t i = start; i < start + n_rows; ++i, cosines += n_) {
    of(0, 0)[i] = count_row(cosines, i, at_least_.data(), n_, of(0, 1));
    keep_largest(cosines, n_, of_row_, of_column_);
    csls_.source[i] = static_cast<float>(of_row_.mean(0, options_.csls_neighbors) / 2);
    margin_.source[i] = static_cast<float>(of_row_.mean(0, options_.margin_neighbors) / 2);
  }
  rows_seen_ += n_rows;
  if (rows_seen_ == n_) finish_first();
}

void TranslationRanks::finish_first() {
  const auto tolerance = static_cast<float>(options_.tolerance);
  const auto shift = static_cast<float>(options_.shift);
  for (std::int64_t i = 0; i < n_; ++i) {
    csls_.target[i] = static_cast<float>(of_column_.mean(i, options_.csls_neighbors) / 2);
    margin_.target[i] = static_cast<float>(of_column_.mean(i, options_.margin_neighbors) / 2);
    csls_.at_least[i] = difference(own_[i], csls_.source[i], csls_.target[i]) - tolerance;
    const float below = std::abs(margin_.source[i] + margin_.target[i] + shift);
    margin_.at_least[i] =
        ratio(own_[i], margin_.source[i], margin_.target[i], shift) - tolerance / below;
  }
}

void TranslationRanks::second(const float* cosines, std::int64_t start, std::int64_t n_rows) {
  const auto shift = static_cast<float>(options_.shift);
  for (std::int64_t i = start; i < start + n_rows; ++i, cosines += n_) {
    for (std::int64_t j = 0; j < n_; ++j)
      scored_[j] = difference(cosines[j], csls_.source[i], csls_.target[j]);
    of(1, 0)[i] = count_row(scored_.data(), i, csls_.at_least.data(), n_, of(1, 1));
    for (std::int64_t j = 0; j < n_; ++j)
      scored_[j] = ratio(cosines[j], margin_.source[i], margin_.target[j], shift);
    of(2, 0)[i] = count_row(scored_.data(), i, margin_.at_least.data(), n_, of(2, 1));
  }
}

void ranks_of_chosen(const float* distances, std::int64_t n_rows, std::int64_t n,
                     const std::int64_t* own, const std::int64_t* chosen, const float* tolerances,
                     std::int64_t n_chosen, double* ranks) {
  for (std::int64_t i = 0; i < n_rows; ++i) {
    const float* const row = distances + i * n;
    for (std::int64_t at = i * n_chosen; at < (i + 1) * n_chosen; ++at) {
      const float low = row[chosen[at]] - tolerances[at];
      const float high = row[chosen[at]] + tolerances[at];
      std::int32_t nearer = 0, up_to = 0;
      for (std::int64_t j = 0; j < n; ++j) {
        nearer += row[j] < low;
        up_to += row[j] <= high;
      }
      // `own` is no candidate; the chosen one is among its equals.
      nearer -= row[own[i]] < low;
      up_to -= row[own[i]] <= high;
      ranks[at] = 0.5 * (static_cast<double>(nearer) + up_to + 1);
    }
  }
}

}  // namespace ilo
