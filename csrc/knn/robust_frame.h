// A frame that a few rows far out do not move: the mean would go with them, and then rounding would
// take away what tells all other rows apart.
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "knn/rows.h"

namespace ilo {

// About the median, value by value, of rows drawn with `seed`; half of them come to lie within 2 of
// it.
Frame robust_frame(const Rows& rows, std::uint64_t seed, Team& team);

}  // namespace ilo
