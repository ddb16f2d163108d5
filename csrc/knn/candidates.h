// The best few columns of every row, as the filter scores them.
//
// Hits above a row's threshold are appended; when the row is full it is compacted to the best
// `keep`, whose worst becomes the threshold. Everything ever discarded scored at most the final
// threshold.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "knn/kernels/kernels.h"

namespace ilo {

class Candidates {
 public:
  // threshold_rows: rows rounded up to whole panels; the padding's threshold lets nothing pass.
  Candidates(std::int64_t rows, std::int64_t threshold_rows, std::int64_t keep)
      : keep_(keep),
        capacity_(capacity(keep)),
        hits_(static_cast<std::size_t>(rows) * capacity_),
        count_(rows, 0),
        threshold_(threshold_rows, std::numeric_limits<float>::infinity()) {
    std::fill_n(threshold_.begin(), rows, -std::numeric_limits<float>::infinity());
  }

  static std::int64_t bytes_per_row(std::int64_t keep) {
    return capacity(keep) * static_cast<std::int64_t>(sizeof(Hit)) + 8;
  }

  const float* thresholds() const { return threshold_.data(); }
  float threshold(std::int64_t row) const { return threshold_[row]; }

  void add(std::int64_t row, Hit hit) {
    Hit* hits = &hits_[row * capacity_];
    hits[count_[row]++] = hit;
    if (count_[row] == capacity_) compact(row);
  }

  // Sorted, best first. Not compacted: the lower the threshold, the more the certificate can show.
  const Hit* sorted(std::int64_t row, std::int64_t* count) {
    Hit* hits = &hits_[row * capacity_];
    std::sort(hits, hits + count_[row], better);
    *count = count_[row];
    return hits;
  }

 private:
  static bool better(const Hit& a, const Hit& b) {
    return a.score != b.score ? a.score > b.score : a.column < b.column;
  }
  static std::int64_t capacity(std::int64_t keep) {
    return keep + std::max<std::int64_t>(16, keep);
  }
  void compact(std::int64_t row) {
    Hit* hits = &hits_[row * capacity_];
    std::nth_element(hits, hits + keep_ - 1, hits + capacity_, better);
    count_[row] = static_cast<std::int32_t>(keep_);
    threshold_[row] = hits[keep_ - 1].score;
  }

  std::int64_t keep_, capacity_;
  std::vector<Hit> hits_;
  std::vector<std::int32_t> count_;
  std::vector<float> threshold_;
};

}  // namespace ilo
