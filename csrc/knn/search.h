// The best columns of all rows so far, as one kind of rounded rows shows them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/parallel.h"
#include "knn/best_columns.h"
#include "knn/join.h"
#include "knn/rounded_rows.h"

namespace ilo {

struct Search {
  Search(const RoundedRows& rows, std::int64_t capacity, std::int64_t leaf_rows, const Team& team)
      : rows(rows), best(rows.count(), std::min(rows.count(), capacity)) {
    for (int w = 0; w < team.size(); ++w)
      joiners.push_back(std::make_unique<Joiner>(rows, best, leaf_rows));
  }
  double pairs() const {
    double sum = 0;
    for (const auto& joiner : joiners) sum += joiner->pairs();
    return sum;
  }

  const RoundedRows& rows;
  BestColumns best;
  std::vector<std::unique_ptr<Joiner>> joiners;
};

}  // namespace ilo
