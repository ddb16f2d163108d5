// Ranks within blocks of similarities or distances: how many candidates are at least as near.
//
// A value within a tolerance counts as equal: what computed the block has rounded differently in
// different places of it, also where vectors are copies of each other.
#pragma once

#include <cstdint>
#include <vector>

namespace ilo {

// The largest few values of many lists, which come in any order.
class Largest {
 public:
  Largest(std::int64_t lists, std::int64_t k);
  // A value must be larger than this, of its list, to be kept.
  const float* least() const { return least_.data(); }
  void add(std::int64_t list, float value);
  void clear(std::int64_t list);
  double mean(std::int64_t list, std::int64_t first) const;  // of the largest `first`

 private:
  std::int64_t k_;
  std::vector<float> kept_;   // (lists, k), each list descends
  std::vector<float> least_;  // (lists)
};

struct RankOptions {
  double shift, tolerance;
  std::int64_t csls_neighbors, margin_neighbors;  // 1 to n
};

// Ranks of translations among n sources and n targets, of which target i translates source i, from
// rows of the matrix of cosines (less `shift`), some at a time: all rows go to `first`, then all
// again to `second`. Rankings, with r(.) the mean cosine of a vector to its nearest few of the
// other language:
//   0  cos                          1  2 cos - r(source) - r(target), the nearest csls_neighbors
//   2  cos / ((r(source) + r(target)) / 2), the nearest margin_neighbors
// Sources: Conneau et al. 2018 (arXiv 1710.04087), Artetxe and Schwenk 2019 (arXiv 1811.01136).
// `first` counts cosines and keeps the nearest few of every row and column; `second` counts the
// other two, over all candidates.
class TranslationRanks {
 public:
  static constexpr int kRankings = 3;
  // own: the cosine of every source to its translation, less `shift`.
  TranslationRanks(const float* own, std::int64_t n, const RankOptions& options);
  std::int64_t n() const { return n_; }
  // Cosines of the sources from `start` on to all targets, (n_rows, n).
  void first(const float* cosines, std::int64_t start, std::int64_t n_rows);
  void second(const float* cosines, std::int64_t start, std::int64_t n_rows);
  // (kRankings, 2, n): of each ranking first among the targets of each source, then among the
  // sources of each target; 1 and more, and equal ones count as nearer.
  const std::vector<std::int32_t>& ranks() const { return ranks_; }

 private:
  // What a ranking compares with: half the mean similarity of every source and every target to
  // their nearest few, and the least score that is as good as the translation's.
  struct Ranking {
    explicit Ranking(std::int64_t n) : source(n), target(n), at_least(n) {}
    std::vector<float> source, target, at_least;
  };
  std::int32_t* of(int ranking, int side) { return ranks_.data() + (ranking * 2 + side) * n_; }
  void finish_first();

  std::int64_t n_, rows_seen_ = 0;
  RankOptions options_;
  std::vector<float> own_, at_least_, scored_;
  std::vector<std::int32_t> ranks_;
  Largest of_row_, of_column_;
  Ranking csls_, margin_;
};

// For each row of distances and each of its `chosen` columns, its rank among all columns of the row
// but `own`: 1 is the nearest; those within the tolerance of its distance share their mean rank.
void ranks_of_chosen(const float* distances, std::int64_t n_rows, std::int64_t n,
                     const std::int64_t* own,     // (n_rows)
                     const std::int64_t* chosen,  // (n_rows, n_chosen)
                     const float* tolerances,     // (n_rows, n_chosen)
                     std::int64_t n_chosen,
                     double* ranks);  // (n_rows, n_chosen)

}  // namespace ilo
