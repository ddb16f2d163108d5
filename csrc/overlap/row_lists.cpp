#include "overlap/row_lists.h"

#include <algorithm>

#include "core/errors.h"

namespace ilo {

void check_lists(const RowLists& lists, std::int64_t n_points, const std::string& name) {
  std::vector<std::int64_t> last(n_points, -1);  // the list that a number was met in last
  for (std::int64_t layer = 0; layer < lists.n_layers; ++layer)
    for (std::int64_t row = 0; row < lists.n; ++row) {
      const List list = lists.at(layer, row);
      const std::int64_t own = layer * lists.n + row;
      for (std::int64_t p = 0; p < list.size; ++p) {
        const std::int32_t point = list.begin[p];
        if (point < 0 || point >= n_points)
          throw InvalidArgument(text(name, " holds ", point, " in row ", row, " of layer ", layer,
                                     ", wanted numbers of points in [0, ", n_points, ")"));
        if (last[point] == own)
          throw InvalidArgument(text(name, " names point ", point, " twice in row ", row,
                                     " of layer ", layer, ", wanted different points in a row"));
        last[point] = own;
      }
    }
}

ReversedLists::ReversedLists(const RowLists& lists) : n_layers_(lists.n_layers), n_(lists.n) {
  offsets_.assign(n_layers_ * n_ + 1, 0);
  for (std::int64_t layer = 0; layer < n_layers_; ++layer)
    for (std::int64_t row = 0; row < n_; ++row) {
      const List list = lists.at(layer, row);
      for (std::int64_t p = 0; p < list.size; ++p) ++offsets_[layer * n_ + list.begin[p] + 1];
    }
  longest_ = *std::max_element(offsets_.begin(), offsets_.end());
  for (std::size_t l = 1; l < offsets_.size(); ++l) offsets_[l] += offsets_[l - 1];
  entries_.resize(offsets_.back());
  std::vector<std::int64_t> next(offsets_.begin(), offsets_.end() - 1);
  for (std::int64_t layer = 0; layer < n_layers_; ++layer)
    for (std::int64_t row = 0; row < n_; ++row) {
      const List list = lists.at(layer, row);
      for (std::int64_t p = 0; p < list.size; ++p)
        entries_[next[layer * n_ + list.begin[p]]++] = static_cast<std::int32_t>(row);
    }
}

RowLists ReversedLists::lists() const {
  return {entries_.data(), offsets_.data(), n_layers_, n_, longest_};
}

}  // namespace ilo
