// Rows that were met, each once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ilo {

class Met {
 public:
  explicit Met(std::int64_t n) : stamp_(n, 0) {}
  void clear() {
    rows.clear();
    if (++now_ == 0) {
      std::fill(stamp_.begin(), stamp_.end(), 0);
      now_ = 1;
    }
  }
  void add(std::int32_t row) {
    if (stamp_[row] == now_) return;
    stamp_[row] = now_;
    rows.push_back(row);
  }
  std::vector<std::int32_t> rows;

 private:
  std::vector<std::uint32_t> stamp_;
  std::uint32_t now_ = 0;
};

}  // namespace ilo
