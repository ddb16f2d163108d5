// The best columns of every row so far, by (score, column), each at most once.
//
// The state of a row is the best `capacity` of everything it was ever offered. Taking the best of a
// union is associative, commutative and idempotent, and a pair of rows has one score wherever it is
// computed: so the state does not depend on the order of the offers, nor on their repetition, nor
// on the number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <vector>

#include "knn/kernels/kernels.h"
#include "knn/prefetch.h"

namespace ilo {

class BestColumns {
 public:
  BestColumns(std::int64_t rows, std::int64_t capacity)
      : capacity_(capacity), hits_(rows * capacity), sizes_(rows, 0), locks_(kLocks) {}

  std::int64_t capacity() const { return capacity_; }
  std::int64_t size(std::int64_t row) const { return sizes_[row]; }
  // Best first.
  const Hit* best(std::int64_t row) const { return &hits_[row * capacity_]; }

  // Asks for a row's list, which will be read soon.
  void prefetch(std::int64_t row) const {
    const auto* from = reinterpret_cast<const std::byte*>(best(row));
    ilo::prefetch(from, capacity_ * static_cast<std::int64_t>(sizeof(Hit)));
  }

  static bool better(const Hit& a, const Hit& b) {
    return a.score != b.score ? a.score > b.score : a.column < b.column;
  }

  // Whoever asks for a threshold and offers what passes it holds the row's lock.
  std::mutex& lock(std::int64_t row) { return locks_[row % kLocks]; }

  // Scores that are not above it change nothing.
  float threshold(std::int64_t row) const {
    if (sizes_[row] < capacity_) return -std::numeric_limits<float>::infinity();
    // A tie with the last may still come before it.
    return std::nextafter(best(row)[capacity_ - 1].score, -std::numeric_limits<float>::infinity());
  }

  // Each column at most once among the hits, which are spent. merged: scratch of `capacity` hits.
  void offer(std::int64_t row, Hit* hits, std::int64_t count, Hit* merged) {
    if (count > capacity_) {
      std::nth_element(hits, hits + capacity_, hits + count, better);
      count = capacity_;
    }
    Hit* own = &hits_[row * capacity_];
    const std::int64_t n_own = sizes_[row];
    // Most are in the list already: one score for one pair, so the same entry. Short lists are
    // searched for them, which is quicker than to sort.
    if (n_own <= kShort) {
      std::int64_t fresh = 0;
      for (std::int64_t h = 0; h < count; ++h) {
        int is_known = 0;
        for (std::int64_t p = 0; p < n_own; ++p) is_known |= own[p].column == hits[h].column;
        if (!is_known) hits[fresh++] = hits[h];
      }
      count = fresh;
      if (count == 0) return;
    }
    std::sort(hits, hits + count, better);
    std::int64_t a = 0, b = 0, n = 0;
    while (n < capacity_ && (a < n_own || b < count)) {
      if (a < n_own && b < count && own[a].column == hits[b].column)
        ++b;
      else
        merged[n++] = b == count || (a < n_own && better(own[a], hits[b])) ? own[a++] : hits[b++];
    }
    std::copy_n(merged, n, own);
    sizes_[row] = static_cast<std::int32_t>(n);
  }

 private:
  static constexpr std::int64_t kLocks = 4096, kShort = 64;
  std::int64_t capacity_;
  std::vector<Hit> hits_;
  std::vector<std::int32_t> sizes_;
  std::vector<std::mutex> locks_;
};

}  // namespace ilo
