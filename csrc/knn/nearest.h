// The k smallest of a stream of (squared distance, index), in the order that the definition asks
// for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "core/errors.h"

namespace ilo {

class Nearest {
 public:
  void clear(std::int64_t k) {
    k_ = static_cast<std::size_t>(k);
    heap_.clear();
    heap_.reserve(k_);
  }
  bool full() const { return heap_.size() == k_; }
  // The k-th smallest squared distance so far.
  double worst() const {
    if (!full()) return std::numeric_limits<double>::infinity();
    return heap_.empty() ? 0 : heap_.front().first;
  }
  void add(double squared, std::int64_t index) {
    if (!(squared < std::numeric_limits<double>::infinity())) throw RowsChanged{};  // all finite
    const Entry entry{squared, index};
    if (!full()) {
      heap_.push_back(entry);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (k_ > 0 && entry < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = entry;
      std::push_heap(heap_.begin(), heap_.end());
    }
  }
  using Entry = std::pair<double, std::int64_t>;
  // Ascending; the heap is spent.
  const std::vector<Entry>& sorted() {
    std::sort(heap_.begin(), heap_.end());
    return heap_;
  }

 private:
  std::size_t k_ = 0;
  std::vector<Entry> heap_;
};

}  // namespace ilo
