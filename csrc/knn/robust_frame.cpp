// Medians of a sample: of every value, and of the distances from that centre.
#include "knn/robust_frame.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/arithmetic.h"
#include "knn/random.h"

namespace ilo {

namespace {

constexpr std::int64_t kSample = 1023;

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Frame robust_frame(const Rows& rows, std::uint64_t seed, Team& team) {
  const std::int64_t d = rows.d(), count = std::min(kSample, rows.n_columns());
  std::vector<double> sample(count * d);  // [row][value]
  Random random(seed);
  for (std::int64_t s = 0; s < count; ++s)
    rows.load(count == rows.n_columns() ? s : random.below(rows.n_columns()), &sample[s * d]);
  Frame frame;
  frame.centre.resize(d);
  constexpr std::int64_t kChunk = 8;
  team.run(ceil_div(d, kChunk), [&](std::int64_t chunk, int) {
    std::vector<double> values(count);
    for (std::int64_t k = chunk * kChunk; k < std::min(d, (chunk + 1) * kChunk); ++k) {
      for (std::int64_t s = 0; s < count; ++s) values[s] = sample[s * d + k];
      frame.centre[k] = median(values);
    }
  });
  std::vector<double> radii(count, 0.0);
  for (std::int64_t s = 0; s < count; ++s) {
    for (std::int64_t k = 0; k < d; ++k) {
      const double e = sample[s * d + k] - frame.centre[k];
      radii[s] += e * e;
    }
    radii[s] = std::sqrt(radii[s]);
  }
  const double radius = median(radii);
  frame.scale = radius > 0 ? std::ldexp(1.0, -std::ilogb(radius)) : rows.frame().scale;
  return frame;
}

}  // namespace ilo
